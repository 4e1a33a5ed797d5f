"""Pictures: bytes to pixels, pixels to a model's input and back, and answers drawn for people."""

from service.imaging.colour_map import COLOUR_MAP, colour_shares
from service.imaging.decode import DecodedImage, ImageInfo, decode
from service.imaging.dense import seen_part, spread
from service.imaging.depth_picture import draw_depth
from service.imaging.draw import draw_boxes, draw_labels
from service.imaging.encode import encode_jpeg, encode_png
from service.imaging.fit import fit
from service.imaging.limits import ImageFormat, ImageLimits
from service.imaging.load import load
from service.imaging.palette import PALETTE, Colour, class_colour
from service.imaging.placement import FitSpec, Placement, place
from service.imaging.points import PinholeCamera, back_project, encode_ply

__all__ = [
    "COLOUR_MAP",
    "PALETTE",
    "Colour",
    "DecodedImage",
    "FitSpec",
    "ImageFormat",
    "ImageInfo",
    "ImageLimits",
    "PinholeCamera",
    "Placement",
    "back_project",
    "class_colour",
    "colour_shares",
    "decode",
    "draw_boxes",
    "draw_depth",
    "draw_labels",
    "encode_jpeg",
    "encode_ply",
    "encode_png",
    "fit",
    "load",
    "place",
    "seen_part",
    "spread",
]
