"""The server that people write first, to compare with: FastAPI, one sync handler, Pillow.

python -m benchmarks.naive model.onnx 224 8001
"""

from __future__ import annotations

import io
import sys

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image


def naive_app(graph: str, size_px: int) -> FastAPI:
    app = FastAPI()
    session = ort.InferenceSession(graph)
    labels = [f"class {index}" for index in range(session.get_outputs()[0].shape[1])]

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    def predict(image: UploadFile) -> dict[str, list[dict[str, float | str]]]:
        picture = Image.open(io.BytesIO(image.file.read())).convert("RGB")
        pixels = np.asarray(picture.resize((size_px, size_px), Image.Resampling.BILINEAR))
        (probabilities,) = session.run(None, {"image": pixels[None]})
        best = np.argsort(-probabilities[0])[:5]
        return {
            "predictions": [
                {"label": labels[index], "score": float(probabilities[0, index])} for index in best
            ]
        }

    return app


if __name__ == "__main__":
    graph, size_px, port = sys.argv[1:]
    uvicorn.run(naive_app(graph, int(size_px)), port=int(port), access_log=False)
