"""Whether a digest is enough for whoever asks for an output, or its file has to be there.

A person who runs a stage wants its files. A pipeline that keeps only some of them goes on from the
digests of the others (`digests_do`), until a stage that runs needs a file; then the stage that made
it is asked again, for just that one.
"""

from __future__ import annotations

from contextvars import ContextVar

from memori.keep.removed import digest_of_removed, identity_of_removed, removed_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from memori.artifacts import Artifact

_wanted: ContextVar[frozenset[str] | None] = ContextVar("memori_wanted_files", default=None)


class digests_do:  # noqa: N801  a context manager, read as a word
    """Let digests stand, inside a with block, for what was removed by policy.

    Parameters
    ----------
    wanted : iterable of str, optional
        Paths, absolute, that have to be there all the same.
    holds : bool, optional
        Whether anything is to change.
    """

    def __init__(self, wanted: Iterable[str] = (), *, holds: bool = True) -> None:
        self._wanted = frozenset(wanted)
        self._holds = holds

    def __enter__(self) -> None:
        if self._holds:
            self._token = _wanted.set(self._wanted | (_wanted.get() or frozenset()))

    def __exit__(self, *error: object) -> None:
        if self._holds:
            _wanted.reset(self._token)


def fault_of_missing(artifact: Artifact, path: str) -> tuple[str, str] | None:
    """Say what is amiss with an output that is not there; None if its digest does for now."""
    known = removed_at(path)
    if known is None or identity_of_removed(path, artifact.kind) != artifact.identity:
        return "missing", "nothing"
    wanted = _wanted.get()
    if wanted is not None and path not in wanted:
        return None
    return "missing", f"was removed by keep={known['keep']!r} and is needed again"


__all__ = ["digest_of_removed", "digests_do", "fault_of_missing"]
