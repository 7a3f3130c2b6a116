"""The `focalloop` command line: `main` starts it, `commands` has a file for each command."""
