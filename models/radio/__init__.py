"""Networks that send sensor data over a radio channel, and their training."""
