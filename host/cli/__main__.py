"""``python -m host.cli``: the command line for launchers that start modules, as torchrun does."""

from host.cli import main

if __name__ == "__main__":
    main()
