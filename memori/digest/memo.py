"""What a process remembers, and how much of it.

A `Memo` is a dictionary that holds at most so many things and forgets those first that it has
held longest; forgetting costs time only. It is shared by threads without a lock: each operation
on a dictionary is whole, and whoever finds that another thread was quicker goes on.

Not promised: that a memo never holds a few things more, while several threads add to it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Key = TypeVar("Key")
    Thing = TypeVar("Thing")


class Memo(dict["Key", "Thing"]):
    """A dictionary that forgets.

    Parameters
    ----------
    limit : int
        The most that it holds.

    Examples
    --------
    >>> memo = Memo(2)
    >>> for number in (1, 2, 3):
    ...     memo.keep(number, str(number))
    >>> list(memo)
    [2, 3]
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, key: Key, thing: Thing) -> None:
        """Remember a thing as the newest."""
        self.pop(key, None)
        while len(self) >= self._limit:
            try:
                self.pop(next(iter(self)), None)
            except (RuntimeError, StopIteration):
                continue  # another thread adds or removes at this moment
        self[key] = thing
