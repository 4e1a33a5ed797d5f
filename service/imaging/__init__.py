"""Pictures: bytes to pixels, pixels to a model's input and back, and answers drawn for people."""

from service.imaging.decode import DecodedImage, ImageInfo, decode
from service.imaging.fit import fit
from service.imaging.limits import ImageFormat, ImageLimits
from service.imaging.load import load
from service.imaging.placement import FitSpec, Placement, place

__all__ = [
    "DecodedImage",
    "FitSpec",
    "ImageFormat",
    "ImageInfo",
    "ImageLimits",
    "Placement",
    "decode",
    "fit",
    "load",
    "place",
]
