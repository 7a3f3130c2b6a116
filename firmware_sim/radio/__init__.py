"""Sensor data on the air, at both ends: symbols, channel, protection, bitstreams."""
