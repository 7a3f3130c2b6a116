"""Reads beyond the window: phases, and memory of the windows before."""
