"""Sensor data sent over a radio channel and reconstructed: every method, in ONNX Runtime."""
