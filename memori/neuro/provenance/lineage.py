"""The lineage of files: the runs that made them, the files that those used, and so on.

It is drawn from entries of the store and from the records of derivatives, and from nothing else: no
tool is asked, and no file is read. A derivative is a copy of what a run made, known by its digest
and, where several runs made the same, by its source. A command's input, of which an entry knows the
name and the digest alone, is what another run made of that digest, or the file that the command
line names.

Not promised: files that runs read without being given them (`observed`), and the runs that made
files of which no memory that was looked at tells.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from memori.artifacts import Artifact
from memori.neuro.bids.placing import as_json
from memori.neuro.bids.written import Known, known_around, known_below
from memori.store import Entry, Memory, memories_around, memories_below


@dataclass
class File:
    """A file or folder.

    Attributes
    ----------
    path : str
        Absolute; empty if nobody knows where it lies.
    name : str
        The last part of its path.
    sha256 : str
        Of its content, or of the names and contents in a folder; empty if unknown.
    is_folder : bool
        Whether it is a folder.
    run : Run or None
        What made it.
    sources : list of File
        What it was made from, where the run is not known.
    is_sidecar : bool
        Whether memori wrote it, about the file beside it.
    """

    path: str
    name: str
    sha256: str = ""
    is_folder: bool = False
    run: Run | None = None
    sources: list[File] = field(default_factory=list)
    is_sidecar: bool = False

    @property
    def key(self) -> str:
        """What it is known by."""
        return self.path or f"{self.sha256}/{self.name}"


@dataclass
class Run:
    """A run of a stage, as its entry tells of it.

    Attributes
    ----------
    entry : Entry
        The entry.
    used : list of File
        The files among its inputs.
    """

    entry: Entry
    root: str
    used: list[File] = field(default_factory=list)

    @property
    def record(self) -> Mapping[str, Any]:
        """What the entry holds."""
        return self.entry.record

    @property
    def key(self) -> str:
        """Of the run, as `memori show` takes it."""
        return self.entry.key

    @property
    def title(self) -> str:
        """Stage and key, as `memori show` takes them; further runs of one key have a number."""
        number = self.entry.path.removesuffix(".json").rpartition("-")[2].partition(".")[2]
        return f"{self.stage}/{self.key[:8]}" + (f".{number}" if number else "")

    @property
    def stage(self) -> str:
        """The stage's name."""
        return str(self.record["stage"])

    @property
    def began(self) -> datetime | None:
        """When it began, UTC."""
        at = (self.record.get("ran") or {}).get("at")
        return datetime.fromisoformat(at).astimezone(UTC) if at else None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float((self.record.get("ran") or {}).get("seconds") or 0)

    @property
    def ended(self) -> datetime | None:
        """When it ended, UTC."""
        return None if self.began is None else self.began + timedelta(seconds=self.seconds)

    @property
    def host(self) -> str:
        """The machine."""
        return str((self.record.get("ran") or {}).get("host") or "")

    @property
    def python(self) -> str:
        """The version of Python."""
        return str((self.record.get("ran") or {}).get("python") or "")

    @property
    def command(self) -> list[str]:
        """The words of the command; empty for a function."""
        return [str(word) for word in (self.record.get("command") or {}).get("argv", ())]

    @property
    def container(self) -> str:
        """The container that it ran in, `engine://image`; empty for none."""
        return str((self.record.get("command") or {}).get("container") or "")

    @property
    def code(self) -> str:
        """The digest of the code."""
        code = self.record["code"]
        return str(code["canonical"] or code["fast"])

    @property
    def parameters(self) -> dict[str, Any]:
        """The inputs that are no files."""
        files = {artifact.pointer[0] for artifact in self.entry.files}
        return {name: value for name, value in self.entry.inputs.items() if name not in files}

    @property
    def software(self) -> list[tuple[str, str]]:
        """Names and versions: the tool, or the function (by its code) and its distributions."""
        command = self.record.get("command")
        if command:
            name = os.path.basename(str(command["tool"]))
            version = str(command.get("version") or "")
            return [(name, version.removeprefix(f"{name} "))]
        components = self.record["code"]["components"]
        return [(str(self.record["function"]), self.code[:12])] + [
            (label.removeprefix("distribution "), str(version))
            for label, version in components.items()
            if label.startswith("distribution ")
        ]

    def accepted(self) -> list[str]:
        """Say who took its outputs for those of other code or inputs, and when."""
        from memori.calls.decision import told_acceptance

        return [told_acceptance(each) for each in self.record.get("accepted") or ()]


class Lineage:
    """The files that were asked for, and all that they came from.

    Parameters
    ----------
    where : str or os.PathLike
        A folder, whose files are asked for, or one file.
    memories : iterable of str
        Folders below which runs are remembered; below `where` it is looked as well.

    Attributes
    ----------
    where : str
        Absolute.
    asked : list of File
        The files that were asked for, by their paths.
    files : list of File
        Those and the files that they came from, each once.
    runs : list of Run
        The runs that made them, in the order in which they began.
    """

    def __init__(
        self, where: str | os.PathLike[str], memories: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        self.where = _real(where)
        self._files: dict[str, File] = {}
        self._by_digest: dict[str, list[File]] = {}
        self._runs: dict[str, Run] = {}
        folders = [self.where, *map(_real, memories)]
        found = [memory for folder in folders for memory in memories_below(folder)]
        for memory in {m.root: m for m in [*found, *memories_around(self.where)]}.values():
            self._add_memory(memory)
        for run in self._runs.values():
            run.used = [f for a in run.entry.files if (f := self._used(run, a)) is not None]
        for known in [*known_below(self.where), *known_around(self.where)]:
            self._add_derivative(known)
        inside = (f for f in self._files.values() if f.path and self._is_asked(f.path))
        self.asked = sorted(
            (f for f in inside if f.run or f.sources or f.is_sidecar), key=lambda f: f.path
        )
        self.files = self._reached()
        runs = {id(f.run): f.run for f in self.files if f.run is not None}
        self.runs = sorted(runs.values(), key=lambda r: (str(r.began), r.stage, r.key))

    def is_present(self, file: File) -> bool:
        """Tell whether it is what its path holds now, as far as is remembered."""
        return self._files.get(file.path) is file

    def made_by(self, run: Run) -> list[File]:
        """Return the files that a run made."""
        return self._made_by.get(id(run), [])

    def _reached(self) -> list[File]:
        found: dict[int, File] = {}
        self._made_by: dict[int, list[File]] = {}
        waiting = deque(self.asked)
        while waiting:
            file = waiting.popleft()
            if id(file) not in found:
                found[id(file)] = file
                self._made_by.setdefault(id(file.run), []).append(file)
                waiting += above(file)
        return list(found.values())

    def _is_asked(self, path: str) -> bool:
        below = path == self.where or path.startswith(self.where.rstrip(os.sep) + os.sep)
        return below and os.path.lexists(path)

    # Putting it together

    def _add_memory(self, memory: Memory) -> None:
        for stage in memory.stages():
            for entry in memory.entries(stage):  # the newest first: it made what lies there now
                run = self._runs.setdefault(entry.path, Run(entry, memory.root))
                for artifact in entry.artifacts:
                    self._made(run, artifact)
                for value in entry.outputs.values():
                    self._made_value(run, value)

    def _made(self, run: Run, artifact: Artifact) -> None:
        path = artifact.locate(run.root)
        digest = _digest(artifact)
        file = self._files.get(path)
        if file is not None and file.sha256 == digest:
            return
        made = File(path, os.path.basename(path), digest, artifact.kind == "folder", run)
        if file is None:
            self._files[path] = made
        self._by_digest.setdefault(digest, []).append(made)

    def _made_value(self, run: Run, value: object) -> None:
        """Note a JSON value as what it is saved as, should it be a derivative."""
        if isinstance(value, str):
            return
        try:
            digest = hashlib.sha256(as_json(value)).hexdigest()
        except (TypeError, ValueError):
            return  # none that is saved
        self._by_digest.setdefault(digest, []).append(File("", "", digest, run=run))

    def _used(self, run: Run, artifact: Artifact) -> File | None:
        """Return the file that an input of a run is; None for a mere path."""
        if artifact.kind == "path":
            return None
        digest = _digest(artifact)
        name = os.path.basename(artifact.path)
        located, named = artifact.locate(run.root), path_in(run.command, name)
        made = [f for f in self._by_digest.get(digest, ()) if f.name == name and f.run is not run]
        there = [f for f in made if f.path in (located, named) or _is_in_a_run(f.path, located)]
        path = located if os.sep in artifact.path or os.path.lexists(located) else named
        if not there and not os.path.lexists(located) and not os.path.lexists(named):
            there = sorted(made, key=lambda f: f.run is None or f.run.root != run.root)
        if there:
            return there[0]
        key = path or f"{digest}/{name}"
        known = self._files.get(key)
        if known is None or (known.sha256 and known.sha256 != digest):
            known = File(path, name, digest, artifact.kind == "folder")
            self._files[key] = known
        known.sha256 = known.sha256 or digest
        return known

    def _add_derivative(self, known: Known) -> None:
        file = File(known.path, os.path.basename(known.path), known.sha256)
        file.is_folder = os.path.isdir(known.path)
        file.is_sidecar = known.is_sidecar
        self._files[known.path] = file
        if file.is_sidecar:
            return
        made = [each.run for each in self._by_digest.get(known.sha256, ()) if each.run]
        runs = list({id(run): run for run in made}.values())
        source = os.path.realpath(known.source)
        fitting = [run for run in runs if _comes_from(run, source)]
        if fitting or len(runs) == 1:
            file.run = (fitting or runs)[0]
        else:
            name = os.path.basename(known.source)
            file.sources = [self._files.setdefault(known.source, File(known.source, name))]


def _real(path: str | os.PathLike[str]) -> str:
    """Return a path without links on the way; a file itself may be one, of DataLad."""
    if os.path.isdir(path):
        return os.path.realpath(path)
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def above(file: File) -> list[File]:
    """Return the files that one was made from."""
    return file.run.used if file.run is not None else file.sources


def _comes_from(run: Run, source: str) -> bool:
    """Tell whether a file, or one of a folder, is among all that a run came from."""
    seen: set[int] = set()
    waiting = list(run.used)
    while waiting:
        file = waiting.pop()
        if id(file) not in seen:
            seen.add(id(file))
            path = os.path.realpath(file.path) if file.path else ""
            if path and (path == source or path.startswith(f"{source}{os.sep}")):
                return True
            waiting += above(file)
    return False


def _is_in_a_run(path: str, located: str) -> bool:
    """Tell whether a path is what an entry names without the key of the run: `NAME/*/mask.nii`."""
    before, star, after = located.partition("/*/")
    middle = path.removeprefix(f"{before}/").removesuffix(f"/{after}")
    return bool(star) and path == f"{before}/{middle}/{after}" and "/" not in middle


def path_in(command: Iterable[str], name: str) -> str:
    """Return the absolute path with this name that a command line holds."""
    for word in command:
        path = word[word.find("/") :] if "/" in word else ""
        if path.startswith("/") and os.path.basename(path.rstrip("/")) == name:
            return os.path.normpath(path)
    return ""


def _digest(artifact: Artifact) -> str:
    return artifact.file.hash if artifact.file is not None else (artifact.folder or "")
