"""What holds for every test."""

from hypothesis import settings

# An example is slow where the machine is busy or coverage is measured, which is not a failure.
settings.register_profile("focalloop", deadline=None)
settings.load_profile("focalloop")
