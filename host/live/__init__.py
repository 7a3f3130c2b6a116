"""The live session: board, reconstruction and pictures, and what the service sees of them."""
