"""The page's markup: views are loaded beside each other, so that an id must be used once in all."""

import re
from collections import Counter
from importlib.resources import files

WEB = files("focalloop.host") / "web"


def test_every_id_is_used_once_and_named_ones_exist():
    pages = [WEB / "index.html", *(WEB / "views").glob("*/*.html")]
    assert len(pages) == 6
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    ids = Counter(re.findall(r'\bid="([^"]+)"', text))
    assert [name for name, count in ids.items() if count > 1] == []
    named = re.findall(r'\b(?:for|aria-labelledby|aria-describedby)="([^"]+)"', text)
    assert {name for each in named for name in each.split()} <= set(ids)
