"""`Board`: a board as a program uses it.

For example::

    from focalloop import Board

    with Board.open("/dev/ttyACM0") as board:
        board.upload(ratio_map)
        for window in board.stream():
            show(window.reads)

Every method runs in the thread of its caller; a board's own threads are those of
`focalloop.host.link.connection` and `focalloop.host.link.io_threads`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import (
    ConfigureRequest,
    HelloAnswer,
    LogLevel,
    MessageType,
    SceneRequest,
    StatusAnswer,
)
from focalloop.host.board.driver import Driver
from focalloop.host.board.even_light import capture_even_light
from focalloop.host.board.stats import LinkStats
from focalloop.host.board.upload import Progress
from focalloop.host.board.windows import window_of
from focalloop.host.errors import UnknownMapError
from focalloop.host.link.connection import Connection, State
from focalloop.host.link.port import DEFAULT_BAUD

_log = logging.getLogger("focalloop.board")
_LOG_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


class Board:
    """A programmable sensor at the end of a serial line, or an emulated one.

    Open it with `open` and close it by leaving the ``with`` block, which also stops a
    stream. If the board vanishes, it is opened again as soon as it can be reached, and a stream
    goes on; a board that was reset gets its ratio map again first. `on_event` reports all this.
    Methods may be called from several threads: a map uploaded while a stream runs takes effect in
    that stream.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @classmethod
    def open(
        cls,
        url: str,
        *,
        baud: int = DEFAULT_BAUD,
        timeout_s: float = 2.0,
        reconnect_timeout_s: float = 10.0,
        on_event: Callable[[str], None] | None = None,
        on_log: Callable[[LogLevel, str], None] | None = None,
    ) -> Self:
        """Connect to the board at `url` and identify it.

        Parameters
        ----------
        url : str
            Device name, or anything `serial.serial_for_url` takes
            (``socket://localhost:5000``).
        baud : int
            Line rate in bit/s, of devices that have one.
        timeout_s : float
            Longest wait for an answer, in seconds.
        reconnect_timeout_s : float
            Longest wait for a vanished board, in seconds; ``math.inf`` to wait for ever.
        on_event : callable, optional
            Takes sentences for the user: the board vanished, came back, was reset. It is called
            in the connection's threads. Without it they go to the log ``focalloop.board``.
        on_log : callable, optional
            Takes severity and text of each line that the board logs. Without it they go to the
            same log.

        Raises
        ------
        PortError
            The port is missing, busy or not permitted, or no board is behind it.
        VersionMismatchError
            The board speaks another protocol version.
        """
        connection = Connection(url, baud, timeout_s, reconnect_timeout_s)
        driver = Driver(connection, on_event or _log.warning, on_log or _note)
        connection.open(driver)
        return cls(driver)

    def close(self) -> None:
        """Stop what the board is doing for this program, and close the port."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self.info.shape
        running = self._driver.running
        runs = "" if running is None else f"; runs {running.summary}"
        size = f"{width}x{height}, {self.info.bits} bit"
        return f"<Board {self.info.name!r} at {self.url}: {size}, {self.state}{runs}>"

    @property
    def url(self) -> str:
        """Where the board is."""
        return self._driver.connection.url

    @property
    def info(self) -> HelloAnswer:
        """What the board is: array size, T, levels, ADC, limits."""
        return self._driver.info

    @property
    def state(self) -> State:
        """``'connected'``, ``'lost'`` while the board is gone, or ``'closed'``."""
        return self._driver.connection.state

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map that the board runs, as far as this program knows; an adaptive map's resting map."""
        return self._driver.ratio_map

    @property
    def adaptive_map(self) -> AdaptiveMap | None:
        """Adaptive map that the board runs, if it runs one."""
        return self._driver.adaptive_map

    @property
    def stats(self) -> LinkStats:
        """Counters of the connection, over every opening of the port."""
        return self._driver.stats

    def status(self) -> StatusAnswer:
        """Ask the board for its state, ratio map and counters."""
        return self._driver.status()

    def arm(self) -> None:
        """Prepare the sensor, so that the next capture starts without delay."""
        self._driver.connection.request(MessageType.ARM)

    def configure(
        self,
        *,
        profile: str | dict[str, Any] | None = None,
        scene: str | None = None,
        seed: int | None = None,
    ) -> HelloAnswer:
        """Change settings of an emulated board; what is left out stays.

        Parameters
        ----------
        profile : str or dict, optional
            Noise profile: a preset's name, or a profile as in its JSON file.
        scene : str, optional
            ``camera:N``, ``synthetic``, or a file on the board's machine.
        seed : int, optional
            Seed of the emulated noise.

        Returns
        -------
        HelloAnswer
            What the board is now; also in `info`.
        """
        return self._driver.configure(ConfigureRequest(profile, scene, seed))

    def time_sync(self) -> float:
        """Compare clocks; return the board's time minus ``time.monotonic``, in seconds."""
        return self._driver.time_sync()

    def reset(self) -> None:
        """Restart the board; its ratio map is uploaded again, and a stream goes on.

        `on_event` hears nothing of a restart that succeeds.

        Raises
        ------
        BoardLostError
            The board did not come back in time.
        """
        self._driver.reset()

    @overload
    def upload(
        self, ratio_map: RatioMap | str | Path, progress: Progress | None = None
    ) -> RatioMap: ...

    @overload
    def upload(self, ratio_map: AdaptiveMap, progress: Progress | None = None) -> AdaptiveMap: ...

    def upload(
        self, ratio_map: RatioMap | AdaptiveMap | str | Path, progress: Progress | None = None
    ) -> RatioMap | AdaptiveMap:
        """Make the board run `ratio_map`; the old map stays until the new one is complete.

        Nothing is sent if the board already runs this map, and nothing twice if the link drops.

        Parameters
        ----------
        ratio_map : RatioMap, AdaptiveMap, str or Path
            A map of the board's size, or a periodic one, which is repeated to that size; or the
            name or file of one, as `RatioMap.load` takes it. For an adaptive map this holds for
            its resting map, under which the board runs until `set_grid`.
        progress : callable, optional
            Takes bytes done and bytes in all.

        Returns
        -------
        RatioMap or AdaptiveMap
            The map at the board's size.

        Raises
        ------
        RatioMapError
            There is no such map, or the board cannot run it.
        BoardError, BoardLostError
            The board refused it, or did not come back; it keeps the old map.
        """
        if isinstance(ratio_map, AdaptiveMap):
            return self._driver.upload_adaptive(ratio_map, progress)
        if not isinstance(ratio_map, RatioMap):
            ratio_map = RatioMap.load(ratio_map, self.info.slots, self.info.level_set)
        return self._driver.upload(ratio_map, progress)

    def set_grid(self, window: int, grid: ArrayLike | None) -> int:
        """Choose the tiles of the blocks from window `window` on, until another grid applies.

        With another upload, after a loss of the board, and whenever both sides agree on another
        length of frames, the resting map applies again.

        Parameters
        ----------
        window : int
            First window; one that the board has not begun yet.
        grid : array_like of int, shape (rows, columns), optional
            Tile of each block, as in `AdaptiveMap.compose`; None is the resting map.

        Returns
        -------
        int
            Number of the next window that the board begins.

        Raises
        ------
        UnknownMapError
            The board runs no adaptive map.
        RatioMapError
            The grid does not fit the map, or no window has that number.
        BoardError
            BAD_ARGUMENT: the window is begun already, too far ahead, or not after the last one that
            was set, or the grid measures nothing or more than the board stores. BUSY: too many
            grids wait. The board goes on as before.
        BoardLostError
            The board vanished, or did not answer; it may have taken the grid.
        """
        return self._driver.set_grid(window, grid)

    def capture(self, count: int = 1, progress: Progress | None = None) -> list[Window]:
        """Take `count` windows of the scene, one after the other.

        Parameters
        ----------
        count : int
            Windows wanted, 1 or more.
        progress : callable, optional
            Takes windows done and windows in all.

        Raises
        ------
        UnknownMapError
            The board runs no map, or one that is neither a named tile nor was uploaded by this
            program.
        BoardBusyError
            A stream or capture is running.
        BoardError, BoardLostError
            The board refused, or did not come back.
        """
        windows: list[Window] = []
        with closing(self.stream(self.info.held_windows, count)) as stream:
            for window in stream:
                windows.append(window)
                if progress is not None:
                    progress(len(windows), count)
        return windows

    def stream(self, credit: int = 8, count: int | None = None) -> Generator[Window, None, None]:
        """Yield whole windows of the scene in order, without end or `count` of them.

        Closing the generator, or leaving the ``with`` block of the board, stops the stream. A
        window that was damaged on the line, and that the board no longer holds, is left out: its
        number is missing, and it is counted in ``stats.lost``; so is one under an unknown grid.

        Parameters
        ----------
        credit : int
            Windows that may be on their way or waiting here, at most as many as the board holds. A
            slow consumer makes the board skip windows; they do not queue up.
        count : int, optional
            Windows wanted in all.

        Raises
        ------
        UnknownMapError, BoardBusyError, BoardError, BoardLostError
            As for `capture`.
        """
        with closing(self._driver.stream(credit, count)) as readouts:
            for readout in readouts:
                try:
                    window = window_of(readout, self._driver.maps, self._driver.clock)
                except UnknownMapError:
                    if self.adaptive_map is None:
                        raise
                    self._driver.lose(readout.descriptor.window)
                else:
                    yield window

    def dark_capture(self, level: int, count: int = 1) -> list[Window]:
        """Take `count` windows without light, every pixel at `level`."""
        return capture_even_light(self._driver, level, count)

    def calibration_capture(self, level: int, light: float, count: int = 1) -> list[Window]:
        """Take `count` windows of uniform light (radiance in [0, 1]), every pixel at `level`."""
        return capture_even_light(self._driver, level, count, light)

    def scene(self, window: int, first_slot: int = 0, step: int = 1) -> NDArray[np.uint8]:
        """Fetch the scene behind a window that an emulated board still holds.

        Parameters
        ----------
        window : int
            Number of the window.
        first_slot : int
            First slot wanted, from 0.
        step : int
            Distance from one wanted slot to the next.

        Returns
        -------
        ndarray of uint8, shape (wanted slots, H, W)

        Raises
        ------
        BoardError
            WINDOW_GONE if the board no longer holds the window, UNSUPPORTED if it is a real sensor.
        BoardLostError
            The scene did not arrive whole.
        """
        request = SceneRequest(window, first_slot, step)
        return np.frombuffer(self._driver.scene(request), np.uint8).reshape(-1, *self.info.shape)


def _note(level: LogLevel, text: str) -> None:
    _log.log(_LOG_LEVELS[level], text)
