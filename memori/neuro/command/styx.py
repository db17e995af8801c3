"""NiWrap's tools, remembered: a Styx runner.

NiWrap (https://github.com/styx-api/niwrap) has a typed Python function for each tool of FSL, AFNI,
ANTs, FreeSurfer, MRtrix3 and Workbench. One line makes memori run them all::

    import niwrap
    from niwrap import mrtrix
    from memori.neuro import StyxRunner

    niwrap.set_global_runner(StyxRunner("work"))
    mask = mrtrix.mrthreshold("T1.nii.gz", "mask.nii.gz")

The same command line on the same files is then not run again. A function returns paths before its
tool has run, so they cannot lie in the run's own folder: they lead through a link beside it
(``work/NAME/call-...``), which is set to the run's folder when it ran or hit. An output that is
declared elsewhere (an absolute path) belongs to the run like any other: it is verified where it is.

NiWrap declares more than a tool writes, and does not say under which options it does. Where a tool
wrote nothing of what is declared, or wrote it under another name, a warning tells; where it left
nothing at all that could be verified, the call is run again each time.

A failure is memori's error and a `styxdefs.StyxRuntimeError` as well.

Not promised: that the paths of one call keep their content when an input file is changed and the
same call made again: they name the newest run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from memori.digest.folder import Folder
from memori.errors import warn
from memori.neuro.command.containers import Container
from memori.neuro.command.errors import STREAMS, CommandError
from memori.neuro.command.input_paths import absolute
from memori.neuro.command.stage import ShellStage
from memori.neuro.command.styx_errors import as_styx
from memori.neuro.command.styx_outputs import Declared, Outside, RunFolder, copy_names
from memori.neuro.tools.identity import ToolError
from memori.store import file_name

_OPEN, _CLOSE = "\N{LEFT DOUBLE ANGLE BRACKET}", "\N{RIGHT DOUBLE ANGLE BRACKET}"


class Metadata(Protocol):
    """What NiWrap tells of a tool (a `styxdefs.Metadata`)."""

    @property
    def id(self) -> str:
        """Its own name in NiWrap."""

    @property
    def name(self) -> str:
        """The tool's name."""

    @property
    def container_image_tag(self) -> str | None:
        """An image that has it."""


class StyxRunner:
    """Runs NiWrap's tools as stages.

    Parameters
    ----------
    hash_output : str or os.PathLike
        The folder in which they are remembered.
    container : str or Container, optional
        Where they run; ``"docker://"`` and ``"podman://"`` alone stand for the image that NiWrap
        names for each tool.
    **options
        Further keywords of `memori.neuro.ShellStage`: timeout, env, retries, threads, ...
    """

    def __init__(
        self,
        hash_output: str | os.PathLike[str],
        *,
        container: str | Container | None = None,
        **options: Any,
    ) -> None:
        self.hash_output = os.path.abspath(hash_output)
        self._container = container
        self._options = options

    def __repr__(self) -> str:
        return f"StyxRunner({self.hash_output!r})"

    def start_execution(self, metadata: Metadata) -> Execution:
        """Begin a call of a tool."""
        container = self._container
        if isinstance(container, str) and container.endswith("://"):
            if metadata.container_image_tag is None:
                raise ValueError(f"NiWrap names no image for {metadata.name}; give one")
            container += metadata.container_image_tag
        stage = ShellStage(
            _argv,
            {"folder": RunFolder(), "elsewhere": Outside()},
            self.hash_output,
            file_name(metadata.id),
            container=container,
            **self._options,
        )
        return Execution(stage, metadata, self.hash_output)


class Execution:
    """One call of a tool; NiWrap tells it of the inputs, then of the outputs, then to run.

    Attributes
    ----------
    stage : ShellStage
        What remembers the call; its `state` tells whether the tool was executed.
    """

    def __init__(self, stage: ShellStage, metadata: Metadata, root: str) -> None:
        self.stage = stage
        self._metadata = metadata
        self._root = root
        self._params: Mapping[str, Any] = {}
        self._files: dict[str, None] = {}
        self._copies: dict[str, None] = {}
        self._declared = Declared(stage.stage_name)

    def params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Take note of the parameters."""
        self._params = params
        return params

    def input_file(
        self,
        host_file: str | os.PathLike[str],
        *,
        resolve_parent: bool = False,
        mutable: bool = False,
    ) -> str:
        """Return the path under which the tool finds an input."""
        path = os.path.abspath(host_file)
        if mutable:
            if not os.path.isfile(path):
                raise FileNotFoundError(
                    f"{self.stage.stage_name} changes its input {path!r}, and there is no such file"
                )
            return self._copy_name(path)
        self._files[path] = None
        if resolve_parent:  # a prefix: all files that begin with it are inputs
            above, prefix = os.path.split(path)
            names = sorted(os.listdir(above)) if os.path.isdir(above) else []
            beside = [os.path.join(above, name) for name in names if name.startswith(prefix)]
            self._files.update(dict.fromkeys(beside))
        return path

    def _copy_name(self, path: str) -> str:
        self._copies[path] = None
        return copy_names(self._copies)[path]

    def output_file(self, local_file: str, *, optional: bool = False) -> Path:
        """Return where an output will be found."""
        self._declared.add(local_file, optional=optional)
        return Path(self._link(), local_file)

    def mutable_copy(self, host_file: str | os.PathLike[str]) -> Path:
        """Return where the changed copy of an input will be found."""
        return self.output_file(self._copy_name(os.path.abspath(host_file)))

    def _link(self) -> str:
        told = [self._metadata.id, self._params, list(self._files), list(self._copies)]
        digest = hashlib.sha256(json.dumps(told, default=_by_path).encode()).hexdigest()
        return os.path.join(self._root, self.stage.stage_name, f"call-{digest[:16]}")

    def run(
        self,
        cargs: list[str],
        *,
        handle_stdout: Callable[[str], None] | None = None,
        handle_stderr: Callable[[str], None] | None = None,
    ) -> None:
        """Run the tool, unless this call is remembered, and hand on what it prints.

        Raises
        ------
        CommandError
            If it fails.
        ToolError
            If it is not installed.
        """
        files = [Folder(path) if os.path.isdir(path) else path for path in self._files]
        inputs: dict[str, Any] = {
            "command": json.dumps([_with_marks(word, files) for word in cargs]),
            "files": files,
            "copies": list(self._copies),
            "outside": json.dumps(self._declared.outside),
        }
        try:
            results = self.stage.run(**inputs)
            nothing = self._declared.left_nothing(results["folder"], self._copies)
            if nothing and not self.stage.state:
                results = self.stage.run(**inputs, force_run_stage=True)
        except (CommandError, ToolError) as error:
            raise as_styx(error, cargs) from error.__cause__
        complaint = self._declared.complaint(results["folder"], self._copies)
        if complaint is not None:
            warn(complaint)
        _point(self._link(), results["folder"])
        for name, handle in zip(STREAMS, (handle_stdout, handle_stderr), strict=True):
            if handle is not None:
                with open(os.path.join(results["folder"], name), errors="replace") as file:
                    for line in file:
                        handle(line.removesuffix("\n"))


def _argv(command: str, files: list[str], copies: list[str]) -> list[str]:
    """Return the command line; each mark in it stands for one of the files."""
    mark = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
    return [mark.sub(lambda found: files[int(found[1])], word) for word in json.loads(command)]


def _with_marks(word: str, files: list[str]) -> str:
    """Replace paths by marks: a file counts by its content and base name only."""
    for path in sorted(files, key=len, reverse=True):
        word = word.replace(path, f"{_OPEN}{files.index(path)}{_CLOSE}")
    return word


def _by_path(value: object) -> str:
    """Make text of the paths among the parameters."""
    return absolute(str(value)) if isinstance(value, os.PathLike) else repr(value)


def _point(link: str, folder: str) -> None:
    """Let a link lead to a folder, in one step."""
    target = os.path.relpath(folder, os.path.dirname(link))
    if os.path.islink(link) and os.readlink(link) == target:
        return
    partial = f"{link}.{os.urandom(6).hex()}.partial"
    os.symlink(target, partial)
    try:
        os.replace(partial, link)
    except BaseException:
        os.unlink(partial)
        raise
