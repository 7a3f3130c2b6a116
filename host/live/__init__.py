"""The live session: streams windows from a board and reconstructs the newest."""
