"""SCAMP-5 programs, written in the statements of the developer kit.

``assemble`` turns kit statements, ``getpix(B, A); WHERE(R5); add(A, A, B); all();``, into the
instructions that `statements` expands them to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from focalloop.firmware_sim.scamp5.instructions import (
    ALL_DIRECTIONS,
    Areg,
    Direction,
    Dreg,
    Instruction,
    Scamp5Error,
)
from focalloop.firmware_sim.scamp5.statements import Argument, Words, expanded

Convention = Literal["neighbour", "content"]
"""What a direction names: the neighbour that is read, or where the content moves."""


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
            There is no such statement, not with these arguments, or it is not simulated.
        """
        try:
            return expanded(self.name, self.arguments)
        except Scamp5Error as error:
            raise Scamp5Error(f"{str(self)[:-1]} is refused: {error}") from None
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


def assemble(text: str, directions: Convention = "neighbour") -> Program:
    """Parse statements of the kit.

    Comments (``//`` and ``/* */``) and the name of a simulator's object before statements and
    registers (``s.movx(s.B, s.A, south)``) are ignored.

    Parameters
    ----------
    text : str
        The statements.
    directions : {"neighbour", "content"}
        What ``east``, ``west``, ``north`` and ``south`` name. In the kit, the neighbour whose value
        is read; in some simulators, the direction in which the content moves, which is opposite.

    Raises
    ------
    Scamp5Error
        A statement cannot be read, or the chip cannot execute it.
    """
    if directions not in get_args(Convention):
        raise Scamp5Error(
            f"directions are those of the 'neighbour' that is read or of the 'content' that moves, "
            f"not {directions!r}"
        )
    bare = _QUALIFIER.sub("", _COMMENT.sub(" ", text))
    return Program.of(list(_parsed(bare, opposite=directions == "content")))


_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_QUALIFIER = re.compile(r"\b[A-Za-z_]\w*\s*(?:\.|->|::)\s*(?=[A-Za-z_])")
_STATEMENT = re.compile(r"[\s;]*(\w+)\s*\(([^()]*)\)\s*;")


def _parsed(text: str, opposite: bool) -> Iterator[Call]:
    at = 0
    while text[at:].strip(" \t\r\n;"):
        match = _STATEMENT.match(text, at)
        if match is None:
            line = text[at:].strip().splitlines()[0]
            raise Scamp5Error(f"cannot parse {line!r}: a statement is written name(a, b);")
        words = [word.strip() for word in match[2].split(",")] if match[2].strip() else []
        arguments = [_argument(word) for word in words]
        if opposite:
            arguments = [_turned(one) if isinstance(one, Direction) else one for one in arguments]
        yield Call(match[1], tuple(arguments))
        at = match.end()


_ALIASES = {"RS": "R1", "RW": "R2", "RN": "R3", "RE": "R4", "RP": "R12", "RF": "R0"} | {
    f"S{index}": f"R{index + 5}" for index in range(7)
}
"""Alternative names of digital registers in the kit."""
_NUMBERS = {"true": 1, "false": 0}
_NOT_SIMULATED = {
    "RECT": "the rectangle of the decoders is not simulated: load a mask with Machine.load",
}


def _argument(word: str) -> Argument:
    name = _ALIASES.get(word, word)
    if name in Areg.__members__:
        return Areg[name]
    if name in Dreg.__members__:
        return Dreg[name]
    if name in _NUMBERS:
        return _NUMBERS[name]
    if name in _NOT_SIMULATED:
        raise Scamp5Error(f"{name}: {_NOT_SIMULATED[name]}")
    if "{" in name or "}" in name:
        raise Scamp5Error(
            f"{word!r}: registers in braces are not supported; write bus(d, s, ...), "
            "bus2(d, e, s, ...) or bus3(d, e, f, s, ...)"
        )
    parts = [part.strip() for part in name.lower().split("|")]
    if all(part in _DIRECTIONS for part in parts):
        towards = Direction(0)
        for part in parts:
            towards |= _DIRECTIONS[part]
        return towards
    try:
        return int(name, 0)
    except ValueError:
        raise Scamp5Error(f"{word!r} is not a register, direction or number") from None


_DIRECTIONS = {one.name.lower(): one for one in Direction if one.name} | {"alldir": ALL_DIRECTIONS}
_OPPOSITE = {
    Direction.EAST: Direction.WEST,
    Direction.WEST: Direction.EAST,
    Direction.NORTH: Direction.SOUTH,
    Direction.SOUTH: Direction.NORTH,
}


def _turned(towards: Direction) -> Direction:
    turned = Direction(0)
    for one in towards:
        turned |= _OPPOSITE[one]
    return turned


def _spelled(one: Argument) -> str:
    if isinstance(one, Direction):
        return "|".join(part.name.lower() for part in one if part.name)
    return one.name if isinstance(one, Areg | Dreg) else str(one)
