"""Programs as compilers and people write them for the kit, against NumPy on the same picture."""

import numpy as np
import pytest

from focalloop.firmware_sim.scamp5 import (
    Areg,
    Dreg,
    Machine,
    Mode,
    Scamp5Error,
    TransferNoise,
    assemble,
)

A, B, C, D, E, F = list(Areg)[:6]
SHAPE = (24, 31)
PICTURE = np.random.default_rng(7).integers(0, 14, SHAPE)
DIRECTIONS = {"north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}


def at(down, right, picture=PICTURE):
    """The picture's value so many rows below and columns to the right, 0 beyond the edge."""
    reach = 4
    padded = np.pad(picture, reach)
    height, width = picture.shape
    top, left = reach + down, reach + right
    return padded[top : top + height, left : left + width]


def filtered(weights, picture=PICTURE):
    """Correlate with an odd kernel."""
    rows, columns = np.shape(weights)
    return sum(
        weight * at(y - rows // 2, x - columns // 2, picture)
        for y, row in enumerate(weights)
        for x, weight in enumerate(row)
    )


def inside(plane):
    """Leave out what depends on values from beyond the edge, which a program loses on its way."""
    return np.asarray(plane)[3:-3, 3:-3].astype(float)


@pytest.fixture(params=[Mode.INTEGER, Mode.IDEAL], ids=lambda mode: mode.value)
def machine(request):
    made = Machine(SHAPE, request.param)
    made.load(A, PICTURE)
    return made


@pytest.mark.parametrize("first", DIRECTIONS)
@pytest.mark.parametrize("second", DIRECTIONS)
def test_two_steps_read_the_neighbour_of_the_neighbour(machine, first, second):
    other = np.arange(PICTURE.size).reshape(SHAPE) % 40
    machine.load(B, other)
    machine.run(assemble(f"add2x(C, A, B, {first}, {second}); sub2x(D, A, {first}, {second}, B);"))
    step = np.add(DIRECTIONS[first], DIRECTIONS[second])
    np.testing.assert_array_equal(inside(machine.analog(C)), inside(at(*step) + at(*step, other)))
    np.testing.assert_array_equal(inside(machine.analog(D)), inside(at(*step) - other))


SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
BOX = np.ones((3, 3))
PROGRAMS = {
    # What a kernel compiler writes for one filter; C++ around it as in a project of the kit.
    "a vertical Sobel": (
        """
        scamp5_kernel_begin();
            movx(B, A, south);  add(B, B, A);   // two rows
            movx(A, B, north);  addx(B, B, A, west);
            sub2x(A, B, east, east, B);         /* right minus left */
        scamp5_kernel_end();
        """,
        {A: filtered(SOBEL)},
    ),
    "two Sobels at once, for a simulator's object": (
        """
        s.movx(s.B, s.A, s.south);
        s.add(s.B, s.B, s.A);
        s.movx(s.C, s.B, north);
        s.add(s.B, s.B, s.C);            // 1 2 1 down
        s.movx(s.F, s.B, west);
        s.subx(s.C, s.B, east, s.F);     // right minus left
        s.movx(s.D, s.A, east);
        s.add(s.D, s.D, s.A);
        s.movx(s.E, s.D, west);
        s.add(s.D, s.D, s.E);            // 1 2 1 across
        s.movx(s.F, s.D, north);
        s.subx(s.E, s.D, south, s.F);    // below minus above
        """,
        {C: filtered(SOBEL), E: filtered(np.transpose(SOBEL))},
    ),
    "a box of 3 x 3, by sums that are shared": (
        "movx(C, A, west); movx(B, A, east); add(B, A, B, C);"
        "movx(C, B, north); movx(D, B, south); add(B, B, C, D);",
        {B: filtered(BOX)},
    ),
    "a box of 2 x 2 by add2x": (
        "movx(B, A, north); add(C, A, B); add2x(D, A, B, east, north); mov2x(B, C, east, north);"
        "add(E, A, C);",
        {
            D: at(-1, 1) + at(-2, 1),
            B: at(-1, 1) + at(-2, 1),
            E: 2 * PICTURE + at(-1, 0),
        },
    ),
    "neighbours mixed": (
        "newsblur(B, A); newsblurh(C, A); newsblurv(D, A, 2);",
        {
            B: filtered([[0, 1, 0], [1, 0, 1], [0, 1, 0]]),
            C: filtered([[1, 0, 1]]),
            D: filtered([[1], [0], [2], [0], [1]]),
        },
    ),
    "the deprecated names": (
        "mov(B, A, east); sub(C, A, south, B);",
        {B: at(0, 1), C: at(1, 0) - at(0, 1)},
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(machine, name):
    text, registers = PROGRAMS[name]
    machine.run(assemble(text))
    for register, expected in registers.items():
        np.testing.assert_array_equal(
            inside(machine.analog(register)), inside(expected), err_msg=register.name
        )


def test_a_layer_of_a_network_with_weights_in_quarters(machine):
    """Three filters of dyadic weights, a threshold and binary feature maps, as for AnalogNet."""
    picture = PICTURE // 4 * 4  # quarters are whole
    machine.load(A, picture)
    program = assemble(
        """
        // F = the picture in quarters
        divq(B, A); divq(F, B);
        // C = (right - left) / 4
        movx(B, F, west); subx(C, F, east, B);
        // D = (4 centre - north - south - west - east) / 4
        newsblur(B, F); sub(D, A, B);
        // E = (2 centre + south-east) / 4 - north-west / 4
        mov2x(B, F, north, west); sub2x(E, F, south, east, B); add(B, F, E); add(E, B, F);
        // binary maps: above 1
        scamp5_in(B, 1);
        sub(A, C, B); where(A); MOV(R5, FLAG); all();
        sub(A, D, B); where(A); MOV(R6, FLAG); all();
        sub(A, E, B); where(A); MOV(R7, FLAG); all();
        """
    )
    machine.run(program)
    quarters = np.array(
        [
            [[0, 0, 0], [-1, 0, 1], [0, 0, 0]],
            [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
            [[-1, 0, 0], [0, 2, 0], [0, 0, 1]],
        ]
    )
    layers = [filtered(weights, picture) / 4 for weights in quarters]
    for register, expected in zip((C, D, E), layers, strict=True):
        np.testing.assert_array_equal(inside(machine.analog(register)), inside(expected))
    for dreg, expected in zip((Dreg.R5, Dreg.R6, Dreg.R7), layers, strict=True):
        np.testing.assert_array_equal(inside(machine.digital(dreg)), inside(expected > 1))


def test_directions_of_simulators_that_move_the_content():
    """One program in both conventions: the statements differ, the instructions do not."""
    ours = assemble(
        "movx(B, A, east); mov2x(B, A, north, west); addx(C, A, B, south); mov(D, A, west);"
        "add2x(C, A, B, east, north); subx(D, C, west, A); sub2x(D, C, north, north, A);"
        "sub(D, C, east, A); DNEWS(R5, R6, north|east); DNEWS(R5, R6, alldir); bus(XW, A);"
    )
    theirs = assemble(
        "movx(B, A, west); mov2x(B, A, south, east); addx(C, A, B, north); mov(D, A, east);"
        "add2x(C, A, B, west, south); subx(D, C, east, A); sub2x(D, C, south, south, A);"
        "sub(D, C, west, A); DNEWS(R5, R6, south|west); DNEWS(R5, R6, alldir); bus(XW, A);",
        directions="content",
    )
    assert theirs == ours
    machine = Machine(SHAPE)
    machine.load(A, PICTURE)
    machine.run(assemble("movx(B, A, east);", directions="content"))
    np.testing.assert_array_equal(machine.analog(B)[:, 1:], PICTURE[:, :-1])
    with pytest.raises(Scamp5Error, match="'neighbour' that is read or of the 'content' that"):
        assemble("nop();", directions="east")


@pytest.mark.parametrize(
    ("text", "axes", "steps"),
    [
        ("blurset(); blur(NEWS, A); blur(B, NEWS);", (0, 1), 2),
        ("blurset(); blurh(NEWS, A); blurh(B, NEWS);", (1,), 2),
        ("gauss(B, A);", (0, 1), 6),
        ("gauss(B, A, 1);", (0, 1), 2),
        ("gaussh(B, A, 2);", (1,), 4),
        ("gaussv(B, A, 4);", (0,), 8),
        ("mov(B, A); scamp5_diffuse(B, 2);", (0, 1), 4),
        ("mov(B, A); scamp5_diffuse(B, 1, true, false);", (0,), 2),
        ("mov(B, A); gauss(B, B, 2);", (0, 1), 4),
    ],
)
def test_blur_is_diffusion_with_a_stated_number_of_steps(text, axes, steps):
    """Each step weighs 1 2 1, a quarter each, with nothing lost over the edge."""
    expected = PICTURE.astype(float)
    for _ in range(steps):
        for axis in axes:
            padded = np.pad(expected, 1, mode="edge").take(
                np.arange(1, 1 + SHAPE[1 - axis]), axis=1 - axis
            )
            size = np.arange(SHAPE[axis])
            parts = [padded.take(size + shift, axis=axis) for shift in (0, 1, 2)]
            expected = (parts[0] + 2 * parts[1] + parts[2]) / 4
    exact, whole = Machine(SHAPE, Mode.IDEAL), Machine(SHAPE)
    for machine in (exact, whole):
        machine.load(A, PICTURE)
        machine.run(assemble(text))
    np.testing.assert_allclose(exact.analog(B), expected, atol=1e-4)
    np.testing.assert_allclose(exact.analog(B).sum(), PICTURE.sum(), rtol=1e-5)
    np.testing.assert_allclose(whole.analog(B), expected, atol=0.5 * steps)
    noisy = Machine(SHAPE, Mode.NOISY, noise=TransferNoise(noise_lsb=0.1))
    noisy.load(A, PICTURE)
    noisy.run(assemble(text))
    assert np.abs(noisy.analog(B) - expected).mean() < 3


def test_divisions():
    for mode in (Mode.INTEGER, Mode.IDEAL):
        machine = Machine((1, 3), mode)
        for statement, halves, kept in (
            ("div(B, C, A);", B, (A, 1)),
            ("div(B, C, D, A);", B, (D, 1)),
            ("mov(E, A); diva(E, B, C);", E, (C, -0.5)),
            ("divq(B, A);", B, (A, 1)),
        ):
            machine.load(A, [[40, -20, 0]])
            machine.run(assemble(statement))
            np.testing.assert_array_equal(machine.analog(halves), [[20, -10, 0]])
            register, factor = kept
            np.testing.assert_array_equal(
                machine.analog(register), factor * np.array([[40, -20, 0]])
            )


def test_shifts_move_the_picture_to_the_east_and_north(machine):
    bits = PICTURE > 6
    machine.load(Dreg.R5, bits)
    machine.run(assemble("scamp5_shift(A, 2, -1); scamp5_shift(R5, -1, 2, 1);"))
    np.testing.assert_array_equal(machine.analog(A), at(-1, -2))
    expected = np.ones(SHAPE, bool)
    expected[:-2, :-1] = bits[2:, 1:]
    np.testing.assert_array_equal(machine.digital(Dreg.R5), expected)


def test_statements_that_only_frame_a_kernel_cost_nothing():
    program = assemble(
        "scamp5_dynamic_kernel_begin(); allow_highspeed(true); move_to_heap(false);;"
        "SCAMP5_PE::mov(B, A); scamp5_dynamic_kernel_end(); scamp5_kernel_all();"
        "scamp5_kernel_begin_print(); scamp5_kernel_end(); scamp5_load_in(E, -3);"
        "scamp5_in(C, 4, D); scamp5_select_point(0, 0);"
    )
    assert program.cycles == 2 + 1 + 2 + 2
    assert assemble("scamp5_kernel_refresh_dreg();").cycles == 26
    machine = Machine((1, 1))
    machine.run(program)
    assert (machine.analog(C), machine.analog(E), machine.analog(D)) == (4, -3, -4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sq(A);", "does not have sq: .* abs"),
        ("icw(0, 1);", "write the statement"),
        ("scamp5_launch_kernel(3);", "statements of the kernel"),
        ("scamp5_get_image(A, B, 2);", r"use get_image\(y\)"),
        ("scamp5_load_dac(A, 100);", r"scamp5_in\(y, value\)"),
        ("scamp5_flood(R5, R6, 0);", "PROP0"),
        ("scamp5_load_rect(R5, 1, 1, 9, 9);", "Machine.load"),
        ("scamp5_draw_pixel(3, 4);", "does not have scamp5_draw_pixel: .*Machine.load"),
        ("scamp5_select_row(3);", "scamp5_select_pattern"),
        ("scamp5_scan_areg(A, 0);", "readout.scan_analog"),
        ("scamp5_scan_boundingbox(R5, 0);", "Machine.digital"),
        ("scamp5_global_sum_64(A);", "readout.global_sum"),
        ("scamp5_output_image(A, 0);", "Machine.analog"),
        ("vs_post_text(1);", "controller"),
        ("WHERE(RECT);", "rectangle of the decoders"),
        ("bus({A, B}, {C});", r"braces .* bus2\(d, e, s"),
        ("ad2x(A, B, C, east, east);", "no statement 'ad2x'; did you mean add2x"),
        ("add2x(A, B, C, east);", "does not have the arguments of add2x"),
        ("sub2x(A, B, C, east, east);", "does not have the arguments of sub2x"),
        ("sub2x(A, B, east, west, A);", r"sub2x\(A, .*\) is refused: .* and writes A"),
        ("add2x(A, B, B, east, west);", "names B twice"),
        ("neg(A, A);", r"neg\(A, A\) is refused: .* write to another register"),
        ("blur(A, A);", "reads and writes A"),
        ("blur(B, XE);", "neighbour's register"),
        ("blur(PIX, A);", "only a source"),
        ("gauss(B, A, 0);", "repeats from 1 to"),
        ("gauss(B, A, 1000000000);", "repeats from 1 to"),
        ("newsblur(B, A, -1);", "repeats from 1 to"),
        ("scamp5_shift(A, 1000, 0);", "at most 255"),
        ("div(A, B);", "does not have the arguments of div"),
        ("scamp5_load_in();", "does not have the arguments"),
    ],
)  # fmt: skip
def test_what_is_not_simulated_is_refused_with_what_to_use(text, says):
    with pytest.raises(Scamp5Error, match=says):
        assemble(text)
