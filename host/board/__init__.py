"""One board: the client, and what keeps it true while the board comes and goes."""
