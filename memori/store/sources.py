"""The source of code that ran, each text once in a folder, for people who ask what was edited.

A text lies under the digest that the components of an entry say (`memori.fingerprint.syntax`).
Nothing is decided by it: one that is lost costs the diff, and comes back when code is new.
"""

from __future__ import annotations

import os

from memori.digest.memo import Memo
from memori.files import atomic_write, content_of, make_folder
from memori.layout import sources_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint import Code

_kept: Memo[tuple[str, str], None] = Memo(4096)


def keep(root: str, code: Code) -> None:
    """Write the source of code that is not there yet; an OSError says that it cannot be written."""
    if (root, code.fast) in _kept:
        return
    from memori.fingerprint.syntax import names_of

    folder = sources_of(root)
    missing = {
        n for n in names_of(code.components()).values() if not os.path.exists(_file(root, n))
    }
    for name, text in code.texts(missing).items() if missing else ():
        make_folder(folder)
        atomic_write(_file(root, name), text.encode("utf-8", "surrogateescape"))
    _kept.keep((root, code.fast), None)


def text(root: str, name: str) -> str | None:
    """Return the text of this name; None if it is not there."""
    if "/" in name or "\0" in name:  # a record names whatever its writer wanted
        return None
    try:
        return content_of(_file(root, name)).decode("utf-8", "surrogateescape")
    except (OSError, UnicodeEncodeError):
        return None


def _file(root: str, name: str) -> str:
    return f"{sources_of(root)}/{name}.py"
