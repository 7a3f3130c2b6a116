"""What each statement of the SCAMP-5 developer kit expands to.

The expansions are those of the kit's public headers (``scamp5_kernel_api.hpp``,
``..._macro_analog.hpp``, ``..._macro_digital.hpp``); ``docs/scamp5.md`` lists them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from focalloop.firmware_sim.scamp5.instructions import (
    DNEWS_SELECT,
    Areg,
    Direction,
    Dreg,
    Instruction,
    Op,
    Scamp5Error,
    pattern,
)
from focalloop.firmware_sim.scamp5.refusals import what_instead

Argument = Areg | Dreg | Direction | int
Words = list[Instruction]

MAX_KERNEL_WORDS = 1024
"""Instruction words that the kit's kernels can hold together."""

_OPPOSITE = {
    Direction.EAST: Areg.XW,
    Direction.WEST: Areg.XE,
    Direction.NORTH: Areg.XS,
    Direction.SOUTH: Areg.XN,
}
"""The bus target that brings the value of the neighbour in a direction into NEWS."""
_TOWARDS = {
    Direction.EAST: Areg.XE,
    Direction.WEST: Areg.XW,
    Direction.NORTH: Areg.XN,
    Direction.SOUTH: Areg.XS,
}


_HORIZONTAL, _VERTICAL, _NOWHERE = Direction.EAST, Direction.SOUTH, Direction(0)
"""The directions in which a blur opens the connections between elements."""


def expanded(name: str, arguments: tuple[Argument, ...]) -> Words:
    """Expand a statement of the kit.

    Raises
    ------
    Scamp5Error
        There is no such statement, the simulator does not have it, or the chip cannot execute it.
    TypeError, KeyError, ValueError
        The statement does not have such arguments.
    """
    if name in _MACROS:
        return _MACROS[name](*arguments)
    if instead := what_instead(name):
        raise Scamp5Error(f"the simulator does not have {name}: {instead}")
    near = difflib.get_close_matches(name, _MACROS, 1, 0.75)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise Scamp5Error(f"the SCAMP-5 kit has no statement {name!r}{hint}")


def _bus(*registers: Areg, targets: int = 1) -> Instruction:
    return Instruction(Op.BUS, registers[:targets], registers[targets:])


def _logic(op: Op) -> Callable[..., Words]:
    """``OP(d, s, ...)``, or in place ``OP(d, s)`` for OR and NOR, ``NOT(d)``."""

    def expand(target: Dreg, *sources: Dreg) -> Words:
        in_place = len(sources) == 1
        return [Instruction(op, (target,), (target, *sources) if in_place else sources)]

    return expand


def _fill(op: Op) -> Callable[..., Words]:
    return lambda *targets: [Instruction(op, targets)]


def _res(*targets: Areg) -> Words:
    return [_bus(Areg.NEWS), *(_bus(target, Areg.NEWS) for target in targets)]


def _movx(y: Areg, x: Areg, direction: Direction) -> Words:
    return [_bus(_OPPOSITE[direction], x), _bus(y, Areg.NEWS)]


def _mov(y: Areg, x: Areg, direction: Direction | None = None) -> Words:
    if direction is not None:
        return _movx(y, x, direction)
    return [_bus(Areg.NEWS, x), _bus(y, Areg.NEWS)]


def _mov2x(y: Areg, x: Areg, first: Direction, second: Direction) -> Words:
    return [_bus(_OPPOSITE[first], x), _bus(y, _TOWARDS[second])]


def _add(y: Areg, *summands: Areg) -> Words:
    return [_bus(Areg.NEWS, *summands), _bus(y, Areg.NEWS)]


def _addx(y: Areg, x0: Areg, x1: Areg, direction: Direction) -> Words:
    return [_bus(_OPPOSITE[direction], x0, x1), _bus(y, Areg.NEWS)]


def _add2x(y: Areg, x0: Areg, x1: Areg, first: Direction, second: Direction) -> Words:
    return [_bus(_OPPOSITE[first], x0, x1), _bus(y, _TOWARDS[second])]


def _sub(y: Areg, x0: Areg, *others: Areg) -> Words:
    """Expand ``sub(y, x0, x1)``, or the kit's deprecated ``sub(y, x0, dir, x1)``."""
    *direction, x1 = others
    source = _TOWARDS[direction[0]] if direction else Areg.NEWS  # type: ignore[index]
    return [_bus(Areg.NEWS, x0), _bus(y, source, x1)]


def _subx(y: Areg, x0: Areg, direction: Direction, x1: Areg) -> Words:
    return [_bus(_OPPOSITE[direction], x0), _bus(y, Areg.NEWS, x1)]


def _sub2x(y: Areg, x0: Areg, first: Direction, second: Direction, x1: Areg) -> Words:
    return [_bus(_OPPOSITE[first], x0), _bus(y, _TOWARDS[second], x1)]


def _neg(y: Areg, x: Areg) -> Words:
    return [_bus(Areg.NEWS), _bus(y, Areg.NEWS, x)]


def _abs(y: Areg, x: Areg) -> Words:
    positive = [_bus(Areg.NEWS, x), Instruction(Op.WHERE, (), (x,)), _bus(y, Areg.NEWS)]
    return [*_neg(y, x), *positive, Instruction(Op.ALL)]


def _divq(y: Areg, x: Areg) -> Words:
    return [_bus(y, Areg.NEWS, x, targets=2), _bus(y, Areg.NEWS)]


def _div(half: Areg, minus_half: Areg, copy: Areg, source: Areg | None = None) -> Words:
    """Halve `copy`, or `source` if there is one; the first halves only correct its error."""
    halved = copy if source is None else source
    return [
        _bus(half, minus_half, halved, targets=2),
        _bus(Areg.NEWS, halved, minus_half),
        _bus(copy, Areg.NEWS, half),
        _bus(half, minus_half, copy, targets=2),
        _bus(half, minus_half),
    ]


def _diva(y: Areg, minus_half: Areg, other: Areg) -> Words:
    return [
        _bus(minus_half, other, y, targets=2),
        _bus(Areg.NEWS, minus_half, y),
        _bus(y, Areg.NEWS, other),
        _bus(minus_half, other, y, targets=2),
        _bus(y, minus_half),
    ]


def _repeated(one: Callable[[Areg, Areg], Words], y: Areg, x: Areg, iterations: int) -> Words:
    """Expand `one` from x to y, and then again from y to y."""
    words = one(y, x)
    if not 1 <= iterations <= MAX_KERNEL_WORDS // len(words):
        raise Scamp5Error(
            f"a blur repeats from 1 to {MAX_KERNEL_WORDS // len(words)} times, which is what a "
            f"kernel holds, not {iterations} times"
        )
    return [*words, *(word for _ in range(1, iterations) for word in one(y, y))]


def _blur(directions: Direction) -> Callable[..., Words]:
    def expand(target: Areg, source: Areg) -> Words:
        return [Instruction(Op.BLUR, (target,), (source,), directions.value)]

    return expand


def _gauss(directions: Direction, y: Areg, x: Areg, iterations: int, scratch: Areg) -> Words:
    blur = _blur(directions)

    def twice(target: Areg, source: Areg) -> Words:
        return [*blur(scratch, source), *blur(target, scratch)]

    return _repeated(twice, y, x, iterations)


def _gauss_of(directions: Direction) -> Callable[..., Words]:
    def expand(y: Areg, x: Areg, iterations: int = 3) -> Words:
        return [Instruction(Op.NOP), *_gauss(directions, y, x, iterations, Areg.NEWS)]

    return expand


def _diffuse(
    target: Areg, iterations: int, vertical: int = 1, horizontal: int = 1, temp: Areg = Areg.NEWS
) -> Words:
    directions = (_VERTICAL if vertical else _NOWHERE) | (_HORIZONTAL if horizontal else _NOWHERE)
    return _gauss(directions, target, target, iterations, temp) if directions else []


def _newsblur(*neighbours: Areg) -> Callable[..., Words]:
    def once(target: Areg, source: Areg) -> Words:
        return [_bus(Areg.NEWS, source), _bus(target, *neighbours)]

    return lambda y, x, iterations=1: _repeated(once, y, x, iterations)


def _shift(plane: Areg | Dreg, right: int, up: int, boundary: int = 0, refresh: int = 2) -> Words:
    """Move a picture to the east and north, an element at a time; the kit's own way is faster."""
    if max(abs(right), abs(up)) > 255 or refresh < 1:
        raise Scamp5Error(f"a shift is at most 255 elements, not {right}, {up}")
    moves = [Direction.WEST if right > 0 else Direction.EAST] * abs(right)
    moves += [Direction.SOUTH if up > 0 else Direction.NORTH] * abs(up)
    if isinstance(plane, Areg):
        return [word for towards in moves for word in _movx(plane, plane, towards)]
    once = [[*_dnews(Dreg.R0, plane, towards, boundary), _or(plane, Dreg.R0)] for towards in moves]
    return [word for words in once for word in words]


_RESPIX = [Instruction(Op.RPIX), Instruction(Op.RPIX), Instruction(Op.NOP)]


def _respix(level: Areg | None = None) -> Words:
    return _RESPIX if level is None else [*_RESPIX, *_mov(level, Areg.PIX)]


def _get_image(y: Areg, half: Areg | None = None) -> Words:
    halves = () if half is None else (half,)
    before = [_bus(one, Areg.PIX) for one in (Areg.NEWS, *halves)]
    return [*before, *_RESPIX, _bus(y, *halves, Areg.NEWS, Areg.PIX)]


def _getpix(y: Areg, *others: Areg) -> Words:
    *half, level = others
    before = [_bus(one, Areg.PIX) for one in (*half, Areg.NEWS)]
    return [*before, _bus(y, *half, Areg.NEWS, level)]


def _dnews(target: Dreg, source: Dreg, towards: Direction, boundary: int = 0) -> Words:
    chosen = tuple(dreg for dreg, direction in DNEWS_SELECT.items() if direction & towards)
    clear = Instruction(Op.OR, tuple(DNEWS_SELECT))
    shift = Instruction(Op.DNEWS, (target,), (source,), boundary)
    return [clear, Instruction(Op.NOR, chosen), shift]


def _nor(target: Dreg, *sources: Dreg) -> Instruction:
    return Instruction(Op.NOR, (target,), sources)


def _or(target: Dreg, *sources: Dreg) -> Instruction:
    return Instruction(Op.OR, (target,), sources)


def _inverted(x: Dreg, y: Dreg) -> Words:
    """Leave NOT x in R12 and NOT y in R0."""
    return [Instruction(Op.NOR, (Dreg.R0,)), _nor(Dreg.R12, x), _nor(Dreg.R0, y)]


def _xorx(target: Dreg, x: Dreg, y: Dreg) -> Words:
    first = [_nor(Dreg.R0, y), _nor(target, x, Dreg.R0)]
    second = [_nor(Dreg.R0, x), _nor(x, y, Dreg.R0)]
    return [*first, *second, _or(target, target, x)]


def _mux(target: Dreg, chosen: Dreg, where_one: Dreg, where_zero: Dreg) -> Words:
    return [
        Instruction(Op.NOR, (Dreg.R0,)),
        _or(Dreg.R12, where_zero),
        _or(Dreg.R0, chosen),
        _or(Dreg.R12, where_one),
        _or(target, Dreg.R12),
    ]


def _in(areg: Areg, value: int, temp: Areg = Areg.NEWS) -> Words:
    return [*_load_in(value), _bus(temp, Areg.IN), _bus(areg, temp)]


def _load_in(first: Areg | int, value: int | None = None, temp: Areg = Areg.NEWS) -> Words:
    """Expand ``scamp5_load_in(value)``, or ``scamp5_load_in(areg, value, temp)``."""
    if isinstance(first, Areg) and value is not None:
        return _in(first, value, temp)
    if isinstance(first, Areg) or value is not None:
        raise TypeError
    value = first
    if not -128 <= value <= 127:
        raise Scamp5Error(f"scamp5_in takes -128 to 127, not {value}")
    return [Instruction(Op.IN, value=value)]


def _select(row: int, column: int, row_mask: int = 0, column_mask: int = 0) -> Instruction:
    return Instruction(Op.SELECT, value=pattern(row, column, row_mask, column_mask))


_MACROS: dict[str, Callable[..., Words]] = {
    "nop": lambda: [Instruction(Op.NOP)],
    "rpix": lambda: [Instruction(Op.RPIX)],
    "bus": lambda target, *sources: [_bus(target, *sources)],
    "bus2": lambda *registers: [_bus(*registers, targets=2)],
    "bus3": lambda *registers: [_bus(*registers, targets=3)],
    "where": lambda *sources: [Instruction(Op.WHERE, (), sources)],
    "WHERE": lambda *sources: [Instruction(Op.WHERE_DIGITAL, (), sources)],
    "all": lambda: [Instruction(Op.ALL)],
    "ALL": lambda: [Instruction(Op.ALL)],
    "res": _res,
    "mov": _mov,
    "movx": _movx,
    "mov2x": _mov2x,
    "add": _add,
    "addx": _addx,
    "add2x": _add2x,
    "sub": _sub,
    "subx": _subx,
    "sub2x": _sub2x,
    "neg": _neg,
    "abs": _abs,
    "divq": _divq,
    "div": _div,
    "diva": _diva,
    "blurset": lambda: [Instruction(Op.NOP)],
    "blur": _blur(_HORIZONTAL | _VERTICAL),
    "blurh": _blur(_HORIZONTAL),
    "blurv": _blur(_VERTICAL),
    "gauss": _gauss_of(_HORIZONTAL | _VERTICAL),
    "gaussh": _gauss_of(_HORIZONTAL),
    "gaussv": _gauss_of(_VERTICAL),
    "newsblur": _newsblur(Areg.XE, Areg.XW, Areg.XN, Areg.XS),
    "newsblurh": _newsblur(Areg.XE, Areg.XW),
    "newsblurv": _newsblur(Areg.XN, Areg.XS),
    "respix": _respix,
    "get_image": _get_image,
    "getpix": _getpix,
    "SET": _fill(Op.NOR),
    "CLR": _fill(Op.OR),
    "MOV": lambda target, source: [_or(target, source)],
    "NOT": lambda target, source=None: [_nor(target, target if source is None else source)],
    "OR": _logic(Op.OR),
    "NOR": _logic(Op.NOR),
    "AND": lambda target, x, y: [*_inverted(x, y), _nor(target, Dreg.R0, Dreg.R12)],
    "NAND": lambda target, x, y: [*_inverted(x, y), _or(target, Dreg.R0, Dreg.R12)],
    "ANDX": lambda a, b, x: [_nor(Dreg.R0, b), _nor(b, x), _nor(a, Dreg.R0, b)],
    "NANDX": lambda a, b, x: [_nor(Dreg.R0, b), _nor(b, x), _or(a, Dreg.R0, b)],
    "IMP": lambda target, x, y: [_nor(Dreg.R0, y), _or(target, x, Dreg.R0)],
    "NIMP": lambda target, x, y: [_nor(Dreg.R0, y), _nor(target, x, Dreg.R0)],
    "XOR": _xorx,
    "XORX": _xorx,
    "MUX": _mux,
    "CLR_IF": lambda target, x: [_nor(Dreg.R0, target), _nor(target, Dreg.R0, x)],
    "DNEWS": _dnews,
    "DNEWS0": lambda target, source: [Instruction(Op.DNEWS, (target,), (source,), 0)],
    "DNEWS1": lambda target, source: [Instruction(Op.DNEWS, (target,), (source,), 1)],
    "PROP0": lambda: [Instruction(Op.PROP, value=0)],
    "PROP1": lambda: [Instruction(Op.PROP, value=1)],
    "REFRESH": lambda target: [Instruction(Op.REFRESH, (target,))],
    "scamp5_in": _in,
    "scamp5_load_in": _load_in,
    "scamp5_shift": _shift,
    "scamp5_diffuse": _diffuse,
    "scamp5_select_point": lambda row, column: [_select(row, column)],
    "scamp5_select_pattern": lambda *addresses: [_select(*addresses)],
    "scamp5_load_pattern": lambda dreg, *addresses: [
        _select(*addresses),
        _or(dreg, Dreg.SELECT),
    ],
    "scamp5_load_point": lambda dreg, row, column: [_select(row, column), _or(dreg, Dreg.SELECT)],
    "scamp5_kernel_all": lambda: [Instruction(Op.ALL)],
    "scamp5_kernel_refresh_dreg": lambda: [
        Instruction(Op.REFRESH, (dreg,)) for dreg in list(Dreg)[: Dreg.FLAG.value]
    ],
    "scamp5_kernel_begin": lambda: [],
    "scamp5_dynamic_kernel_begin": lambda: [],
    "scamp5_kernel_begin_print": lambda: [],
    "scamp5_kernel_end": lambda: [],
    "scamp5_dynamic_kernel_end": lambda: [],
    "allow_highspeed": lambda _allowed: [],
    "move_to_heap": lambda _moved: [],
    "expose": lambda slot: [Instruction(Op.EXPOSE, value=slot)],
    "scan": lambda areg, number: [Instruction(Op.SCAN, (), (areg,), number)],
}
"""Expansion of each statement, by its name in the kit; ``expose`` and ``scan`` are additions."""
