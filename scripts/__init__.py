"""Chores of the repository, each also run by CI."""
