"""Pictures and video: the public test set, and what training data is made from."""
