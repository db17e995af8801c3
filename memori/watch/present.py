"""What a run was seen to do, as all of it stands now.

When a person takes a run for one of the present files (`memori.calls.acceptance`), what the run
depended on is looked at again, so that later changes are compared with the state that was accepted.

Not promised: what other code would read. The names are those of the run that was watched.
"""

from __future__ import annotations

import os
import time

from memori.digest.files import stat_of
from memori.watch.environment import counted_variables
from memori.watch.facts import (
    NO_STAT,
    Facts,
    FileFact,
    ListingFact,
    file_fact,
    names_digest,
    pattern_of,
    tree_digest,
)
from memori.watch.listings import BELOW, present_names, results
from memori.watch.modules import module_digest
from memori.watch.places import Places
from memori.watch.questions.found import answer
from memori.watch.touch import OLD, look_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from memori.digest.values import JSON


class Present:
    """Looks again at what a run was seen to read, find and leave.

    Parameters
    ----------
    record : mapping
        What `Facts.to_record` returned.
    root : str
        The `hash_output` now, absolute.
    memo : str or None
        The folder in which digests of files are remembered.
    datasets : mapping of str to str
        Where the BIDS datasets are that the inputs of the present call lie in, by name.
    made : callable
        Tells of an absolute path whether a remembered run made what is there.

    Attributes
    ----------
    facts : Facts
        What there is now.
    lost : list of str
        Files that the run wrote and that are gone.
    """

    def __init__(
        self,
        record: Mapping[str, JSON],
        root: str,
        memo: str | None,
        datasets: Mapping[str, str],
        made: Callable[[str], bool],
    ) -> None:
        self._record = record
        self._memo = memo
        self._made = made
        self._places = Places(root, record["root"], datasets)
        self.facts = Facts()
        self.lost: list[str] = []
        self._files()
        self._names()
        self._programs()
        self.facts.variables = counted_variables(record.get("variables", ()))
        self.facts.unseen = record.get("unseen", [])

    def _files(self) -> None:
        facts = self.facts
        for path in self._paths("read"):
            self._read(path)
        for path in self._paths("modules"):
            look = look_at(path)
            if look is None:
                facts.absent.append(path)
            else:
                facts.modules.append(FileFact(path, module_digest(path, self._memo), stat_of(look)))
        for kind in ("written", "edited"):
            for path in self._paths(kind):
                if os.path.isfile(path):
                    getattr(facts, kind).append(file_fact(path, self._memo))
                else:
                    self.lost.append(path)
        if facts.edited and not self.lost:
            facts.before = list(self._record["edited"]["before"])

    def _names(self) -> None:
        facts, record = self.facts, self._record
        for path in self._paths("absent"):
            if os.path.lexists(path) and not self._made(path):
                self._read(path)
            else:
                facts.absent.append(path)
        for then, groups in record.get("found", ()):
            for path in self._places.paths(groups):
                facts.found[path] = then if self._made(path) else answer(path, then)
        for kind in ("there", "missed"):
            for path in self._paths(kind):
                is_there = os.path.lexists(path) and (kind == "there" or not self._made(path))
                (facts.there if is_there else facts.missed).append(path)
        listings = {self._places.folder(each["folder"]): each for each in record.get("listed", ())}
        for folder, listing in listings.items():
            patterns = listing.get("patterns")
            names = self._list(folder, patterns, tuple(listing.get("own", ())))
            if "names" in listing and (patterns is None or BELOW in patterns):
                self._list_new(folder, patterns, names, listing["names"], listings)
        own = {
            os.path.join(listing.folder, name) for listing in facts.listed for name in listing.own
        }
        for words, rest, _ in record.get("globs", ()):
            pattern = pattern_of(words, rest, self._places)
            facts.globs.append((pattern, names_digest(results(pattern, own, self._made))))
        facts.appended = self._paths("appended")

    def _programs(self) -> None:
        facts, record = self.facts, self._record
        facts.programs = record.get("programs", [])
        if "tools" in record:
            from memori.watch.commands.tools import tools_now

            facts.tools = tools_now(record["tools"])
        if "called" in record:
            from memori.watch.commands.tools import called_now

            facts.called = called_now(record["called"])
        for words, _ in record.get("trees", ()):
            folder = self._places.folder(words)
            if os.path.isdir(folder):
                facts.trees[folder] = tree_digest(folder, self._memo)
            else:
                facts.absent.append(folder)

    def _read(self, path: str) -> None:
        if os.path.isfile(path):
            self.facts.read.append(file_fact(path, self._memo))
        elif os.path.isdir(path):
            self._list(path, None, ())
        else:
            self.facts.absent.append(path)

    def _list_new(
        self,
        folder: str,
        patterns: list[str] | None,
        names: Collection[str],
        known: Collection[str],
        listed: Collection[str],
    ) -> None:
        """List the folders that came into one, unless the run looked into none of those in it."""
        there = [name.rstrip("/") for name in names]
        inner = {name: path for name in there if os.path.isdir(path := f"{folder}/{name}")}
        old = {name.rstrip("/") for name in known}
        if all(path in listed for name, path in inner.items() if name in old):
            for path in (path for name, path in inner.items() if name not in old):
                self._list_new(path, patterns, self._list(path, patterns, ()), (), listed)

    def _list(
        self, folder: str, patterns: list[str] | None, own: tuple[str, ...]
    ) -> tuple[str, ...]:
        """List a folder; return the names that count."""
        look = look_at(folder)  # before the names, so that it never vouches for later ones
        if look is None:
            self.facts.absent.append(folder)
            return ()
        is_settled = time.time_ns() - look.st_ctime_ns > OLD
        names = present_names(folder, patterns, own, self._made)
        vouched = stat_of(look) if is_settled else NO_STAT
        self.facts.listed.append(ListingFact(folder, names, patterns, own, vouched))
        return names

    def _paths(self, kind: str) -> list[str]:
        groups = self._record.get(kind, ())
        if isinstance(groups, dict):
            groups = groups["files"]
        return self._places.paths(groups)
