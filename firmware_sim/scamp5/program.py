"""SCAMP-5 programs, written in the statements of the developer kit.

``assemble`` turns kit statements, ``getpix(B, A); WHERE(R5); add(A, A, B); all();``, into the
instructions that the kit's macros expand to. The expansions are those of the kit's public headers
(``scamp5_kernel_api_macro_analog.hpp``, ``..._digital.hpp``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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

Argument = Areg | Dreg | Direction | int
Words = list[Instruction]

_NEWS = (Areg.NEWS,)
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


@dataclass(frozen=True)
class Call:
    """One statement of the kit: a macro, a single instruction, or a step of the controller."""

    name: str
    arguments: tuple[Argument, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(_spelled(one) for one in self.arguments)});"

    @property
    def instructions(self) -> Words:
        """The instructions it expands to.

        Raises
        ------
        Scamp5Error
            There is no such statement, or not with these arguments.
        """
        expand = _MACROS.get(self.name)
        if expand is None:
            raise Scamp5Error(f"the SCAMP-5 kit has no statement {self.name!r}")
        try:
            return expand(*self.arguments)
        except Scamp5Error:
            raise
        except (TypeError, KeyError, ValueError):
            raise Scamp5Error(f"{self} does not have the arguments of {self.name}") from None


@dataclass(frozen=True)
class Program:
    """A sequence of statements and the instructions that they expand to."""

    calls: tuple[Call, ...]
    instructions: tuple[Instruction, ...]

    @classmethod
    def of(cls, calls: list[Call]) -> Program:
        """Expand `calls`."""
        words = [word for call in calls for word in call.instructions]
        return cls(tuple(calls), tuple(words))

    @property
    def cycles(self) -> int:
        """Instruction words that the chip executes."""
        return sum(word.cycles for word in self.instructions)

    def __str__(self) -> str:
        return "\n".join(str(call) for call in self.calls)


def assemble(text: str) -> Program:
    """Parse statements of the kit; ``//`` starts a comment.

    Raises
    ------
    Scamp5Error
        A statement cannot be read, or the chip cannot execute it.
    """
    return Program.of(list(_parsed(re.sub(r"//[^\n]*", "", text))))


_STATEMENT = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*;")


def _parsed(text: str) -> Iterator[Call]:
    at = 0
    while text[at:].strip():
        match = _STATEMENT.match(text, at)
        if match is None:
            line = text[at:].strip().splitlines()[0]
            raise Scamp5Error(f"cannot parse {line!r}: a statement is written name(a, b);")
        words = [word.strip() for word in match[2].split(",")] if match[2].strip() else []
        yield Call(match[1], tuple(_argument(word) for word in words))
        at = match.end()


_ALIASES = {"RS": "R1", "RW": "R2", "RN": "R3", "RE": "R4", "RP": "R12", "RF": "R0"} | {
    f"S{index}": f"R{index + 5}" for index in range(7)
}
"""Alternative names of digital registers in the kit."""


def _argument(word: str) -> Argument:
    name = _ALIASES.get(word, word)
    if name in Areg.__members__:
        return Areg[name]
    if name in Dreg.__members__:
        return Dreg[name]
    parts = [part.strip().upper() for part in name.split("|")]
    if all(part in Direction.__members__ for part in parts):
        towards = Direction(0)
        for part in parts:
            towards |= Direction[part]
        return towards
    try:
        return int(name, 0)
    except ValueError:
        raise Scamp5Error(f"{word!r} is not a register, direction or number") from None


def _spelled(one: Argument) -> str:
    if isinstance(one, Direction):
        return "|".join(part.name.lower() for part in one if part.name)
    return one.name if isinstance(one, Areg | Dreg) else str(one)


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


def _sub(y: Areg, x0: Areg, x1: Areg) -> Words:
    return [_bus(Areg.NEWS, x0), _bus(y, Areg.NEWS, x1)]


def _subx(y: Areg, x0: Areg, direction: Direction, x1: Areg) -> Words:
    return [_bus(_OPPOSITE[direction], x0), _bus(y, Areg.NEWS, x1)]


def _neg(y: Areg, x: Areg) -> Words:
    return [_bus(Areg.NEWS), _bus(y, Areg.NEWS, x)]


def _abs(y: Areg, x: Areg) -> Words:
    positive = [_bus(Areg.NEWS, x), Instruction(Op.WHERE, (), (x,)), _bus(y, Areg.NEWS)]
    return [*_neg(y, x), *positive, Instruction(Op.ALL)]


def _divq(y: Areg, x: Areg) -> Words:
    return [_bus(y, Areg.NEWS, x, targets=2), _bus(y, Areg.NEWS)]


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


def _in(areg: Areg, value: int) -> Words:
    return [*_load_in(value), *_mov(areg, Areg.IN)]


def _load_in(value: int) -> Words:
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
    "sub": _sub,
    "subx": _subx,
    "neg": _neg,
    "abs": _abs,
    "divq": _divq,
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
    "scamp5_select_pattern": lambda *addresses: [_select(*addresses)],
    "scamp5_load_pattern": lambda dreg, *addresses: [
        _select(*addresses),
        _or(dreg, Dreg.SELECT),
    ],
    "scamp5_load_point": lambda dreg, row, column: [_select(row, column), _or(dreg, Dreg.SELECT)],
    "expose": lambda slot: [Instruction(Op.EXPOSE, value=slot)],
    "scan": lambda areg, number: [Instruction(Op.SCAN, (), (areg,), number)],
}
"""Expansion of each statement, by its name in the kit; ``expose`` and ``scan`` are additions."""
