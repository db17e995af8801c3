"""What runs do in places that they share: what one left there, and who was at it at the same time.

See `memori.store.left` for what is made of it.

Not promised: to see that a file was written by a run that is remembered elsewhere, or not at all.
"""

from __future__ import annotations

import os

from memori.digest.files import file_digest
from memori.digest.folder import folder_digest
from memori.errors import warn
from memori.store.left import ANEW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.key import Key
    from memori.store import Store
    from memori.watch import Facts, Observed

    Left = dict[str, tuple[str | None, str]]


def left_outside(
    own: str,
    store: Store,
    artifacts: list[Artifact],
    facts: Facts | None,
    seen: Observed | None,
    began: float,
) -> Left:
    """Return what a run left outside its folder, by path: what was there before, and what is now.

    Parameters
    ----------
    own : str
        The run's own folder, with a slash at its end.
    store : Store
        Where it is recorded.
    artifacts : list of Artifact
        What it returned.
    facts : Facts or None
        What counts of what it was seen to do.
    seen : Observed or None
        All that it was seen to do.
    began : float
        When it began.
    """
    found: Left = {}
    if facts is not None:
        found.update({fact.path: (ANEW, fact.identity) for fact in facts.written})
        pairs = zip(facts.edited, facts.before, strict=True)
        found.update({fact.path: (before or None, fact.identity) for fact, before in pairs})
    for each in artifacts:
        path = each.locate(store.root)
        if each.kind == "folder" or (each.kind == "file" and has_written(path, seen, began)):
            found[path] = _before(path, seen), each.identity or ""
    outside = [path for path in found if not path.startswith(own)]
    for path in store.folders_around(outside) - found.keys():
        if not own.startswith(f"{path}/"):
            digest = folder_digest(path, lambda inner: file_digest(inner, store.memo).identity)
            found[path] = None, digest
    return {path: pair for path, pair in found.items() if not path.startswith(own)}


def _before(path: str, seen: Observed | None) -> str | None:
    touch = None if seen is None else seen.touch(path)
    if touch is None or touch.how != "read" or touch.look is None:
        return ANEW
    return touch.before.identity if touch.before else None


def has_written(path: str, seen: Observed | None, began: float) -> bool:
    """Tell whether a run that began at a time wrote a file, as far as is known."""
    if seen is not None and seen.how(path) is not None:
        return seen.wrote(path)
    try:
        return os.stat(path).st_ctime >= began
    except OSError:
        return False


def tell_of_races(subject: str, store: Store, key: Key, facts: Facts, began: float) -> None:
    """Warn of a file that a run read, and that another one wrote which went on beside it."""
    paths = [*(fact.path for fact in facts.read), *facts.unvouched]
    found = store.left_during(key, paths, began)
    if found is not None:
        path, stage = found
        warn(
            f"{subject} read {path}, which stage {stage!r} wrote at the same time: nothing says "
            "which comes first. Hand the file on from one to the other, or run them one after the "
            "other"
        )
