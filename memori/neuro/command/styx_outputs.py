"""What a tool of NiWrap leaves: in the run's folder, outside of it, and where nobody said.

Not promised: to find what a tool wrote outside of the run's folder without a word of NiWrap's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from memori.digest.folder import Folder
from memori.neuro.command.copies import private_copy, with_companions
from memori.neuro.command.output_names import RESERVED
from memori.neuro.filenames import AmbiguousFileError, real_file

_UNNAMED = ("", os.curdir, "stdout", "stderr")


class RunFolder:
    """All that the tool leaves in the run's folder."""

    fields = ()

    def __repr__(self) -> str:
        return "RunFolder()"

    def place(self, name: str, values: Mapping[str, Any]) -> str:
        """Return the folder itself."""
        return os.curdir

    def prepare(self, path: str, values: Mapping[str, Any]) -> None:
        """Put the copies there that the tool changes in place."""
        for source, name in copy_names(values["copies"]).items():
            own = os.path.basename(source)
            mark = name[: len(name) - len(own)]  # what tells it from another of its name
            for each in with_companions(source):
                copied = os.path.join(path, mark + os.path.basename(each))
                if not os.path.lexists(copied):  # a pair may be given by both its files
                    private_copy(each, copied)

    def collect(self, place: str | None, folder: str, ignored: frozenset[str]) -> Folder:
        """Return the folder with all it holds."""
        return Folder(folder)


class Outside:
    """What the tool is told to write outside of the run's folder."""

    fields = ("outside",)

    def __repr__(self) -> str:
        return "Outside()"

    def place(self, name: str, values: Mapping[str, Any]) -> list[str]:
        """Return the paths, as they were declared."""
        return [str(path) for path in json.loads(values["outside"])]

    def prepare(self, path: list[str], values: Mapping[str, Any]) -> None:
        """Leave it as it is."""

    def collect(self, place: list[str], folder: str, ignored: frozenset[str]) -> list[str]:
        """Return what is there of them; it is verified like any output."""
        paths = [os.path.normpath(os.path.join(folder, each)) for each in place]
        there = filter(os.path.exists, paths)
        return [Folder(path) if os.path.isdir(path) else path for path in there]


def _is_outside(name: str) -> bool:
    return os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == os.pardir


def copy_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the name of each copy in the run's folder; each has one of its own."""
    names: dict[str, str] = {}
    taken = set(RESERVED)
    for number, path in enumerate(paths):
        own = os.path.basename(path)
        names[path] = own
        while names[path] in taken:
            names[path] = f"{number}-{names[path]}"
        taken.add(names[path])
    return names


class Declared:
    """The outputs of which NiWrap says that a tool writes them.

    Parameters
    ----------
    tool : str
        Its name.
    """

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._optional: dict[str, bool] = {}

    def add(self, name: str, *, optional: bool) -> None:
        """Take note of one; what is printed is no file, and the folder itself is always there."""
        self._optional[name] = optional and self._optional.get(name, True)

    @property
    def outside(self) -> list[str]:
        """Those that lie outside of the run's folder."""
        return [name for name in self._optional if _is_outside(name)]

    def left_nothing(self, folder: str, copies: Iterable[str]) -> bool:
        """Tell whether files are expected and none is there, nor any other."""
        expected = self._expected(folder)
        is_there = any(map(os.path.exists, expected.values()))
        return bool(expected) and not is_there and not self._undeclared(folder, copies)

    def complaint(self, folder: str, copies: Iterable[str]) -> str | None:
        """Say what is expected and was written elsewhere; None if nothing was.

        Parameters
        ----------
        folder : str
            The run's own.
        copies : iterable of str
            The inputs that the tool changed in place.
        """
        expected = self._expected(folder)
        missing = {name: path for name, path in expected.items() if not os.path.exists(path)}
        others = [name for name, path in missing.items() if _has_other_spelling(path)]
        if not missing or (len(missing) < len(expected) and not others):
            return None
        found = self._undeclared(folder, copies)
        shown = ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
        return (
            f"{self._tool} ended well, and what NiWrap says that it writes is not there: "
            f"{', '.join(others or missing)}; instead {folder} holds "
            f"{shown or 'nothing, so this call is run again each time'}"
        )

    def _expected(self, folder: str) -> dict[str, str]:
        return {
            name: os.path.join(folder, name)
            for name, optional in self._optional.items()
            if not optional and name not in _UNNAMED
        }

    def _undeclared(self, folder: str, copies: Iterable[str]) -> list[str]:
        """Return the files in the run's folder that NiWrap does not speak of."""
        spoken = [os.path.normpath(name) for name in self._optional]
        spoken += [os.path.basename(each) for path in copies for each in with_companions(path)]
        return [
            name
            for name in _files_in(folder)
            if name not in RESERVED
            and not any(name == each or name.startswith(f"{each}{os.sep}") for each in spoken)
        ]


def _files_in(folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(above, name), folder)
        for above, _, names in os.walk(folder)
        for name in names
    )


def _has_other_spelling(path: str) -> bool:
    """Tell whether a file is there under the name that a suite made of this one."""
    try:
        real_file(path)
    except AmbiguousFileError:
        return True
    except FileNotFoundError:
        return False
    return True
