"""The clip that `focalloop live` shows, cut from a video of OpenCV's documentation.

It is played forward and then backward, so that it repeats without a jump. It shares no frame with
the test set, which uses frames 248 to 263 of the same video.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np

from focalloop.firmware_sim.files import written_whole
from focalloop.models.data.cut import SIDE, Cut, read_cut
from focalloop.models.errors import CutError

DEMO_CUT = Cut(first_frame=88, frames=160, size=(320, 427), top=0, left=104)
"""Ten windows of a patterned box, turned and carried by hand."""

_ENCODING = {"crf": "13", "preset": "veryslow"}
_FULL_RANGE = 2
"""FFmpeg's number for luma over 0..255, which decodes to gray without a conversion."""


def write_demo_clip(video: Path, output: Path) -> None:
    """Cut the demo clip from OpenCV's ``box.mp4`` and encode it as full-range H.264.

    It uses one encoder thread, so that the same encoder makes the same file every time.

    Raises
    ------
    CutError
        If the video cannot be decoded or the clip not encoded.
    WriteError
        If `output` cannot be written.
    """
    forward = read_cut(video, DEMO_CUT)
    encoded = io.BytesIO()
    try:
        with av.open(encoded, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=30, options=_ENCODING)
            stream.width = stream.height = SIDE
            stream.pix_fmt = "gray"
            stream.codec_context.color_range = _FULL_RANGE
            stream.codec_context.thread_count = 1
            for picture in np.concatenate([forward, forward[::-1]]):
                frame = av.VideoFrame.from_ndarray(picture, format="gray")
                frame.color_range = _FULL_RANGE
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except (av.error.FFmpegError, ValueError) as error:
        raise CutError(f"the demo clip cannot be encoded: {error}") from None
    with written_whole(output) as partial:
        partial.write_bytes(encoded.getvalue())
