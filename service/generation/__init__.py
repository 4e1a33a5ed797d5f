"""From a prompt to pictures: what may be asked, what a model must have, and the way between."""

from service.generation.contract import TASK, Sizes, check_generator, sizes_of
from service.generation.order import GenerateOptions, Order, order_of
from service.generation.painter import Painter, painter_of
from service.generation.painting import Glimpse, Listener, Painting, Pixels, Queued
from service.generation.picture import png_of

__all__ = [
    "TASK",
    "GenerateOptions",
    "Glimpse",
    "Listener",
    "Order",
    "Painter",
    "Painting",
    "Pixels",
    "Queued",
    "Sizes",
    "check_generator",
    "order_of",
    "painter_of",
    "png_of",
    "sizes_of",
]
