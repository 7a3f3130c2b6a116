"""The compiled array against the NumPy reference: random programs, equal bit by bit."""

import numpy as np
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.scamp5 import (
    Areg,
    Direction,
    Dreg,
    Machine,
    Mode,
    TransferNoise,
    assemble,
)
from focalloop.firmware_sim.scamp5.program import Call, Program
from focalloop.firmware_sim.scamp5.reference import ReferenceArray

ANALOG = list(Areg)[:6]
SOURCES = [*ANALOG, Areg.PIX, Areg.IN]
DIGITAL = list(Dreg)[:13]
DIGITAL_SOURCES = list(Dreg)
SLOTS = 3


def picked(*groups):
    """Draw different registers, one of each group."""
    tuples = st.tuples(*(st.sampled_from(group) for group in groups))
    return tuples.filter(lambda chosen: len(set(chosen)) == len(chosen))


def calls(name, *groups):
    return picked(*groups).map(lambda chosen: Call(name, chosen))


DIRECTIONS = list(Direction)
NOT_DIRECTIONS = [dreg for dreg in DIGITAL if dreg not in (Dreg.R1, Dreg.R2, Dreg.R3, Dreg.R4)]
STATEMENTS = st.one_of(
    calls("res", ANALOG),
    calls("mov", ANALOG, SOURCES),
    calls("add", ANALOG, SOURCES, SOURCES),
    calls("add", ANALOG, SOURCES, SOURCES, SOURCES),
    calls("sub", ANALOG, SOURCES, SOURCES),
    calls("neg", ANALOG, SOURCES),
    calls("abs", ANALOG, SOURCES),
    calls("divq", ANALOG, SOURCES),
    calls("div", ANALOG, ANALOG, ANALOG, SOURCES),
    calls("diva", ANALOG, ANALOG, ANALOG),
    *(
        calls(name, [*ANALOG, Areg.NEWS], [*SOURCES, Areg.NEWS])
        for name in ("blur", "blurh", "blurv")
    ),
    calls("gauss", ANALOG, SOURCES),
    calls("newsblur", ANALOG, SOURCES),
    calls("bus", ANALOG, SOURCES, SOURCES, SOURCES, SOURCES),
    calls("bus", ANALOG, [Areg.XN], [Areg.XE], [Areg.XS], [Areg.XW]),
    calls("bus", list(Areg)[9:], SOURCES, SOURCES),
    calls("bus2", ANALOG, ANALOG, SOURCES, SOURCES),
    calls("bus3", ANALOG, ANALOG, [Areg.NEWS], SOURCES),
    calls("movx", ANALOG, SOURCES, DIRECTIONS),
    calls("mov2x", ANALOG, SOURCES, DIRECTIONS, DIRECTIONS),
    calls("add2x", ANALOG, SOURCES, SOURCES, DIRECTIONS, DIRECTIONS),
    calls("sub2x", ANALOG, SOURCES, DIRECTIONS, DIRECTIONS, ANALOG),
    calls("subx", ANALOG, SOURCES, DIRECTIONS, ANALOG),
    calls("where", SOURCES, SOURCES, [Areg.XS]),
    calls("where", SOURCES),
    calls("WHERE", DIGITAL_SOURCES, DIGITAL_SOURCES),
    st.just(Call("all")),
    calls("respix", ANALOG),
    calls("get_image", ANALOG, ANALOG),
    calls("getpix", ANALOG, ANALOG, ANALOG),
    st.integers(0, SLOTS - 1).map(lambda slot: Call("expose", (slot,))),
    calls("SET", DIGITAL, DIGITAL, DIGITAL),
    calls("CLR", DIGITAL, DIGITAL),
    calls("MOV", DIGITAL, DIGITAL_SOURCES),
    calls("NOT", DIGITAL),
    calls("OR", DIGITAL, DIGITAL_SOURCES),
    calls("NOR", DIGITAL, *[DIGITAL_SOURCES] * 4),
    *(calls(name, DIGITAL, DIGITAL, DIGITAL) for name in ("AND", "NAND", "ANDX", "IMP", "XORX")),
    calls("MUX", DIGITAL, *[DIGITAL_SOURCES] * 3),
    calls("DNEWS1", NOT_DIRECTIONS, DIGITAL_SOURCES),
    calls("DNEWS", NOT_DIRECTIONS, NOT_DIRECTIONS, [Direction.NORTH | Direction.EAST]),
    st.sampled_from([Call("PROP0"), Call("PROP1")]),
    st.integers(-128, 127).map(lambda value: Call("scamp5_load_in", (value,))),
    picked(range(4), range(4), [0, 1, 254]).map(
        lambda chosen: Call("scamp5_load_pattern", (Dreg.R5, *chosen, 254))
    ),
)


@given(
    st.lists(STATEMENTS, min_size=1, max_size=12),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.sampled_from([0.011, 0.12, 1.0, 3.7]),
)
@settings(max_examples=80, deadline=None)
def test_random_programs_leave_the_same_registers(statements, shape, seed, threads, gain):
    program = Program.of([*statements, Call("scan", (Areg.B, 0))])
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 256, (2, SLOTS, *shape), dtype=np.uint8)
    machine = Machine(shape, Mode.INTEGER, threads=threads)
    reference = ReferenceArray(shape, Mode.INTEGER, TransferNoise())
    for areg in [*ANALOG, Areg.NEWS]:
        plane = rng.integers(-128, 128, shape)
        machine.load(areg, plane)
        reference.analog[areg.value] = plane
    for dreg in [*DIGITAL, Dreg.FLAG]:
        plane = rng.random(shape) < rng.random()
        machine.load(dreg, plane)
        reference.digital[dreg.value] = plane

    scans = machine.run(program, scene, gain)
    for window, scanned in zip(scene, scans, strict=True):
        for word in program.instructions[:-1]:
            reference.execute(word, window, gain)
        np.testing.assert_array_equal(scanned[0], reference.scan(Areg.B))
    for areg in list(Areg)[:9]:
        np.testing.assert_array_equal(
            machine.analog(areg), reference.analog[areg.value], err_msg=areg.name
        )
    for dreg in Dreg:
        np.testing.assert_array_equal(
            machine.digital(dreg), reference.digital[dreg.value], err_msg=dreg.name
        )


def test_blocks_and_threads_do_not_show():
    """An array of several blocks, the last one not full, with one thread and with three."""
    shape = (131, 257)
    program = assemble(
        "respix(A); expose(0); getpix(B, A); expose(1); getpix(C, A); where(B); sub(D, C, B);"
        "movx(E, D, north); add(F, E, D); MOV(R5, FLAG); all(); scan(F, 0);"
    )
    scene = np.random.default_rng(1).integers(0, 256, (3, 2, *shape), dtype=np.uint8)
    one, three = (Machine(shape, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(one.run(program, scene, 0.2), three.run(program, scene, 0.2))
    np.testing.assert_array_equal(one.digital(Dreg.R5), three.digital(Dreg.R5))
