"""What can go wrong in this package; each text says what, and what to do."""

from focalloop.firmware_sim.errors import FocalloopError


class OptionsError(FocalloopError):
    """Options of a training that contradict each other or are out of range."""


class TrainError(FocalloopError):
    """Training data, settings or the folder of a run that cannot be used."""


class ExportError(FocalloopError):
    """A run that cannot become a bundle."""


class SourceError(FocalloopError):
    """A source of training data that is damaged, unsuitable, or shows the scene of a test clip."""


class PackageError(FocalloopError):
    """A packaged file that cannot be fetched, or whose content is not the expected one."""


class CutError(FocalloopError):
    """A video that cannot be decoded, is too short, or has an unsupported pixel format."""


class TestSetError(FocalloopError):
    """A file to compare the test set with that cannot be used."""

    __test__ = False  # pytest takes classes named Test... for tests
