"""What runs have read of which no entry tells: those that failed, and those that still go on.

What a process keeps of a run (`memori.watch.inherited`) is filed once the run is over. A run that
fails leaves a filled cache behind all the same, to the subjects that come after it; and what one
that goes on has cached is found by those that begin and end meanwhile, in other threads or inside
it. These depend on what was read for it.

Not promised: what a run read that ended well and whose values could not be recorded.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from memori.aside import aside
from memori.watch.inherited import KINDS, caches_behind, depends, keep, lasts
from memori.watch.observed import Observed
from memori.watch.sieve import Sieve
from memori.watch.threads import with_outer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

    from memori.watch.facts import Facts
    from memori.watch.inherited import Kept, Reach, Slot, Stack

    Wanted = Callable[[str, str, Stack | None], bool]

_SURE = ("read", "modules")
"""Of `KINDS`; what was not there, or in a folder, the other may be about to make."""
_unkept: WeakValueDictionary[int, Observed] = WeakValueDictionary()


def begins(seen: Observed) -> Observed:
    """Take note of a run of which nothing is kept yet, and return it."""
    _unkept[id(seen)] = seen
    return seen


def is_over(facts: Facts, seen: Observed, changed: Collection[Slot], caches: Iterable[Any]) -> None:
    """Keep what a run read on the way to what it left behind in this process."""
    keep(facts, seen, changed, caches)
    _unkept.pop(id(seen), None)


def fails(seen: Observed, changed: Collection[Slot], caches: Collection[Any]) -> None:
    """Keep the same of a run that failed, of which nobody asks for the facts."""
    with aside():
        try:
            is_over(lasting_facts(seen, changed, caches), seen, changed, caches)
        except Exception:  # whatever it is, the user's own error goes on
            import logging

            logging.getLogger(__name__).debug("what a failed run read is lost", exc_info=True)


def of_others(seen: Observed, reach: Reach, changed: Collection[Slot]) -> Iterator[Kept]:
    """Yield what a run depends on that others read and that is not kept yet.

    Parameters
    ----------
    seen : Observed
        Of the run that asks.
    reach : Reach
        What it reaches; made before it ran.
    changed : collection of tuple of int and str
        The slots that are in another state than before it, whoever changed them.
    """
    names = {name for _, name in changed}
    for other in [found for ref in _unkept.valuerefs() if (found := ref()) is not None]:
        if other is not seen:
            yield from _of_another(other, seen, reach, names)


def _of_another(
    other: Observed, seen: Observed, reach: Reach, names: Collection[str]
) -> Iterator[Kept]:
    answered = caches_behind(reach, (each.stack for each in other.touched.copy().values()))
    is_inside = other in with_outer(seen)
    for some, kinds in (((), KINDS), (names, _SURE)):
        if some or answered or not is_inside:

            def wanted(
                name: str, path: str, stack: Stack | None, some: Collection[str] = some
            ) -> bool:
                is_import = name == "imported"
                return depends(stack, other.base, reach, answered, some, is_import=is_import)

            try:
                part = facts_of_part(other, wanted)
            except OSError:  # the other has taken a file away meanwhile: it is none that it keeps
                continue
            yield from ((kind, fact) for kind in kinds for fact in getattr(part, kind))


def lasting_facts(
    seen: Observed,
    changed: Collection[Slot],
    caches: Collection[Any],
    known: Collection[str] = (),
    *,
    everything: bool = False,
) -> Facts:
    """Return what counts of that part of what was seen which the process may have kept."""
    return facts_of_part(
        seen,
        lambda name, path, stack: (
            path not in known
            and (everything or name == "imported" or lasts(stack, seen.base, changed, caches))
        ),
    )


def facts_of_part(seen: Observed, wanted: Wanted) -> Facts:
    """Return what counts of a part of what was seen, of a run that may still go on."""
    part = Observed(memo=seen.memo)
    part.began, part.base = seen.began, seen.base
    for name in ("touched", "folders", "imported"):
        getattr(part, name).update(
            (path, each)
            for path, each in getattr(seen, name).copy().items()  # another thread may add to it
            if wanted(name, path, each.stack)
        )
    part.temporary, part.made, part.programs = seen.temporary, seen.made, seen.programs
    part.traced = seen.traced
    part.ends()
    facts = Sieve(part, part.memo).facts()
    facts.unseen.clear()  # the process of the run names them itself
    return facts
