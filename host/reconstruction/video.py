"""Reconstructed video: as an array, in a notebook, and as a file to watch or to work with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import media_name, written_whole
from focalloop.firmware_sim.pictures import gray, png
from focalloop.firmware_sim.window import Window
from focalloop.host.reconstruction import quality
from focalloop.host.reconstruction.reconstruct import Float32

VIDEO_SUFFIXES = (".mp4", ".mkv")
"""Suffixes that `write_video` takes beside ``.npz``."""


class VideoError(FocalloopError):
    """The video cannot be written; the text says why."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The video of one window; to NumPy and matplotlib, an array (T, H, W).

    Attributes
    ----------
    video : ndarray of float32, shape (T, H, W)
        1.0 is white; not clipped.
    window : Window
        The window that was reconstructed.
    bundle : str
        Name of the bundle that reconstructed it.
    """

    video: Float32
    window: Window
    bundle: str

    @property
    def shape(self) -> tuple[int, ...]:
        """T, height and width."""
        return self.video.shape

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy:
            return np.array(self.video, dtype)
        return np.asarray(self.video, dtype)

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - what NumPy takes and gives
        return self.video[index]

    def __repr__(self) -> str:
        frames, height, width = self.shape
        return (
            f"<Reconstruction of window {self.window.number}: {frames} frames, {width}x{height}, "
            f"by {self.bundle!r}>"
        )

    def _repr_png_(self) -> bytes:
        """Show the frames, animated, in a notebook."""
        return png(gray(self.video))

    def psnr(self, scene: NDArray[np.generic]) -> float:
        """Return the PSNR against the scene (T, H, W), float in [0, 1] or uint8; dB."""
        return quality.psnr(self.video, scene)

    def ssim(self, scene: NDArray[np.generic]) -> float:
        """Return the mean SSIM against the scene (T, H, W), float in [0, 1] or uint8."""
        return quality.ssim(self.video, scene)

    def save(self, path: str | Path, *, frames_per_s: float = 30.0) -> None:
        """Write the video as ``.mp4``, ``.mkv`` or ``.npz``; see `write_video`."""
        name = f"window {self.window.number}"
        write_video(Path(path), [self.video], [name], frames_per_s=frames_per_s)


def check_output(path: Path) -> None:
    """Refuse a path that `write_video` cannot write to, before the work is done.

    Raises
    ------
    VideoError
        If the suffix is unknown or the folder is missing.
    """
    if path.suffix.lower() not in (*VIDEO_SUFFIXES, ".npz"):
        raise VideoError(f"video is written as .mp4, .mkv or .npz, not as {path.name!r}")
    if not path.parent.is_dir():
        raise VideoError(
            f"there is no folder {path.parent}: make it, or write {path.name} elsewhere"
        )


def write_video(
    path: Path, windows: Sequence[Float32], names: Sequence[str], *, frames_per_s: float = 30.0
) -> None:
    """Write reconstructed windows to a file, complete or not at all.

    Parameters
    ----------
    path : Path
        ``.mp4`` or ``.mkv``: the windows one after the other in H.264, full-range gray, nearly
        lossless. ``.npz``: ``video (N, T, H, W) float32`` as it is; ``clips (N, T, H, W) uint8``,
        clipped and rounded, which every command takes as clips; and ``names (N,)``.
    windows : sequence of ndarray of float32, shape (T, H, W)
        Videos of the windows, 1.0 is white.
    names : sequence of str
        Names of the windows.
    frames_per_s : float, optional
        Frame rate of an ``.mp4`` or ``.mkv``.

    Raises
    ------
    VideoError
        If the frames cannot be encoded.
    WriteError
        If the file cannot be written.
    """
    check_output(path)
    video = np.stack(windows)
    clips = (np.clip(video, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    with written_whole(path) as partial:
        if path.suffix.lower() == ".npz":
            np.savez(partial, video=video, clips=clips, names=list(names))
        else:
            frames = clips.reshape(-1, *clips.shape[2:])
            encode_frames(partial, frames, frames.shape[1:], frames_per_s)


def encode_frames(
    path: Path, frames: Iterable[NDArray[np.uint8]], shape: tuple[int, ...], frames_per_s: float
) -> None:
    """Write frames, uint8 of `shape` (H, W), to a new ``.mp4`` or ``.mkv`` one by one.

    Raises
    ------
    VideoError
        If they cannot be encoded.
    OSError
        If the file cannot be written.
    """
    from fractions import Fraction

    import av
    from av.video.reformatter import ColorRange

    # Players expect colour planes of half the size, which odd sizes do not have.
    height, width = shape
    even = not (height % 2 or width % 2)
    pixels = "yuv420p" if even else "yuv444p"
    full = {"src_color_range": ColorRange.JPEG, "dst_color_range": ColorRange.JPEG}
    rate = Fraction(frames_per_s).limit_denominator(1000)
    try:
        with av.open(media_name(path), "w") as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.height, stream.width = shape
            stream.pix_fmt = pixels
            stream.options = {"crf": "8"}
            stream.codec_context.color_range = ColorRange.JPEG
            for gray in frames:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(gray), format="gray")
                container.mux(stream.encode(frame.reformat(format=pixels, **full)))
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):  # of the disk
            raise
        raise VideoError(
            f"{height}x{width} video cannot be encoded ({error}): write .npz"
        ) from None
