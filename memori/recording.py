"""The recording of a run: from returned values to an entry.

What describes the code is taken before the callable runs, because the run may change what it
reaches. The files are looked at again after it: an input that names a file which only the run
made is filed as the run left it, so that the next call with the same arguments is a hit; so is
one that an earlier run of the stage made and this one wrote again. Any other input file whose
content changed while the stage ran cannot be vouched for, and the run is not remembered.

Not promised: to notice an input that was changed and changed back while the stage ran.
"""

from __future__ import annotations

import os
import sys
import time

from memori.artifacts import find_outputs, relative_values
from memori.decision import compare
from memori.entry import SCHEMA, Entry, Fingerprint
from memori.errors import MemoriWarning, RecordError
from memori.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.results import Results
    from memori.store import Store


class Recording:
    """What is known of a run before it starts, and how it ends up in the store.

    Parameters
    ----------
    subject : str
        What errors call the stage.
    stage_name, function : str
        For the record.
    fingerprint : Fingerprint
        What the run starts from.
    store : Store
        Where it is recorded.
    alone : bool
        Whether the lock of the key is held.
    """

    def __init__(
        self,
        subject: str,
        stage_name: str,
        function: str,
        fingerprint: Fingerprint,
        store: Store,
        *,
        alone: bool,
    ) -> None:
        self._alone = alone
        code = fingerprint.code
        self._subject = subject
        self._before = fingerprint
        self._store = store
        self._folder: str | None = None
        self._record: dict[str, JSON] = {
            "memori": __version__,
            "schema": SCHEMA,
            "stage": stage_name,
            "function": function,
            "code": {
                "fast": code.fast,
                "canonical": code.canonical(),
                "components": code.components(),
                "unresolved": list(code.unresolved),
            },
        }
        self._began = time.time()

    def new_folder(self) -> str:
        """Make the run's own folder and return it, absolute."""
        self._folder = self._store.new_folder(self._before, alone=self._alone)
        return os.path.join(self._store.root, self._folder)

    def finish(
        self,
        values: dict[str, JSON],
        results: Results,
        look_again: Callable[[], Fingerprint],
    ) -> Entry | None:
        """Write the entry of a run that returned.

        Parameters
        ----------
        values : dict of str to JSON
            The outputs.
        results : Results
            What the exception carries if the entry cannot be written.
        look_again : callable
            Fingerprints the same inputs as they are now.

        Returns
        -------
        Entry or None
            None if the run cannot be remembered because an input file changed meanwhile.

        Raises
        ------
        RecordError
            If something cannot be read or written.
        """
        seconds = time.time() - self._began
        try:
            after = look_again() if self._before.may_name_files else self._before
            changed = self._changed_input(after)
            if changed is not None:
                self._warn(changed)
                return None
            entry = self._entry(values, after, seconds)
            replaced = self._store.entry(after.names, after.key)
            self._store.write(entry, after.names)
            if self._folder is not None:
                self._store.mark_finished(self._before)
            self._store.drop_others(entry, after.names, lambda other: not compare(other, after))
            self._store.mark_made(_written(self._before, after))
            self._store.show(entry, after.names)
            if replaced is not None and replaced.folder not in (None, entry.folder):
                self._store.drop_folder(replaced.folder)
        except (OSError, ValueError, RecursionError) as error:
            raise RecordError(
                f"{self._subject} ran, but its outputs cannot be recorded in {self._store.root} "
                f"({error}); make room or permit writing there and run again. The results are in "
                "this exception's `results`",
                results,
            ) from error
        return entry

    def _changed_input(self, after: Fingerprint) -> Artifact | None:
        """Return an input that is not what it was, and that was not the stage's own product."""
        now = {file.pointer: file.identity for file in after.files}
        for file in self._before.files:
            is_same = file.kind == "path" or now.get(file.pointer) == file.identity
            if not is_same and not self._store.was_made(file):
                return file
        return None

    def _warn(self, changed: Artifact) -> None:
        import warnings

        warnings.warn(
            f"{self._subject}: the input {changed.path} changed while the stage ran, so this run "
            "is not remembered; write to a new file instead",
            MemoriWarning,
            stacklevel=5,
        )

    def _entry(self, values: dict[str, JSON], after: Fingerprint, seconds: float) -> Entry:
        folder = None if self._folder is None else os.path.join(self._store.root, self._folder)
        artifacts = find_outputs(values, self._store.root, self._store.memo, folder)
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began))
        record: dict[str, JSON] = {
            **self._record,
            "key": after.key,
            "ran": {
                "at": began,
                "seconds": round(seconds, 6),
                "python": f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}",
            },
            "surroundings": after.surroundings,
            "declared": list(after.outputs),
            "inputs": after.inputs,
            "files": [file.to_record() for file in after.files],
            "outputs": relative_values(values, artifacts),
            "artifacts": [artifact.to_record() for artifact in artifacts],
            "folder": self._folder,
        }
        return Entry(record)


def _written(before: Fingerprint, after: Fingerprint) -> list[Artifact]:
    """List the files named by inputs that are not what they were before the run."""
    then = {file.pointer: file.identity for file in before.files if file.kind == "file"}
    return [
        file
        for file in after.files
        if file.kind == "file" and then.get(file.pointer) != file.identity
    ]
