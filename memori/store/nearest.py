"""Which recorded run is most like a call that is not recorded: a file of sketches.

A miss for which no entry has the same inputs is explained against the entry whose inputs are most
alike: after a parameter was changed that is the run of the same subject, not the latest one. Each
run leaves a sketch of its inputs, a set of bits that each value in them sets; the texts that look
like paths set most, because they tell subjects apart. The sketches in which the fewest bits differ
are the nearest. Only explanations depend on them, and never whether something hits.

Not promised: the nearest among more runs than the file holds.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from struct import iter_unpack

from memori.digest.memo import Memo
from memori.digest.values import encode
from memori.files import atomic_write, opened
from memori.layout import ENTRY
from memori.store.entries import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from memori.digest.values import JSON
    from memori.key import Key
    from memori.layout import Layout
    from memori.store.entry import Entry

_NAME = 64  # bytes for the name of an entry's file
_BITS = 512
_LINE = _NAME + _BITS // 8
_MOST = 512  # runs that are kept at least
_ROOM = 4 * _MOST * _LINE  # bytes that are read at most; room for them is made at once
_TRIED = 4  # entries that may be gone
_LATEST = 64
_ONE_VALUE = 2  # bits in which two runs differ at least if a value differs
_LEAVES = 512  # values of one call that are looked at
_made: Memo[str, int] = Memo(16)
_parsed: Memo[str, tuple[list[bytes], list[int], bytes]] = Memo(16)


def note(layout: Layout, entry: Entry, key: Key) -> None:
    """Add the sketch of a run; an OSError leaves the others."""
    path = layout.sketches
    name = os.fsencode(entry.path[len(layout.records) + 1 :])
    line = name.ljust(_NAME) + _sketch(key).to_bytes(_BITS // 8, "big")
    if len(line) != _LINE:
        return
    descriptor = opened(path, os.O_APPEND)
    try:
        is_full = os.fstat(descriptor).st_size >= 2 * _MOST * _LINE
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if is_full:
        with open(path, "rb") as file:
            file.seek(-_MOST * _LINE, os.SEEK_END)
            latest = file.read(_MOST * _LINE)
        atomic_write(path, latest)


def nearest(layout: Layout, key: Key) -> Entry | None:
    """Return the entry whose inputs are most like those of a key; the later of two alike."""
    try:
        names, sketches = _sketches(layout.sketches)
    except OSError:
        return None
    for place in _by_distance(sketches, _sketch(key)):
        plain = os.fsdecode(names[place].rstrip())
        entry = read(f"{layout.records}/{plain}") if re.fullmatch(ENTRY, plain) else None
        if entry is not None and not is_of_another(entry, key):
            return entry
    return None


def is_of_another(entry: Entry, key: Key) -> bool:
    """Tell whether a run is of another stage of the same name, in no way like a call.

    Two steps of one tool bear its name if nobody gives them one: what makes them differ is no
    change of either.
    """
    is_like = not key.inputs or not entry.inputs or not entry.inputs.keys().isdisjoint(key.inputs)
    return not is_like and tuple(entry.outputs) != key.outputs


def _by_distance(sketches: list[int], sketch: int) -> Iterator[int]:
    """Yield the places of the nearest sketches, and of two that are alike the later first.

    The latest ones are looked at first: in a sweep one of them is as near as any can be.
    """
    for some in (sketches[-_LATEST:], sketches):
        apart = list(map(int.bit_count, map(sketch.__xor__, reversed(some))))
        if min(apart, default=0) <= _ONE_VALUE:
            break
    for _ in range(min(_TRIED, len(apart))):
        nearest = apart.index(min(apart))
        yield len(sketches) - 1 - nearest
        apart[nearest] = _BITS + 1


def _sketches(path: str) -> tuple[list[bytes], list[int]]:
    """Return the names and bits in a file; what this process has read of it is not parsed again."""
    names, sketches, last = _parsed.get(path, ([], [], b""))
    if not os.path.isfile(path):
        return [], []
    with open(path, "rb", buffering=0) as file:
        file.seek(max(0, len(names) - 1) * _LINE)
        new = file.read(_ROOM)
        if new[: len(last)] == last:
            new = new[len(last) :]
        else:  # the file was cut meanwhile
            names, sketches = [], []
            file.seek(0)
            new = file.read(_ROOM)
    whole = new[: len(new) // _LINE * _LINE]
    if whole:
        lines = list(iter_unpack(f"{_NAME}s{_LINE - _NAME}s", whole))
        names = [*names, *(name for name, _ in lines)]  # threads may hold the lists of before
        sketches = [*sketches, *(int.from_bytes(bits, "big") for _, bits in lines)]
        _parsed.keep(path, (names, sketches, whole[-_LINE:]))
    return names, sketches


def _sketch(key: Key) -> int:
    sketch = _made.get(key.inputs_digest)
    if sketch is not None:
        return sketch
    sketch = 0
    for number, (name, value) in enumerate(_leaves("", key.inputs)):
        if number == _LEAVES:
            break
        digest = sha256(f"{name}={encode(value)}".encode("ascii", "backslashreplace")).digest()
        for n in range(_weight(value)):
            sketch |= 1 << int.from_bytes(digest[2 * n : 2 * n + 2], "big") % _BITS
    _made.keep(key.inputs_digest, sketch)
    return sketch


def _leaves(name: str, value: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield the plain values, each with its name; the place in a list makes no difference."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{name}.{key}", part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(name, part)
    else:
        yield name, value


def _weight(value: JSON) -> int:
    if not isinstance(value, str):
        return 1
    return 4 if os.sep in value or os.path.splitext(value)[1] else 2
