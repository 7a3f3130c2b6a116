"""``python -m focalloop``: the command line, for launchers that start modules, as torchrun does."""

import sys

if __name__ == "__main__":
    # `-m` looks for modules in the current folder first, where the user may have a serial.py.
    if not sys.flags.safe_path:
        del sys.path[0]
    from focalloop.host.cli.main import main

    main()
