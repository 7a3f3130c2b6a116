"""Network profiles, and the layers that they are built from."""
