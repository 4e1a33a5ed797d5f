"""TensorRT plans: built from a bundle's ONNX graphs, kept in a folder, found again."""
