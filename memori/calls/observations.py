"""What a run was seen to do, between the run, its entry and a decision.

While a callable runs, `Watch` has `memori.watch` look on. Afterwards it says what of that counts
(`Watch.facts`), which the entry keeps. A decision asks whether it still holds (`changes`).

A stage that runs inside another one belongs to the outer run: what the inner one depends on, the
outer one does too, also where the inner one was a hit (`pass_on`).

``MEMORI_WATCH=off`` (`memori.processes.settings`) watches nothing, and compares what was
seen earlier all the same. ``MEMORI_WATCH=required`` takes what was recorded unwatched for a
miss. ``MEMORI_IGNORE_READS`` leaves out further paths and patterns, with colons between, in all
stages.

Not promised: what `memori.watch` does not see (C libraries that open files themselves, what an
unwatched program reads); an entry names whom of these the run had loaded or started.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from memori.artifacts import anchors_of
from memori.errors import StageError
from memori.processes.settings import check_variables, setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from types import TracebackType

    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.fingerprint import Code
    from memori.store import Entry, Store
    from memori.watch import Facts, Observed

    Difference = tuple[str, str, str, str]

CONSUMED = (
    "{} took away a file that it read, and without which an earlier run had other results, so this "
    "run is not remembered; copy the file, or name it as an argument"
)
_MOST_NAMES = 4096
_names: dict[int, tuple[Code, list[str]]] = {}


def watching_is_off() -> bool:
    """Tell whether the user turned watching off; what is misspelt is told before anything runs."""
    check_variables()
    return setting("watch") == "off"


class Watch:
    """The watch over one run; the run goes on inside its with block.

    Parameters
    ----------
    code : Code
        What the callable is and reaches, before it runs.
    store : Store
        Where the run is recorded.
    ignored : iterable of str, optional
        Paths and patterns of files that do not count.

    Attributes
    ----------
    seen : Observed
        What the run was seen to do so far.
    """

    def __init__(self, code: Code, store: Store, ignored: Iterable[str] = ()) -> None:
        from memori.digest.clock import learn
        from memori.watch.environment import values_of
        from memori.watch.hook import watching
        from memori.watch.inherited import Reach
        from memori.watch.left_out import LeftOut

        self._code = code
        self._store = store
        everywhere = filter(None, setting("ignore_reads").split(os.pathsep))
        self._left_out = LeftOut([*ignored, *everywhere])  # the run may leave for another folder
        self._reach = Reach.of(code)
        self._variables = values_of(variables_of(code))
        self._environment = dict(os.environ)
        learn(store.root)
        self._watching = watching(store.memo)
        self._changed: set[tuple[int, str]] = set()
        self.seen: Observed

    def __enter__(self) -> Watch:
        from memori.fingerprint.opaque import file_behind
        from memori.watch.unkept import begins

        self.seen = begins(self._watching.__enter__())
        for path, may_write in filter(None, map(file_behind, self._code.handles)):
            if os.path.isfile(path):
                (self.seen.connects if may_write else self.seen.reads)(path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from memori.watch.environment import settle_environment
        from memori.watch.unkept import fails

        self._watching.__exit__(kind, error, trace)
        self._changed = self._code.settle()
        asked = ("PATH", *self.seen.variables)
        settle_environment({**self._before(asked), **self._variables})
        if error is not None:
            fails(self.seen, self._changed, self._code.caches)

    def facts(
        self, own: Iterable[str], counted: Collection[str], artifacts: Iterable[Artifact] = ()
    ) -> Facts:
        """Return what counts of the run, and of what the process knows from earlier ones.

        Parameters
        ----------
        own : iterable of str
            Folders of the run's own, absolute.
        counted : collection of str
            Absolute paths that count already.
        artifacts : iterable of Artifact
            What it returned.

        Raises
        ------
        OSError
            If a file that was read cannot be read any more.
        """
        from memori.watch.inherited import inherit
        from memori.watch.sieve import Sieve
        from memori.watch.unkept import is_over, of_others

        behind = self._behind_pickles()
        followed = self._code.followed() if self.seen.imported or self.seen.inherited else set()
        followed -= behind
        sieve = Sieve(
            self.seen,
            self._store.memo,
            own=own,
            counted=counted,
            followed=_modules_in(followed) if followed else (),
            counts_loaded=self._code.imports_any,
            made=self._store.was_written_for(artifacts),
            left_out=self._left_out,
        )
        facts = sieve.facts()
        facts.variables = self._asked(facts.tools)
        told = [
            (kind, f)
            for kind, f in self.seen.inherited
            if kind != "modules" or f.path not in followed
        ]
        told += of_others(self.seen, self._reach, self._changed)
        inherit(facts, self._reach, told, sieve.leaves_out)
        is_over(facts, self.seen, self._changed, self._code.caches)
        if self.seen.versions:
            from memori.fingerprint.versions import unlike

            codes = self._code.codes
            other = (unlike(bytes.fromhex(each), codes) for each in self.seen.versions)
            names = sorted({code.co_qualname for each in other for code in each})
            facts.doubts += [f"a worker process ran another version of {name}" for name in names]
        facts.doubts += sorted(self.seen.doubts)
        return facts

    def _behind_pickles(self) -> set[str]:
        """Count the modules of what was unpickled and is not reached; return their files."""
        reached = {id(each) for each in self._code.things} if self.seen.taken else set()
        if not reached:
            return set()  # nothing was taken, or the user answers for the code
        from memori.watch.modules import modules_behind

        files = modules_behind(self.seen.taken, reached)
        for path in files:
            self.seen.imports(path)
        return files

    def _asked(self, tools: Collection[str]) -> dict[str, str | None]:
        """Return the variables that the run asked for, and what it started, by their values."""
        from memori.watch.environment import counted_variables, settle_environment

        below: set[str] = set()
        if self.seen.programs or self.seen.executed:
            from memori.watch.commands.variables import scripts_of, variables_below

            scripts = scripts_of(self.seen).difference(tools)
            scripts -= self._left_out.among(scripts)
            below = variables_below(self.seen, scripts).difference(self.seen.variables)
            settle_environment(self._before(below))
        names = [*self.seen.variables, *sorted(below)]
        return counted_variables(name for name in names if name not in self._variables)

    def _before(self, names: Iterable[str]) -> dict[str, str | None]:
        return {name: self._environment.get(name) for name in names}


def why_forgotten(changed: Artifact | None, facts: Facts | None) -> str:
    """Return why a run is not to be remembered; nothing if it is.

    Parameters
    ----------
    changed : Artifact or None
        An input that changed while the stage ran.
    facts : Facts or None
        What was seen of the run.
    """
    what = ""
    if changed is not None:
        what = f"the input {changed.path}"
    elif facts is not None and facts.unvouched:
        what = f"the file {facts.unvouched[0]}, which it read,"
    elif facts is not None and facts.spoilt:
        why, _, advice = facts.spoilt[0].partition("; ")
        return f"{why}, so this run is not remembered; {advice or 'run it again'}"
    elif facts is not None and facts.doubts:
        why = facts.doubts[0]
        return f"{why}, so this run is not remembered; start the workers anew, inside the stage"
    elif facts is not None and facts.faults:
        return (
            f"watching it went wrong ({facts.faults[0]}), so nobody knows all that it read, and "
            "this run is not remembered; see whether the temporary folder is full, or turn "
            "watching off (watch=False)"
        )
    return what and (
        f"{what} changed while the stage ran, so this run is not remembered; "
        "write to a new file instead (of a log, name the input in ignore=)"
    )


class Unwatched:
    """Takes note of what a run changed in this process: of one that goes on each time, nothing."""

    def __init__(self, code: Code | None) -> None:
        self._code = code

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        if self._code is not None:
            self._code.settle()


def _modules_in(files: Collection[str]) -> set[str]:
    """Return the names of the loaded modules that come from some files."""
    return {
        name
        for name, module in list(sys.modules.items())
        if getattr(module, "__file__", None) in files
    }


# Deciding


def variables_of(code: Code) -> list[str]:
    """Return the names of the environment variables that code reads."""
    known = _names.get(id(code))
    if known is not None and known[0] is code:
        return known[1]
    found: list[str] = []
    if code.functions:
        from memori.watch.environment import environment_names

        found = environment_names(code.functions)
    if len(_names) >= _MOST_NAMES:
        _names.clear()
    _names[id(code)] = code, found
    return found


def environment_of(code: Code) -> dict[str, JSON]:
    """Return the environment variables that code reads, as they count now."""
    names = variables_of(code)
    if not names:
        return {}
    from memori.watch.environment import counted_variables

    found = counted_variables(names)
    return {f"variable {name}": value for name, value in found.items() if value is not None}


def differences(entry: Entry, store: Store, files: Iterable[Artifact]) -> Iterator[Difference]:
    """Yield what is not any more as an entry's run found or left it: (kind, path, old, new)."""
    record = entry.record.get("observed")
    if record is None:
        if setting("watch") == "required":
            yield "unwatched", "", "", ""
        return
    if len(record) < 2:  # nothing but the root
        return
    from memori.watch.check import differences as compared
    from memori.watch.places import datasets_of

    files = list(files)
    yield from compared(
        record,
        store.root,
        store.memo,
        datasets=datasets_of(file.absolute for file in files if file.absolute),
        anchors=anchors_of(files),
        made=store.was_written_for(entry.artifacts),
        came_of=partial(_came_of, entry, store),
    )
    if "appended" in record:
        from memori.watch.places import Places

        for path in Places(store.root, record["root"]).paths(record["appended"]):
            if store.is_written_anew(entry, path):
                yield "appended", path, "", ""


def _came_of(entry: Entry, store: Store, kind: str, path: str, pair: tuple[str, str]) -> bool:
    if store.came_of(entry, path, pair, returned=False):
        return True
    return kind == "written" and store.can_put_back(path, pair)


def put_back(entry: Entry, store: Store, files: Iterable[Artifact]) -> None:
    """Put back what a remembered run left outside its folder and another one wrote over.

    Raises
    ------
    StageError
        If that cannot be written: without it the call is no hit.
    """
    record = entry.record.get("observed")
    if not record or "written" not in record or not store.has_replaced():
        return
    from memori.watch.check import differences as compared

    only = {"root": record["root"], "written": record["written"]}
    anchors = anchors_of(files)
    for _, path, *pair in compared(only, store.root, store.memo, anchors=anchors):
        old, new = pair
        stands = store.came_of(entry, path, (old, new), returned=False)
        if not stands and store.can_put_back(path, (old, new)):
            try:
                store.put_back(path, old)
            except OSError as error:
                raise StageError(
                    f"stage {entry.record['stage']!r} is remembered, and another run has since "
                    f"written over {path}, which cannot be put back ({error.strerror}): make room "
                    "or let it be written, or let each run write a file of its own"
                ) from error


# A stage inside a stage


def pass_on(entry: Entry, store: Store, files: Iterable[Artifact]) -> None:
    """Let the runs around here depend on what the run of an entry depended on."""
    outer = list(_outer_runs())
    if not outer:
        return
    files = list(files)
    paths = [file.absolute for file in files if file.kind == "file" and file.absolute]
    record = entry.record.get("observed")
    if record is not None:
        from memori.watch.check import read_paths

        paths += read_paths(record, store.root, anchors_of(files))
    from memori.watch.told import ran

    seen = record or {}
    for run in outer:
        for path in paths:
            run.reads(path)
        run.variables.update((n, None) for n in seen.get("variables", ()) if n not in run.variables)
        called = seen.get("called", {})
        run.looked_up.update(called)
        found = {name: path for name, path in called.items() if path}  # the others are not there
        run.executed.update(seen.get("tools", ()), found.values(), filter(os.path.isabs, found))
        for name in found:
            ran(run, (name,))


def tell_own_folder(folder: str) -> None:
    """Tell the runs around here that a folder is that of a run inside them."""
    for run in _outer_runs():
        run.makes(folder)


def _outer_runs() -> Iterator[Observed]:
    if "memori.watch.hook" not in sys.modules:
        return
    from memori.watch.observed import current

    run = current.get()
    while run is not None and run.live:
        yield run
        run = run.outer
