"""Learning a ratio map: policy gradient and search."""
