"""Shipped bundles and weights, in folders and files beside this one; nothing heavy is imported."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Its folders are bundles; its ``.safetensors`` files are weights that training starts from."""
