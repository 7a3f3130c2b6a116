"""The calibration report: one HTML page with its charts."""
