"""The root of the one exception tree of focalloop."""


class FocalloopError(Exception):
    """What went wrong, with which value, and what to do, in one sentence for a person.

    The command line prints ``str(error)`` and exits with status 1; nothing else of it is shown.
    """


class SceneError(FocalloopError):
    """A clip, video or camera that cannot be used; the text says which, why and what to do."""
