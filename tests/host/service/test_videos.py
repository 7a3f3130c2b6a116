"""Frames that a page sends come back as a video."""

import io

import av
import numpy as np


def test_frames_come_back_as_a_video(client):
    ramp = np.linspace(0, 255, 48, dtype=np.uint8)
    frames = np.stack([np.tile(np.roll(ramp, i), (32, 1)) for i in range(5)])
    answer = client.post(
        "/api/video.mp4?height=32&width=48&frames_per_s=20", content=frames.tobytes()
    )
    assert answer.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(answer.content)) as video:
        assert video.streams.video[0].average_rate == 20
        shown = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    assert np.abs(np.asarray(shown, float) - frames).mean() < 2


def test_bytes_that_are_no_whole_frames_are_refused(client):
    for body in (b"", bytes(100)):
        answer = client.post("/api/video.mp4?height=32&width=48", content=body)
        assert answer.status_code == 422
        assert "whole frames of 48x32" in answer.json()["detail"]
    assert client.post("/api/video.mp4?height=0&width=48", content=bytes(96)).status_code == 422
