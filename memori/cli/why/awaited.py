"""A value that a stage is still to make: it can be handed on to other stages, and no more.

Whatever else a script does with it (compare it, compute with it, open it) raises `NotMadeYet`,
because nobody knows what would come of that. It prints as what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from memori.processes.planning import NotMadeYet


class Awaited:
    """An output of a stage that would run.

    Attributes
    ----------
    name : str
        The output.
    maker : str
        The stage.
    """

    def __init__(self, name: str, maker: str) -> None:
        self.name = name
        self.maker = maker

    def __repr__(self) -> str:
        return f"<{self.name}, which {self.maker!r} is still to make>"

    def __getitem__(self, key: object) -> Awaited:
        return Awaited(f"{self.name}[{key!r}]", self.maker)

    def __format__(self, wish: str) -> str:
        return repr(self)

    def __deepcopy__(self, memo: object) -> Awaited:
        return self

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse(self)


def _refuse(self: Awaited, *_: object) -> NoReturn:
    raise NotMadeYet(f"{self.name!r} is asked for, which {self.maker!r} is still to make")


_USES = (
    "abs add and bool bytes call ceil complex contains divmod enter eq float floor floordiv fspath "
    "ge gt hash index int invert iter le len lshift lt matmul mod mul ne neg next or pos pow radd "
    "rand rdivmod reversed rfloordiv rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub "
    "rtruediv rxor setitem sub truediv trunc xor"
)
for _use in _USES.split():
    setattr(Awaited, f"__{_use}__", _refuse)


def awaited_in(value: Any) -> Iterator[Awaited]:
    """List what is still to be made among arguments."""
    if isinstance(value, Awaited):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from awaited_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from awaited_in(each)


def awaited(names: Iterable[str], maker: str) -> dict[str, Awaited]:
    """Return outputs of a stage as what is still to be made."""
    return {name: Awaited(name, maker) for name in names}
