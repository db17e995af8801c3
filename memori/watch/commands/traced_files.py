"""How files were dealt with, as a tracer tells of it: after each call, in the order of the calls.

Nobody looked at a file right before it was touched. What is known is whether it was there.

A file that was made by one path and is touched by another, through a linked folder above it, is the
same. One that was only read counts by each path that led to it: a link may lead elsewhere later.
"""

from __future__ import annotations

import os

from memori.watch.questions.found import FILE, FOLDER, answer, joined, of_read, permitted
from memori.watch.touch import UNLOOKED, Touch, folders_above, led_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.watch.touch import How


class Files:
    """How each file was dealt with.

    Attributes
    ----------
    touched : dict of str to Touch
        By path. A file that was looked for in vain has the look None; others were not looked at.
    found : dict of str to str
        By path: what was said of a file that was asked for and not opened.
    links : dict of str to str
        By path: where a link leads that was made.
    meant_from : set of str
        The current folders from which names were meant.
    made : set of str
        The folders that were made.
    marked : set of str
        The files that were given another name or mode.
    perhaps_made : set of str
        The files that were opened for reading, and made if they were not there.
    """

    def __init__(self) -> None:
        self.touched: dict[str, Touch] = {}
        self.found: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.meant_from: set[str] = set()
        self.made: set[str] = set()
        self.marked: set[str] = set()
        self.perhaps_made: set[str] = set()
        self._places: dict[str, str] = {}  # of folders
        self._made_as: dict[str, str] = {}  # by place: the path by which a file was first made

    def _known(self, path: str, *, makes: bool = False) -> str:
        """Return the path by which a file is known, if it was made by another than this."""
        known = self._made_as.get(self._place(path), path)
        touch = None if path in self.touched else self.touched.get(known)
        is_own = touch is not None and (touch.written or (makes and touch.look is None))
        return known if is_own else path

    def _place(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        place = self._places.get(folder)
        if place is None:
            place = self._places[folder] = os.path.realpath(folder or "/")
        return f"{place}/{name}"

    def reads(self, path: str) -> None:
        """Note that a file was opened for reading."""
        path = self._known(path)
        touch = self.touched.get(path)
        if touch is None:
            self.touched[path] = Touch("read", UNLOOKED)
        elif touch.how == "read" and touch.look is None and not touch.written:
            touch.look = UNLOOKED  # somebody else made it meanwhile
        else:
            touch.is_read_back()

    def reads_or_makes(self, path: str) -> None:
        """Note that a file was opened for reading, and made if it was not there, as locks are."""
        path = self._known(path, makes=True)
        touch = self.touched.get(path)
        if touch is not None and touch.how == "read" and touch.look is None and not touch.written:
            self.writes(path)
            return
        if touch is None:
            self.perhaps_made.add(path)
        self.reads(path)

    def were_read(self) -> list[str]:
        """Return the files that were opened for reading, and are not known to have changed."""
        return [
            path
            for path, touch in self.touched.items()
            if touch.how == "read" and touch.look is not None and not touch.written
        ]

    def forgets_folders(self) -> None:
        """Leave out that folders are there of which a file was read."""
        above = folders_above(self.were_read())
        for path in [each for each, words in self.found.items() if words == FOLDER]:
            if path in above:
                del self.found[path]

    def settles_found(self) -> None:
        """Leave of the questions about files that were touched whether they were there.

        What was read has its size by its content; whether it may be run, and when it was modified,
        may count besides.
        """
        read = set(self.were_read())
        for path in self.found.keys() & self.touched.keys():
            if path in read and self.found[path].startswith(FILE):
                self.found[path] = of_read(self.found[path])
            else:
                del self.found[path]

    def forgets(self, path: str) -> None:
        """Leave out a file that was read, and not written."""
        touch = self.touched.get(path)
        if touch is not None and touch.how == "read" and not touch.written:
            del self.touched[path]

    def misses(self, path: str) -> None:
        """Note that a path was asked for in vain."""
        path = self._known(path)
        if path not in self.touched:
            self.touched[path] = Touch("read", None)
            self._made_as.setdefault(self._place(path), path)  # as may come next

    def finds(self, path: str, words: str) -> None:
        """Note what was said of a file that was asked for."""
        path = self._known(path)
        self.found[path] = joined(self.found.get(path, words), words)

    def points(self, link: str, text: str) -> None:
        """Note that a link was made; a file to which it leads counts as read."""
        self.writes(link)
        self.links[link] = led_to(os.path.dirname(link), text)
        if os.path.isfile(self.links[link]):
            self.reads(self.links[link])

    def refuses(self, path: str, mode: int) -> None:
        """Note that a file may not be read or run, or not be reached; as it is said now."""
        self.finds(path, answer(path, permitted(FILE, mode, False)))

    def writes(self, path: str, how: How = "write") -> None:
        """Note that a file was made, emptied or appended to."""
        path = self._known(path, makes=True)
        self._made_as.setdefault(self._place(path), path)
        touch = self.touched.get(path)
        if touch is None:
            self.touched[path] = Touch(how, UNLOOKED)
            return
        appends = how == "append"
        if touch.how == "read" and not touch.written:
            if touch.look is None:  # looked for and not found, now made
                touch.how = how
                touch.appends = appends
            else:
                touch.before = UNLOOKED
        touch.written = True
        touch.appends = touch.appends and appends

    def edits(self, path: str) -> None:
        """Note that a file which was there was changed in parts."""
        path = self._known(path)
        if path not in self.touched:
            self.touched[path] = Touch("read", UNLOOKED)
        self.writes(path)

    def removes(self, path: str) -> None:
        """Note that a file or folder was removed."""
        path = self._known(path)
        touch = self.touched.get(path)
        if touch is None or (touch.how == "read" and not touch.written):
            self.writes(path)

    def moves(self, source: str, target: str) -> None:
        """Note that a file or folder was renamed; what is in a folder goes with it."""
        inside = f"{source}/"
        for path in [path for path, touch in self.touched.items() if path.startswith(inside)]:
            if self.touched[path].written:
                self.writes(target + path[len(source) :])
        is_own = source in self.made
        for folder in [each for each in self.made if f"{each}/".startswith(inside)]:
            self.made.add(target + folder[len(source) :])
        if source in self.links:
            self.links[target] = self.links[source]
        if is_own:
            self.writes(source)
        else:
            self.edits(source)  # what was in it goes on elsewhere
        self.writes(target)
