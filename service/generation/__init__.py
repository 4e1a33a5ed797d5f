"""From a prompt to pictures: what may be asked, what a model must have, and the way between."""

from service.generation.contract import TASK, Sizes, check_generator, most_steps, sizes_of
from service.generation.order import GenerateOptions, Order, order_of
from service.generation.painter import Painter, painter_of
from service.generation.painting import Glimpse, Listener, Painting, Pixels, Queued
from service.generation.picture import png_of
from service.generation.preview import enlarge

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
    "enlarge",
    "most_steps",
    "order_of",
    "painter_of",
    "png_of",
    "sizes_of",
]
