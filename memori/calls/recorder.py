"""The recording of a run: from returned values to an entry.

What describes the code is taken before the callable runs, because the run may change what it
reaches. The files are looked at again after it: an input that names a file which only the run
made is filed as the run left it, so that the next call with the same arguments is a hit; so is
one that stood there before and that the run was seen to write before it read it. For a file that a
program or a C library may have written, it is proof enough that it is returned as an output, or
that an earlier run of the stage left just what stood there. Any other input file whose content
changed while the stage ran cannot be vouched for, and the run is not remembered.

If somebody else recorded the same run meanwhile (where no lock could be had), that entry is taken,
and what this run made in its own folder is removed: nobody was given it. An entry that was there
before, and holds again because this run made its outputs anew, or took away what it had not found,
gives way.

Not promised: to notice an input that was changed and changed back while the stage ran.
"""

from __future__ import annotations

import os
import sys
import time
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from memori.artifacts import anchors_of, current_folder, relative_values
from memori.aside import aside
from memori.calls.current_run import current
from memori.calls.decision import exact_hit, faults
from memori.calls.observations import CONSUMED, tell_own_folder, why_forgotten
from memori.calls.shared import Stood, changed_inputs, has_written, left_outside, tell_of_races
from memori.errors import RecordError, warn
from memori.keep.demand import digests_do
from memori.key import Key
from memori.store import SCHEMA, Entry
from memori.store.outputs import find_outputs
from memori.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memori.artifacts import Artifact
    from memori.calls.decision import Decision
    from memori.calls.observations import Watch
    from memori.calls.shared import Left
    from memori.digest.values import JSON
    from memori.fingerprint import Code
    from memori.results import Results
    from memori.store import Store
    from memori.watch import Facts, Observed

_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss
_MOST_REASONS = 16


class Recorder:
    """What is known of a run before it starts, and how it ends up in the store.

    Used in a with block around the run, so that a run which fails is noted as over.

    Parameters
    ----------
    subject : str
        What errors call the stage.
    stage_name, function : str
        For the record.
    key : Key
        What the run starts from.
    store : Store
        Where it is recorded.
    forced : bool, optional
        Whether it replaces an entry that stands.
    why : Decision, optional
        Why it runs; without, outputs that were there are adopted.
    inputs : dict of str to JSON, optional
        What it was given, for people; what counts of that by default.
    alone : callable, optional
        Returns source that makes the stage anew (`memori.calls.reproduction`).

    Attributes
    ----------
    command : dict of str to JSON, or None
        The command line that it executed, to be set before it is finished.
    accepted : JSON
        Who adopts the outputs, without a run (`memori.calls.acceptance`), set likewise.
    own_folders : list of str
        Further folders, absolute, that are the run's own: nothing in them is an observation.
    """

    def __init__(
        self,
        subject: str,
        stage_name: str,
        function: str,
        key: Key,
        store: Store,
        *,
        forced: bool = False,
        why: Decision | None = None,
        inputs: dict[str, JSON] | None = None,
        alone: Callable[[], str] | None = None,
    ) -> None:
        self._alone, self._here = alone, current_folder()
        self._subject = subject
        self._before = key
        self._store = store
        self._forced, self._inputs = forced, inputs
        self._folder: str | None = None
        self._is_over = self._has_returned = False
        self.command: dict[str, JSON] | None = None
        self.accepted: JSON = None
        self.own_folders: list[str] = []
        self._process = os.getpid()
        self._record: dict[str, JSON] = {
            "memori": __version__,
            "schema": SCHEMA,
            "stage": stage_name,
            "function": function,
            "code": code_record(key.code),
            "reasons": ["adopted"] if why is None else _first([*map(str, why.changes)]),
            "case": None,
        }
        before = None if why is None else why.compared
        if before:
            self._record["compared"] = before
        outer, self._inside = current(), list[str]()
        while outer is not None:
            self._inside.append(outer.key[-1] if outer.key else "")
            outer = outer.outer
        with aside():
            self._stood = Stood(store)
            there = () if forced else store.under(key)
            self._outdated = [each.record for each in there if faults(each, key, store)]
        self._began = time.time()
        self._cpu = _usage()[0]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._is_over or os.getpid() != self._process:
            return
        try:
            with aside():
                if error is not None:
                    self._keep_failure(error)
                if self._folder is not None:
                    note = self._store.released if self._has_returned else self._store.failed
                    note(self._folder)
        except (OSError, ValueError, RecursionError):
            pass  # a full disk, a value without a text: the error itself is raised in any case

    def _keep_failure(self, error: BaseException) -> None:
        from memori.calls import failure, reproduction
        from memori.calls.fault import met

        if not failure.is_failure(error):
            return
        inputs = failure.inputs_of(self._before) if self._inputs is None else self._inputs
        about = self._subject, self._record["function"], inputs, time.time() - self._began
        self._folder = self._folder or self._store.new_folder(self._before)
        own = os.path.join(self._store.root, self._folder)
        text = failure.describe(error, *about)
        text += reproduction.told(error, own, self._subject, self._here, inputs, self._alone)
        met(error, log=self._store.keep_failure(self._folder, text, whole=self._has_returned))

    def new_folder(self) -> str:
        """Make the run's own folder and return it, absolute."""
        with aside():
            self._folder = self._store.new_folder(self._before)
        folder = os.path.join(self._store.root, self._folder)
        tell_own_folder(folder)
        return folder

    def drop_folder(self) -> None:
        """Remove the run's own folder, which nobody was given."""
        if self._folder is not None:
            self._store.drop_folder(self._folder)
            try:
                os.rmdir(os.path.join(self._store.root, os.path.dirname(self._folder)))
            except OSError:
                pass  # there are others
            self._folder = None

    def returns(self) -> None:
        """Note that the run returned, so that what lies in its folder is left there for a day."""
        self._has_returned = True

    def finish(
        self,
        values: dict[str, JSON],
        results: Results,
        watch: Watch | None,
        look_again: Callable[[], Key],
    ) -> Entry | None:
        """Write the entry of a run that returned.

        Parameters
        ----------
        values : dict of str to JSON
            The outputs.
        results : Results
            What the exception carries if the entry cannot be written.
        watch : Watch or None
            The watch over the run; None if it was not watched.
        look_again : callable
            Finds the key of the same inputs as they are now.

        Returns
        -------
        Entry or None
            The entry that holds from now on: of this run, or of an equal one that was recorded
            meanwhile. None if the run cannot be remembered because a file that it read changed.

        Raises
        ------
        RecordError
            If something cannot be read or written.
        """
        if os.getpid() != self._process:
            return None  # forked by the run: what it returns is not what the run returns
        seconds = time.time() - self._began
        self.returns()
        try:
            artifacts = self._outputs(values)
            after = look_again() if self._before.may_name_files else self._before
            seen = None if watch is None else watch.seen
            changed = self._changed_input(after, artifacts, seen)
            facts = None if watch is None else self._facts(watch, artifacts)
            if facts is not None:
                tell_of_races(self._subject, self._store, self._before, facts, self._began)
            why = why_forgotten(changed, facts)
            if not why:
                entry = self._entry(values, artifacts, after, seconds, facts)
                written = self._written(artifacts, facts, seen)
                own = os.path.join(self._store.root, self._folder or "\0", "")
                about = own, self._store, artifacts, facts, seen, self._began, self._stood
                left = left_outside(*about, is_command=self.command is not None)
                return self._filed(entry, after, written, left)
            warn(f"{self._subject}: {why}")
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RecordError(
                f"{self._subject} ran, but its outputs cannot be recorded in {self._store.root} "
                f"({error}); make room or permit writing there and run again. The results are in "
                "this exception's `results`",
                results,
            ) from error

    def _facts(self, watch: Watch, artifacts: list[Artifact]) -> Facts:
        """Return what counts of what the run was seen to do, besides inputs and outputs."""
        counted = {file.absolute for file in self._before.files if file.kind == "file"}
        counted.update(artifact.locate(self._store.root) for artifact in artifacts)
        own = list(self.own_folders)
        if self._folder is not None:
            own.append(os.path.join(self._store.root, self._folder))
        return watch.facts(own, counted, artifacts)

    def _filed(self, entry: Entry, key: Key, written: list[str], left: Left) -> Entry | None:
        """Put an entry into the store, unless an equal one was put there meanwhile."""
        store = self._store
        left = {**changed_inputs(self._before, key, store), **left}
        store.note_left(key, left, self._began, self._inside)
        self._stood.keep_replaced(left)
        # Looked at first: what appears after it, somebody else was just given.
        before = {each.path: each for each in store.under(key)}
        there = None if self._forced else exact_hit(key, store)
        if there is not None and there.record in self._outdated:  # this run has made it hold again
            if entry.consumed > there.consumed and entry.outputs != there.outputs:
                warn(CONSUMED.format(self._subject))
                return None
        elif there is not None:
            if self._folder is not None and there.folder != self._folder:
                store.drop_folder(self._folder)
            self._is_over = True
            store.follow(there)
            return there
        with digests_do():  # also those whose files were removed by policy
            stood = [each for each in before.values() if not faults(each, key, store)]
        store.write(entry, key)
        store.mark_written(written, entry.artifacts)
        store.mark_made(_written(self._before, key))
        store.finished(self._before, self._folder)
        self._is_over = True
        store.show(entry)
        for each in before.values():
            is_same = each.path == entry.path
            if each in stood and not is_same:
                store.forget(each)
            if (is_same or each in stood) and each.folder not in (None, entry.folder):
                store.replaced(str(each.folder))
        return entry

    def _written(
        self, artifacts: list[Artifact], facts: Facts | None, seen: Observed | None
    ) -> list[str]:
        """List the files that the run wrote outside its folder."""
        own = os.path.join(self._store.root, self._folder or "\0", "")
        named = [each.locate(self._store.root) for each in artifacts if each.kind == "file"]
        paths = [path for path in named if has_written(path, seen, self._began)]
        paths += [] if facts is None else [fact.path for fact in facts.written]
        return [path for path in paths if not path.startswith(own)]

    def _changed_input(
        self, after: Key, outputs: list[Artifact], seen: Observed | None
    ) -> Artifact | None:
        """Return an input that is not what it was, and that is not the run's own product."""
        now = {file.pointer: file.identity for file in after.files}
        named = {artifact.locate(self._store.root) for artifact in outputs}
        for file in self._before.files:
            is_same = file.kind == "path" or now.get(file.pointer) == file.identity
            if not is_same and not self._is_own(file, named, seen):
                return file
        return None

    def _is_own(self, file: Artifact, named: set[str], seen: Observed | None) -> bool:
        """Tell whether the run wrote a file anew, rather than reading what somebody rewrote."""
        how = None if seen is None else seen.how(file.absolute)
        if how is not None:
            return how == "write"
        return file.absolute in named or self._store.was_made(file)

    def _outputs(self, values: dict[str, JSON]) -> list[Artifact]:
        folder = None if self._folder is None else os.path.join(self._store.root, self._folder)
        return find_outputs(values, self._store.root, self._store.memo, folder, self._before.files)

    def _entry(
        self,
        values: dict[str, JSON],
        artifacts: list[Artifact],
        key: Key,
        seconds: float,
        facts: Facts | None,
    ) -> Entry:
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began))
        cpu, peak = _usage()
        record: dict[str, JSON] = {
            **self._record,
            "key": key.digest,
            "ran": {
                "at": began,
                "seconds": round(seconds, 6),
                "cpu": round(cpu - self._cpu, 6),
                "peak": peak,
                "host": os.uname().nodename,
                "python": f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}",
            },
            "surroundings": key.surroundings,
            "declared": list(key.outputs),
            "inputs": key.inputs,
            "files": [file.to_record() for file in key.files],
            "outputs": relative_values(values, artifacts),
            "artifacts": [artifact.to_record() for artifact in artifacts],
            "folder": self._folder,
        }
        if self.command is not None:
            tool, asked = f"tool {self.command['tool']}", key.surroundings
            record["command"] = {**self.command, "version": asked.get(tool, asked.get("container"))}
        if self.accepted is not None:
            record["accepted"] = [self.accepted]
        if facts is not None:
            observed = facts.to_record(self._store.root, anchors_of(self._before.files))
            record["observed"] = observed if len(observed) > 1 else {}
        return Entry(record)


def code_record(code: Code) -> dict[str, JSON]:
    """Return what an entry keeps of the code."""
    return {
        "fast": code.fast,
        "canonical": code.canonical(),
        "components": code.components(),
        "unresolved": list(code.unresolved),
    }


def _written(before: Key, after: Key) -> list[Artifact]:
    """List the files named by inputs that are not what they were before the run."""
    then = {file.pointer: file.identity for file in before.files if file.kind == "file"}
    return [
        file
        for file in after.files
        if file.kind == "file" and then.get(file.pointer) != file.identity
    ]


def _first(reasons: Sequence[str]) -> list[str]:
    """Return the reasons of a run, and of very many how many there are."""
    left = len(reasons) - _MOST_REASONS
    return [*reasons[:_MOST_REASONS], *([f"and {left} more"] if left > 0 else [])]


def _usage() -> tuple[float, int]:
    """Return the seconds computed, and the most bytes held, by this process and ended children."""
    both = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    return (
        sum(each.ru_utime + each.ru_stime for each in both),
        max(each.ru_maxrss for each in both) * _MAXRSS,
    )
