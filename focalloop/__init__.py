"""Hardware-in-the-loop emulation and deployment for programmable focal-plane sensors."""
