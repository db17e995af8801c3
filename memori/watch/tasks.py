"""What a worker of a pool still knows of what it did before.

A worker outlives the run that started it, and what a task of that run cached there answers the
tasks of later runs. So a task inherits what earlier ones kept, by the rules by which a run inherits
from earlier runs of its process (`memori.watch.inherited`), and tells the run that it is done for.
What a worker read before its first task, to make itself ready (``initializer=``), counts for all.
If that was before anything was watched, nobody knows, and the run is not remembered.

Not promised: what else a worker kept before a run gave it a task.
"""

from __future__ import annotations

import sys
from functools import partial
from types import FunctionType, MethodType

from memori.aside import aside
from memori.digest.memo import Memo
from memori.fingerprint import fingerprint
from memori.fingerprint.origins import origin_of_namespace
from memori.fingerprint.versions import versions_of
from memori.watch.children import of_parent
from memori.watch.inherited import KINDS, Reach, inherit, keep, keep_for_all
from memori.watch.observed import Observed
from memori.watch.threads import with_outer
from memori.watch.told import misses
from memori.watch.unkept import lasting_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType
    from typing import Any

    from memori.watch.inherited import Slot

_MOST = 1000  # objects that are looked at for functions
_LOOPS = ("worker", "_process_worker")  # in which workers of multiprocessing and of pools are
_CACHE = "_lru_cache_wrapper"
_told: Memo[tuple[str, str], bool] = Memo(1000)
_taken: dict[int, tuple[Observed, set[str]]] = {}  # what was seen outside tasks and is kept


class Task:
    """What a worker is about to do for a run.

    Parameters
    ----------
    given : object
        The function and its arguments.
    outside : sequence of Observed
        What this process is seen to do where it does no task.
    """

    __slots__ = ("_codes", "_fault", "_reaches", "_unseen")

    def __init__(self, given: object, outside: Sequence[Observed]) -> None:
        self._fault = ""
        self._unseen = () if outside else _initializers(sys._getframe(1))
        self._codes = []
        self._reaches = []
        with aside():
            try:
                _keep_outside(outside)
                self._codes = [fingerprint(each) for each in functions_in(given)]
                self._reaches = [Reach.of(code) for code in self._codes]
            except Exception as error:  # whatever it is, the user's own work goes on
                self._fault = f"{type(error).__name__}: {error}"

    def ends(self, seen: Observed) -> None:
        """Keep what the task left behind, and tell what it inherited.

        Parameters
        ----------
        seen : Observed
            What the task was seen to do.
        """
        with aside():
            try:
                self._ends(seen)
            except Exception as error:  # a file that is gone, say
                self._fault = self._fault or f"{type(error).__name__}: {error}"
            if self._fault:
                for run in with_outer(seen):
                    misses(run, f"what a worker kept of earlier tasks ({self._fault})")

    def _ends(self, seen: Observed) -> None:
        changed: set[Slot] = set()
        for code in self._codes:
            changed |= code.settle()
        caches = [cache for code in self._codes for cache in code.caches]
        runs = with_outer(seen)
        versions = versions_of(each for code in self._codes for each in code.codes).hex()
        for run in runs:
            if (run.name, versions) not in _told:
                _told.keep((run.name, versions), True)
                run.tells("versions", versions)
                for name in self._unseen:
                    run.tells("doubts", f"the initializer {name} of workers was not watched")
        facts = lasting_facts(seen, changed, caches)
        own = {kind: len(getattr(facts, kind)) for kind in KINDS}
        for reach in self._reaches:
            inherit(facts, reach)
        inherited = [(kind, fact) for kind in KINDS for fact in getattr(facts, kind)[own[kind] :]]
        for run in runs:
            for who in facts.unseen:
                misses(run, who)
            for kept in inherited:
                run.inherited.append(kept)
                run.tells("inherited", kept[0])
        keep(facts, seen, changed, caches)


def _keep_outside(outside: Sequence[Observed]) -> None:
    """Keep what the process read outside tasks: to get ready, and when it imported modules."""
    for run in outside:
        is_first = id(run) not in _taken
        known = _taken.setdefault(id(run), (run, set(of_parent(run))))[1]
        paths = {*run.touched, *run.folders, *run.imported}
        if len(paths) > len(known):
            facts = lasting_facts(run, (), (), known, everything=is_first)
            (keep_for_all if is_first else keep)(facts, run, ())
            known |= paths


def _initializers(frame: FrameType | None) -> list[str]:
    """Return the names of functions of the user's that made the process ready for its tasks."""
    found = []
    while frame is not None:
        given = frame.f_locals.get("initializer") if frame.f_code.co_name in _LOOPS else None
        found += [
            each.__qualname__
            for each in functions_in((given, frame.f_locals.get("initargs")) if given else ())
            if isinstance(each, FunctionType)
            and origin_of_namespace(each.__globals__).kind == "user"
        ]
        frame = frame.f_back
    return found


def functions_in(given: object) -> Iterator[Any]:
    """Yield the functions, caches and classes in some objects, what they hold included.

    >>> [each.__name__ for each in functions_in([{"a": (print, functions_in)}, partial(Task)])]
    ['Task', 'functions_in']
    """
    waiting: list[object] = [given]
    known: set[int] = set()
    while waiting and len(known) < _MOST:
        each = waiting.pop(0)
        if id(each) in known:
            continue
        known.add(id(each))
        if isinstance(each, (FunctionType, type)) or type(each).__name__ == _CACHE:
            yield each
        elif isinstance(each, MethodType):
            waiting += [each.__func__, each.__self__]
        elif isinstance(each, partial):
            waiting += [each.func, each.args, each.keywords]
        elif isinstance(each, dict):
            waiting += list(each.values())[:_MOST]
        elif isinstance(each, (list, tuple)):
            waiting += each[:_MOST]
        elif hasattr(each, "__dict__"):
            waiting += [type(each), *vars(each).values()]
