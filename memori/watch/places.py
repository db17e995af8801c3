"""Where an observed file lies, in words that outlive a move.

A file in a BIDS dataset counts by the dataset's folder name and the path below it: a dataset that
was moved, or is mounted elsewhere, is found through the inputs of the call that lie in it. Any
other file counts by its path from `hash_output`, so that a project that moves as a whole keeps what
it knows; where nothing lies there after a move, the place that was seen counts.

Two datasets of one name that both exist stay two: what was seen in one says nothing of the other.

A file in an anchor of an input (`memori.artifacts.Artifact`: a folder, such as that of a Nipype
node, that may be another one for the next run) is found in the anchor of that input now. Where code
or a program used names without a folder, what lies below the current one is found from the current
folder of the next run: in another study, the same names mean other files.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memori.digest.values import JSON

HERE = "."
"""The anchor that is the current folder, for runs in which names were meant from it."""
_MARK = "dataset_description.json"
_datasets: dict[str, str] = {}  # folder -> the dataset that it lies in, or ""


def dataset_of(folder: str) -> str:
    """Return the BIDS dataset (the outermost) that an absolute folder lies in, or nothing."""
    known = _datasets.get(folder)
    if known is None:
        above = os.path.dirname(folder)
        known = dataset_of(above) if above != folder else ""
        if not known and os.path.isfile(os.path.join(folder, _MARK)):
            known = folder
        if known:  # what is no dataset yet may become one
            _datasets[folder] = known
    return known


def datasets_of(paths: Iterable[str]) -> dict[str, str]:
    """Return the datasets that some absolute paths lie in, by the name of their folder."""
    found = {dataset_of(os.path.dirname(path)) for path in paths} - {""}
    return {os.path.basename(each): each for each in sorted(found, reverse=True)}


def and_here(anchors: Mapping[str, str] | None) -> dict[str, str]:
    """Return anchors with the current folder among them."""
    try:
        return {**(anchors or {}), HERE: os.getcwd()}
    except FileNotFoundError:  # it is gone
        return {**(anchors or {})}


class Places:
    """Turns folders into words, and back.

    Parameters
    ----------
    root : str
        The `hash_output`, absolute.
    seen_from : str, optional
        What that was when the words were written.
    datasets : mapping of str to str, optional
        The datasets that the inputs of the present call lie in, by name.
    anchors : mapping of str to str, optional
        The anchors of the inputs of the present call, by name.

    Attributes
    ----------
    twice : dict of str to tuple of str
        By name: where a dataset was seen and where it is now, if both exist.
    """

    def __init__(
        self,
        root: str,
        seen_from: str | None = None,
        datasets: Mapping[str, str] | None = None,
        anchors: Mapping[str, str] | None = None,
    ) -> None:
        self._root = root
        self._seen_from = root if seen_from is None else seen_from
        self._datasets = datasets or {}
        self._anchors = anchors or {}
        self._anchored = {folder: name for name, folder in reversed([*self._anchors.items()])}
        self.twice: dict[str, tuple[str, str]] = {}
        self._words: dict[str, JSON] = {}

    def words(self, folder: str) -> JSON:
        """Return an absolute folder as text from the root, or as [dataset, place, path below].

        Below an anchor of an input it is [input, place, path below, "anchor"].
        """
        known = self._words.get(folder)
        if known is None:
            known = self._words[folder] = self._describe(folder)
        return known

    def _describe(self, folder: str) -> JSON:
        relative = os.path.relpath(folder, self._root)
        anchor = folder if self._anchored else ""
        while anchor not in self._anchored and anchor.strip("/"):
            anchor = os.path.dirname(anchor)
        if anchor in self._anchored and (relative[:2] == ".." or self._anchored[anchor] != HERE):
            place = os.path.relpath(anchor, self._root)
            return [self._anchored[anchor], place, os.path.relpath(folder, anchor), "anchor"]
        dataset = "" if relative[:2] != ".." else dataset_of(folder)
        if not dataset:
            return relative
        place = os.path.relpath(dataset, self._root)
        return [os.path.basename(dataset), place, os.path.relpath(folder, dataset)]

    def folder(self, words: JSON) -> str:
        """Return the absolute folder that words stand for now."""
        if isinstance(words, str):
            return self._found(words)
        name, place, below, *is_anchor = words
        seen = self._found(place)
        if is_anchor:
            return os.path.normpath(os.path.join(self._anchors.get(name, seen), below))
        now = self._datasets.get(name, seen)
        if now != seen and os.path.isdir(seen):
            self.twice[name] = seen, now
        return os.path.normpath(os.path.join(now, below))

    def paths(self, groups: Iterable[tuple[JSON, list[str]]]) -> list[str]:
        """Return the absolute paths of names that are grouped by folder, in their order."""
        found: list[str] = []
        for words, names in groups:
            above = f"{self.folder(words)}/"
            found += [above + name for name in names]
        return found

    def _found(self, relative: str) -> str:
        here = self._below(self._root, relative)
        if self._seen_from == self._root or os.path.isdir(here):
            return here
        there = self._below(self._seen_from, relative)
        return there if os.path.isdir(there) else here

    def _below(self, root: str, relative: str) -> str:
        """Return a normal relative path below an absolute one; much faster than `normpath`."""
        if relative == ".":
            return root
        parts = relative.split("../")
        above = root
        for _ in parts[1:]:
            above = os.path.dirname(above)
        if parts[-1] == "..":
            return os.path.dirname(above)
        return f"{above}/{parts[-1]}" if above != "/" else f"/{parts[-1]}"
