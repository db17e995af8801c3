"""What was edited of code that counts, as unified diffs: of a decision, and of a recorded run.

The store keeps the source of what ran (`memori.store.sources`); a record says by the digests of its
components which, and of code that was edited what it had been (`compared`).

Not promised: the diff of code whose source cannot be proved, or was removed; and of a class or a
value, whose parts are told by name instead.
"""

from __future__ import annotations

from memori.fingerprint.syntax import names_of
from memori.layout import root_of
from memori.store import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from memori.fingerprint import Code
    from memori.store import Entry

_MOST = 80  # lines of one diff


def edits_of(entry: Entry, compared: dict[str, str], code: Code) -> dict[str, str]:
    """Return the unified diff of each component that was edited since an entry's run, by label."""
    new = names_of(code.components())
    texts = code.texts({new[label] for label in compared if label in new})
    return _diffs(root_of(entry.path), compared, new, texts)


def recorded_edits(entry: Entry) -> dict[str, str]:
    """Return the same of the changes for which an entry's run ran."""
    old = entry.record.get("compared") or {}
    return _diffs(root_of(entry.path), old, names_of(entry.record["code"]["components"]), {})


def _diffs(
    root: str, old: dict[str, str], new: dict[str, str], known: dict[str, str]
) -> dict[str, str]:
    found = {}
    for label, name in old.items():
        now = new.get(label, "")
        before, after = sources.text(root, name), known.get(now) or sources.text(root, now)
        if before is not None and after is not None:
            lines = _difference(before, after, label)
            more = [f"... and {len(lines) - _MOST} more lines"] if len(lines) > _MOST else []
            found[label] = "\n".join([*lines[:_MOST], *more])
    return {label: diff for label, diff in found.items() if diff}


def _difference(old: str, new: str, subject: str) -> list[str]:
    """Return the lines of a unified diff of two texts, by what counts of them; none if nothing."""
    import difflib

    then, now = _canonical(old).splitlines(), _canonical(new).splitlines()
    if then == now:  # the names that it reaches lead elsewhere, say
        return []
    return list(
        difflib.unified_diff(then, now, f"{subject} (as it ran)", f"{subject} (now)", lineterm="")
    )


def _canonical(text: str) -> str:
    """Return a text without comments, docstrings and formatting, if it is whole statements."""
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return text
    for node in ast.walk(tree):
        body: Any = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = list(_without_remarks(body)) or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _without_remarks(body: list[Any]) -> Iterator[Any]:
    import ast

    for each in body:
        value = each.value if isinstance(each, ast.Expr) else None
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            yield each
