"""What was edited of code that counts, as unified diffs: of a decision, and of a recorded run.

The store keeps the source of what ran (`memori.store.sources`); a record says by the digests of its
components which, and of code that was edited what it had been (`compared`).

Not promised: the diff of code whose source cannot be proved, or was removed; and of a class or a
value, whose parts are told by name instead.
"""

from __future__ import annotations

from memori.fingerprint.texts import difference, names_of
from memori.layout import root_of
from memori.store import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
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
            lines = difference(before, after, label)
            more = [f"... and {len(lines) - _MOST} more lines"] if len(lines) > _MOST else []
            found[label] = "\n".join([*lines[:_MOST], *more])
    return {label: diff for label, diff in found.items() if diff}
