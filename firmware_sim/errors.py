"""The base class of all exceptions of focalloop."""


class FocalloopError(Exception):
    """An error whose message says in one sentence what is wrong, with which value, and what to do.

    The command line prints only ``str(error)`` and exits with status 1.
    """


class SceneError(FocalloopError):
    """A clip, video or camera that cannot be used; the text says which, why and what to do."""
