"""The faults: their effect on bytes, and their notation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.faults import Direction, Faults, FaultsError, FaultyLine, Pipe, Times
from focalloop.firmware_sim.faults.line import AIR_BYTES

probabilities = st.sampled_from([0.0, 1e-5, 3e-4, 0.02, 0.4])
bursts = st.none() | st.builds(Times, st.sampled_from([0.5, 20.0, 400.0]), st.booleans())
directions = st.builds(
    Direction,
    flips=probabilities,
    drops=probabilities,
    doubles=probabilities,
    bursts=bursts,
    burst_bytes=st.integers(1, 200),
    delay_s=st.sampled_from([0.0, 0.002, 1.5]),
    slow_bytes_per_s=st.sampled_from([0.0, 100.0, 2e4]),
)
times = st.none() | st.builds(Times, st.sampled_from([0.1, 2.0, 8.0]), st.booleans())
faults = st.builds(
    Faults,
    to_host=directions,
    to_board=directions,
    disconnect=times,
    disconnect_s=st.sampled_from([0.5, 2.0]),
    stall=times,
    stall_s=st.sampled_from([0.25, 1.0]),
    reset=times,
    seed=st.integers(0, 10**9),
)


def through(pipe: Pipe, data: bytes, now_us: float = 0.0) -> bytes:
    pipe.put(data, now_us)
    return bytes(pipe.take(now_us))


def test_the_text_of_the_readme_says_what_it_looks_like() -> None:
    read = Faults.parse(
        "flips=1e-5, to-host.drops=1e-6, to-board.doubles=0.001, bursts=0.1/s of 32 B, delay=5 ms,"
        "to-host.slow=20 kB/s, disconnect=every 30 s for 500 ms, stall=0.2/s, reset=every 1 min,"
        "seed=7"
    )
    both = {"flips": 1e-5, "bursts": Times(0.1), "burst_bytes": 32, "delay_s": 0.005}
    assert read == Faults(
        to_host=Direction(**both, drops=1e-6, slow_bytes_per_s=20e3),
        to_board=Direction(**both, doubles=0.001),
        disconnect=Times(1 / 30, even=True),
        disconnect_s=0.5,
        stall=Times(0.2),
        reset=Times(1 / 60, even=True),
        seed=7,
    )


def test_spaces_and_nothing_are_free() -> None:
    assert Faults.parse(" delay = 5ms ,, ") == Faults.parse("delay=5 ms")
    assert Faults.parse("") == Faults()
    assert not Faults.parse("seed=3").active


@settings(max_examples=50, deadline=None)
@given(faults)
def test_what_is_written_is_read_back(made: Faults) -> None:
    again = Faults.parse(str(made))
    assert again.active == made.active
    assert replace(again, seed=made.seed) == made
    assert str(again) == str(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flip=1e-5", r"'flip=1e-5' is not a fault.*flips, drops"),
        ("flips", "NAME=VALUE"),
        ("up.flips=1e-5", "to-host. or to-board."),
        ("flips=1.5", "probability below 1, not 1.5"),
        ("flips=many", "write flips=1e-5"),
        ("delay=5", "write delay=5 ms"),
        ("delay=1 min", "0 to 10 s, not 60"),
        ("slow=3 B/s", "100 B/s or more, not 3"),
        ("disconnect=30 s", "write disconnect=every 30 s"),
        ("disconnect=every 0 s", "at most 1000 times per second"),
        ("stall=1/s for 0 s", "more than 0 s"),
        ("bursts=1/s of 0 B", "1 byte or more, not 0"),
        ("to-host.reset=1/s", "whole line: write it without to-host"),
        ("flips=1e-5, to-host.flips=1e-4", "leave one of them out"),
        ("seed=-1", "write seed=1"),
    ],
)
def test_a_wrong_text_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(FaultsError, match=says) as refused:
        Faults.parse(text)
    assert "\n" not in str(refused.value)


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=4000),
    st.lists(st.integers(0, 4000), max_size=6),
    probabilities,
    probabilities,
    probabilities,
    st.integers(0, 2**32),
)
def test_hits_do_not_depend_on_how_a_stream_is_cut(
    data: bytes, cuts: list[int], flips: float, drops: float, doubles: float, seed: int
) -> None:
    way = Direction(flips=flips, drops=drops, doubles=doubles)
    whole, pieces = (Pipe(way, str(seed), Counter()) for _ in range(2))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    out = [
        through(pieces, data[start:stop], now) for now, (start, stop) in enumerate(pairwise(edges))
    ]
    assert b"".join(out) == through(whole, data)


def test_hits_are_as_frequent_as_asked() -> None:
    hits: Counter[str] = Counter()
    pipe = Pipe(Direction(flips=1e-3, drops=2e-2, doubles=1e-2), "1", hits)
    count = 100_000
    out = through(pipe, bytes(count))
    for kind, mean in (("flips", 800), ("drops", 2000), ("doubles", 1000)):
        assert abs(hits[kind] - mean) < 5 * mean**0.5
    assert len(out) == count - hits["drops"] + hits["doubles"]
    # A flipped bit counts as it is unless its byte is dropped or doubled.
    assert abs(sum(byte.bit_count() for byte in out) - hits["flips"]) < 60


def test_a_burst_is_noise_of_its_length_wherever_it_falls() -> None:
    pipe = Pipe(Direction(bursts=Times(1, even=True), burst_bytes=100), "1", Counter())
    assert through(pipe, bytes(50), 0.0) == bytes(50)
    hit = through(pipe, bytes(60), 1e6) + through(pipe, bytes(60), 1.01e6)
    assert hit[100:] == bytes(20)
    assert sum(byte != 0 for byte in hit[:100]) > 90
    assert through(pipe, bytes(500), 1.9e6) == bytes(500)
    # On an idle line it is over before anything passes.
    assert through(pipe, bytes(500), 2.1e6) == bytes(500)


def test_a_delayed_line_keeps_the_order_and_a_bounded_number_of_bytes() -> None:
    pipe = Pipe(Direction(delay_s=0.5), "1", Counter())
    for second in range(3):
        pipe.put(bytes([second]) * 10, second * 1e5)
    assert (pipe.due_us, bytes(pipe.take(4e5))) == (5e5, b"")
    assert bytes(pipe.take(6e5)) == bytes(10) + b"\x01" * 10
    for _ in range(40):
        pipe.put(bytes(100_000), 1e6)
    assert pipe.room == 0
    assert len(pipe.take(1e9)) == AIR_BYTES
    pipe.put(b"late", 1e9)
    pipe.clear()
    assert (pipe.take(2e9), pipe.room) == (b"", AIR_BYTES)


@settings(max_examples=20, deadline=None)
@given(faults, st.lists(st.tuples(st.integers(0, 400_000), st.binary(max_size=300)), max_size=30))
def test_the_same_seed_does_the_same(made: Faults, sent: list[tuple[int, bytes]]) -> None:
    def run() -> tuple[list[object], str]:
        line, now_us, seen = FaultyLine(made), 0, []
        for pause_us, data in sent:
            now_us += pause_us
            seen.append(line.events(now_us))
            line.to_host.put(data, now_us)
            line.to_board.put(data[::-1], now_us)
            seen += [bytes(line.to_host.take(now_us)), bytes(line.to_board.take(now_us))]
        return seen, str(line)

    assert run() == run()


def test_another_seed_does_something_else() -> None:
    way = Direction(flips=0.01)
    first, second = (through(Pipe(way, seed, Counter()), bytes(1000)) for seed in "12")
    assert first != second


def test_events_come_when_they_are_due() -> None:
    line = FaultyLine(Faults.parse("disconnect=every 2 s, reset=every 3 s, stall=50/s"))
    events: Counter[str] = Counter()
    moments: list[int] = []
    for now_us in range(0, 12_000_001, 1000):
        happened = line.events(now_us)
        events.update(happened)
        moments += [now_us] * ("reset" in happened)
    assert events["disconnect"] == 6
    assert moments == [3_000_000 * (i + 1) for i in range(4)]
    assert 480 < events["stall"] < 680  # some of 600 fall into the same millisecond
    assert str(line).startswith("6 disconnections")


def test_events_that_came_due_on_an_unused_line_are_left_out() -> None:
    line = FaultyLine(Faults.parse("disconnect=every 10 s"))
    assert line.events(0) == []
    line.skip(95_000_000)
    assert line.events(99_000_000) == []
    assert line.events(100_000_000) == ["disconnect"]
    assert line.events(109_000_000) == []
    assert str(line) == "1 disconnection"


def test_a_line_without_faults_passes_all_at_once() -> None:
    line = FaultyLine(Faults())
    data = bytes(range(256)) * 100
    line.to_host.put(data, 0)
    assert line.to_host.take(0) == data
    assert (line.events(10**12), line.next_us) == ([], None)
    assert str(line) == "none"
