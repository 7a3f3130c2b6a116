"""Training a network: data, steps, runs, logs and checkpoints."""
