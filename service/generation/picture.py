"""A finished picture as a file that says how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service.imaging import encode_png

SOFTWARE = "Panoptes"


def png_of(pixels: NDArray[np.uint8], parameters: Mapping[str, Any], digest: str) -> bytes:
    """A PNG whose texts have the prompt, and under `Parameters` the JSON that paints it again."""
    return encode_png(
        pixels,
        texts={
            "Software": SOFTWARE,
            "Description": str(parameters["prompt"]),
            "Parameters": orjson.dumps(dict(parameters)).decode(),
            "Model-Digest": digest,
        },
    )
