"""A surface for diagrams of rectangles, lines and text, written as SVG or PNG.

The base install has no plotting library, and these diagrams need none.
"""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import Literal, Protocol

from focalloop.firmware_sim.errors import FocalloopError

Anchor = Literal["start", "middle", "end"]
"""Which point of a text lies at its x; its y is the middle of a line of text."""

_PNG_SCALE = 2
"""Pixels per unit, so that text is sharp on dense screens."""

_DASH = 6.0


class PictureError(FocalloopError):
    """A picture cannot be written; the message says why."""


class Surface(Protocol):
    """What a diagram is drawn on: x to the right and y down, in units; colours as ``#rrggbb``."""

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Fill a rectangle."""
        ...

    def line(
        self, x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False
    ) -> None:
        """Draw a thin horizontal or vertical line."""
        ...

    def text(
        self, x: float, y: float, text: str, size: float, colour: str, anchor: Anchor = "start"
    ) -> None:
        """Write one line of text."""
        ...

    def encoded(self) -> bytes:
        """Return the file's contents."""
        ...


class SvgSurface:
    """Draws SVG elements."""

    def __init__(self, width: float, height: float) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" font-family="system-ui, sans-serif">'
        ]
        self.rectangle(0, 0, width, height, "#ffffff")

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """See `Surface`."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}"/>'
        )

    def line(
        self, x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False
    ) -> None:
        """See `Surface`."""
        dash = f' stroke-dasharray="{_DASH:g} {_DASH:g}"' if dashed else ""
        self._parts.append(
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
            f'stroke="{colour}" stroke-width="1.5"{dash}/>'
        )

    def text(
        self, x: float, y: float, text: str, size: float, colour: str, anchor: Anchor = "start"
    ) -> None:
        """See `Surface`."""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" '
            f'text-anchor="{anchor}" dominant-baseline="central">{escape(text)}</text>'
        )

    def encoded(self) -> bytes:
        """See `Surface`."""
        return "\n".join([*self._parts, "</svg>", ""]).encode()


class PngSurface:
    """Draws pixels with Pillow and its built-in font."""

    def __init__(self, width: float, height: float) -> None:
        from PIL import Image, ImageDraw

        size = (round(width * _PNG_SCALE), round(height * _PNG_SCALE))
        self._image = Image.new("RGB", size, "#ffffff")
        self._draw = ImageDraw.Draw(self._image)

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """See `Surface`."""
        left, top, right, bottom = (round(at * _PNG_SCALE) for at in (x, y, x + width, y + height))
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=fill)

    def line(
        self, x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False
    ) -> None:
        """See `Surface`."""
        length = max(abs(to_x - x), abs(to_y - y))
        step_x, step_y = (to_x - x) / length, (to_y - y) / length
        dash, at = (_DASH if dashed else length), 0.0
        while at < length:
            end = min(at + dash, length)
            ends = (x + at * step_x, y + at * step_y, x + end * step_x, y + end * step_y)
            self._draw.line([_PNG_SCALE * value for value in ends], colour, width=3)
            at += 2 * dash

    def text(
        self, x: float, y: float, text: str, size: float, colour: str, anchor: Anchor = "start"
    ) -> None:
        """See `Surface`."""
        from PIL import ImageFont

        where = {"start": "lm", "middle": "mm", "end": "rm"}[anchor]
        font = ImageFont.load_default(size * _PNG_SCALE)
        self._draw.text((x * _PNG_SCALE, y * _PNG_SCALE), text, colour, font, anchor=where)

    def encoded(self) -> bytes:
        """See `Surface`."""
        file = io.BytesIO()
        self._image.save(file, "PNG", optimize=True)
        return file.getvalue()


def surface_for(path: Path, width: float, height: float) -> Surface:
    """Return the surface for a file by its suffix.

    Raises
    ------
    PictureError
        The suffix is neither ``.svg`` nor ``.png``.
    """
    match path.suffix.lower():
        case ".svg":
            return SvgSurface(width, height)
        case ".png":
            return PngSurface(width, height)
        case other:
            raise PictureError(
                f"a picture is written as .png or .svg, not as {other or 'no suffix'}"
            )
