"""What a process still knows of what earlier runs read.

A function that keeps what it read (in a global, in a cache, by importing a module) reads the file
for the first case and not for the second, although the second depends on it just as much. So a
process remembers what its runs read on the way to what they left behind:

- in a slot (a global, a cell, an attribute) that the run left in another state: what was read
  while code ran that names the slot;
- in an `lru_cache`: what was read while its function ran, inherited by a run during which the
  cache answered;
- in a module: what was read while it was imported, and its code.

A run that reaches the slot, the cache or the module inherits these facts as they were when they
were read: if the file was edited meanwhile, the process still holds what was in it before.

Not promised: what was kept before any run was watched. A cache of that kind which answered is named
(`Facts.unseen`); a global counts by its value, as always, and so does what a cache without
arguments held before (`memori.fingerprint.opaque.put_cached_before`).
"""

from __future__ import annotations

from memori.fingerprint.origins import OWN
from memori.watch.facts import FileFact, ListingFact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from types import CodeType
    from typing import Any

    from memori.fingerprint import Code
    from memori.watch.facts import Facts
    from memori.watch.observed import Observed

    Slot = tuple[int, str]
    Stack = tuple[CodeType, ...]
    Kept = tuple[str, object]  # the list of `Facts` that a fact belongs to, and the fact

KINDS = ("read", "listed", "modules", "absent")
"""What of `Facts` may be inherited."""
_MOST = 10_000  # facts that are kept for one slot
_by_slot: dict[Slot, dict[Kept, None]] = {}
_by_cache: dict[int, tuple[CodeType, dict[Kept, None]]] = {}  # by id: equal code is not the same
_by_import: list[tuple[Stack, frozenset[str], Kept]] = []
_by_all: dict[Kept, None] = {}


def _none_of(paths: Iterable[str]) -> Collection[str]:
    return ()


class Reach:
    """What a callable reaches, as its fingerprint found.

    Parameters
    ----------
    slots : collection of tuple of int and str
        The id of a namespace or cell, and a name in it.
    caches : collection of functions made by `functools.lru_cache`
        Those among what it reaches.
    codes : collection of code
        Of the functions.
    files : collection of str
        Of the modules.
    """

    __slots__ = ("caches", "codes", "files", "hits", "slots")

    def __init__(
        self,
        slots: Collection[Slot] = (),
        caches: Iterable[Any] = (),
        codes: Iterable[CodeType] = (),
        files: Iterable[str] = (),
    ) -> None:
        self.slots = slots
        self.caches = tuple(caches)
        self.codes = {id(code): code for code in codes}
        self.files = frozenset(files)
        self.hits = [cache.cache_info().hits for cache in self.caches]

    @classmethod
    def of(cls, code: Code) -> Reach:
        """Return what a fingerprint found."""
        return cls(code.slots, code.caches, code.codes, code.files)

    def answered(self) -> list[Any]:
        """Return the caches that have answered since this was made."""
        pairs = zip(self.caches, self.hits, strict=True)
        return [cache for cache, hits in pairs if cache.cache_info().hits > hits]


def inherit(
    facts: Facts,
    reach: Reach,
    told: Iterable[Kept] = (),
    leaves_out: Callable[[Iterable[str]], Collection[str]] = _none_of,
) -> None:
    """Add to the facts of a run what it inherits from earlier ones.

    Parameters
    ----------
    facts : Facts
        Of the run.
    reach : Reach
        What it reaches; made before it ran.
    told : iterable of tuple of str and object
        What workers that it gave tasks to inherited (`memori.watch.tasks`).
    leaves_out : callable, optional
        Returns those of some paths that do not count for this run.
    """
    found = {**_by_all, **dict.fromkeys(told)}
    for slot in _by_slot.keys() & set(reach.slots):
        found.update(_by_slot[slot])
    for cache in reach.answered():
        known = _by_cache.get(id(_code_of(cache)))
        if known is None:
            facts.unseen.append(f"{cache.__qualname__} (what it cached before)")
        else:
            found.update(known[1])
    for stack, files, kept in _by_import:
        if files & reach.files or any(id(code) in reach.codes for code in stack):
            found[kept] = None
    left_out = leaves_out(_path_of(fact) for _, fact in found) if found else ()
    there = {_key_of(kind, fact) for kind in KINDS for fact in getattr(facts, kind)}
    for kind, fact in found:
        key = _key_of(kind, fact)
        if key not in there and _path_of(fact) not in left_out:
            there.add(key)
            getattr(facts, kind).append(fact)


def keep(
    facts: Facts, seen: Observed, changed: Collection[Slot], caches: Iterable[Any] = ()
) -> None:
    """Remember what a run read on the way to what it left behind in this process.

    Parameters
    ----------
    facts : Facts
        What counts of the run, what it inherited included.
    seen : Observed
        What it was seen to do.
    changed : collection of tuple of int and str
        The slots that it left in another state.
    caches : iterable of functions made by `functools.lru_cache`
        Those that it reaches.
    """
    for code in map(_code_of, caches):
        _by_cache.setdefault(id(code), (code, {}))
    for kept, stack in _with_stacks(facts, seen):
        for slot in changed:
            if stack is None or any(_names(code, slot[1]) for code in stack):
                known = _by_slot.setdefault(slot, {})
                if len(known) < _MOST:
                    known[kept] = None
        for code in map(_code_of, caches) if stack is None else stack:
            if id(code) in _by_cache:
                _by_cache[id(code)][1][kept] = None
        if stack:
            files = _imports(stack)
            if files or kept[0] == "modules":
                _by_import.append((stack, files, kept))


def keep_for_all(facts: Facts, seen: Observed, changed: Collection[Slot] = ()) -> None:
    """Remember what a process read to make itself ready for whatever it is given to do.

    What it read while it imported a module is for those who reach the module.
    """
    keep(facts, seen, changed)
    for kept, stack in _with_stacks(facts, seen):
        if kept[0] != "modules" and not _imports(stack or ()):
            _by_all[kept] = None


def lasts(
    stack: Stack | None, base: CodeType | None, changed: Collection[Slot], caches: Iterable[Any]
) -> bool:
    """Tell whether what was read under a stack may be kept: what `keep` would remember of it."""
    stack = _cut(stack, base)
    if stack is None:
        return True
    cached = {id(_code_of(cache)) for cache in caches}
    return (
        bool(_imports(stack))
        or any(id(code) in cached or id(code) in _by_cache for code in stack)
        or any(_names(code, name) for code in stack for _, name in changed)
    )


def depends(
    stack: Stack | None,
    base: CodeType | None,
    reach: Reach,
    answered: Collection[int],
    names: Collection[str],
    *,
    is_import: bool,
) -> bool:
    """Tell whether a run that is over depends on what was read under a stack of another one.

    Parameters
    ----------
    stack : tuple of code or None
        The code that ran when it was read; None if nobody looked.
    base : code or None
        What watched that other run.
    reach : Reach
        What the run that is over reaches; made before it ran.
    answered : collection of int
        The ids of the code behind the caches that answered it.
    names : collection of str
        Of the slots that are in another state than before it.
    is_import : bool
        Whether it was read as the code of a module.
    """
    stack = _cut(stack, base)
    if not stack:
        return False
    if is_import or _imports(stack):
        return bool(_imports(stack) & reach.files) or any(id(c) in reach.codes for c in stack)
    return any(id(c) in answered or any(_names(c, name) for name in names) for c in stack)


def caches_behind(reach: Reach, stacks: Iterable[Stack | None]) -> set[int]:
    """Return the ids of the code behind those caches that answered and ran under some stacks.

    Of these it is known what they read, although the run that filled them is not over.
    """
    answered = {id(code): code for code in map(_code_of, reach.answered())}
    found = answered and {id(code) for stack in stacks for code in stack or ()}
    behind = answered.keys() & found
    for each in behind:
        _by_cache.setdefault(each, (answered[each], {}))
    return behind


def _imports(stack: Stack) -> frozenset[str]:
    """Return the files of the modules that were being imported."""
    return frozenset(code.co_filename for code in stack if code.co_name == "<module>")


def _with_stacks(facts: Facts, seen: Observed) -> Iterator[tuple[Kept, Stack | None]]:
    """Yield each fact that a process may keep, with the code that ran when it was found."""
    touched = {path: touch.stack for path, touch in seen.touched.items()}
    folders = {path: listing.stack for path, listing in seen.folders.items()}
    imported = {path: touch.stack for path, touch in seen.imported.items()}
    for kind, where, stacks in (
        ("read", "path", touched),
        ("listed", "folder", folders),
        ("modules", "path", imported),
    ):
        for fact in getattr(facts, kind):
            yield (kind, fact), _cut(stacks.get(getattr(fact, where)), seen.base)
    for path in facts.absent:
        yield ("absent", path), _cut(touched.get(path) or folders.get(path), seen.base)


def _cut(stack: Stack | None, base: CodeType | None) -> Stack | None:
    """Return what of a stack belongs to the run: what is above the code that watched it."""
    if stack is None:
        return None
    found = []
    for code in stack:
        if code is base or code.co_filename.startswith(OWN):
            break
        found.append(code)
    return tuple(found)


def _names(code: CodeType, name: str) -> bool:
    """Tell whether code may deal with a slot of a name."""
    return (
        name == code.co_name
        or name in code.co_names
        or name in code.co_varnames
        or name in code.co_freevars
        or name in code.co_cellvars
    )


def _code_of(cache: Any) -> CodeType:
    """Return the code behind a cache; the function may be wrapped more than once."""
    function = cache
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code: CodeType = getattr(function, "__code__", None) or _code_of.__code__
    return code


def _path_of(fact: object) -> str:
    if isinstance(fact, FileFact):
        return fact.path
    return fact.folder if isinstance(fact, ListingFact) else str(fact)


def _key_of(kind: str, fact: object) -> tuple[object, ...]:
    """Return what two equal facts have in common."""
    if isinstance(fact, FileFact):
        return kind, fact.path, fact.identity
    if isinstance(fact, ListingFact):
        return kind, fact.folder, fact.names, tuple(fact.patterns or ())
    return kind, fact
