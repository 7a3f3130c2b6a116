"""Training of the controller of an adaptive map."""
