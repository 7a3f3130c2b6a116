"""Bundles as a service for other programs, by the Open Inference Protocol."""
