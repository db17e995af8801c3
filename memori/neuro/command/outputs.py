"""Outputs of a command: what it is told to write, and what is found of it afterwards.

========================================  ==================================================
``"brain.nii.gz"``                        a file (or a folder) of that name
``"{in_file.stem}_brain.nii.gz"``         a name made from inputs and from outputs above it
``"*.mat"``, ``Glob("*.mat")``            the files that match, sorted; at least one
``"dicoms/"``, ``Folder("dicoms")``       a folder with all it holds; made before the command runs
``Optional("lesions.nii.gz")``            None where the command writes none
``Copy("in_file")``                       a copy of an input, which the command changes in place
``Stdout()``                              what it prints, as text
``Stdout(float)``, ``Stdout(int)``        one number
``Stdout(json.loads)``, any callable      what that makes of the text
``Stdout(numbers)``, also table, pairs    see `memori.neuro.command.stdout_parsers`
``Stdout(file="mean.1D")``                what it prints, kept as a file
========================================  ==================================================

Names are relative to the run's own folder and stay in it. The real extension on disk is found
when a suite chooses it itself (FSLOUTPUTTYPE, AFNI's ``+orig``).

Not promised: that a file is whole because it exists. A command says so by its exit code.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from memori.digest.files import file_digest
from memori.digest.folder import Folder
from memori.neuro.command.errors import NOTE, STREAMS
from memori.neuro.command.fields import Argument, Field, TemplateError, texts_of
from memori.neuro.command.template import parse_name
from memori.neuro.filenames import AmbiguousFileError, real_file

RESERVED = frozenset({*STREAMS, NOTE})
_WILD = re.compile(r"[*?]")
Spec: TypeAlias = "str | os.PathLike[str] | Output"


class MissingOutputError(Exception):
    """A command did not write what it should have; the message says what."""


class Output(Protocol):
    """One output of a command."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the inputs that its own name is made of."""

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """Return what fills its field, relative to the run's folder; None if nothing can."""

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """Make ready for it in the run's folder, before the command runs."""

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """Return its value, or raise a MissingOutputError."""


@dataclass(frozen=True)
class Named:
    """A file of a given name."""

    name: Argument

    @property
    def fields(self) -> tuple[str, ...]:
        """As in `Output`."""
        return _names(self.name)

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """As in `Output`."""
        return _inside(name, _render(name, self.name, values))

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """As in `Output`."""
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """As in `Output`."""
        found = _written(place or "", folder)
        return Folder(found) if os.path.isdir(found) else found


@dataclass(frozen=True)
class Whole(Named):
    """A folder with all it holds."""

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """As in `Output`."""
        os.makedirs(path, exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """As in `Output`."""
        path = os.path.join(folder, place or "")
        if not os.path.isdir(path) or not os.listdir(path):
            raise MissingOutputError(f"{place}/ with something in it")
        return Folder(path)


class Glob:
    """The files that match a pattern, sorted by name.

    Parameters
    ----------
    pattern : str
        ``*`` and ``?`` as usual, ``**`` for any folders; fields are filled from inputs. Where the
        output's field stands in the command, the text before the first of these fills it.
    least : int, optional
        How many there must be.
    """

    def __init__(self, pattern: str, least: int = 1) -> None:
        self.name = parse_name(pattern)
        self.least = least

    def __repr__(self) -> str:
        return f"Glob({self.name!r}, {self.least})"

    @property
    def fields(self) -> tuple[str, ...]:
        """As in `Output`."""
        return _names(self.name)

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """As in `Output`."""
        pattern = _render(name, self.name, values, glob.escape)
        _inside(name, pattern)
        return pattern

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """As in `Output`."""
        os.makedirs(os.path.dirname(_before_wild(path)), exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """As in `Output`."""
        found = sorted(
            name
            for name in glob.glob(place or "", root_dir=folder, recursive=True)
            if name not in ignored and _is_own_file(folder, name)
        )
        if len(found) < self.least:
            raise MissingOutputError(f"at least {self.least} of {place}")
        return [os.path.join(folder, name) for name in found]


class Optional:
    """An output that a command may leave out; its value is then None.

    Parameters
    ----------
    output : str or another kind of output
        What it is if it is there.
    """

    def __init__(self, output: Spec) -> None:
        self.output = output_of(output)

    def __repr__(self) -> str:
        return f"Optional({self.output!r})"

    @property
    def fields(self) -> tuple[str, ...]:
        """As in `Output`."""
        return self.output.fields

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """As in `Output`."""
        return self.output.place(name, values)

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """As in `Output`."""
        self.output.prepare(path, values)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """As in `Output`."""
        try:
            return self.output.collect(place, folder, ignored)
        except MissingOutputError:
            return None


class Copy:
    """A copy of an input, for a command that changes its file in place.

    Parameters
    ----------
    of : str
        The input's name.
    """

    def __init__(self, of: str) -> None:
        self.of = of

    def __repr__(self) -> str:
        return f"Copy({self.of!r})"

    @property
    def fields(self) -> tuple[str, ...]:
        """As in `Output`."""
        return (self.of,)

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """As in `Output`."""
        return _inside(name, os.path.basename(texts_of(Field(self.of), values[self.of])[0]))

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """As in `Output`."""
        for source in with_companions(values[self.of]):
            copied = os.path.join(os.path.dirname(path), os.path.basename(source))
            shutil.copyfile(source, copied)  # without its permissions: it may be read-only

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """As in `Output`."""
        path = os.path.join(folder, place or "")
        if not os.path.isfile(path):
            raise MissingOutputError(f"{place}")
        return path


class Stdout:
    """What a command prints.

    Parameters
    ----------
    parse : callable, optional
        Makes a value of the text; without it the text is the value, less the last line break.
    file : str, optional
        Keep it as a file of this name instead.
    """

    def __init__(self, parse: Callable[[str], Any] = str, *, file: str | None = None) -> None:
        if not callable(parse):
            raise TypeError(
                f"Stdout(parse) is a callable such as float or json.loads, got {parse!r}"
            )
        self.parse = parse
        self.file = None if file is None else parse_name(file)

    def __repr__(self) -> str:
        return f"Stdout({getattr(self.parse, '__qualname__', self.parse)}, file={self.file!r})"

    @property
    def fields(self) -> tuple[str, ...]:
        """As in `Output`."""
        return _names(self.file or ())

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """As in `Output`."""
        return None if self.file is None else _inside(name, _render(name, self.file, values))

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """As in `Output`."""
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """As in `Output`."""
        printed = os.path.join(folder, STREAMS[0])
        if place is not None:
            return shutil.copyfile(printed, os.path.join(folder, place))
        with open(printed, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        try:
            return self.parse(text[:-1] if text.endswith("\n") else text)
        except (ValueError, KeyError, IndexError) as error:
            shown = text if len(text) <= 200 else f"{text[:197]}..."
            raise MissingOutputError(
                f"{self!r} made of what it printed, {shown!r}: {error}"
            ) from error


def output_of(spec: Spec) -> Output:
    """Return the output that a user's words stand for.

    Raises
    ------
    TypeError
        If they stand for none.
    """
    if isinstance(spec, Folder):
        return Whole(parse_name(spec.rstrip("/")))
    if isinstance(spec, (str, os.PathLike)):
        text = os.fspath(spec)
        if text.endswith("/"):
            return Whole(parse_name(text.rstrip("/")))
        return Glob(text) if _WILD.search(text) else Named(parse_name(text))
    if not hasattr(spec, "collect"):
        raise TypeError(
            f"an output is a name such as 'brain.nii.gz', or one of Folder, Glob, Optional, Copy "
            f"and Stdout, got {spec!r}"
        )
    return spec


def fills(place: str, output: Output) -> str:
    """Return what stands in the command for an output: of a pattern, what comes before it."""
    inner = output.output if isinstance(output, Optional) else output
    return _before_wild(place) if isinstance(inner, Glob) else place


# Names and places


def _names(name: Argument) -> tuple[str, ...]:
    return tuple(piece.name for piece in name if isinstance(piece, Field))


def _render(
    output: str,
    name: Argument,
    values: Mapping[str, Any],
    escape: Callable[[str], str] = lambda text: text,
) -> str:
    parts = []
    for piece in name:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        texts = texts_of(piece, values[piece.name])
        if len(texts) != 1:
            raise TemplateError(f"the output {output!r} is named by {piece.name!r}, a list")
        parts.append(escape(texts[0]))
    return "".join(parts)


def _inside(output: str, name: str) -> str:
    """Return a name that stays in the run's folder, or raise a TemplateError."""
    normal = os.path.normpath(name) if name else "."
    if os.path.isabs(normal) or normal.split(os.sep)[0] == ".." or normal == "." or "\0" in name:
        raise TemplateError(
            f"the output {output!r} is named {name!r}; a name stays inside the run's folder. Of "
            "an input's path take a part, such as {in_file.stem}"
        )
    if normal in RESERVED:
        raise TemplateError(
            f"the output {output!r} is named {name!r}, which memori writes itself; what a command "
            "prints is captured by Stdout(file=...) under another name"
        )
    return normal


def _before_wild(path: str) -> str:
    found = _WILD.search(path.replace("[*]", "___").replace("[?]", "___"))
    text = path if found is None else path[: found.start()]
    return re.sub(r"\[([*?[])\]", r"\1", text)


def _is_own_file(folder: str, name: str) -> bool:
    """Tell whether a name leads to a file without a link to another folder on the way."""
    above = os.path.dirname(name)
    while above:
        if os.path.islink(os.path.join(folder, above)):
            return False
        above = os.path.dirname(above)
    return os.path.isfile(os.path.join(folder, name))


def _written(place: str, folder: str) -> str:
    """Return the file that a suite made of a name: ``brain.nii`` for ``brain.nii.gz`` and so on."""
    try:
        return real_file(os.path.join(folder, place))
    except (FileNotFoundError, AmbiguousFileError) as error:
        reason = "" if isinstance(error, FileNotFoundError) else f" ({error})"
        raise MissingOutputError(f"{place}{reason}") from None


def with_companions(path: str) -> list[str]:
    """Return a file and what belongs to it: the .img of a .hdr, the .BRIK of a .HEAD."""
    folder = os.path.dirname(path)
    return [path, *(os.path.join(folder, name) for name in file_digest(path).companions)]
