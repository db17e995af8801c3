"""Whether what a run was seen to read, find and leave is still so.

Where no stat has changed, the check of thousands of files is one comparison; for the few that have,
the content decides. Nothing here decides what a difference means: `differences` lists them as plain
tuples, in the order in which they are found.
"""

from __future__ import annotations

import os
import stat
from binascii import a2b_base64
from itertools import chain
from operator import attrgetter
from struct import Struct, error

from memori.digest.files import reads_always
from memori.keep.removed import removed_at, was_removed
from memori.watch.facts import (
    PACKED,
    digest_of,
    names_digest,
    packed_stat,
    pattern_of,
    stats_digest,
    tree_digest,
)
from memori.watch.listings import present_names, results
from memori.watch.modules import module_digest
from memori.watch.places import Places, and_here
from memori.watch.questions.found import NOTHING, answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from memori.digest.values import JSON

    Difference = tuple[str, str, str, str]

_FIVE = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")
_DIGEST = 64
_NOT_SET = "not set"


def differences(
    record: Mapping[str, JSON],
    root: str,
    memo: str | None,
    *,
    datasets: Mapping[str, str] | None = None,
    anchors: Mapping[str, str] | None = None,
    made: Callable[[str], bool] | None = None,
    came_of: Callable[[str, str, tuple[str, str]], bool] | None = None,
) -> Iterator[Difference]:
    """Yield what is not any more as a run found or left it.

    Parameters
    ----------
    record : mapping
        What `Facts.to_record` returned.
    root : str
        The `hash_output` now, absolute.
    memo : str or None
        The folder in which digests of files are remembered.
    datasets : mapping of str to str, optional
        Where the BIDS datasets are that the inputs of the present call lie in, by name.
    anchors : mapping of str to str, optional
        The anchors of the inputs of the present call, by name.
    made : callable, optional
        Tells of an absolute path whether a remembered run made what is there: such names do not
        count in listings, and were not missed by a run that looked for them in vain.
    came_of : callable, optional
        Tells of an absolute path, written or edited, whether what is there came, by remembered
        runs, of what this run left, or can be put back: given the kind, the path and both digests.

    Yields
    ------
    tuple of (kind, path, old, new)
        The kind is "read", "module", "written", "edited" (digests, or "nothing"), "absent",
        "there" ("nothing" or "something"), "found" (what a program was told, and would be now),
        "listed" (the names that went and those that came), "tool" (what it was and is),
        "variable" (of the environment, by its name; its values), "tree" or
        "dataset" (two places that both exist).
    """
    places = Places(root, record["root"], datasets, and_here(anchors))
    made = made or _never
    yield from _file_differences("read", record.get("read"), places, memo)
    yield from _file_differences("module", record.get("modules"), places, memo)
    for kind in ("written", "edited"):
        for each in _file_differences(kind, record.get(kind), places, memo):
            if came_of is None or not came_of(kind, each[1], each[2:]):
                yield each
    yield from _name_differences(record, places, made)
    yield from _tool_differences(record, places, memo)
    if "variables" in record:
        yield from _variable_differences(record["variables"])
    for words, digest in record.get("trees", ()):
        folder = places.folder(words)
        now = tree_digest(folder, memo) if os.path.isdir(folder) else NOTHING
        if now != digest and not (now == NOTHING and was_removed(folder)):
            yield "tree", folder, digest, now
    for name, (seen, now) in places.twice.items():
        yield "dataset", name, seen, now


def holds(record: Mapping[str, JSON], root: str, memo: str | None, **more: object) -> bool:
    """Tell whether everything is as a run found or left it; see `differences`."""
    return next(differences(record, root, memo, **more), None) is None  # type: ignore[arg-type]


def _never(path: str) -> bool:
    return False


def _file_differences(
    kind: str, packed: Mapping[str, JSON] | None, places: Places, memo: str | None
) -> Iterator[Difference]:
    if packed is None:
        return
    paths = places.paths(packed["files"])
    is_trusting = not reads_always()
    if is_trusting:
        try:
            now = Struct(f"<{5 * len(paths)}Q").pack(
                *chain.from_iterable(map(_FIVE, map(os.stat, paths)))
            )
            if stats_digest(now) == packed["all"]:
                return
        except (OSError, error):
            pass  # one is gone, or older than 1970: which, is found below
    stats = _unpacked(packed["stats"])
    identify = _module_identity if kind == "module" else _file_identity
    for index, path in enumerate(paths):
        then = stats[index * PACKED.size : (index + 1) * PACKED.size]
        if not is_trusting or _stat_of(path) != then:
            digest = packed["digests"][index * _DIGEST : (index + 1) * _DIGEST]
            found = identify(path, memo)
            if found != digest and not (found == NOTHING and _stands_for(path, digest, then)):
                yield kind, path, digest, found


def _stands_for(path: str, digest: str, then: bytes) -> bool:
    """Tell whether what is not there was removed by policy, as the run found it."""
    known = None if os.path.lexists(path) else removed_at(path)
    if known is None:
        return False
    return digest in (known.get("content"), known.get("hash")) or (
        known["kind"] == "scratch" and "stat" in known and packed_stat(known["stat"]) == then
    )


def _unpacked(stats: str) -> bytes:
    try:
        return a2b_base64(stats)
    except ValueError:  # then none of them vouches for a file
        return b""


def _stat_of(path: str) -> bytes:
    try:
        return packed_stat(_FIVE(os.stat(path)))
    except OSError:
        return b""


def _file_identity(path: str, memo: str | None) -> str:
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return digest_of(path, memo).identity
    except OSError:
        pass  # gone, or nobody may read it any more
    return NOTHING


def _module_identity(path: str, memo: str | None) -> str:
    try:
        return module_digest(path, memo)
    except OSError:
        return NOTHING


def _name_differences(
    record: Mapping[str, JSON], places: Places, made: Callable[[str], bool]
) -> Iterator[Difference]:
    for path in places.paths(record.get("absent", ())):
        if os.path.lexists(path) and not made(path):
            yield "absent", path, NOTHING, "something"
    for then, groups in record.get("found", ()):
        for path in places.paths(groups):
            now = answer(path, then)
            if now != then and not made(path) and not was_removed(path):
                yield "found", path, then, now
    asked = []
    for path in places.paths(record.get("there", ())):
        if not os.path.lexists(path) and not was_removed(path):
            asked.append(("there", path, "something", NOTHING))
    for path in places.paths(record.get("missed", ())):
        if os.path.lexists(path) and not made(path):
            asked.append(("absent", path, NOTHING, "something"))
    for listing in record.get("listed", ()):
        found = _listing_differences(listing, places, made)
        if "patterns" in listing:
            asked += found
        else:
            yield from found
    if asked and not _same_results(record, places, made):
        yield from asked


def _same_results(record: Mapping[str, JSON], places: Places, made: Callable[[str], bool]) -> bool:
    """Tell whether all patterns lead to the same paths, although some names have changed."""
    own = {
        os.path.join(places.folder(listing["folder"]), name)
        for listing in record.get("listed", ())
        for name in listing.get("own", ())
    }
    globs = record.get("globs", ())
    return bool(globs) and all(
        names_digest(results(pattern_of(words, rest, places), own, made)) == digest
        for words, rest, digest in globs
    )


def _listing_differences(
    listing: Mapping[str, JSON], places: Places, made: Callable[[str], bool]
) -> Iterator[Difference]:
    folder = places.folder(listing["folder"])
    try:
        if list(_FIVE(os.stat(folder))) == listing["stat"]:
            return
    except OSError:
        if not was_removed(folder):
            yield "listed", folder, "something", NOTHING
        return
    names = present_names(folder, listing.get("patterns"), listing.get("own", ()), made)
    if names_digest(names)[:32] == listing["digest"]:
        return
    then = listing.get("names")
    if then is None:
        yield "listed", folder, f"{listing['count']} names", f"{len(names)} names"
    else:
        gone, new = sorted(set(then) - set(names)), sorted(set(names) - set(then))
        gone = [name for name in gone if not was_removed(os.path.join(folder, name.rstrip("/")))]
        if gone or new:
            yield "listed", folder, ", ".join(gone), ", ".join(new)


def _tool_differences(
    record: Mapping[str, JSON], places: Places, memo: str | None
) -> Iterator[Difference]:
    tools, called = record.get("tools", {}), record.get("called", {})
    if tools or called:
        from memori.watch.commands.tools import call_differences, tool_differences

        yield from tool_differences(tools)
        absent = frozenset(places.paths(record.get("absent", ())))
        yield from call_differences(
            called,
            tools,
            memo,
            absent,
            lambda *programs: _is_around(record, places, memo, absent, *programs),
        )


def _is_around(
    record: Mapping[str, JSON],
    places: Places,
    memo: str | None,
    absent: Iterable[str],
    one: str,
    other: str,
    home: str,
) -> bool:
    """Tell whether what a run read, and missed, around a program below `home` is around another."""
    here, there, above = os.path.dirname(one), os.path.dirname(other), f"{home}/"

    def beside(path: str) -> str:
        return os.path.normpath(os.path.join(there, os.path.relpath(path, here)))

    read = record.get("read", {})
    for index, path in enumerate(places.paths(read.get("files", ()))):
        if path.startswith(above) and path != one:
            digest = read["digests"][index * _DIGEST : (index + 1) * _DIGEST]
            if _file_identity(beside(path), memo) != digest:
                return False
    return not any(os.path.lexists(beside(path)) for path in absent if path.startswith(above))


def _variable_differences(then: Mapping[str, str | None]) -> Iterator[Difference]:
    from memori.watch.environment import counted_variables

    for name, now in counted_variables(then).items():
        if now != then[name]:
            yield (
                "variable",
                name,
                _NOT_SET if then[name] is None else str(then[name]),
                (_NOT_SET if now is None else now),
            )


def read_paths(
    record: Mapping[str, JSON], root: str, anchors: Mapping[str, str] | None = None
) -> list[str]:
    """Return the files that a run read, absolute, as they lie now."""
    packed = record.get("read")
    if packed is None:
        return []
    return Places(root, record["root"], anchors=and_here(anchors)).paths(packed["files"])
