"""The recording of a run: from returned values to an entry.

What describes the code is taken before the callable runs, because the run may change what it
reaches. The files are looked at again after it: an input that names a file which only the run
made is filed as the run left it, so that the next call with the same arguments is a hit; so is
one that stood there before and that the run was seen to write before it read it. For a file that a
program or a C library may have written, it is proof enough that it is returned as an output, or
that an earlier run of the stage left just what stood there. Any other input file whose content
changed while the stage ran cannot be vouched for, and the run is not remembered.

If somebody else recorded the same run meanwhile (where no lock could be had), that entry is taken,
and what this run made in its own folder is removed: nobody was given it.

Not promised: to notice an input that was changed and changed back while the stage ran.
"""

from __future__ import annotations

import os
import sys
import time
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from memori.artifacts import find_outputs, relative_values
from memori.decision import output_changes
from memori.errors import RecordError, warn
from memori.key import Key
from memori.store import SCHEMA, Entry
from memori.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.results import Results
    from memori.store import Store
    from memori.watch import Observed

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
    reasons : sequence of str, optional
        Why it runs.
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
        reasons: Sequence[str] = (),
    ) -> None:
        self._subject = subject
        self._before = key
        self._store = store
        self._forced = forced
        self._folder: str | None = None
        self._is_over = False
        self._has_returned = False
        self._process = os.getpid()
        self._record: dict[str, JSON] = {
            "memori": __version__,
            "schema": SCHEMA,
            "stage": stage_name,
            "function": function,
            "code": {
                "fast": key.code.fast,
                "canonical": key.code.canonical(),
                "components": key.code.components(),
                "unresolved": list(key.code.unresolved),
            },
            "reasons": _first(reasons),
            "case": None,
        }
        self._began = time.time()
        self._cpu = _usage()[0]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._folder is None or self._is_over or os.getpid() != self._process:
            return
        note = self._store.released if self._has_returned else self._store.failed
        try:
            note(self._folder)
        except OSError:
            pass  # a full disk: the next run sees it when this process is gone

    def new_folder(self) -> str:
        """Make the run's own folder and return it, absolute."""
        self._folder = self._store.new_folder(self._before)
        return os.path.join(self._store.root, self._folder)

    def finish(
        self,
        values: dict[str, JSON],
        results: Results,
        seen: Observed | None,
        look_again: Callable[[], Key],
    ) -> Entry | None:
        """Write the entry of a run that returned.

        Parameters
        ----------
        values : dict of str to JSON
            The outputs.
        results : Results
            What the exception carries if the entry cannot be written.
        seen : Observed or None
            What the run was seen to do; None if it was not watched.
        look_again : callable
            Finds the key of the same inputs as they are now.

        Returns
        -------
        Entry or None
            The entry that holds from now on: of this run, or of an equal one that was recorded
            meanwhile. None if the run cannot be remembered because an input file changed.

        Raises
        ------
        RecordError
            If something cannot be read or written.
        """
        seconds = time.time() - self._began
        self._has_returned = True
        try:
            artifacts = self._outputs(values)
            after = look_again() if self._before.may_name_files else self._before
            changed = self._changed_input(after, artifacts, seen)
            if changed is not None:
                warn(
                    f"{self._subject}: the input {changed.path} changed while "
                    "the stage ran, so this run is not remembered; write to a new file instead"
                )
                return None
            return self._filed(self._entry(values, artifacts, after, seconds), after)
        except (OSError, ValueError, RecursionError) as error:
            raise RecordError(
                f"{self._subject} ran, but its outputs cannot be recorded in {self._store.root} "
                f"({error}); make room or permit writing there and run again. The results are in "
                "this exception's `results`",
                results,
            ) from error

    def _filed(self, entry: Entry, key: Key) -> Entry:
        """Put an entry into the store, unless an equal one was put there meanwhile."""
        store = self._store
        there = store.exact(key)
        if there is not None and not self._forced and not output_changes(there, store):
            if self._folder is not None and there.folder != self._folder:
                store.drop_folder(self._folder)
            self._is_over = True
            store.follow(there)
            return there
        store.write(entry, key)
        store.mark_made(_written(self._before, key))
        if self._folder is not None:
            store.finished(self._before, self._folder)
        self._is_over = True
        store.show(entry)
        if there is not None and there.folder is not None and there.folder != entry.folder:
            store.replaced(there.folder)
        return entry

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
            return how != "read"
        return file.absolute in named or self._store.was_made(file)

    def _outputs(self, values: dict[str, JSON]) -> list[Artifact]:
        folder = None if self._folder is None else os.path.join(self._store.root, self._folder)
        return find_outputs(values, self._store.root, self._store.memo, folder)

    def _entry(
        self, values: dict[str, JSON], artifacts: list[Artifact], key: Key, seconds: float
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
        return Entry(record)


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
