"""The virtual board's answers to a well-behaved host, and its settings."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import FixedPatternError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.virtual_board.settings import BoardSettingsError
from focalloop.firmware_sim.wire import BoardState, ErrorCode, Frame, MessageType, UploadKind
from tests.support.board_bench import (
    SHAPE,
    SLOTS,
    Bench,
    CountingScene,
    SumReader,
    capture,
    make_board,
    resend,
    stream,
    tile_map,
)


class TestSession:
    def test_hello_tells_what_the_board_is(self) -> None:
        bench = Bench(profile=preset("scamp5"), slot_rate_hz=240.0, name="b", serial="7")
        hello = bench.hello()
        assert hello.shape == SHAPE
        assert (hello.slots, hello.bits) == (SLOTS, 8)
        assert (hello.black_level_dn, hello.full_scale_dn) == (20.0, 220.0)
        assert hello.level_set == (0, 1, 2, 4, 8)
        assert (hello.max_in_flight, hello.held_windows) == (8, 8)
        assert (hello.slot_rate_hz, hello.name, hello.serial) == (240.0, "b", "7")
        assert hello.simulated

    @pytest.mark.parametrize("type_", [MessageType.HELLO, MessageType.STATUS, 0x77])
    def test_another_version_is_told_ours(self, type_: int) -> None:
        bench = Bench()
        frame = Frame(type_, 9, b"whatever version 2 says", version=2)
        (answer,) = bench.send_raw(frame.encode())
        assert (answer.type, answer.sequence, answer.version) == (type_, 9, 1)
        error = wire.ErrorAnswer.unpack(answer.body)
        assert error.code == ErrorCode.VERSION_MISMATCH
        assert "version 1" in error.text

    def test_hello_with_another_protocol_in_its_body_is_refused(self) -> None:
        code, text = Bench().refused(
            MessageType.HELLO, wire.HelloRequest(1024, "old", protocol=3).pack()
        )
        assert code == ErrorCode.VERSION_MISMATCH
        assert "the host 3" in text

    def test_a_host_with_too_small_a_buffer_is_refused(self) -> None:
        body = wire.HelloRequest(wire.MIN_MAX_PAYLOAD - 1, "tiny").pack()
        assert Bench().refused(MessageType.HELLO, body)[0] == ErrorCode.BAD_ARGUMENT

    @pytest.mark.parametrize("type_", [0x00, 0x04, MessageType.LOG, MessageType.READOUT, 0xFF])
    def test_unknown_types_are_named(self, type_: int) -> None:
        code, text = Bench().refused(type_)
        assert code == ErrorCode.UNKNOWN_TYPE
        assert f"0x{type_:02x}" in text

    @pytest.mark.parametrize(
        "type_",
        [MessageType.STATUS, MessageType.ARM, MessageType.STREAM_STOP, MessageType.RESET],
    )
    def test_bodies_where_none_belongs_are_refused(self, type_: MessageType) -> None:
        bench = Bench()
        boot_id = bench.hello().boot_id
        assert bench.refused(type_, b"x")[0] == ErrorCode.BAD_BODY
        assert bench.status().boot_id == boot_id

    def test_a_repeated_request_is_answered_again_and_not_run_again(self) -> None:
        bench = Bench(ratio_map=tile_map())
        request = Frame(*(capture(2)[0], 5, capture(2)[1])).encode()
        first = bench.send_raw(request)
        again = bench.send_raw(request)
        assert first == again
        assert list(bench.take_windows()) == [0, 1]
        other = bench.send_raw(Frame(MessageType.CAPTURE, 5, capture(3)[1]).encode())
        assert wire.WindowNumber.unpack(other[0].body).window == 2

    def test_hello_always_starts_a_session(self) -> None:
        bench = Bench(ratio_map=tile_map())
        hello = Frame(MessageType.HELLO, 1, wire.HelloRequest(1024, "bench").pack()).encode()
        bench.send_raw(hello)
        bench.ask(*stream(2))
        bench.send_raw(hello)
        assert bench.status().state == BoardState.IDLE

    def test_answers_to_the_host_are_not_requests(self) -> None:
        bench = Bench()
        frame = Frame(MessageType.STATUS, 1, b"", wire.FLAG_RESPONSE)
        assert bench.send_raw(frame.encode()) == []

    def test_reset_loses_everything_and_changes_the_boot_id(self) -> None:
        bench = Bench(boot_ids=[11, 22])
        before = bench.hello()
        bench.upload(tile_map())
        bench.put(UploadKind.MASK, b"half of something")
        bench.ask(*capture(3))
        bench.poll(1000)
        bench.ask(MessageType.RESET)
        status = bench.status()
        assert (before.boot_id, status.boot_id) == (11, 22)
        assert status.map_hash == wire.NO_HASH
        assert (status.next_window, status.upload_kind, status.uptime_us) == (0, UploadKind(0), 0)
        assert status.good_frames == 1
        assert bench.refused(*capture(1))[0] == ErrorCode.NO_MAP

    def test_time_runs_from_the_boot(self) -> None:
        bench = Bench()
        bench.now_us = 10**15
        body = wire.TimeSyncRequest(123).pack()
        assert wire.TimeSyncAnswer.unpack(bench.ask(MessageType.TIME_SYNC, body)).board_us == 0
        bench.poll(2500)
        assert wire.TimeSyncAnswer.unpack(bench.ask(MessageType.TIME_SYNC, body)).board_us == 2500
        assert bench.status().uptime_us == 2500

    def test_status_counts_frames(self) -> None:
        bench = Bench()
        bench.hello()
        bench.send_raw(b"\0noise\0more noise\0")
        status = bench.status()
        assert (status.good_frames, status.bad_frames) == (2, 2)


class TestEmulator:
    def test_the_scene_behind_a_held_window(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.hello(1000)
        bench.ask(*capture(2))
        bench.unasked.clear()
        body = wire.SceneRequest(1, first_slot=3, step=4).pack()
        total = wire.SceneAnswer.unpack(bench.ask(MessageType.SCENE, body)).total
        pieces = [wire.Fragment.unpack(frame.body) for frame in bench.unasked]
        assert {frame.type for frame in bench.unasked} == {MessageType.SCENE_DATA}
        data = b"".join(piece.data for piece in pieces)
        assert len(data) == total
        assert data == CountingScene().window(1)[3::4].tobytes()

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            (wire.SceneRequest(0, first_slot=16), ErrorCode.BAD_ARGUMENT),
            (wire.SceneRequest(0, step=0), ErrorCode.BAD_ARGUMENT),
            (wire.SceneRequest(1), ErrorCode.BAD_ARGUMENT),
            (wire.SceneRequest(2), ErrorCode.WINDOW_GONE),
        ],
    )
    def test_scenes_that_there_are_not(self, request_: wire.SceneRequest, code: ErrorCode) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*capture(1))
        bench.ask(MessageType.DARK_CAPTURE, wire.DarkCaptureRequest(1, 1).pack())
        assert bench.refused(MessageType.SCENE, request_.pack())[0] == code

    def configure(self, bench: Bench, **settings: object) -> wire.HelloAnswer:
        body = wire.ConfigureRequest(**settings).pack()  # type: ignore[arg-type]
        return wire.HelloAnswer.unpack(bench.ask(MessageType.CONFIGURE, body))

    def test_configure_changes_profile_and_seed(self) -> None:
        made = []

        def make(ratio_map: RatioMap, profile: object, seed: int, _: object) -> SumReader:
            made.append((profile, seed))
            return SumReader(ratio_map, profile, seed)  # type: ignore[arg-type]

        bench = Bench(ratio_map=tile_map(), make_reader=make)
        assert self.configure(bench, profile="scamp5", seed=7).bits == 8
        bench.ask(*capture(1))
        profile = preset("paper").as_dict()
        assert self.configure(bench, profile=profile).black_level_dn == 4096.0
        assert bench.refused(*resend(0))[0] == ErrorCode.WINDOW_GONE
        bench.ask(*capture(1))
        assert made == [(preset("scamp5"), 7), (preset("paper"), 7)]
        bench.ask(MessageType.RESET)
        assert bench.hello().full_scale_dn == preset("ideal").full_scale_dn

    def test_a_board_keeps_its_own_fixed_pattern_whatever_its_noise(self) -> None:
        pattern = draw_pattern("scamp5", SHAPE, defects=0.04, serial="bench-1")
        made = []

        def make(*given: object) -> SumReader:
            made.append(given)
            return SumReader(*given)  # type: ignore[arg-type]

        profile, own = preset("scamp5"), {"pattern": pattern, "serial": "bench-1"}
        bench = Bench(ratio_map=tile_map(), make_reader=make, profile=profile, **own)
        assert bench.hello().serial == "bench-1"
        self.configure(bench, profile="paper", seed=7)
        bench.ask(*capture(1))
        assert [given[1:] for given in made] == [(preset("paper"), 7, pattern)]
        body = wire.ConfigureRequest(profile="ideal").pack()
        code, text = bench.refused(MessageType.CONFIGURE, body)
        assert (code, "ideal is exact" in text) == (ErrorCode.BAD_ARGUMENT, True)
        with pytest.raises(FixedPatternError, match="calibrate this one"):
            make_board(profile=profile, pattern=draw_pattern("scamp5", (8, 9)))
        with pytest.raises(BoardSettingsError, match="ideal is exact"):
            make_board(profile=preset("ideal"), pattern=pattern)

    def test_configure_opens_another_scene_and_closes_it_again(self) -> None:
        opened = {"other": CountingScene(), "third": CountingScene()}
        first = CountingScene()
        bench = Bench(scene=first, open_scene=opened.__getitem__, ratio_map=tile_map())
        self.configure(bench, scene="other")
        assert not first.closed
        self.configure(bench, scene="third")
        assert opened["other"].closed
        bench.ask(MessageType.RESET)
        assert opened["third"].closed
        assert not first.closed

    def test_settings_that_do_not_hold_change_nothing(self) -> None:
        def fail(text: str) -> CountingScene:
            raise FocalloopError(f"there is no scene {text}")

        bench = Bench(open_scene=fail)
        before = bench.hello()
        for settings, word in (
            ({"profile": "nikon"}, "nikon"),
            ({"profile": {"schema_version": 1}}, "parameters"),
            ({"profile": "scamp5", "scene": "atlantis"}, "atlantis"),
        ):
            body = wire.ConfigureRequest(**settings).pack()
            code, text = bench.refused(MessageType.CONFIGURE, body)
            assert code == ErrorCode.BAD_ARGUMENT
            assert word in text
        assert bench.hello() == before

    def test_an_emulator_that_cannot_run_is_told_and_does_not_crash(self) -> None:
        def fail(*_: object) -> SumReader:
            raise FocalloopError("an exact profile has another full scale")

        bench = Bench(ratio_map=tile_map(), make_reader=fail)
        code, text = bench.refused(MessageType.ARM)
        assert (code, text) == (ErrorCode.INTERNAL, "an exact profile has another full scale")
        bench.ask(*capture(1))
        (log,) = bench.take_logs()
        assert "full scale" in log.text
        assert bench.status().state == BoardState.IDLE

    def test_a_profile_cannot_change_in_mid_stream(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*stream(0))
        body = wire.ConfigureRequest(profile="paper").pack()
        assert bench.refused(MessageType.CONFIGURE, body)[0] == ErrorCode.BUSY
        self.configure(bench, seed=3)

    def test_a_board_that_opens_no_scenes_says_so(self) -> None:
        body = wire.ConfigureRequest(scene="synthetic").pack()
        assert Bench().refused(MessageType.CONFIGURE, body)[0] == ErrorCode.UNSUPPORTED

    def test_a_scene_that_fails_stops_the_run_and_is_told(self) -> None:
        class Unplugged(CountingScene):
            def window(self, index: int) -> np.ndarray:
                if index == 2:
                    raise FocalloopError("the camera went away")
                return super().window(index)

        bench = Bench(scene=Unplugged(), ratio_map=tile_map())
        bench.ask(*stream(10))
        (log,) = bench.take_logs()
        assert log.level == wire.LogLevel.ERROR
        assert "the camera went away" in log.text
        assert list(bench.take_windows()) == [0, 1]
        assert bench.status().state == BoardState.IDLE

    def test_everything_that_a_calibration_reads_is_warmed_up(self) -> None:
        read = set()

        class Noting:
            def __init__(self, ratio_map: RatioMap, profile: NoiseProfile, *_: object) -> None:
                self.dtype = profile.code_dtype

            def read_out(self, scene: np.ndarray, first_window: int = 0) -> np.ndarray:
                read.add((self.dtype, scene.dtype))
                return np.zeros(scene[0].size, self.dtype)

        make_board(make_reader=Noting, profile=preset("scamp5")).warm_up()
        assert (np.dtype(np.uint8), np.dtype(np.uint8)) in read
        assert (np.dtype(np.uint8), np.dtype(np.float32)) in read  # even light

    def test_the_real_emulator_reads_the_windows_out(self) -> None:
        from focalloop.firmware_sim.emulator.emulator import Emulator
        from focalloop.firmware_sim.virtual_board.sensor import make_emulator

        board = make_board(make_reader=make_emulator, profile=preset("paper"), seed=5)
        board.warm_up()
        bench = Bench(board)
        bench.hello()
        bench.upload(tile_map())
        bench.ask(*capture(2))
        emulator = Emulator(tile_map(), preset("paper"), seed=5)
        for number, (_, data) in bench.take_windows().items():
            codes = emulator.read_out(CountingScene().window(number), number)
            assert data == codes.astype("<u2").tobytes()


class TestLimits:
    @pytest.mark.parametrize(
        "setting",
        [
            {"name": "n" * 61},
            {"serial": "é" * 31},
            {"serial": "A-1\0"},
            {"name": "two\nlines"},
            {"max_payload": 255},
            {"max_payload": 65536},
            {"slot_rate_hz": -1.0},
            {"slot_rate_hz": float("nan")},
        ],
    )
    def test_settings_that_do_not_fit_hello_are_refused(self, setting: dict[str, object]) -> None:
        with pytest.raises(BoardSettingsError):
            make_board(**setting)

    def test_hello_fits_the_smallest_payload(self) -> None:
        bench = Bench(name="n" * 60, serial="s" * 60, level_set=tuple(range(16)))
        assert len(bench.hello(wire.MIN_MAX_PAYLOAD).pack()) <= wire.MIN_MAX_PAYLOAD

    def test_a_long_sentence_fits_the_payload(self) -> None:
        def fail(text: str) -> CountingScene:
            raise FocalloopError("é" * 5000)

        bench = Bench(open_scene=fail)
        bench.hello(wire.MIN_MAX_PAYLOAD)
        answer = bench.send(MessageType.CONFIGURE, wire.ConfigureRequest(scene="x").pack())
        assert answer.is_error
        assert len(answer.body) in (wire.MIN_MAX_PAYLOAD - 1, wire.MIN_MAX_PAYLOAD)
        assert set(wire.ErrorAnswer.unpack(answer.body).text) == {"é"}
