"""A virtual board that sends something else than it should; all of it well-formed frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Frame, FrameDecoder
from tests.support.served import Reader, Scene

Lie = Callable[[Frame], Iterable[Frame]]
"""What is sent instead of a frame: nothing, another one, or several."""


class LyingBoard(VirtualBoard):
    """A virtual board whose frames pass through a lie on their way out."""

    def __init__(self, lie: Lie, **settings):
        profile = preset(settings.pop("profile", "paper"))
        super().__init__(Scene(), BoardSettings(profile=profile, **settings), make_reader=Reader)
        self._lie = lie
        self._told = FrameDecoder()

    def poll(self, now_us, room=1 << 18):
        """As a virtual board, with the lie."""
        frames = self._told.feed(super().poll(now_us, room))
        return b"".join(told.encode() for frame in frames for told in self._lie(frame))


class Once:
    """Does something to one frame, the first of its kind after some others, and to no other.

    Parameters
    ----------
    type_ : int
        The kind of frame.
    lie : callable
        What is sent instead.
    skip : int
        Frames of that kind that pass first.
    """

    def __init__(self, type_: int, lie: Lie = lambda frame: (), skip: int = 0) -> None:
        self.type, self.lie, self.left = type_, lie, skip
        self.done = False

    def __call__(self, frame: Frame) -> Iterable[Frame]:
        if self.done or frame.type != self.type:
            return (frame,)
        if self.left:
            self.left -= 1
            return (frame,)
        self.done = True
        return self.lie(frame)


def with_body(change: Callable[[bytes], bytes]) -> Lie:
    """Send the frame with another body."""
    return lambda frame: (replace(frame, body=change(frame.body)),)
