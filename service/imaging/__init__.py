"""Pictures: bytes to pixels, pixels to a model's input and back, and answers drawn for people."""

from service.imaging.cell_png import encode_cell_png
from service.imaging.cells import CellMap, lay_cells
from service.imaging.colour_map import COLOUR_MAP, colour_shares
from service.imaging.decode import DecodedImage, ImageInfo, decode
from service.imaging.dense import percentiles, seen_part, spread
from service.imaging.depth_picture import draw_depth
from service.imaging.draw import draw_boxes, draw_labels
from service.imaging.encode import encode_jpeg, encode_npy, encode_webp
from service.imaging.fit import fit
from service.imaging.limits import ImageFormat, ImageLimits
from service.imaging.load import load
from service.imaging.outlines import Polygon, trace_polygons
from service.imaging.palette import PALETTE, Colour, class_colour, shade
from service.imaging.placement import FitSpec, Placement, place
from service.imaging.png import encode_png
from service.imaging.points import PinholeCamera, back_project, encode_ply
from service.imaging.regions import Box, Regions, find_regions
from service.imaging.segment_picture import Painted, draw_segments

__all__ = [
    "COLOUR_MAP",
    "PALETTE",
    "Box",
    "CellMap",
    "Colour",
    "DecodedImage",
    "FitSpec",
    "ImageFormat",
    "ImageInfo",
    "ImageLimits",
    "Painted",
    "PinholeCamera",
    "Placement",
    "Polygon",
    "Regions",
    "back_project",
    "class_colour",
    "colour_shares",
    "decode",
    "draw_boxes",
    "draw_depth",
    "draw_labels",
    "draw_segments",
    "encode_cell_png",
    "encode_jpeg",
    "encode_npy",
    "encode_ply",
    "encode_png",
    "encode_webp",
    "find_regions",
    "fit",
    "lay_cells",
    "load",
    "percentiles",
    "place",
    "seen_part",
    "shade",
    "spread",
    "trace_polygons",
]
