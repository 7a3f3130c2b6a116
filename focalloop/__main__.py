"""``python -m focalloop``: the command line, for launchers that start modules, as torchrun does."""

from focalloop.host.cli import main

if __name__ == "__main__":
    main()
