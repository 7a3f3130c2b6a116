"""A calibration report as a browser would parse it."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from focalloop.calibration.report.page import report_html
from tests.support.made_calibration import make_calibration

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A parsed page: its elements as (tag, attributes, text), checked to be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        element = [tag, dict(attrs), ""]
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            if self._open[-1][0] not in ("style", "title") or element is self._open[-1]:
                element[2] += data

    def all(self, tag, **attributes):
        return [
            (attrs, text)
            for name, attrs, text in self.elements
            if name == tag and all(attrs.get(k.rstrip("_")) == v for k, v in attributes.items())
        ]

    def rows(self):
        return [re.sub(r"\s+", " ", text) for _, text in self.all("tr")]


def page_of(**changes):
    return Page(report_html(make_calibration(**changes)))


def figure(text, title):
    """Source of one figure."""
    found = re.search(rf"<figure[^>]*><figcaption><b>{re.escape(title)}</b>.*?</figure>", text)
    return found and found.group(0)


def dots(text, kind):
    """Places of the dots of a kind in a figure, (count, 2), in the units of the chart."""
    places = re.findall(rf'<circle class="dot {kind}" cx="([-\d.]+)" cy="([-\d.]+)"', text)
    return np.array(places, float).reshape(-1, 2)


def decoded(source):
    return Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,"))))
