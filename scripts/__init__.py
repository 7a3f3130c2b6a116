"""Programs that maintain the repository, each also run by CI.

`wire_header`, `vectors` and `fuzz_seeds` generate files; with ``--check`` they only say whether
those are current. `first_frame` tries a fresh installation. `site_pages` is a hook of mkdocs.
"""
