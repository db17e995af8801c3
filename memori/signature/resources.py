"""Resources: what a run needs while it goes on, and what there is.

A stage says how many threads it keeps busy, how much memory it takes and how many GPUs. Who
schedules holds that against what the workers have. None of it counts for what is remembered.

Not promised: that a run keeps to what its stage says.
"""

from __future__ import annotations

import re

_UNITS = {"": 1, **{letter: 1000**n for n, letter in enumerate("kmgt", 1)}}
_BINARY = {letter: 1024**n for n, letter in enumerate("kmgt", 1)}
_MEMORY = r"(?i)\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*"
_LEAST = 1_000_000  # bytes; a smaller number was meant as one of gigabytes


class Resources:
    """What a run needs, or what there is for runs.

    Parameters
    ----------
    threads : int or None
        How many it keeps busy; of what there is None for what nobody knows, here and below.
    memory : int or None
        Bytes.
    gpus : int or None
        How many.
    """

    __slots__ = ("gpus", "memory", "threads")

    def __init__(
        self, threads: int | None = 1, memory: int | None = 0, gpus: int | None = 0
    ) -> None:
        self.threads = threads
        self.memory = memory
        self.gpus = gpus

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resources) and self.as_tuple() == other.as_tuple()

    def __hash__(self) -> int:
        return hash(self.as_tuple())

    def __repr__(self) -> str:
        return self.told()

    def as_tuple(self) -> tuple[int | None, int | None, int | None]:
        """Return threads, memory and GPUs."""
        return self.threads, self.memory, self.gpus

    def beyond(self, there: Resources) -> list[str]:
        """Say what of this is more than there is.

        Examples
        --------
        >>> Resources(4, 8 * 10**9).beyond(Resources(2, 16 * 10**9))
        ['4 threads, and there are 2 threads']
        """
        found = []
        for name, wanted, has in zip(
            self.__slots__[::-1], self.as_tuple(), there.as_tuple(), strict=True
        ):
            if has is not None and (wanted or 0) > has:
                verb = "is" if name == "memory" or has == 1 else "are"
                found.append(f"{_told(name, wanted)}, and there {verb} {_told(name, has)}")
        return found

    def told(self) -> str:
        """Return it as people say it, such as ``4 threads, 8 GB``."""
        named = zip(self.__slots__[::-1], self.as_tuple(), strict=True)
        return ", ".join(_told(name, number) for name, number in named if number)


def most_of(several: list[Resources]) -> Resources:
    """Return what suffices for each of several that run one after the other."""
    columns = zip(*(each.as_tuple() for each in several), strict=True)
    return Resources(*(max(number or 0 for number in column) for column in columns))


def _told(name: str, number: int | None) -> str:
    number = number or 0
    if name == "memory":
        return size_told(number)
    if name == "gpus":
        return f"{number or 'no'} GPU{'s' * (number != 1)}"
    return f"{number} thread{'s' * (number != 1)}"


def size_told(size: int) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> [size_told(size) for size in (999, 1_500_000, 16 * 10**9)]
    ['999 B', '1.5 MB', '16 GB']
    """
    number, unit = float(size), "B"
    for further in ("kB", "MB", "GB", "TB"):
        if number < 999.95:
            break
        number, unit = number / 1000, further
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"


def memory_of(memory: int | str | None, subject: str) -> int:
    """Return an amount of memory in bytes; none is 0.

    Parameters
    ----------
    memory : int, str or None
        Bytes, or a text such as ``"8 GB"`` or ``"500 MiB"``.
    subject : str
        What errors call who says so.

    Raises
    ------
    ValueError, TypeError
        If it is neither.

    Examples
    --------
    >>> memory_of("1.5 GB", "stage 'recon'"), memory_of("2GiB", "stage 'recon'")
    (1500000000, 2147483648)
    """
    told = "memory is a text such as '8 GB', or a number of bytes"
    if memory is None:
        return 0
    if isinstance(memory, str):
        match = re.fullmatch(_MEMORY, memory)
        if match is None or (match[3] and not match[2]):
            raise ValueError(f"{subject}: {told}, got {memory!r}")
        units = _BINARY if match[3] else _UNITS
        size = int(float(match[1]) * units[match[2].lower()])
    elif isinstance(memory, bool) or not isinstance(memory, int):
        raise TypeError(f"{subject}: {told}, got {memory!r}")
    else:
        size = memory
    if size < _LEAST:
        raise ValueError(f"{subject}: {told}, and {memory!r} is less than a run takes")
    return size


def resources_of(
    threads: int | None, memory: int | str | None, gpus: int, subject: str
) -> Resources:
    """Return what a stage says that it needs.

    Raises
    ------
    ValueError, TypeError
        If it cannot.
    """
    for name, number, least in (
        ("threads", 1 if threads is None else threads, 1),
        ("gpus", gpus, 0),
    ):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{subject}: {name} is a whole number, got {number!r}")
        if number < least:
            raise ValueError(f"{subject}: {name} is {least} or more, got {number!r}")
    return Resources(threads or 1, memory_of(memory, subject), gpus)
