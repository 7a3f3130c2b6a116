"""Networks, training, export and data; needs the `train` extra except where it says so."""
