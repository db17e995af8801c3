"""The site of docs/: the README is on its first page, and links that leave docs/ are texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_OUTSIDE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./[^)]+|(?:CONTRIBUTING|CHANGELOG|README)\.md|CITATION\.cff|LICENSE)\)"
)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the README below the first page, and leave out links to files that are no pages."""
    if page.file.src_uri == "index.md":
        readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n")[2]
        markdown += readme.replace("](docs/", "](")
    return _OUTSIDE.sub(r"\1", markdown)
