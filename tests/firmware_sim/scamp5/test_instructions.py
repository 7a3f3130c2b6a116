"""The effect of each instruction and macro, on small arrays, in all modes."""

import numpy as np
import pytest

from focalloop.firmware_sim.scamp5 import (
    Areg,
    Direction,
    Dreg,
    Instruction,
    Machine,
    Mode,
    Op,
    Scamp5Error,
    Timing,
    TransferNoise,
    assemble,
)

A, B, C, D, E, F, NEWS, PIX = list(Areg)[:8]
R0, R5, R6, R7, R11, R12 = Dreg.R0, Dreg.R5, Dreg.R6, Dreg.R7, Dreg.R11, Dreg.R12

COUNTED = np.arange(1, 10).reshape(3, 3)
SIGNED = np.array([[-4, -3, -2], [-1, 0, 1], [2, 3, 4]])
MASK = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])


@pytest.fixture(params=[Mode.INTEGER, Mode.IDEAL], ids=lambda mode: mode.value)
def machine(request):
    made = Machine((3, 3), request.param)
    made.load(A, COUNTED)
    made.load(B, SIGNED)
    made.load(R5, MASK)
    return made


def check(machine, text, register, expected):
    machine.run(assemble(text))
    read = machine.analog if isinstance(register, Areg) else machine.digital
    np.testing.assert_array_equal(read(register).astype(int), expected)


@pytest.mark.parametrize(
    ("text", "register", "expected"),
    [
        ("bus(C, A);", C, -COUNTED),
        ("bus(C, A, B);", C, [[3, 1, -1], [-3, -5, -7], [-9, -11, -13]]),
        ("bus(C);", C, np.zeros((3, 3))),
        ("mov(C, A);", C, COUNTED),
        ("mov(C, A);", NEWS, -COUNTED),
        ("res(A);", A, np.zeros((3, 3))),
        ("res(A, B);", B, np.zeros((3, 3))),
        ("add(A, A, B);", A, COUNTED + SIGNED),
        ("mov(C, A); add(C, A, B, C);", C, 2 * COUNTED + SIGNED),
        ("sub(C, A, B);", C, np.full((3, 3), 5)),
        ("sub(A, A, B);", A, np.full((3, 3), 5)),
        ("neg(C, B);", C, -SIGNED),
        ("abs(C, B);", C, [[4, 3, 2], [1, 0, 1], [2, 3, 4]]),
        ("add(C, A, B); divq(D, C);", C, COUNTED + SIGNED),
        # FLAG gates analog writes alone.
        ("where(B); mov(A, B); MOV(R6, R5); all();", A, [[1, 2, 3], [4, 5, 1], [2, 3, 4]]),
        ("where(B); mov(A, B); MOV(R6, R5); all();", R6, MASK),
        ("where(B); MOV(R6, FLAG); all();", R6, [[0, 0, 0], [0, 0, 1], [1, 1, 1]]),
        ("where(A, B); MOV(R6, FLAG); all();", R6, [[0, 0, 1], [1, 1, 1], [1, 1, 1]]),
        ("WHERE(R5); res(A); ALL();", A, [[0, 2, 3], [4, 0, 6], [0, 0, 9]]),
        ("NOT(R6, R5); WHERE(R5, R6); res(A); ALL();", A, np.zeros((3, 3))),
        ("where(B); where(A); MOV(R6, FLAG); all();", R6, np.ones((3, 3))),
        # A direction names the neighbour that is read; there is 0 beyond the edge.
        ("movx(C, A, east);", C, [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),
        ("movx(C, A, west);", C, [[0, 1, 2], [0, 4, 5], [0, 7, 8]]),
        ("movx(C, A, north);", C, [[0, 0, 0], [1, 2, 3], [4, 5, 6]]),
        ("movx(C, A, south);", C, [[4, 5, 6], [7, 8, 9], [0, 0, 0]]),
        ("mov(A, A, east);", A, [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),
        ("mov2x(C, A, north, east);", C, [[0, 0, 0], [2, 3, 0], [5, 6, 0]]),
        ("addx(C, A, B, west);", C, [[0, -3, -1], [0, 3, 5], [0, 9, 11]]),
        ("subx(C, A, south, A);", C, [[3, 3, 3], [3, 3, 3], [-7, -8, -9]]),
        ("bus(NEWS, A); bus(C, XE, XW);", C, [[2, 4, 2], [5, 10, 5], [8, 16, 8]]),
        # A neighbour as a target: its NEWS is written, under its own FLAG.
        ("bus(NEWS); bus(XW, A);", NEWS, [[-2, -3, 0], [-5, -6, 0], [-8, -9, 0]]),
        ("bus(NEWS); WHERE(R5); bus(XW, A); ALL();", NEWS, [[-2, 0, 0], [0, -6, 0], [-8, -9, 0]]),
        # Digital logic.
        ("SET(R6, R7);", R7, np.ones((3, 3))),
        ("SET(R6); CLR(R6, R7);", R6, np.zeros((3, 3))),
        ("NOT(R5);", R5, 1 - MASK),
        ("SET(R6); OR(R5, R6);", R5, np.ones((3, 3))),
        ("CLR(R6); NOR(R5, R6);", R5, 1 - MASK),
        # R12 is written where R0 is 1.
        ("SET(R0); CLR(R12); MOV(R0, R5); SET(R12);", R12, MASK),
        ("SET(R0, R12);", R12, np.zeros((3, 3))),
        # South, west, north and east are R1 to R4.
        ("DNEWS(R6, R5, south);", R6, [[0, 1, 0], [1, 1, 0], [0, 0, 0]]),
        ("DNEWS(R6, R5, west);", R6, [[0, 1, 0], [0, 0, 1], [0, 1, 1]]),
        ("DNEWS(R6, R5, north|east);", R6, [[0, 0, 0], [1, 0, 0], [1, 1, 0]]),
        ("DNEWS(R6, R5, west, 1);", R6, [[1, 1, 0], [1, 0, 1], [1, 1, 1]]),
        ("CLR(R1, R2, R3, R4); MOV(R1, R5); DNEWS1(R6, R5);", R6,
         [[0, 0, 0], [0, 1, 0], [1, 1, 0]]),
        # Decoders: rows from the top, columns from the right.
        ("scamp5_load_point(R6, 0, 0);", R6, [[0, 0, 1], [0, 0, 0], [0, 0, 0]]),
        ("scamp5_load_pattern(R6, 1, 0, 0, 255);", R6, [[0, 0, 0], [1, 1, 1], [0, 0, 0]]),
        ("scamp5_load_pattern(R6, 0, 1, 254, 254);", R6, [[0, 1, 0], [0, 0, 0], [0, 1, 0]]),
        ("scamp5_select_pattern(2, 2, 0, 0); CLR_IF(R5, SELECT);", R5,
         [[1, 0, 0], [0, 1, 0], [0, 1, 0]]),
        # Analog input.
        ("scamp5_in(C, -30);", C, np.full((3, 3), -30)),
        ("scamp5_load_in(3); where(B, IN); MOV(R6, FLAG); all();", R6,
         [[0, 0, 1], [1, 1, 1], [1, 1, 1]]),
    ],
)  # fmt: skip
def test_statement(machine, text, register, expected):
    check(machine, text, register, expected)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("AND", [0, 0, 0, 1]),
        ("NAND", [1, 1, 1, 0]),
        ("IMP", [1, 0, 1, 1]),
        ("NIMP", [0, 1, 0, 0]),
        ("XORX", [0, 1, 1, 0]),
        ("XOR", [0, 1, 1, 0]),
    ],
)
def test_logic_of_two(name, truth):
    machine = Machine((1, 4))
    machine.load(R5, [[0, 0, 1, 1]])
    machine.load(R6, [[0, 1, 0, 1]])
    check(machine, f"{name}(R7, R5, R6);", R7, [truth])


def test_multiplexer_and_the_forms_that_change_a_source():
    machine = Machine((1, 4))
    machine.load(R5, [[0, 0, 1, 1]])
    machine.load(R6, [[0, 1, 0, 1]])
    machine.load(R7, [[1, 0, 0, 1]])
    check(machine, "MUX(R11, R5, R6, R7);", R11, [[1, 0, 0, 1]])
    check(machine, "ANDX(R11, R7, R6);", R11, [[0, 0, 0, 1]])
    np.testing.assert_array_equal(machine.digital(R7), [[1, 0, 1, 0]])
    check(machine, "NANDX(R11, R7, R6);", R11, [[1, 1, 1, 1]])


def test_a_flood_fills_what_its_mask_allows():
    """R12 spreads from one element along the ones of R0, and from an edge that counts as ones."""
    machine = Machine((4, 4))
    maze = [[1, 1, 1, 0], [0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0]]
    machine.load(R0, maze)
    machine.load(R12, [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    flood = [[1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    check(machine, "SET(R1, R2, R3, R4); PROP0();", R12, flood)
    check(machine, "CLR(R12); PROP1();", R12, maze)
    check(machine, "CLR(R12); CLR(R1, R2, R3, R4); SET(R1); PROP1();", R12,
          [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])  # fmt: skip


def test_light_integrates_until_a_reset():
    scene = np.array([[[10, 20]], [[30, 40]]], np.uint8)
    for mode in (Mode.INTEGER, Mode.IDEAL):
        machine = Machine((1, 2), mode)
        machine.run(assemble("respix(A); expose(0); getpix(B, A); getpix(C, D, A);"), scene)
        np.testing.assert_array_equal(machine.analog(A), [[-127, -127]])
        np.testing.assert_array_equal(machine.analog(B), [[10, 20]])
        np.testing.assert_array_equal(machine.analog(D), [[117, 107]])
        np.testing.assert_array_equal(machine.analog(C), [[-107, -87]])
        machine.run(assemble("expose(1); get_image(B); get_image(C, D);"), scene)
        np.testing.assert_array_equal(machine.analog(B), [[40, 60]])  # both slots
        np.testing.assert_array_equal(machine.analog(C), [[-127, -127]])  # dark after the reset
        np.testing.assert_array_equal(machine.analog(PIX), [[-127, -127]])


def test_whole_numbers_saturate_and_round():
    machine = Machine((1, 4))
    machine.load(A, [[100, -100, -128, 5]])
    check(machine, "add(B, A, PIX);", B, [[-27, -127, -127, -122]])
    machine.load(B, [[100, -100, -128, 6]])
    check(machine, "add(C, A, B);", C, [[127, -127, -127, 11]])  # through -(-128) = 127 in NEWS
    check(machine, "bus(C, A);", C, [[-100, 100, 127, -5]])
    check(machine, "bus2(C, D, A);", C, [[-50, 50, 64, -3]])  # halves away from 0
    check(machine, "bus3(C, D, E, A);", E, [[-33, 33, 43, -2]])
    check(
        machine, "where(A, B); MOV(R5, FLAG); all();", R5, [[1, 0, 0, 1]]
    )  # the bus itself does not


def test_pix_saturates():
    machine = Machine((1, 1))
    scene = np.full((300, 1, 1), 255, np.uint8)
    exposures = "".join(f"expose({slot});" for slot in range(300))
    machine.run(assemble(f"respix(); {exposures} mov(A, PIX);"), scene, gain=0.5)
    assert machine.analog(PIX) == 127


def test_cycles_and_time_are_counted():
    machine = Machine((1, 1), timing=Timing(clock_hz=1e6, slot_s=0.25))
    text = (
        "respix(A);"  # 5 words
        "expose(0); getpix(B, A); WHERE(R5); add(A, A, B); all();"  # 2 + 1 + 2 + 1
        "NOT(R5); REFRESH(R5); PROP0(); DNEWS(R6, R5, north);"  # 2 + 2 + 2 + 3
        "scamp5_in(C, 3); abs(D, C); AND(R6, R5, R7); scan(B, 0);"  # 2 + 6 + 4
    )
    program = assemble(text)
    assert program.cycles == 32
    machine.run(program, np.zeros((2, 1, 1, 1), np.uint8))
    assert machine.cycles == 64
    assert machine.time_s == pytest.approx(64e-6 + 2 * 0.25)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("add(A, B, B);", "names B twice"),
        ("bus(A, A);", "reads and writes A"),
        ("bus(NEWS, XE);", "reads and writes NEWS"),
        ("mov(PIX, A);", "only a source"),
        ("MOV(FLAG, R5);", "only a source"),
        ("DNEWS0(R5, R5);", "neighbours read"),
        ("mov(A, R5);", "analog"),
        ("MOV(R5, A);", "digital"),
        ("mov(A, B, C);", "not have the arguments"),
        ("movx(A, B, north|east);", "not have the arguments"),
        ("where();", "needs more"),
        ("NOR(R5, R6, R7, R8, R9, R10);", "more registers"),
        ("scamp5_in(A, 128);", "-128 to 127"),
        ("scamp5_load_point(R5, 256, 0);", "0 to 255"),
        ("scan(XE, 0);", "cannot be read out"),
        ("jump(A);", "no statement 'jump'"),
        ("mov(A, G);", "'G' is not a register"),
        ("mov(A, B)", "cannot parse"),
    ],
)
def test_what_the_chip_cannot_do_is_refused(text, says):
    with pytest.raises(Scamp5Error, match=says):
        assemble(text)


def test_wrong_use_of_the_machine_is_refused():
    machine = Machine((2, 2))
    with pytest.raises(Scamp5Error, match="exposes slots 0 to 3, but the scene has 2"):
        machine.run(assemble("expose(0); expose(3);"), np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(Scamp5Error, match="integer mode is uint8"):
        machine.run(assemble("expose(0);"), np.zeros((2, 2, 2), np.float32))
    with pytest.raises(Scamp5Error, match=r"\(slots, 2, 2\)"):
        machine.run(assemble("expose(0);"), np.zeros((2, 3, 2), np.uint8))
    with pytest.raises(Scamp5Error, match="numbered from 0"):
        machine.run(assemble("scan(A, 1);"))
    with pytest.raises(Scamp5Error, match="above 0"):
        machine.run(assemble("nop();"), gain=0.0)
    with pytest.raises(Scamp5Error, match="holds -128 to 127"):
        machine.load(A, [[0, 0], [0, 200]])
    with pytest.raises(Scamp5Error, match="cannot be loaded"):
        machine.load(PIX, [[0, 0], [0, 0]])
    with pytest.raises(Scamp5Error, match=r"shape \(2, 2\), not \(1, 2\)"):
        machine.load(R5, [[0, 0]])
    for wrong in ({"shape": (0, 3)}, {"threads": 0}):
        with pytest.raises(Scamp5Error):
            Machine(**wrong)
    with pytest.raises(Scamp5Error, match="clock_hz of the timing must be above 0"):
        Timing(clock_hz=0)
    with pytest.raises(Scamp5Error, match="noise_lsb of a transfer"):
        TransferNoise(noise_lsb=-1)
    with pytest.raises(Scamp5Error, match="analog_retention_s of a transfer"):
        TransferNoise(analog_retention_s=0)


def test_statements_are_read_as_they_are_written():
    text = "getpix(B, A);\nWHERE(R5, R6);\nDNEWS(R7, R5, east|north, 1);\nscamp5_in(C, -3);"
    program = assemble(text.replace("R5", "S0") + "  // the kit's other name")
    assert str(program) == text
    assert assemble(str(program)) == program
    assert program.instructions[0] == Instruction(Op.BUS, (NEWS,), (PIX,))
    assert program.calls[2].arguments[2] == Direction.EAST | Direction.NORTH
