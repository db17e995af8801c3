"""The folders of a dataset, and what the names in them say.

    sub-*/[ses-*/]DATATYPE/name     files, and folders that are one file (`.ds`, `.ome.zarr`)
    tpl-*/[cohort-*/][DATATYPE/]    the same of templates
    sub-*/name, name                tables and sidecars of a subject, a session, the whole dataset

A listing is remembered within the process for as long as its folder's time stands, so that asking
again costs one look at each folder. A folder that changed within the last two seconds is listed
anew, because a second change may not show in its time; and so is each while a stage runs, so that
what the stage lists is seen.

Not promised: that a change shows which leaves the time of its folder as it was (network file
systems may keep it for seconds).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from memori.calls.current_run import current
from memori.neuro.bids.entities import split_name

_SETTLED = 2_000_000_000  # ns
_MOST_LISTINGS = 200_000
_listings: dict[tuple[int, int], tuple[int, list[Item]]] = {}
_WHOLE = ("sub-", "tpl-")
_PARTS = ("ses-", "cohort-")


class Item(NamedTuple):
    """A name in a folder.

    Attributes
    ----------
    name : str
        As it stands there.
    is_folder : bool
        Whether it is a folder, or a link to one.
    entities : dict of str to str
        What it says, by short names.
    suffix, extension : str
        Its end.
    """

    name: str
    is_folder: bool
    entities: dict[str, str]
    suffix: str
    extension: str


class Found(NamedTuple):
    """A file of a dataset: where it lies, its datatype, and what its name says."""

    folder: str
    datatype: str
    item: Item

    @property
    def path(self) -> str:
        """The path, beginning as the dataset's root does."""
        return os.path.join(self.folder, self.item.name)


def listing(folder: str) -> list[Item]:
    """Return what lies visibly in a folder, in the order of names; nothing if it is not there.

    What an editor keeps of an earlier text (`sub-01_bold.json~`) is hidden like a name with a dot.
    """
    try:
        status = os.stat(folder)
        place = (status.st_dev, status.st_ino)
        is_seen = current() is not None
        known = None if is_seen else _listings.get(place)
        if known is not None and known[0] == status.st_mtime_ns:
            return known[1]
        with os.scandir(folder) as entries:
            visible = [each for each in entries if each.name[0] != "." and each.name[-1] != "~"]
            found = [(each.name, each.is_dir()) for each in visible]
    except (FileNotFoundError, NotADirectoryError):
        return []
    items = [_item(name, is_folder) for name, is_folder in sorted(found)]
    if not is_seen and time.time_ns() - status.st_mtime_ns > _SETTLED:
        if len(_listings) >= _MOST_LISTINGS:
            _listings.clear()
        _listings[place] = (status.st_mtime_ns, items)
    return items


def _item(name: str, is_folder: bool) -> Item:
    return Item(name, is_folder, *split_name(name))


def walk(root: str, enters: Callable[[Item], bool] = lambda item: True) -> Iterator[Found]:
    """Yield the files of a dataset, each folder in the order of names; those of the root first.

    Parameters
    ----------
    root : str
        The dataset's folder.
    enters : callable, optional
        Tells of the folder of a subject, session, template or cohort whether to go in.
    """
    inner = []
    for item in listing(root):
        if not item.is_folder:
            if item.entities:
                yield Found(root, "", item)
        elif item.name.startswith(_WHOLE) and enters(item):
            inner.append(item.name)
    for name in inner:
        yield from _walk_part(os.path.join(root, name), enters)


def _walk_part(
    folder: str, enters: Callable[[Item], bool], *, is_inner: bool = False
) -> Iterator[Found]:
    """Yield the files of a subject or session: its tables, and DATATYPE/name.

    A session in a session, or one that is a link to its own subject, is none.
    """
    for item in listing(folder):
        if not item.is_folder:
            if item.name.startswith(_WHOLE):
                yield Found(folder, "", item)
        elif item.name.startswith(_PARTS):
            inside = os.path.join(folder, item.name)
            if not is_inner and enters(item) and not _is_itself(folder, inside):
                yield from _walk_part(inside, enters, is_inner=True)
        else:
            inside = os.path.join(folder, item.name)
            for each in listing(inside):
                if each.name.startswith(_WHOLE) and (each.suffix or not each.is_folder):
                    yield Found(inside, item.name, each)


def _is_itself(folder: str, inside: str) -> bool:
    return os.path.islink(inside) and os.path.samefile(folder, inside)


def above(root: str, folder: str) -> list[str]:
    """Return the folders from the root of a dataset down to one in it, both included."""
    inside = os.path.relpath(folder, root)
    parts = [] if inside == os.curdir else inside.split(os.sep)
    if parts[:1] == [os.pardir]:
        return []
    return [os.path.join(root, *parts[:count]) for count in range(len(parts) + 1)]
