"""Readings from files: EMVA 1288 descriptors, TIFF stacks and images."""
