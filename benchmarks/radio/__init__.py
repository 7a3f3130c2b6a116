"""Methods that send sensor data over a radio channel, measured on the same clips and drawn."""
