"""The classifier behind LitServe, as one writes it who knows both: a JPEG is decoded no larger than
needed, each worker infers on one thread, and answers come back over LitServe's fast queue.

python -m benchmarks.litserve_app model.onnx 224 8001 2
"""

from __future__ import annotations

import base64
import importlib
import io
import sys
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

# Not by an import statement: the type checker may not have it.
litserve: Any = importlib.import_module("litserve")


class Classify(litserve.LitAPI):  # type: ignore[misc]  # whose type is not known here
    def __init__(self, graph: str, size_px: int) -> None:
        super().__init__()
        self._graph, self._size_px = graph, size_px

    def setup(self, device: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(self._graph, options)

    def decode_request(self, request: dict[str, str]) -> NDArray[np.uint8]:
        """LitServe reads JSON and forms; JSON with base64 was the faster of the two."""
        size_px = (self._size_px, self._size_px)
        picture = Image.open(io.BytesIO(base64.b64decode(request["image"])))
        picture.draft("RGB", size_px)
        return np.asarray(picture.convert("RGB").resize(size_px, Image.Resampling.BILINEAR))

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        (probabilities,) = self._session.run(None, {"image": pixels[None]})
        answer: NDArray[np.float32] = probabilities[0]
        return answer

    def encode_response(self, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        best = np.argsort(-probabilities)[:5]
        return {
            "predictions": [
                {"label": f"class {index}", "score": float(probabilities[index])} for index in best
            ]
        }


def main(graph: str, size_px: str, port: str, workers: str) -> None:
    server = litserve.LitServer(
        Classify(graph, int(size_px)),
        accelerator="cpu",
        workers_per_device=int(workers),
        fast_queue=True,
    )
    server.run(port=int(port), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
