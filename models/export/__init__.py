"""From a training run to a bundle: ONNX, 8-bit arithmetic and scores."""
