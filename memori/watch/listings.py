"""Which names in a folder a run depends on.

A folder that was listed whole counts by all its names; one that was listed for a pattern (`glob`)
by those that fit. A pattern also asks for names without listing anything (the ``anat`` of
``sub-*/anat/*.nii``): whether these exist counts as well.

Hidden names count where a pattern asks for them (``.*``), and nowhere else: what NFS leaves of
removed files begins with a dot, too.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from memori.watch.touch import Listing

BELOW = "**"
_SIGNS = "*?["


def literal(path: str) -> str:
    """Return the pattern that only a path fits, as `glob.escape` does at the cost of an import.

    >>> literal("/data/run[1]")
    '/data/run[[]1]'
    """
    return "".join(f"[{sign}]" if sign in _SIGNS else sign for sign in path)


def meant(part: str) -> str | None:
    """Return the only name that fits a part of a pattern; None if more could.

    >>> meant("run[[]1]"), meant("run[1]")
    ('run[1]', None)
    """
    name = part
    for sign in _SIGNS:
        name = name.replace(f"[{sign}]", sign)
    return name if literal(name) == part else None


def parts_of(pattern: str) -> list[str]:
    """Return the parts of an absolute pattern, plain.

    >>> parts_of("/data/./sub-*//anat/"), parts_of("/data/**"), parts_of("/data/**/")
    (['data', 'sub-*', 'anat'], ['data', '**', '*'], ['data', '**'])
    """
    parts = [part for part in os.path.normpath(pattern).split("/") if part]
    is_all_below = parts[-1:] == [BELOW] and pattern[-1] != "/"
    return [*parts, "*"] if is_all_below else parts


def flat(pattern: str) -> str:
    """Return a pattern in which ``**`` stands for one name, as it does without ``recursive``.

    >>> flat("sub-*/**/*.nii")
    'sub-*/*/*.nii'
    """
    return "/".join("*" if part == BELOW else part for part in pattern.split("/"))


def patterns_for(folder: str, globs: Iterable[str]) -> list[str] | None:
    """Return the patterns that tell which names in a folder count; None if all do.

    A pattern with a slash at its end is for folders alone. Every folder's name counts if `BELOW` is
    among them, because more may be found in it.

    >>> patterns_for("/data/sub-01", ["/data/sub-*/*.nii", "/other/*"])
    ['*.nii']
    >>> patterns_for("/data", ["/data/sub-*/*.nii"])
    ['sub-*/']
    >>> patterns_for("/data/sub-01", ["/data/**/*.nii"])
    ['**', '*.nii']
    """
    found: set[str] = set()
    for pattern in globs:
        found.update(_fitting(parts_of(folder), parts_of(pattern)))
    return sorted(found) if found else None


def _fitting(folder: list[str], pattern: list[str]) -> Iterator[str]:
    for position, name in enumerate(folder):
        if position >= len(pattern):
            return
        part = pattern[position]
        if part == BELOW:
            yield from _marked(pattern[position:])
            return
        if not fnmatchcase(name, part):
            return
    rest = _marked(pattern[len(folder) :])
    if rest and rest[0] == BELOW:
        yield from rest
    elif rest:
        yield rest[0]


def _marked(rest: list[str]) -> list[str]:
    """Mark the parts of a pattern that only folders can fit."""
    inner = [part if part == BELOW else f"{part}/" for part in rest[:-1]]
    return [*inner, *rest[-1:]]


def walked(pattern: str) -> Iterator[str]:
    """Yield the folders that are listed to find what fits an absolute pattern now."""
    from glob import glob

    parts = pattern.split("/")
    for place, part in enumerate(parts):
        if meant(part) is None:
            yield from glob("/".join(parts[:place]) or "/")


def fits(name: str, patterns: Iterable[str] | None, is_folder: bool) -> bool:
    """Tell whether a name in a folder counts."""
    if name.startswith("."):
        asking = [each for each in patterns or () if each.startswith(".")]
        return not name.startswith(".nfs") and any(_fits(name, each, is_folder) for each in asking)
    return patterns is None or any(_fits(name, each, is_folder) for each in patterns)


def _fits(name: str, pattern: str, is_folder: bool) -> bool:
    if pattern == BELOW:
        return is_folder
    if pattern[-1:] == "/":
        return is_folder and fnmatchcase(name, pattern[:-1])
    return fnmatchcase(name, pattern)


def results(pattern: str, own: Collection[str], made: Callable[[str], bool]) -> list[str]:
    """Return the paths that fit an absolute pattern now, sorted; none that a run made."""
    from glob import glob

    found = set(glob(pattern, recursive=True)).difference(own)
    return sorted(path for path in found if not made(path))


def asked_without_listing(
    pattern: str, folders: Mapping[str, Listing]
) -> tuple[list[str], list[str]]:
    """Return the paths that a pattern asks for by name, those that exist and those that do not."""
    path = meant(pattern)
    if path is not None:
        return ([path], []) if os.path.lexists(path) else ([], [path])
    above, there, absent = ["/"], list[str](), list[str]()
    beyond_signs = False
    for part in parts_of(pattern):
        if part == BELOW:
            break
        only = meant(part)
        if only is None:
            beyond_signs = True
            above = [
                os.path.join(folder, name)
                for folder in above
                if folder in folders
                for name in folders[folder].names
                if fits(name, [part], name in folders[folder].folders)
            ]
            continue
        asked = [os.path.join(folder, only) for folder in above]
        above = [path for path in asked if os.path.lexists(path)]
        if beyond_signs:
            there += above
            absent += sorted(set(asked).difference(above))
    return there, absent


def present_names(
    folder: str,
    patterns: list[str] | None,
    own: Iterable[str],
    made: Callable[[str], bool],
) -> tuple[str, ...]:
    """Return the names in a folder that count, sorted."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries]
    except OSError:
        return ()
    return counted_names(folder, found, patterns, own, made)


def counted_names(
    folder: str,
    found: Iterable[tuple[str, bool]],
    patterns: list[str] | None,
    own: Iterable[str],
    made: Callable[[str], bool],
) -> tuple[str, ...]:
    """Return those of the names found in a folder (and whether each is a folder) that count.

    Where a pattern looks into all folders, their names end in a slash: a file that becomes one may
    lead to more.
    """
    own = frozenset(own)
    marks = patterns is not None and BELOW in patterns
    return tuple(
        sorted(
            f"{name}/" if marks and is_folder else name
            for name, is_folder in found
            if name not in own
            and fits(name, patterns, is_folder)
            and not made(os.path.join(folder, name))
        )
    )
