"""Whether a digest is enough for whoever asks for an output, or its file has to be there.

A person who runs a stage wants its files. A pipeline that keeps only some of them goes on from the
digests of the others (`digests_do`), until a stage that runs needs a file; then the stage that made
it is asked again, for just that one.
"""

from __future__ import annotations

from contextvars import ContextVar

from memori.keep.removed import identity_of_removed, removed_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_wanted: ContextVar[frozenset[str] | None] = ContextVar("memori_wanted_files", default=None)


class digests_do:  # noqa: N801  a context manager, read as a word
    """Let digests stand, inside a with block, for what was removed by policy.

    Parameters
    ----------
    wanted : iterable of str, optional
        Paths, absolute, that have to be there all the same, besides those of a block around this
        one. Without, none has to, whatever is around.
    holds : bool, optional
        Whether anything is to change.
    """

    def __init__(self, wanted: Iterable[str] | None = None, *, holds: bool = True) -> None:
        around = None if wanted is None else _wanted.get()
        self._wanted = frozenset(wanted or ()) | (around or frozenset())
        self._holds = holds

    def __enter__(self) -> None:
        if self._holds:
            self._token = _wanted.set(self._wanted)

    def __exit__(self, *error: object) -> None:
        if self._holds:
            _wanted.reset(self._token)


def fault_of_missing(path: str, kind: str, identity: str | None) -> tuple[str, str] | None:
    """Say what is amiss with an output that is not there; None if its digest does for now."""
    known = removed_at(path)
    if known is None or identity_of_removed(path, kind) != identity:
        return "missing", "nothing"
    wanted = _wanted.get()
    if wanted is not None and path not in wanted:
        return None
    return "missing", f"was removed by keep={known['keep']!r} and is needed again"
