"""Hook of mkdocs: publish the files at the top of the repository as pages of the site.

The README is the site's first page. All pages of the site lie side by side, so links from the top
of the repository into ``docs/``, and back, lose their folder.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

TOP_FILES = {
    "index.md": "README.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CITATION.cff": "CITATION.cff",
    "LICENSE": "LICENSE",
    "NOTICE": "NOTICE",
}
"""The site's name of each published file at the top of the repository."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `TOP_FILES` to the files of the site."""
    for name, source in TOP_FILES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links out of ``docs/`` to the pages that `on_files` added."""
    return markdown.replace("](../", "](")
