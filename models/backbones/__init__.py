"""What every family of image models begins with: normalised pixels, feature maps, a pyramid."""

from models.backbones.features import Backbone
from models.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalisation
from models.backbones.pyramid import FeaturePyramid
from models.backbones.spec import BackboneSpec

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Backbone",
    "BackboneSpec",
    "FeaturePyramid",
    "Normalisation",
]
