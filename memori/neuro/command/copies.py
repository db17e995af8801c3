"""Inputs under their own names in the run's folder, as copies that are the run's own.

For tools that write beside their input or change it. They get no link: what is written to a link
lands in the file that it leads to, and nothing that memori made may lead a tool into raw data. A
copy takes no room where the file system shares blocks (Btrfs, XFS); elsewhere it takes room and
time until the run is over, when the copies that the tool left as they were are removed. One that
it changed is an output like any other file.

A copy lies at the top of the folder, where a tool that writes beside its input leaves outputs; in
`inputs/` if something else has its name: another input, an output whose path the tool is told, a
file that memori writes.

Not promised: owners, permissions and hard links of what is copied; and that a tool leaves alone
what it finds by itself, without a path that memori gave it.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import Any

from memori.digest.files import file_digest, is_file
from memori.digest.values import strings
from memori.neuro.command.errors import STREAMS
from memori.neuro.command.input_paths import absolute, is_folder
from memori.neuro.filenames import spellings
from memori.store import NOTE

_SECOND = 1_000_000_000  # ns


def private_copy(source: str, target: str) -> None:
    """Copy what a file holds to a new file that shares nothing with it.

    Raises
    ------
    FileExistsError
        If there is something at `target`, be it a link.
    OSError
        If it cannot be read or written.
    """
    with open(source, "rb") as old, open(target, "xb") as new:
        try:
            while os.copy_file_range(old.fileno(), new.fileno(), 1 << 30):
                pass
        except (AttributeError, OSError):
            pass  # another file system or system: the usual way, from there on
        old.seek(new.seek(0, os.SEEK_END))
        shutil.copyfileobj(old, new, 1 << 20)


def with_companions(path: str) -> list[str]:
    """Return a file and what belongs to it: the .img of a .hdr, the .BRIK of a .HEAD."""
    folder = os.path.dirname(path)
    return [path, *(os.path.join(folder, name) for name in file_digest(path).companions)]


class Copies:
    """The inputs of one run as copies in its folder.

    Parameters
    ----------
    folder : str
        The run's own folder.
    told : iterable of str
        Where the outputs go whose paths the command is given, relative to the folder.
    """

    def __init__(self, folder: str, told: Iterable[str] = ()) -> None:
        self._folder = folder
        self._taken = {*STREAMS, NOTE}.union(*({place, *spellings(place)} for place in told))
        self._places: dict[str, str] = {}
        self._made: dict[str, tuple[int, ...]] = {}
        self._folders: list[str] = []
        self._links: list[str] = []

    def bring(self, text: str) -> str:
        """Return the path of the copy of what a text names, or the text if it names nothing.

        A folder around the run's own is not copied.
        """
        path = absolute(text)
        if not (is_file(path) or is_folder(path)):
            return text
        if _holds(os.path.realpath(path), os.path.realpath(self._folder)):
            return path
        if path not in self._places:
            group = with_companions(path) if os.path.isfile(path) else [path]
            above = self._room_for([os.path.basename(each) for each in group])
            for each in group:
                place = os.path.join(above, os.path.basename(each))
                self._places.setdefault(each, place)
                self._copy(each, place, frozenset())
        return os.path.join(self._folder, self._places[path])

    def part_links(self) -> None:
        """Let each link to a file, at the top of the folder, lead to a copy of that file."""
        with os.scandir(self._folder) as entries:
            links = sorted(each.name for each in entries if each.is_symlink() and each.is_file())
        for name in links:
            path = os.path.join(self._folder, name)
            place = os.path.join(self._room_for([name]), name)
            self._copy_file(path, place)
            os.unlink(path)
            os.symlink(place, path)
            self._links.append(path)

    def _room_for(self, names: list[str]) -> str:
        """Return a folder, made if need be, in which nothing has one of these names."""
        for above in chain(("", "inputs"), (f"inputs-{number}" for number in count(2))):
            is_there = above in ("", *self._folders)
            if not is_there and not self._is_free(above):
                continue
            if all(self._is_free(os.path.join(above, name)) for name in names):
                if not is_there:
                    self._make_folder(above)
                return above
        raise AssertionError("unreachable: the numbers do not end")

    def _is_free(self, place: str) -> bool:
        return place not in self._taken and not os.path.lexists(os.path.join(self._folder, place))

    def _make_folder(self, place: str) -> None:
        os.mkdir(os.path.join(self._folder, place))
        self._folders.append(place)

    def _copy(self, source: str, place: str, around: frozenset[str]) -> None:
        """Copy a file or a folder; of a link, what it leads to (DataLad)."""
        if os.path.isfile(source):
            self._copy_file(source, place)
        real = os.path.realpath(source)
        if not os.path.isdir(source) or real in around:  # a pipe, a link to nothing or upwards
            return
        self._make_folder(place)
        for name in sorted(os.listdir(source)):
            self._copy(os.path.join(source, name), os.path.join(place, name), around | {real})

    def _copy_file(self, source: str, place: str) -> None:
        target = os.path.join(self._folder, place)
        private_copy(source, target)
        mode = os.stat(source).st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        if mode:
            os.chmod(target, os.stat(target).st_mode | mode)
        # An old time, so that any change shows, also one within a tick of the system's clock.
        then = min(os.stat(source).st_mtime_ns, time.time_ns() - _SECOND)
        os.utime(target, ns=(then, then))
        self._made[place] = _stat_of(target)

    def untouched(self) -> frozenset[str]:
        """Return the copies that are as they were made, relative to the folder."""
        return frozenset(
            place
            for place, made in self._made.items()
            if _stat_of(os.path.join(self._folder, place)) == made
        )

    def drop_untouched(self, outputs: list[Any]) -> None:
        """Remove the copies that nobody changed and no output is made of.

        Parameters
        ----------
        outputs : list of JSON
            Values; a folder among them keeps what it holds, a link in the run's folder what it
            leads to.
        """
        named = [text for _, text in strings(outputs, ()) if os.path.isabs(text)]
        links = set(_links(self._folder)).difference(self._links)
        kept = {os.path.realpath(path) for path in (*named, *links)}
        for place in self.untouched():
            path = os.path.join(os.path.realpath(self._folder), place)
            if not any(_holds(each, path) for each in kept):
                os.unlink(path)
        for link in self._links:
            if os.path.islink(link) and not os.path.exists(link):
                os.unlink(link)
        for place in reversed(self._folders):
            try:
                os.rmdir(os.path.join(self._folder, place))
            except OSError:
                pass  # something is in it


def _holds(folder: str, path: str) -> bool:
    """Tell whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _stat_of(path: str) -> tuple[int, ...]:
    """Return what a change of content changes; empty if the file is gone."""
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode


def _links(folder: str) -> Iterator[str]:
    for above, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(above, name)
            if os.path.islink(path):
                yield path
