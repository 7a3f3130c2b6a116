"""The public test set and training data, made from pictures and video."""
