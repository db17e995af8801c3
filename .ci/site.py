"""What makes a site of docs/: links to files beside docs/ lead to the repository."""

from __future__ import annotations

import re
from typing import Any

REPOSITORY = "https://github.com/memori-neuro/memori/blob/main/"
_OUTSIDE = re.compile(r"\]\(\.\./([^)]+)\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn links to files that are no pages into links to the repository."""
    return _OUTSIDE.sub(rf"]({REPOSITORY}\1)", markdown)
