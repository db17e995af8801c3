"""memori's own work, kept out of what a run is seen to do.

A run inside a run, a lock, a process that memori starts for itself: none of it is something that
the user's stage did. Who watches runs says how it leaves such work out (`memori.watch.observed`);
where nobody watches there is nothing to do.

Not promised: work that goes on in another thread.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_how: list[Callable[[], AbstractContextManager[None]]] = []


def leave_out_by(how: Callable[[], AbstractContextManager[None]]) -> None:
    """Have the work in each block of `aside` done inside what this returns."""
    _how[:] = [how]


class aside:  # noqa: N801  a context manager, read as a word
    """Keep memori's own work in a with block out of what a run around here is seen to do.

    Examples
    --------
    >>> with aside():
    ...     pass
    """

    __slots__ = ("_inner",)

    def __enter__(self) -> None:
        self._inner = _how[0]() if _how else None
        if self._inner is not None:
            self._inner.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._inner is not None:
            self._inner.__exit__(None, None, None)
