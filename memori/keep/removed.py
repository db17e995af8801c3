"""What memori removed from the own folder of a run to save room, and what stands for it.

The claim of the folder (`memori.store.folders`) has a line that names each file and folder that
went, with its digest, or with its stat if nobody had asked for a digest. It is written before
anything is removed, and asked only about what is not there; so it may say too much, never too
little, and a kill at any moment does no harm.

Not promised: that a line which somebody wrote by hand is true.
"""

from __future__ import annotations

import os

from memori.digest.files import FileDigest, from_record
from memori.digest.values import from_text
from memori.files import content_of
from memori.layout import claim_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from memori.digest.values import JSON


def removed_at(path: str) -> Mapping[str, JSON] | None:
    """Return what stands for something that is not at an absolute path, if memori removed it.

    Returns
    -------
    mapping or None
        ``kind`` ("file", "folder" or "scratch"), its digest or ``stat``, and ``keep``, the policy.
        Of what lies in a folder that went as a whole, the policy alone.
    """
    place = claim_of(path)
    if place is None:
        return None
    claim, inside = place
    told = _last_line(claim)
    if told is None:
        return None
    paths = told["paths"]
    known = paths.get(inside)
    if isinstance(known, dict):
        return {**known, "keep": told["keep"]}
    above = os.path.dirname(inside)
    while above and above not in paths:
        above = os.path.dirname(above)
    return {"kind": "scratch", "keep": told["keep"]} if above else None


def was_removed(path: str) -> bool:
    """Tell whether memori removed, by policy, what is not at an absolute path."""
    return not os.path.lexists(path) and removed_at(path) is not None


def digest_of_removed(path: str, kind: str) -> FileDigest | str | None:
    """Return the digest that stands for a file or folder that memori removed; None for others."""
    known = removed_at(path)
    if known is None or known["kind"] != kind:
        return None
    try:
        found = from_record(dict(known)) if kind == "file" else known["folder"]
    except (KeyError, TypeError, ValueError):
        return None
    return found if isinstance(found, (FileDigest, str)) else None


def identity_of_removed(path: str, kind: str = "file") -> str | None:
    """Return what interchangeable files or folders have in common with one that was removed."""
    found = digest_of_removed(path, kind)
    return found.identity if isinstance(found, FileDigest) else found


def _last_line(claim: str) -> Mapping[str, JSON] | None:
    try:
        lines = [from_text(line) for line in content_of(claim).splitlines() if line]
    except (OSError, ValueError):
        return None
    told = [line["removed"] for line in lines if isinstance(line, dict) and "removed" in line]
    last = told[-1] if told else None
    if not isinstance(last, dict) or not isinstance(last.get("paths"), dict):
        return None
    return last if isinstance(last.get("keep"), str) else None
