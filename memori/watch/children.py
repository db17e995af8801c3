"""Child processes: what they do for a run, told through files.

While a run goes on, an environment variable names a folder, the spool. A process that is forked
goes on watching as its parent did; another Python of the same installation finds the variable when
it starts (`memori_watch.pth`) and installs the hook. Each writes down what it sees, line by line,
before it happens, so that it may be killed at any time. When a run ends, its process reads what was
written since it began.

What a run gives to a pool of processes (`concurrent.futures`, loky, multiprocessing), however old
its workers are, says for whom it is done (`memori.watch.hook.Lent`), and so does each process that
a run starts. What else a worker does that outlives the run which started it counts for every run
that goes on at that moment.

Not promised: programs that are no Python, Pythons of other installations, and children that are
started with an environment of their own: they are named (`Observed.unwatched`).
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from itertools import count

from memori.aside import aside
from memori.digest.files import from_record, to_record
from memori.processes import temporary
from memori.watch.facts import fact_learned, fact_told
from memori.watch.observed import Observed
from memori.watch.told import finds, misses, points, ran
from memori.watch.touch import Listing, Touch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO

    from memori.watch.touch import Look

SPOOL = "MEMORI_WATCH_SPOOL"
_STAT = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size")
_TIMES = ("st_mtime_ns", "st_ctime_ns")
_numbers = count()
_ended: dict[str, int] = {}  # runs of this process that are over, and when
_own: list[str] = []  # the spool that this process offers
_MOST_ENDED = 1000
_LOST = ".lost"  # ends the name of what a process wrote that could not write all
_offered: list[str] = []  # the spool that is offered just now, whoever made it
_spools: dict[str, _Spool] = {}  # in a worker: where it writes for those who lend it functions
_of_parent: dict[str, frozenset[str]] = {}  # in a fork: what runs had touched before, by their name


def new_name() -> str:
    """Return a name for a run that no other run has, in any process."""
    return f"{os.getpid()}-{next(_numbers)}"


def new_spool() -> str:
    """Return the path of a spool, which the first child that writes into it makes."""
    return temporary.new_name("watch")


def offer_spool() -> None:
    """Let processes that are started from now on know where to write."""
    if SPOOL not in os.environ:
        if not _own:
            _own.append(new_spool())
        os.environ[SPOOL] = _own[0]
    _offered[:] = [os.environ[SPOOL]]


def withdraw_spool() -> None:
    """Let processes that are started from now on know nothing."""
    if _own and os.environ.get(SPOOL) == _own[0]:
        del os.environ[SPOOL]
    _offered.clear()


def _offer() -> str | None:
    """Return the spool that is offered, also where a run has emptied the environment."""
    return os.environ.get(SPOOL) or next(iter(_offered), None)


def marks() -> dict[str, int]:
    """Return how much every child has written so far, or when it last could not."""
    found = {}
    for path in _written(_offer()):
        try:
            look = os.stat(path)
            found[path] = look.st_mtime_ns if path.endswith(_LOST) else look.st_size
        except OSError:
            pass  # removed meanwhile
    return found


def _written(spool: str | None) -> list[str]:
    """Return the files that children have written."""
    try:
        return [os.path.join(spool or "", name) for name in os.listdir(spool or "\0")]
    except (OSError, ValueError):
        return []  # there is no spool, or no child has written anything


def learn(run: Observed, since: dict[str, int]) -> None:
    """Add to a run that ends what its children have written since it began."""
    for line in _told(_offer(), since, [run]):
        if line["kind"] == "begins" or _is_for(run, line):
            _LEARNERS[line["kind"]](run, line)
    run.unwatched += [words for words in run.programs if words not in run.traced]
    _ended[run.name] = time.time_ns()
    while len(_ended) > _MOST_ENDED:
        del _ended[next(iter(_ended))]
    if _own:
        temporary.goes_with_process(_own[0])


def learn_from(spool: str, runs: Sequence[Observed]) -> None:
    """Add to runs what the Pythons below a command have written into a spool of their own."""
    lines = _told(spool, {}, runs)
    for run in runs:
        for line in lines:
            _LEARNERS[line["kind"]](run, line)


def _told(
    spool: str | None, since: dict[str, int], runs: Sequence[Observed]
) -> list[dict[str, Any]]:
    """Return what the children of this process have written, in the order of time."""
    told: list[dict[str, Any]] = []
    for path in _written(spool):
        with open(path, "rb") as file:
            first = file.readline()
            has_begun = first.endswith(b"\n")  # else it will do something after that
            if has_begun and os.getpid() not in json.loads(first)["above"]:
                continue
            if path.endswith(_LOST):
                if os.fstat(file.fileno()).st_mtime_ns != since.get(path):
                    for run in runs:
                        run.faults.append("a child process could not write down what it does")
            elif has_begun:
                told += map(json.loads, _whole_lines(file, since.get(path, 0)))
    return sorted(told, key=lambda line: int(line["at"]))


def _whole_lines(file: BinaryIO, start: int) -> list[bytes]:
    """Return the lines that begin behind a position and are written to their end."""
    file.seek(max(0, start - 1))
    text = file.read()
    if start:
        text = text[text.find(b"\n") + 1 :]
    return text[: text.rfind(b"\n") + 1].splitlines()


def _is_for(run: Observed, line: dict[str, Any]) -> bool:
    """Tell whether a line belongs to a run: it says so, or nobody knows for whom it was done."""
    if line["run"] == run.name:
        return True
    of_this_process = line["run"].startswith(f"{os.getpid()}-")
    was_over = _ended.get(line["run"], line["at"]) < line["at"]
    return was_over or not of_this_process


# In a child


def tell_what_is_seen(seen: Observed) -> None:
    """Write down from now on what a process is seen to do that another Python started."""
    _tell_spool(seen, _Spool(os.environ[SPOOL]))


def go_on_in_fork(live: Sequence[Observed]) -> None:
    """Go on watching, in a process that was forked while runs go on."""
    _own.clear()
    _spools.clear()
    for run in live:
        _of_parent[run.name] = frozenset((*run.touched, *run.folders, *run.imported))
    offer = _offer()
    if live and offer is not None:
        try:
            with aside():
                spool = _Spool(offer)
        except OSError:
            return  # the parent is gone, or its disk is full
        for run in live:
            _tell_spool(run, spool)


def of_parent(run: Observed) -> frozenset[str]:
    """Return, in a fork, what a run had touched before it was forked."""
    return _of_parent.get(run.name, frozenset())


def tell_for(names: Sequence[str], spool: str) -> Observed | None:
    """Return who sees, in a worker, what is done for runs of the process that lends it a function.

    None if nobody reads what it would tell.

    Parameters
    ----------
    names : sequence of str
        Of the runs, the innermost first.
    spool : str
        Where they read.
    """
    if spool not in _spools:
        try:
            with aside():
                _spools[spool] = _Spool(spool)
        except OSError:
            return None
    seen = None
    for name in reversed(names):
        seen = Observed(name, seen)
        _tell_spool(seen, _spools[spool])
    return seen


class _Spool:
    """The file into which this process writes, in the folder of those who read it."""

    def __init__(self, folder: str) -> None:
        above = _ancestors()
        if temporary.owner_of(folder) not in above:
            raise FileNotFoundError(f"nobody is left who reads {folder}")
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        self._path = os.path.join(folder, f"{os.getpid()}.{time.time_ns()}")
        self._open(os.O_CREAT)
        self._file = os.fstat(self._descriptor)
        if not self.write({"kind": "begins", "words": sys.orig_argv, "above": above}):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)

    def _open(self, flags: int = 0) -> None:
        flags |= os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)

    def write(self, line: dict[str, Any]) -> bool:
        """Write a line; tell whether all of it could be written."""
        text = json.dumps({"at": time.time_ns(), **line}).encode() + b"\n"
        try:
            if not self._is_open():
                with aside():
                    self._open()
            if os.write(self._descriptor, text) == len(text):
                return True
        except OSError:
            pass  # a full disk
        self._lose()
        return False

    def _is_open(self) -> bool:
        """Tell whether nobody closed the file: a daemon does so, and opens its own instead."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._file)
        except OSError:
            return False

    def _lose(self) -> None:
        """Let whoever reads know that not all was written, and when: on a full disk that works."""
        path, self._path = self._path, f"{self._path.removesuffix(_LOST)}{_LOST}"
        try:
            if path != self._path:
                os.rename(path, self._path)
            os.utime(self._path, ns=(time.time_ns(),) * 2)
        except OSError:
            pass  # nobody reads it any more


def _ancestors() -> list[int]:
    """Return the processes above this one, as far as the system tells."""
    found = [os.getppid()]
    try:
        while found[-1] > 1:
            with open(f"/proc/{found[-1]}/stat", "rb") as file:
                found.append(int(file.read().rpartition(b")")[2].split()[1]))
    except (OSError, ValueError, IndexError):
        pass  # no such file system, or gone
    return found


def _tell_spool(run: Observed, spool: _Spool) -> None:
    """Write down from now on what a run is seen to do."""

    def tell(kind: str, what: str) -> None:
        spool.write({"run": run.name, "kind": kind, "what": what, **_TELLERS[kind](run, what)})

    run.tell = tell
    run.glances = False


def _touch_told(run: Observed, path: str) -> dict[str, Any]:
    touch = run.touched[path]
    before = to_record(touch.before) if touch.before else touch.before
    names = ("how", "written", "appends", "marked")
    about = {name: getattr(touch, name) for name in names}
    return {**about, "look": _look_told(touch.look), "before": before}


def _look_told(look: Look) -> object:
    return [getattr(look, name) for name in (*_STAT, *_TIMES)] if look else look


def _listing_told(run: Observed, folder: str) -> dict[str, Any]:
    listing = run.folders[folder]
    return {
        "look": _look_told(listing.look),
        "names": listing.names,
        "folders": sorted(listing.folders),
        "whole": listing.whole,
    }


_TELLERS: dict[str, Any] = {
    "touched": _touch_told,
    "folders": _listing_told,
    "imported": lambda run, path: {"look": _look_told(run.imported[path].look)},
    "globs": lambda run, pattern: {},
    "made": lambda run, path: {},
    "links": lambda run, path: {"place": run.links[path]},
    "temporary": lambda run, path: {},
    "network": lambda run, host: {},
    "programs": lambda run, _: {"words": run.programs[-1]},
    "traced": lambda run, _: {"words": run.programs[-1]},
    "found": lambda run, path: {"said": run.found[path]},
    "unseen": lambda run, who: {},
    "named": lambda run, path: {},
    "executed": lambda run, path: {},
    "looked_up": lambda run, name: {},
    "trees": lambda run, path: {},
    "spoilt": lambda run, path: {},
    "taken": lambda run, what: {},
    "versions": lambda run, told: {},
    "doubts": lambda run, why: {},
    "faults": lambda run, what: {},
    "variables": lambda run, name: {},
    "inherited": lambda run, _: {"fact": fact_told(*run.inherited[-1])},
}


# In the parent


def _look_learned(told: list[int] | bool | None) -> Look:
    if not isinstance(told, list):
        return None if told is None else False
    exact = dict(zip(_TIMES, told[len(_STAT) :], strict=True))
    return os.stat_result((*told[: len(_STAT)], 0, 0, 0), exact)  # no seconds: nobody asks for them


def _learn_touch(run: Observed, line: dict[str, Any]) -> None:
    touch = Touch(line["how"], _look_learned(line["look"]))
    touch.written, touch.appends = line["written"], line["appends"]
    touch.marked = line["marked"]
    touch.before = from_record(line["before"]) if line["before"] else line["before"]
    run.learns(line["what"], touch)


def _learn_listing(run: Observed, line: dict[str, Any]) -> None:
    look = _look_learned(line["look"])
    names, folders = tuple(line["names"]), frozenset(line["folders"])
    listing = run.folders.setdefault(line["what"], Listing(look or None, names, folders))
    listing.whole = listing.whole or line["whole"]


def _learn_import(run: Observed, line: dict[str, Any]) -> None:
    run.imported.setdefault(line["what"], Touch("read", _look_learned(line["look"])))


_LEARNERS: dict[str, Any] = {
    "begins": lambda run, line: run.traced.add(tuple(line["words"])),
    "touched": _learn_touch,
    "folders": _learn_listing,
    "imported": _learn_import,
    "globs": lambda run, line: run.globs.setdefault(line["what"]),
    "made": lambda run, line: run.made.add(line["what"]),
    "links": lambda run, line: points(run, line["what"], line["place"]),
    "temporary": lambda run, line: run.temporary.add(line["what"]),
    "network": lambda run, line: run.network.add(line["what"]),
    "programs": lambda run, line: run.programs.append(tuple(line["words"])),
    "traced": lambda run, line: ran(run, tuple(line["words"])),
    "found": lambda run, line: finds(run, line["what"], line["said"]),
    "unseen": lambda run, line: misses(run, line["what"]),
    "named": lambda run, line: run.named.add(line["what"]),
    "spoilt": lambda run, line: run.spoilt.add(line["what"]),
    "trees": lambda run, line: run.trees.add(line["what"]),
    "executed": lambda run, line: run.executed.add(line["what"]),
    "looked_up": lambda run, line: run.looked_up.add(line["what"]),
    "taken": lambda run, line: run.taken.add(line["what"]),
    "versions": lambda run, line: run.versions.add(line["what"]),
    "doubts": lambda run, line: run.doubts.add(line["what"]),
    "faults": lambda run, line: run.faults.append(line["what"]),
    "variables": lambda run, line: run.variables.setdefault(line["what"]),
    "inherited": lambda run, line: run.inherited.append(fact_learned(line["fact"])),
}
