"""Pictures: bytes to pixels, pixels to a model's input and back, and answers drawn for people."""

from service.imaging.decode import DecodedImage, ImageInfo, decode
from service.imaging.draw import draw_boxes, draw_labels
from service.imaging.encode import encode_jpeg, encode_png
from service.imaging.fit import fit
from service.imaging.limits import ImageFormat, ImageLimits
from service.imaging.load import load
from service.imaging.palette import PALETTE, Colour, class_colour
from service.imaging.placement import FitSpec, Placement, place

__all__ = [
    "PALETTE",
    "Colour",
    "DecodedImage",
    "FitSpec",
    "ImageFormat",
    "ImageInfo",
    "ImageLimits",
    "Placement",
    "class_colour",
    "decode",
    "draw_boxes",
    "draw_labels",
    "encode_jpeg",
    "encode_png",
    "fit",
    "load",
    "place",
]
