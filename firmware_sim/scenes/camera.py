"""A camera as the scene: its newest frames, one per slot."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.grayscale import fit_frame, to_gray

KEPT_WINDOWS = 16
"""Latest windows that are kept, so that asking for one twice gives the same picture."""


class CameraScene:
    """The newest frames of a camera, one per slot.

    A thread keeps the last T frames, so `window` never waits for the camera: at 30 frames per
    second a window shows the last half second, and windows taken faster than that overlap.

    Parameters
    ----------
    number : int
        Of the camera, from 0, in the order of the operating system.
    height, width : int
        Array size, pixels.
    slots : int, optional
        Frame slots per window, T.
    timeout_s : float, optional
        How long the first frame may take, seconds.

    Raises
    ------
    SceneError
        If the camera is missing, in use or sends nothing for `timeout_s`.
    """

    def __init__(
        self, number: int, height: int, width: int, slots: int = 16, *, timeout_s: float = 5.0
    ) -> None:
        # OpenCV reads it when it is first imported; the errors here say more than its warnings do.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        import cv2

        self.shape = (height, width)
        self.slots = slots
        self._name = f"camera {number}"
        self._lock = threading.Lock()
        self._frames: deque[NDArray[np.uint8]] = deque(maxlen=slots)
        self._windows: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._failure: str | None = None
        self._stopping = threading.Event()
        self._first_frame = threading.Event()
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise SceneError(
                f"{self._name} cannot be opened: plug one in, close other programs that use it, "
                "or give a file or `synthetic` as the scene"
            )
        self._thread = threading.Thread(target=self._grab, name=self._name, daemon=True)
        self._thread.start()
        if not self._first_frame.wait(timeout_s) or self._failure:
            self.close()
            reason = self._failure or f"no picture within {timeout_s:g} s"
            raise SceneError(f"{self._name} sends nothing ({reason}): check it")

    def window(self, index: int) -> NDArray[np.uint8]:
        """Return the newest T frames when `index` is first asked for: ``(T, H, W) uint8``.

        Raises
        ------
        SceneError
            If the camera was unplugged or stopped sending.
        """
        if index not in self._windows:
            if self._failure:
                raise SceneError(f"{self._name} went away ({self._failure})")
            with self._lock:
                frames = list(self._frames)
            frames = [frames[0]] * (self.slots - len(frames)) + frames
            self._windows[index] = np.stack(frames)
            while len(self._windows) > KEPT_WINDOWS:
                self._windows.popitem(last=False)
        return self._windows[index]

    def close(self) -> None:
        """Stop the thread, which releases the camera; safe to call twice."""
        self._stopping.set()
        self._thread.join(timeout=2.0)

    def _grab(self) -> None:
        import cv2

        try:
            while not self._stopping.is_set():
                received, frame = self._capture.read()
                if not received:
                    self._failure = "its stream of pictures ended"
                    return
                small = fit_frame(np.asarray(frame, np.uint8), self.shape)
                with self._lock:
                    self._frames.append(to_gray(small[..., ::-1].copy()))  # from BGR
                self._first_frame.set()
        except cv2.error as error:
            self._failure = " ".join(str(error).split())
        finally:
            self._capture.release()
            self._first_frame.set()
