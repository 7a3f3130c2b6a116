"""A ratio map's program as source code for the SCAMP-5d developer kit, and its masks as a picture.

The source uses the kit's public interface like its headers and examples (``docs/scamp5.md`` names
them). It has not run on a chip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.scamp5.exposure import Exposure
from focalloop.firmware_sim.scamp5.instructions import Scamp5Error
from focalloop.firmware_sim.scamp5.machine import SHAPE
from focalloop.firmware_sim.scamp5.readout import Timing

PICTURE_NAME = "levels.bmp"
"""File of the `mask_picture` that the program requests from the host."""


def mask_picture(exposure: Exposure) -> NDArray[np.uint8]:
    """Draw the mask planes as the grey values of a picture.

    Returns
    -------
    ndarray of uint8, shape (256, 256)
        By row and *chip* column: columns count from the right of the array. The highest bit is the
        mask of the first register, the next bit that of the second, and so on. The bit below the
        last mask is 1, so that rounding of grey values does not change the masks.
    """
    bits = len(exposure.masks)
    picture = np.full(SHAPE, 1 << (7 - bits), np.uint8)
    for number, dreg in enumerate(exposure.masks):
        picture |= exposure.mask(dreg).astype(np.uint8) << np.uint8(7 - number)
    return picture[:, ::-1]


def cpp_source(exposure: Exposure, slot_rate_hz: int) -> str:
    """Write the program of an exposure of 256x256 elements as C++ for the kit's M0 core.

    Raises
    ------
    Scamp5Error
        The map does not have 256x256 pixels, or the slot rate is not 1 to 1,000,000.
    """
    ratio_map = exposure.ratio_map
    if ratio_map.shape != SHAPE:
        raise Scamp5Error(
            f"SCAMP-5 has {SHAPE[0]}x{SHAPE[1]} elements, but the map has {ratio_map.shape}"
        )
    if not 1 <= slot_rate_hz <= 1_000_000:
        raise Scamp5Error(
            f"the slot rate must be 1 to 1,000,000 per second, not {slot_rate_hz}: the kit's clock "
            "counts microseconds"
        )
    masks = list(exposure.masks)
    return _TEMPLATE.format(
        hash=ratio_map.hash_hex,
        slots=ratio_map.slots,
        mean=f"{ratio_map.mean_level:.4g}",
        words=exposure.program.cycles,
        rate=slot_rate_hz,
        picture=PICTURE_NAME,
        count=len(masks),
        masks="".join(
            f"// {dreg.name} marks level {level}, bit {7 - number} of the picture.\n"
            for number, (dreg, level) in enumerate(exposure.masks.items())
        ),
        registers=", ".join(dreg.name for dreg in masks),
        refresh="\n".join(_kernel(f"REFRESH({dreg.name});" for dreg in masks)),
        start="\n".join(_kernel(map(str, exposure.start.calls))),
        window="\n".join(_window(exposure)),
    )


def readme(exposure: Exposure, slot_rate_hz: int, timing: Timing) -> str:
    """Describe what the source does, what it sends, and what is uncertain about it."""
    masks = "\n".join(
        f"  bit {7 - number}: level {level}, register {dreg.name}"
        for number, (dreg, level) in enumerate(exposure.masks.items())
    )
    reads = "\n".join(
        f"  channel {read.slot}: {read.count} samples, levels {_told(read.levels)}, in the grids "
        + "; ".join(
            f"row {grid.row} column {grid.column} steps {grid.row_step} {grid.column_step}"
            for grid in read.grids
        )
        for read in exposure.reads
    )
    return _README.format(
        hash=exposure.ratio_map.hash_hex,
        picture=PICTURE_NAME,
        masks=masks,
        reads=reads,
        slots=exposure.ratio_map.slots,
        rate=slot_rate_hz,
        fastest=f"{exposure.slot_rate_hz(timing):.1f}",
        clock=f"{timing.clock_hz / 1e6:g}",
        conversion=f"{timing.analog_read_s * 1e6:.3g}",
    )


def _told(levels: tuple[int, ...]) -> str:
    return " and ".join(str(level) for level in levels)


def _window(exposure: Exposure) -> Iterator[str]:
    """Yield the statements of one window: a wait, a kernel and a scan per read."""
    statements = [str(call) for call in exposure.program.calls if call.name != "expose"]
    for number, read in enumerate(exposure.reads):
        scan = statements.index(f"scan(B, {number});")
        kernel, statements = statements[:scan], statements[scan + 1 :]
        yield f"    wait_for_end_of_slot({read.slot});"
        yield from _kernel(kernel)
        if "respix(A);" in kernel:
            yield "    window_clock.reset();"
        for grid in read.grids:
            place = f"{grid.row}, {grid.column}, {grid.row_step}, {grid.column_step}"
            yield f"    read_out({read.slot}, {place});"


def _kernel(statements: Iterable[str]) -> Iterator[str]:
    yield "    scamp5_kernel_begin();"
    yield from (f"        {statement}" for statement in statements)
    yield "    scamp5_kernel_end();"


_TEMPLATE = """\
// Per-pixel exposure on SCAMP-5, generated by `focalloop map export --target scamp5`.
// It has not run on a chip. README.txt in this folder says what it does and what to check.
//
// Ratio map {hash}
// {slots} slots per window, {mean} measurements per pixel, {words} instruction words per window.

#include <scamp5.hpp>

using namespace SCAMP5_PE;

// One register per level marks the elements of that level.
{masks}static const int mask_count = {count};
static const dreg_t mask_registers[mask_count] = {{ {registers} }};

static const int array_size = 256;
static const int slots_per_second = {rate};
static vs_stopwatch window_clock;
static uint32_t late_samples = 0;
static uint8_t samples[4096];

static void refresh_masks() {{
{refresh}
}}

// Draws one plane: one bit per element, 32 bytes per row, the least significant bit first.
static void load_mask(DREG mask, const uint8_t* plane) {{
    scamp5_dynamic_kernel_begin();
        CLR(mask);
    scamp5_dynamic_kernel_end();
    scamp5_draw_begin(mask);
    for (int row = 0; row < array_size; row++) {{
        for (int column = 0; column < array_size; column++) {{
            if (plane[row * array_size / 8 + column / 8] >> (column % 8) & 1) {{
                scamp5_draw_pixel(row, column);
            }}
        }}
        if (row % 16 == 15) {{
            refresh_masks();  // loading takes longer than a register keeps its bits
        }}
    }}
    scamp5_draw_end();
}}

// Requests the picture from the host, which sends one plane per bit, the highest first.
static bool load_masks() {{
    int loaded = 0;
    vs_gui_request_image("{picture}", mask_count, [&](vs_dotmat const& plane, int number) {{
        if (number >= 0 && number < mask_count) {{
            load_mask(mask_registers[number], (const uint8_t*)plane.get_buffer());
            loaded++;
        }}
    }}, 10000);
    do {{
        refresh_masks();
        vs_process_message();
    }} while (!vs_gui_request_done());
    return loaded == mask_count;
}}

// PIX continues to integrate meanwhile.
static void wait_for_end_of_slot(int slot) {{
    const uint32_t end_usec = (uint32_t)((slot + 1) * 1000000ULL / slots_per_second);
    if (window_clock.get_usec() > end_usec) {{
        late_samples++;  // the previous scan took too long: this span is longer than it should be
    }}
    while (window_clock.get_usec() < end_usec) {{
    }}
}}

// Sends the elements of register B from a row and column on, by steps, column by column.
// The channel is the number of the slot; the bytes are value + 128.
static void read_out(int slot, int row, int column, int row_step, int column_step) {{
    const int rows = (array_size - 1 - row) / row_step + 1;
    const int most = (int)sizeof(samples) / rows;
    int left = (array_size - 1 - column) / column_step + 1;
    vs_post_set_channel(slot);
    while (left > 0) {{
        const int columns = left < most ? left : most;
        const int last = column + (columns - 1) * column_step;
        scamp5_scan_areg(B, samples, row, column, array_size - 1, last, row_step, column_step);
        vs_post_int8((const int8_t*)samples, columns, rows);
        column = last + column_step;
        left -= columns;
    }}
}}

// A holds the level at which the span of each element began, B the light of the last span.
static void run_window() {{
{window}
}}

int main() {{
    vs_init();
    vs_gui_set_info(VS_M0_PROJECT_INFO_STRING);
    vs_disable_frame_trigger();
    while (!load_masks()) {{
        vs_post_text("the masks did not arrive: is {picture} in the host's folder?\\n");
    }}
{start}
    window_clock.reset();
    while (true) {{
        run_window();
        if (late_samples > 0) {{
            vs_post_text("%u samples late: the slots are too short\\n", (unsigned)late_samples);
            late_samples = 0;
        }}
        vs_process_message();
        vs_loop_counter_inc();
    }}
    return 0;
}}
"""

_README = """\
Per-pixel exposure on SCAMP-5
=============================

Generated by `focalloop map export --target scamp5` for the ratio map
{hash}.

THIS PROGRAM HAS NOT RUN ON A CHIP. It uses the public interface of the SCAMP-5d developer kit like
the kit's headers and public examples, and the same instructions run on focalloop's simulated array.
"What to check" below lists what only a chip can answer.

Files
-----
ratio_map.cpp  the program of the M0 core. Put it into a project of the kit.
{picture}     256x256 grey picture, 24 bit, for the folder of the host application. Each of its
               highest bits is the mask of one register:
{masks}
               The bit below them is always 1. A column of the picture is the column that the kit's
               functions address, which counts from the right of the array.

What it sends
-------------
A window has {slots} slots, here {rate} per second. Samples are arrays of bytes, value + 128. The
channel says after which slot of the window they were taken:
{reads}
A grid starts at its row and column and continues by its steps to 255, down each column, with
columns ascending from the right. An array contains whole columns, at most 4096 samples. If a grid
takes all elements, only those of the levels named are measurements.

Slots
-----
The scan of one sample has to end before the next sample is taken. With a clock of {clock} MHz and
{conversion} us per conversion these reads allow {fastest} slots per second. The program posts a
text if samples are late.

What to check
-------------
- That scamp5_scan_areg is as fast on your board, and that vs_post_int8 keeps up with it.
- That the host application sends the picture's highest bit first, and does not mirror it.
- The level to which PIX resets, and the light that fills its range of 127 steps in one window.
- How far register A drifts during a span. A drift looks like light.
"""
