"""Build the package `focalloop` from the four folders at the top of the repository.

The links in ``focalloop/`` serve type checkers and editors in a clone. They are not used here, so
that a checkout on a file system without symbolic links builds the same package.
"""

from setuptools import find_packages, setup

FOLDERS = ("firmware_sim", "calibration", "models", "host")

setup(
    packages=[
        "focalloop",
        *(
            f"focalloop.{package}"
            for package in find_packages(include=[*FOLDERS, *(f"{name}.*" for name in FOLDERS)])
        ),
    ],
    package_dir={f"focalloop.{name}": name for name in FOLDERS},
)
