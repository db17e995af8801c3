"""Outputs of a command: what it is told to write, and what is found of it afterwards.

========================================  ==================================================
``"brain.nii.gz"``                        a file (or a folder) of that name
``"{in_file.stem}_brain.nii.gz"``         a name made from inputs and from outputs above it
``"*.mat"``, ``Glob("*.mat")``            the files that match, sorted; at least one
``"dicoms/"``, ``Folder("dicoms")``       a folder with all it holds; made before the command runs
``Optional("lesions.nii.gz")``            None where the command writes none
``Copy("in_file")``                       a copy of an input, which the command changes in place;
                                          of a list of files, a list of copies
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

import filecmp
import glob
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from memori.digest.folder import Folder
from memori.neuro.command.copies import private_copy, with_companions
from memori.neuro.command.errors import STREAMS
from memori.neuro.command.fields import Argument, Field, TemplateError, texts_of
from memori.neuro.command.output_names import WILD, before_wild, inside, names_in, rendered
from memori.neuro.command.template import parse_name
from memori.neuro.filenames import AmbiguousFileError, real_file

Spec: TypeAlias = "str | os.PathLike[str] | Output"
Place: TypeAlias = "str | list[str] | None"


class MissingOutputError(Exception):
    """A command did not write what it should have; the message says what."""


class Output(Protocol):
    """One output of a command."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the inputs that its own name is made of."""

    def place(self, name: str, values: Mapping[str, Any]) -> Any:
        """Return what fills its field, relative to the run's folder: a `Place`.

        One name, several for an output that is several files, None if nothing can.
        """

    def prepare(self, path: Any, values: Mapping[str, Any]) -> None:
        """Make ready for it in the run's folder, before the command runs."""

    def collect(self, place: Any, folder: str, ignored: frozenset[str]) -> Any:
        """Return its value, or raise a MissingOutputError.

        Parameters
        ----------
        place : str, list of str or None
            As `place` returned it.
        folder : str
            The run's own.
        ignored : frozenset of str
            Files in it that the command did not write.
        """


@dataclass(frozen=True)
class Named:
    """A file of a given name."""

    name: Argument

    @property
    def fields(self) -> tuple[str, ...]:
        """What its name is made of."""
        return names_in(self.name)

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """Return its name, filled."""
        return inside(name, rendered(name, self.name, values))

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """Make the folder that it goes to."""
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """Return the file or folder that was written under its name."""
        found = _written(place or "", folder)
        _reject_unwritten(place or "", found, folder, ignored)
        return Folder(found) if os.path.isdir(found) else found


@dataclass(frozen=True)
class Whole(Named):
    """A folder with all it holds."""

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """Make the folder."""
        os.makedirs(path, exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """Return the folder, with something in it."""
        path = os.path.join(folder, place or "")
        if not os.path.isdir(path) or not os.listdir(path):
            raise MissingOutputError(f"{place}/ with something in it")
        _reject_unwritten(f"{place}/", path, folder, ignored)
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
        """What the pattern is made of."""
        return names_in(self.name)

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """Return the pattern, filled; what inputs bring is taken literally."""
        pattern = rendered(name, self.name, values, glob.escape)
        inside(name, pattern)
        return pattern

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """Make the folder above the first wildcard."""
        os.makedirs(os.path.dirname(before_wild(path)), exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """Return the files that match, sorted."""
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
        """What the name is made of that it may have."""
        return self.output.fields

    def place(self, name: str, values: Mapping[str, Any]) -> Place:
        """Return where it would be."""
        found: Place = self.output.place(name, values)
        return found

    def prepare(self, path: Any, values: Mapping[str, Any]) -> None:
        """Make ready for it."""
        self.output.prepare(path, values)

    def collect(self, place: Any, folder: str, ignored: frozenset[str]) -> Any:
        """Return it, or None where it was not written."""
        try:
            return self.output.collect(place, folder, ignored)
        except MissingOutputError:
            return None


class Copy:
    """A copy of an input, for a command that changes its file in place.

    Parameters
    ----------
    of : str
        The input's name. Of a list of files, each is copied.
    """

    def __init__(self, of: str) -> None:
        self.of = of

    def __repr__(self) -> str:
        return f"Copy({self.of!r})"

    @property
    def fields(self) -> tuple[str, ...]:
        """The input that is copied."""
        return (self.of,)

    def place(self, name: str, values: Mapping[str, Any]) -> Place:
        """Return the input's own name, or one for each of a list."""
        places: list[str] = []
        for number, text in enumerate(texts_of(Field(self.of), values[self.of]), 1):
            own = os.path.basename(text.rstrip("/"))
            places.append(inside(name, os.path.join(str(number), own) if own in places else own))
        return places if isinstance(values[self.of], (list, tuple)) else places[0]

    def prepare(self, path: Any, values: Mapping[str, Any]) -> None:
        """Copy the input, with the files that belong to it."""
        several = isinstance(path, list)
        sources = values[self.of] if several else [values[self.of]]
        for place, named in zip(path if several else [path], sources, strict=True):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            for source in with_companions(named):
                self._copy(source, os.path.join(os.path.dirname(place), os.path.basename(source)))

    def _copy(self, source: str, copied: str) -> None:
        if not os.path.lexists(copied):
            private_copy(source, copied)
        elif not (os.path.isfile(copied) and filecmp.cmp(source, copied, shallow=False)):
            raise TemplateError(
                f"{self!r} of {source!r} would replace another output of the name "
                f"{os.path.basename(copied)!r}; the files of one command need names of their own"
            )

    def collect(self, place: Any, folder: str, ignored: frozenset[str]) -> Any:
        """Return the copy, or each of several."""
        if isinstance(place, list):
            return [self.collect(each, folder, ignored) for each in place]
        path = os.path.join(folder, place)
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
        """What its file's name is made of."""
        return names_in(self.file or ())

    def place(self, name: str, values: Mapping[str, Any]) -> str | None:
        """Return the name of its file, if it has one."""
        return None if self.file is None else inside(name, rendered(name, self.file, values))

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """Make the folder that its file goes to."""
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Any:
        """Return what was printed: as a value, or as a file."""
        printed = os.path.join(folder, STREAMS[0])
        if place is not None:
            return _replaced(os.path.join(folder, place), printed)
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
        return Glob(text) if WILD.search(text) else Named(parse_name(text))
    if not hasattr(spec, "collect"):
        raise TypeError(
            f"an output is a name such as 'brain.nii.gz', or one of Folder, Glob, Optional, Copy "
            f"and Stdout, got {spec!r}"
        )
    return spec


def paths_at(place: str | list[str], folder: str) -> str | list[str]:
    """Return where an output lies in a folder, or each of several."""
    if isinstance(place, list):
        return [os.path.join(folder, each) for each in place]
    return os.path.join(folder, place)


def fills(place: str | list[str], output: Output) -> str | list[str]:
    """Return what stands in the command for an output; a pattern ends at its first wildcard."""
    inner = output.output if isinstance(output, Optional) else output
    return before_wild(place) if isinstance(inner, Glob) and isinstance(place, str) else place


# What was written


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


def _reject_unwritten(place: str, found: str, folder: str, ignored: frozenset[str]) -> None:
    """Raise if an output is nothing but the copy of an input that the command left as it was."""
    files = [found]
    if os.path.isdir(found):
        files = [os.path.join(above, name) for above, _, names in os.walk(found) for name in names]
    if files and all(os.path.relpath(each, folder) in ignored for each in files):
        raise MissingOutputError(
            f"{place} (what lies there is the copy of an input of that name, unchanged; Copy(...) "
            "is an output for commands that may leave a file as it is)"
        )


def _replaced(target: str, source: str) -> str:
    """Put a copy at a path, also over a link, which is not followed; return the path."""
    partial = f"{target}.{os.urandom(6).hex()}.partial"
    private_copy(source, partial)
    os.replace(partial, target)
    return target
