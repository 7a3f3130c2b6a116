"""The sensor side: what runs on, or beside, a programmable focal plane."""
