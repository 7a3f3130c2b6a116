"""What is white: one rule for every reader, and questions instead of guesses."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.io import savemat

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.scenes.picture_files import gray_image

RAMP = np.add.outer(np.zeros(12), np.linspace(0, 1, 20))
"""From black to white, across."""

EIGHT_BIT = np.rint(255 * RAMP)


def save_tiff(path: Path, frame: NDArray[np.generic]) -> None:
    """Write a TIFF of any type of number."""
    if frame.dtype.kind == "f" or frame.dtype in (np.uint16, np.int8):
        assert cv2.imwrite(str(path), frame)
    else:
        signed = 2 if frame.dtype.kind == "i" else 1
        mode = "I;16S" if frame.itemsize == 2 else "I"
        image = Image.fromarray(frame.astype(np.int32))
        if mode == "I":
            image.save(path, tiffinfo={339: signed})
        else:
            assert cv2.imwrite(str(path), frame)


def folder_of(path: Path, suffix: str, frames: list[NDArray[np.generic]]) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        target = path / f"{number:05d}{suffix}"
        if suffix == ".tif":
            save_tiff(target, frame)
        elif suffix == ".pgm":
            header = f"P5\n# a camera\n{frame.shape[1]} {frame.shape[0]}\n4095\n".encode()
            target.write_bytes(header + frame.astype(">u2").tobytes())
        else:
            assert cv2.imwrite(str(target), frame)
    return path


def sequence(white: float, dtype: type[np.generic]) -> list[NDArray[np.generic]]:
    """Sixteen frames, of which the first ones are dark, as in a fade."""
    return [(RAMP * white * min(1, (k + 1) / 8)).astype(dtype) for k in range(16)]


@pytest.mark.parametrize(
    ("suffix", "dtype", "white", "option"),
    [
        (".png", np.uint16, 65535, None),
        (".png", np.uint16, 4095, 4095),
        (".png", np.uint16, 1023, 1023),
        (".pgm", np.uint16, 4095, None),
        (".tif", np.uint16, 65535, None),
        (".tif", np.uint16, 16383, 16383),
        (".tif", np.uint32, 65535, 65535),
        (".tif", np.uint32, 4095, 4095),
        (".tif", np.float32, 1, None),
        (".tif", np.float64, 1, None),
        (".tif", np.float32, 255, None),
        (".tif", np.float32, 4095, 4095),
        (".tif", np.int16, 4095, 4095),
        (".pfm", np.float32, 1, None),
        (".pfm", np.float32, 4095, 4095),
    ],
)
def test_frames_of_any_type_show_the_same_picture_or_are_asked_about(
    tmp_path, suffix, dtype, white, option
):
    folder = folder_of(tmp_path / "frames", suffix, sequence(white, dtype))
    if option is not None:
        with pytest.raises(SceneError, match=rf"frames ranges from .*--white {option}\b"):
            load_clips(folder)
    loaded = load_clips(folder, white=option)
    assert np.abs(loaded.clips[0, -1] - EIGHT_BIT).max() <= 1
    # One white for all frames: the dark ones stay dark.
    assert np.abs(loaded.clips[0, 0] - EIGHT_BIT / 8).max() <= 1
    assert loaded.notes == ()


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_of_sixteen_bits_keep_their_low_byte(tmp_path, suffix, colour):
    frame = np.rint(4095 * RAMP).astype(np.uint16)
    path = tmp_path / f"one{suffix}"
    assert cv2.imwrite(str(path), np.dstack([frame] * 3) if colour else frame)
    with pytest.raises(SceneError, match="--white 4095"):
        gray_image(path)
    assert np.abs(gray_image(path, 4095) - EIGHT_BIT).max() <= 1


def test_colours_in_floats_are_read(tmp_path):
    path = tmp_path / "one.tif"
    assert cv2.imwrite(str(path), np.dstack([RAMP] * 3).astype(np.float32))
    assert np.abs(gray_image(path) - EIGHT_BIT).max() <= 1


@pytest.mark.parametrize("shifted", [False, True])
def test_a_png_that_states_its_bits_is_not_asked_about(tmp_path, shifted):
    frame = np.rint(4095 * RAMP).astype(np.uint16)
    info = PngInfo()
    info.add(b"sBIT", bytes([12]))
    # As the standard has it, scaled up to 16 bits, and as many programs have it.
    stored = frame << 4 | frame >> 8 if shifted else frame
    Image.fromarray(stored).save(tmp_path / "one.png", pnginfo=info)
    assert np.abs(gray_image(tmp_path / "one.png") - EIGHT_BIT).max() <= 1


def test_all_frames_that_state_their_bits_have_one_white(tmp_path):
    info = PngInfo()
    info.add(b"sBIT", bytes([12]))
    for number in range(16):
        # Scaled up to 16 bits; by itself, the first frame could be of 12 bits.
        frame = np.rint((0.05 if number == 0 else 1) * 65535 * RAMP).astype(np.uint16)
        Image.fromarray(frame).save(tmp_path / f"{number}.png", pnginfo=info)
    clip = load_clips(tmp_path).clips[0]
    assert np.abs(clip[0] - 0.05 * EIGHT_BIT).max() <= 1
    assert np.abs(clip[1] - EIGHT_BIT).max() <= 1


@pytest.mark.parametrize("maximum", [15, 100, 255, 1023, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_a_portable_map_is_scaled_by_the_maximum_it_states(tmp_path, maximum, kind):
    frame = np.rint(maximum * RAMP).astype(np.uint16)
    stored = np.repeat(frame.ravel(), 3 if kind in (3, 6) else 1)
    numbers = (
        b" # a comment\n" + " ".join(map(str, stored)).encode()
        if kind < 4
        else stored.astype(">u2" if maximum > 255 else "u1").tobytes()
    )
    header = f"P{kind} # a comment\n20 12\n{maximum}\n".encode()
    (tmp_path / "one.pnm").write_bytes(header + numbers)
    wanted = np.rint(255 / maximum * frame)
    assert np.abs(gray_image(tmp_path / "one.pnm") - wanted).max() <= 1


@pytest.mark.parametrize(
    "content",
    [
        b"P6 20 12 255\n" + bytes(700),
        b"P5 99999 99999 255\n",
        b"P5 0 12 255\n",
        b"P5 2 2 70000\n" + bytes(8),
        b"P2 2 2 255\n1 2 -3 4",
        b"P2 2 2 255\n1 2 300 4",
        b"P3 1 1 255\n1 2 x",
        b"Pf 2 2 one\n" + bytes(16),
        b"Pf 2 2 -1\n" + bytes(15),
        b"P5 2",
    ],
)
def test_a_damaged_portable_map_is_refused(tmp_path, content):
    (tmp_path / "one.ppm").write_bytes(content)
    with pytest.raises(SceneError, match=r"one\.ppm cannot be decoded"):
        gray_image(tmp_path / "one.ppm")


def test_signed_bytes_are_asked_about_as_they_do_not_reach_255(tmp_path):
    frame = np.rint(127 * RAMP).astype(np.int8)
    assert cv2.imwrite(str(tmp_path / "one.tif"), frame)
    with pytest.raises(SceneError, match=r"in int8.*--white 127$"):
        gray_image(tmp_path / "one.tif")
    assert np.abs(gray_image(tmp_path / "one.tif", 127) - EIGHT_BIT).max() <= 1


def test_a_picture_that_is_stored_as_a_negative_is_turned(tmp_path):
    stored = 65535 - np.rint(65535 * RAMP).astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / "one.tif", tiffinfo={262: 0})
    assert np.abs(gray_image(tmp_path / "one.tif") - EIGHT_BIT).max() <= 1


def test_a_negative_of_fractions_is_refused(tmp_path):
    Image.fromarray((1 - RAMP).astype(np.float32)).save(tmp_path / "one.tif", tiffinfo={262: 0})
    with pytest.raises(SceneError, match="0 is white"):
        gray_image(tmp_path / "one.tif")


@pytest.mark.parametrize("white", [0, -1, float("nan"), float("inf")])
def test_a_white_that_is_none_is_refused(tmp_path, white):
    np.save(tmp_path / "clip.npy", np.stack([EIGHT_BIT] * 16).astype(np.uint8))
    with pytest.raises(SceneError, match="give a number above 0"):
        load_clips(tmp_path / "clip.npy", white=white)


def test_a_maximum_of_sixteen_bits_may_be_that_of_the_container(tmp_path):
    frame = np.rint(4095 * RAMP).astype(">u2")
    (tmp_path / "one.pgm").write_bytes(b"P5 20 12 65535\n" + frame.tobytes())
    with pytest.raises(SceneError, match="--white 4095"):
        gray_image(tmp_path / "one.pgm")


@pytest.mark.parametrize("kind", ["npz", "npy", "mat"])
@pytest.mark.parametrize(
    ("dtype", "white", "option"),
    [
        (np.bool_, 1, None),
        (np.uint8, 255, None),
        (np.uint8, 1, 1),
        (np.uint16, 65535, None),
        (np.dtype(">u2"), 65535, None),
        (np.uint16, 4095, 4095),
        (np.uint16, 255, 255),
        (np.int16, 255, None),
        (np.int32, 1023, 1023),
        (np.float32, 1, None),
        (np.float64, 255, None),
        (np.float32, 3, 3),
    ],
)
def test_arrays_follow_the_same_rule(tmp_path, kind, dtype, white, option):
    clip = np.stack([white * RAMP] * 16)
    clip = (np.rint(clip) if np.dtype(dtype).kind in "iub" else clip).astype(dtype)
    path = tmp_path / f"clip.{kind}"
    if kind == "npz":
        np.savez(path, clips=clip[None])
    elif kind == "npy":
        np.save(path, clip)
    elif dtype is np.bool_:
        return  # MATLAB has no such numbers
    else:
        savemat(path, {"orig": np.moveaxis(clip, 0, 2)})
    if option is not None:
        with pytest.raises(SceneError, match="--white"):
            load_clips(path)
    wanted = np.rint(255 * np.rint(white * RAMP) / white) if white == 1 else EIGHT_BIT
    wanted = EIGHT_BIT if np.dtype(dtype).kind == "f" else wanted
    assert np.abs(load_clips(path, white=option).clips[0] - wanted).max() <= 1


@pytest.mark.parametrize("unit", [1, 255])
def test_floats_just_outside_the_range_are_clipped_and_counted(tmp_path, unit):
    clip = np.stack([unit * RAMP] * 16)[None].astype(np.float32)
    clip[0, 3, 4, 5] = 1.05 * unit
    clip[0, 3, 4, 6] = -0.05 * unit
    np.savez(tmp_path / "over.npz", clips=clip)
    loaded = load_clips(tmp_path / "over.npz")
    assert (loaded.clips[0, 0] == EIGHT_BIT).all()
    assert (loaded.clips[0, 3, 4, 5:7] == [255, 0]).all()
    (told,) = loaded.notes
    assert "over.npz: 2 values (0.052 %) lie outside" in told


@pytest.mark.parametrize("white", [None, 255])
def test_what_is_not_a_number_is_refused_even_if_white_is_known(tmp_path, white):
    clip = np.stack([RAMP] * 16)[None]
    clip[0, 3, 4, 5] = np.nan
    np.savez(tmp_path / "nan.npz", clips=clip)
    with pytest.raises(SceneError, match="nan"):
        load_clips(tmp_path / "nan.npz", white=white)


def test_a_white_out_of_reach_is_remarked_on(tmp_path):
    np.savez(tmp_path / "unit.npz", clips=np.stack([RAMP] * 16)[None])
    (told,) = load_clips(tmp_path / "unit.npz", white=255).notes
    assert "0.39 % of the white that was stated, 255" in told


def test_a_mask_of_zeros_and_ones_is_asked_about_but_a_dark_frame_is_not(tmp_path):
    mask = np.rint(RAMP).astype(np.uint8)
    masks = folder_of(tmp_path / "masks", ".png", [mask] * 16)
    with pytest.raises(SceneError, match=r"masks ranges from 0 to 1 in uint8.*--white 1 "):
        load_clips(masks)
    assert (load_clips(masks, white=1).clips == 255 * mask).all()
    fade = folder_of(tmp_path / "fade", ".png", [0 * mask, mask, *[200 * mask] * 14])
    assert load_clips(fade).clips.max() == 200
    black = folder_of(tmp_path / "black", ".png", [0 * mask] * 16)
    assert load_clips(black).clips.max() == 0


@pytest.mark.parametrize("white", [65535, 4095])
def test_a_video_with_samples_of_sixteen_bits_is_asked_about_too(tmp_path, white):
    frame = np.rint(white * RAMP).astype(np.uint16)
    with av.open(str(tmp_path / "raw.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.height, stream.width = frame.shape
        stream.pix_fmt = "gray16le"
        for _ in range(16):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray16le")))
        container.mux(stream.encode())
    if white == 4095:
        with pytest.raises(SceneError, match=r"raw\.mkv ranges from 0 to 4095"):
            load_clips(tmp_path / "raw.mkv")
    for size in (None, RAMP.shape):
        loaded = load_clips(tmp_path / "raw.mkv", white=white, size=size)
        assert np.abs(loaded.clips[0] - EIGHT_BIT).max() <= 1
