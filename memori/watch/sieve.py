"""What of a run's observations counts.

What a run was seen to touch becomes facts: the files that it read, the names that it looked for in
vain or found in folders, the user's modules that it imported, what it wrote and left standing. What
counts already, what does not count (`memori.watch.left_out`) and what the run made for itself fall
through.

A fact is of the moment of the reading. A file that somebody changed between then and the end of the
run cannot be vouched for: it is named in `Facts.unvouched`, and the run should not be remembered.

Not promised: that a file of which only a C library or a program told nothing was made by the run.
Where the run had such helpers, what appeared while it went on counts as its own.
"""

from __future__ import annotations

import os
import stat
import time

from memori.digest.clock import ahead, behind
from memori.digest.files import FileDigest, in_threads, rests_at, stat_of
from memori.fingerprint.imports.compiled import outdated
from memori.watch.commands.tools import called_among, looked_up_now, sought_in_vain, tools_among
from memori.watch.facts import (
    NO_STAT,
    Facts,
    FileFact,
    ListingFact,
    digest_of,
    file_fact,
    names_digest,
    tree_digest,
)
from memori.watch.left_out import LeftOut
from memori.watch.libraries.unseen import readers, unseen_readers
from memori.watch.listings import (
    asked_without_listing,
    counted_names,
    literal,
    patterns_for,
    present_names,
    results,
)
from memori.watch.modules import loaded_files, module_digest, user_modules
from memori.watch.observed import Observed
from memori.watch.questions.found import (
    A_LINK,
    EMPTY,
    FILE,
    LINK,
    LOGS,
    MODIFIED,
    NO_LINK,
    detailed,
    has_details,
    holds_something,
    joined,
    permitted,
)
from memori.watch.told import but_links
from memori.watch.touch import (
    GLANCED,
    OLD,
    UNLOOKED,
    Listing,
    Touch,
    folders_above,
    is_as_then,
    is_since,
    look_at,
    wait_until_settled,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

_MOST_PROGRAMS = 50
_LARGE = 1 << 20  # bytes; such files are digested on all cores


def _never(path: str) -> bool:
    return False


class Sieve:
    """Takes what counts out of what a run was seen to do.

    Parameters
    ----------
    seen : Observed
        Of a run that is over.
    memo : str or None
        The folder in which digests of files are remembered.
    own : iterable of str, optional
        Folders of the run's own, absolute: nothing in them is an observation.
    counted : collection of str, optional
        Absolute paths that count already: files among the inputs, declared outputs.
    followed : collection of str, optional
        Names of modules of which the fingerprint of the code knows what counts.
    counts_loaded : bool, optional
        Whether the run may have asked for any module by a computed name: then those count, too,
        that were loaded before it.
    made : callable, optional
        Tells of an absolute path whether a remembered run made what is there.
    left_out : LeftOut, optional
        What does not count.
    """

    def __init__(
        self,
        seen: Observed,
        memo: str | None,
        *,
        own: Iterable[str] = (),
        counted: Collection[str] = (),
        followed: Collection[str] = (),
        counts_loaded: bool = False,
        made: Callable[[str], bool] = _never,
        left_out: LeftOut | None = None,
    ) -> None:
        self._seen = seen
        self._memo = memo
        self._own = tuple(f"{folder}/" for folder in (*own, *seen.temporary))
        self._removed_folders = tuple(f"{each}/" for each in seen.made if not os.path.isdir(each))
        self._counted = seen.counted.union(counted)
        self._followed = followed
        self._counts_loaded = counts_loaded
        self._made = made
        self._left_out = left_out or LeftOut()
        self._unseen = unseen_readers()
        self._had_helpers = bool(set(seen.programs) - seen.traced or readers())
        self._helped: set[str] = set()  # what appeared in folders, made by helpers
        self._is_quiet = True  # nobody else changed the folders that were listed

    def facts(self) -> Facts:
        """Return what counts.

        Raises
        ------
        OSError
            If a file that was read cannot be read any more.
        """
        facts = Facts()
        touched = self._touched()
        looks = {path: look_at(path) for path in touched}
        wait_until_settled(looks)
        in_threads(self._digest, [path for path, look in looks.items() if _is_large(look)])
        for path, touch in touched.items():
            self._file(facts, path, touch, looks[path])
        self._listings(facts)
        self._modules(facts)
        facts.absent = but_links(self._seen, facts.absent)
        facts.found = self._found(facts)
        facts.absent = [path for path in facts.absent if not self._left_out.absent(path)]
        facts.programs = [list(each) for each in dict.fromkeys(self._seen.programs)][
            :_MOST_PROGRAMS
        ]
        trees = sorted(path for path in self._seen.trees if os.path.isdir(path))
        facts.trees = {path: tree_digest(path, self._memo) for path in trees}
        facts.tools = tools_among(self._seen.executed - self._counted)
        facts.called = called_among(self._seen.programs, self._seen.executed)
        looked_up = self._seen.looked_up | sought_in_vain(self._seen)
        facts.called |= looked_up_now(looked_up - facts.called.keys())
        network = (f"the network ({host})" for host in self._seen.network)
        facts.here = self._seen.here
        facts.spoilt = sorted(self._seen.spoilt)
        facts.faults = [*self._seen.faults]
        facts.unseen = [*self._unseen, *network, *self._seen.unseen]
        told = {each.partition(" (")[0] for each in facts.unseen}
        names = {os.path.basename(words[0]) for words in self._seen.unwatched} - told
        facts.unseen += [f"{name} (a program)" for name in sorted(names)[:_MOST_PROGRAMS]]
        return facts

    def leaves_out(self, paths: Iterable[str]) -> set[str]:
        """Return those of some paths that do not count, of what this run reads and of others."""
        paths = list(paths)
        own = {path for path in paths if f"{path}/".startswith(self._own)}
        return own | self._counted | self._left_out.among(paths)

    def _touched(self) -> dict[str, Touch]:
        """Return the touches that may count, by plain path."""
        paths = [path for path in self._seen.touched if not path.startswith(self._own)]
        counted = self._counted | {os.path.realpath(path) for path in self._counted}
        folders = [os.path.join(folder, "") for folder in self._seen.folders]
        self._left_out.among([*paths, *self._seen.found, *folders])  # all lists are read but once
        left_out = self._left_out.among(paths) | counted | self._seen.temporary
        return {path: self._seen.touched[path] for path in paths if path not in left_out}

    def _digest(self, path: str) -> FileDigest | None:
        """Digest a large file, on any core; what follows finds it in the memo."""
        try:
            return digest_of(path, self._memo)
        except OSError:
            return None

    def _file(self, facts: Facts, path: str, touch: Touch, now: os.stat_result | None) -> None:
        if any(look and not stat.S_ISREG(look.st_mode) for look in (now, touch.look)):
            return  # a folder, a pipe, a device
        if touch.appends:
            if now is not None:
                facts.appended.append(path)
        elif touch.how != "read":
            if now is not None:
                facts.written.append(file_fact(path, self._memo))
        elif touch.written:
            self._edited(facts, path, touch, now)
        elif touch.look is None:
            self._missed(facts, path, now)
        else:
            try:
                self._read(facts, path, touch, now)
            except PermissionError:  # nobody may read it: neither did the run
                self._seen.found[path] = permitted(FILE, os.R_OK, False)

    def _is_new(self, look: os.stat_result) -> bool:
        """Tell whether a file that was there when it was touched was made while the run went on."""
        return is_since(look, self._seen.began)

    def _may_be_new(self, touch: Touch, now: os.stat_result) -> bool:
        """Tell whether a file may have changed since it was touched, by a time that it carries."""
        if touch is GLANCED and rests_at(stat_of(now), self._seen.glances_since, self._memo):
            return False
        changed = now.st_mtime_ns if touch.marked else now.st_ctime_ns
        return changed - ahead(now.st_dev) >= self._seen.began - OLD

    def _edited(self, facts: Facts, path: str, touch: Touch, now: os.stat_result | None) -> None:
        before = touch.before
        is_new = touch.look and self._is_new(touch.look)  # then a helper made it
        if now is None:
            if not is_new:
                facts.absent.append(path)  # so the run left it
                facts.consumed = True
        elif before is not None:
            facts.edited.append(file_fact(path, self._memo))
            facts.before.append(before.identity if before else "")
        elif is_new:
            facts.written.append(file_fact(path, self._memo))
        else:
            facts.unvouched.append(path)

    def _missed(self, facts: Facts, path: str, now: os.stat_result | None) -> None:
        if now is None:
            facts.absent.append(path)
        elif self._had_helpers:
            facts.written.append(file_fact(path, self._memo))
        else:
            facts.unvouched.append(path)

    def _read(self, facts: Facts, path: str, touch: Touch, now: os.stat_result | None) -> None:
        then = touch.look
        if path in self._seen.named and (now is None or not then or stat_of(now) != stat_of(then)):
            self._named(facts, path, now)
        elif then is UNLOOKED:
            if now is None:
                facts.absent.append(path)
            elif self._may_be_new(touch, now):
                facts.unvouched.append(path)
            else:
                facts.read.append(file_fact(path, self._memo))
        elif now is not None and then and is_as_then(now, then, marked=touch.marked):
            facts.read.append(file_fact(path, self._memo))
        elif now is not None and touch.before:  # a database, which the run may write by C code
            fact = file_fact(path, self._memo)
            if fact.identity == touch.before.identity:
                facts.read.append(fact)
            else:
                facts.edited.append(fact)
                facts.before.append(touch.before.identity)
        elif now is None and touch.before and path.endswith(LOGS):
            self._seen.found[path] = EMPTY  # the run took it into its database
        elif now is not None or not then or not self._is_new(then):
            facts.unvouched.append(path)  # else it was made and removed meanwhile

    def _named(self, facts: Facts, path: str, now: os.stat_result | None) -> None:
        """Take a file that changed for one that the program changed which was told of it."""
        if now is None:
            facts.absent.append(path)
        else:
            facts.edited.append(file_fact(path, self._memo))
            facts.before.append("")

    def _listings(self, facts: Facts) -> None:
        seen = self._seen
        written = {path for path, touch in seen.touched.items() if touch.written} | seen.made
        for folder, listing in seen.folders.items():
            is_own = f"{folder}/".startswith((*self._own, *self._removed_folders))
            if is_own or self._left_out.listing(folder):
                continue
            if listing.look is None:
                if not os.path.lexists(folder):
                    facts.absent.append(folder)
            elif os.path.lexists(folder) or not self._is_new(listing.look):
                facts.listed.append(self._listing(folder, listing, written))
        own = tuple(map(literal, self._own))
        globs = [each for each in seen.globs if not each.startswith(own)]
        for pattern in globs:
            there, missed = asked_without_listing(pattern, seen.folders)
            facts.there += there
            facts.missed += missed
        not_counted = written | self._left_out.among(facts.there)
        facts.there = [path for path in facts.there if path not in not_counted]
        facts.missed = [path for path in facts.missed if path not in written]
        has_patterns = any(fact.patterns is not None for fact in facts.listed)
        if self._is_quiet and (has_patterns or facts.there or facts.missed):
            for pattern in globs:
                found = results(pattern, written | self._helped, self._made)
                facts.globs.append((pattern, names_digest(found)))

    def _listing(self, folder: str, listing: Listing, written: set[str]) -> ListingFact:
        patterns = None if listing.whole else patterns_for(folder, self._seen.globs)
        found = [(name, name in listing.folders) for name in listing.names]
        own = {os.path.basename(path) for path in written if os.path.dirname(path) == folder}
        now = present_names(folder, patterns, own, self._made)
        if self._had_helpers:
            helped = self._appeared(folder, {n.rstrip("/") for n in now}.difference(listing.names))
            self._helped.update(os.path.join(folder, name) for name in helped)
            own.update(helped)
            now = tuple(name for name in now if name.rstrip("/") not in own)
        names = counted_names(folder, found, patterns, own, self._made)
        self._is_quiet = self._is_quiet and names == now
        there = look_at(folder) if names == now else None
        vouched = stat_of(there) if there is not None and self._has_settled(there) else NO_STAT
        return ListingFact(folder, names, patterns, tuple(sorted(own)), vouched)

    def _has_settled(self, there: os.stat_result) -> bool:
        """Tell whether another change of a folder could not carry the same time."""
        return time.time_ns() - behind(there.st_dev, self._memo) - there.st_ctime_ns > OLD

    def _appeared(self, folder: str, names: Iterable[str]) -> set[str]:
        """Return the names of what was made while the run went on."""
        looks = {name: look_at(os.path.join(folder, name)) for name in names}
        return {name for name, look in looks.items() if look is not None and self._is_new(look)}

    def _found(self, facts: Facts) -> dict[str, str]:
        """Return what counts of the files that were asked for and not opened."""
        seen = self._seen
        paths = [path for path in seen.found if not f"{path}/".startswith(self._own)]
        left_out = self._left_out.among(paths) | seen.temporary | seen.made | seen.counted
        left_out.update(path for path, touch in seen.touched.items() if touch.written)
        left_out.update(seen.imported)  # the import system of a child looks at what it reads
        known = {fact.path for fact in facts.read}
        is_known = folders_above([*known, *self._own])  # what is in them is there, and so are they
        is_known |= self._counted
        listed = {fact.folder for fact in facts.listed}
        is_known.update(path for path in known if seen.found.get(path) == FILE)
        has_times = False
        if seen.programs:
            from memori.watch.commands.times import looks_at_times

            has_times = looks_at_times(seen)
        answers = {}
        for path in paths:
            if path in left_out or path.startswith(self._removed_folders) or self._made(path):
                continue
            words, look = seen.found[path], look_at(path)
            is_empty = words == EMPTY and not holds_something(path)
            if look is not None and self._is_new(look) and not is_empty:
                continue  # the run made it what it is
            if has_times and look is not None and stat.S_ISREG(look.st_mode):
                words = joined(words, detailed(words, look, [MODIFIED]))
            is_counted = path in listed or (path in is_known and not has_details(words))
            if not is_counted or self._tells_more(path, words):
                answers[path] = words
        return answers

    def _tells_more(self, path: str, words: str) -> bool:
        """Tell whether an answer says where a link leads, or a size that no digest stands for."""
        if words.startswith(LINK) or A_LINK in words or NO_LINK in words:
            return True
        if path not in self._counted or words == FILE or not words.startswith(FILE):
            return False
        digest = self._digest(path)
        return digest is not None and digest.identity != digest.hash

    def _modules(self, facts: Facts) -> None:
        imported = {path: touch.look for path, touch in self._seen.imported.items()}
        if self._counts_loaded:
            imported = {**{path: look_at(path) for path in loaded_files()}, **imported}
        left_out = {path for path in imported if path.startswith(self._own)} | self._counted
        for path, name in user_modules(imported.keys() - left_out).items():
            is_followed = name in self._followed and not self._counts_loaded
            if is_followed or self._left_out.ignores(path):
                continue
            then, now = imported[path], look_at(path)
            if not then:
                continue  # a compiled file without a source beside it counts as it is
            if now is None or stat_of(now) != stat_of(then):
                facts.unvouched.append(path)
            else:
                digest = module_digest(path, self._memo)
                vouched = NO_STAT if outdated(path) else stat_of(now)
                facts.modules.append(FileFact(path, digest, vouched))


def _is_large(look: os.stat_result | None) -> bool:
    return look is not None and stat.S_ISREG(look.st_mode) and look.st_size > _LARGE
