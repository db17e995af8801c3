"""What runs do in places that they share: what one left there, and who was at it at the same time.

See `memori.store.left` for what is made of it.

Not promised: to see that a file was written by a run that is remembered elsewhere, or not at all.
"""

from __future__ import annotations

import os

from memori.digest.clock import most_behind
from memori.digest.files import file_digest
from memori.digest.folder import folder_digest
from memori.errors import warn
from memori.files import still_written
from memori.store.left import ANEW, APPENDED, NAMED
from memori.store.replaced import contents_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.calls.decision import Decision
    from memori.key import Key
    from memori.store import Entry, Store
    from memori.watch import Facts, Observed

    Left = dict[str, tuple[str | None, str]]

_MOST_LOOKED_AT = 100
_MOST_READ = 20


def left_outside(
    own: str,
    store: Store,
    artifacts: list[Artifact],
    facts: Facts | None,
    seen: Observed | None,
    began: float,
    stood: Stood,
    *,
    is_command: bool,
) -> Left:
    """Return what a run left outside its folder, by path: what was there before, and what is now.

    Parameters
    ----------
    own : str
        The run's own folder, with a slash at its end.
    store : Store
        Where it is recorded.
    artifacts : list of Artifact
        What it returned.
    facts : Facts or None
        What counts of what it was seen to do.
    seen : Observed or None
        All that it was seen to do.
    began : float
        When it began.
    stood : Stood
        What stood there before, as far as it was looked at.
    is_command : bool
        Whether a program did all of it, and no library in this process.
    """
    found: Left = {}
    if facts is not None:
        found.update({fact.path: (ANEW, fact.identity) for fact in facts.written})
        pairs = zip(facts.edited, facts.before, strict=True)
        for fact, before in pairs:  # of what a command reads nobody knows in time that it will
            found[fact.path] = before or stood.digests.get(fact.path), fact.identity
    known = store.left_by_any() if facts is not None and facts.appended else ()
    for path in () if facts is None else facts.appended:
        if path in known:  # other logs are nobody's
            found[path] = APPENDED, file_digest(path, store.memo).identity
    sees_all = facts is not None and not _blind(facts, is_command=is_command)
    shared = store.left_by_any() if sees_all else ()
    for each in artifacts:
        path = each.locate(store.root)
        if each.kind == "folder" or (each.kind == "file" and has_written(path, seen, began)):
            stood_there = _before(path, seen)
            if stood_there is None and (seen is None or path not in seen.named):
                stood_there = stood.digests.get(path)
            found[path] = stood_there, each.identity or ""
        elif each.kind == "file" and path in shared and seen is not None and not seen.how(path):
            found[path] = NAMED, each.identity or ""
    outside = [path for path in found if not path.startswith(own)]
    for path in store.folders_around(outside) - found.keys():
        if not own.startswith(f"{path}/"):
            digest = folder_digest(path, lambda inner: file_digest(inner, store.memo).identity)
            found[path] = None, digest
    return {path: pair for path, pair in found.items() if not path.startswith(own)}


def changed_inputs(before: Key, after: Key, store: Store) -> Left:
    """Return the files of other runs that a run was given and changed: of these it tells, too."""
    then = {file.pointer: file.identity for file in before.files if file.kind == "file"}
    changed = {
        file.absolute: file.identity or ""
        for file in after.files
        if file.kind == "file" and then.get(file.pointer) not in (None, file.identity)
    }
    known = store.left_by_any() if changed else ()
    return {path: (APPENDED, identity) for path, identity in changed.items() if path in known}


def _blind(facts: Facts, *, is_command: bool) -> list[str]:
    """Return who may have read files in a run of which nobody knows."""
    from memori.watch.libraries.unseen import TOLD_OF, programs_among

    unseen = programs_among(facts.unseen) if is_command else facts.unseen
    return [each for each in unseen if each.partition(" (")[0] not in TOLD_OF]


class Stood:
    """What stands, before a run, at places where earlier runs left something.

    Parameters
    ----------
    store : Store
        Of the run's stage.

    Attributes
    ----------
    digests : dict of str to str
        By path, of what runs of this stage left: whether a command that changes a file in place
        went on from it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.digests: dict[str, str] = {}
        for path in store.left_earlier(_MOST_LOOKED_AT):
            try:
                if os.path.isfile(path):
                    self.digests[path] = file_digest(path, store.memo).identity
            except OSError:
                pass  # gone meanwhile, or nobody may read it: the run will say so if it matters
        paths = store.left_earlier(_MOST_READ, by_any=True)
        self._contents = contents_of(paths, store.memo)

    def keep_replaced(self, left: Left) -> None:
        """Keep what the run has written over, given what it left."""
        contents = dict(
            self._contents[path]
            for path, (before, after) in left.items()
            if before == ANEW and path in self._contents and self._contents[path][0] != after
        )
        self._store.keep_replaced(contents)


def _before(path: str, seen: Observed | None) -> str | None:
    """Return the identity of what a run read at a path before it wrote there.

    `ANEW` if it read nothing; None if nobody knows. That a command names a file which it returns
    tells nothing: it may go on from it (3drefit), or write it anew for other parameters.
    """
    if seen is not None and path in seen.named:
        return None
    touch = None if seen is None else seen.touch(path)
    if touch is None or touch.how != "read" or touch.look is None:
        return ANEW
    return touch.before.identity if touch.before else None


def has_written(path: str, seen: Observed | None, began: float) -> bool:
    """Tell whether a run that began at a time wrote a file, as far as is known."""
    if seen is not None and seen.how(path) is not None:
        return seen.wrote(path)
    try:
        return os.stat(path).st_ctime >= began - most_behind() / 1e9
    except OSError:
        return False


def tell_of_turns(subject: str, why: Decision, store: Store) -> None:
    """Warn of a run that is due for nothing but what another one made of its file."""
    if why.entry is None or any(each.kind not in ("edited", "observed") for each in why.changes):
        return
    found = store.written_over(why.entry, {(each.old, each.new) for each in why.changes})
    if found is not None:
        path, stage, is_anew = found
        if is_anew and _is_same_call(why.entry, store.latest()):
            return  # an input was edited, and is now as it was before
        other = "another run of it" if stage == store.writer else f"stage {stage!r}"
        did = "wrote" if is_anew else "went on in"
        warn(
            f"{subject} runs again because {other} {did} its file {path}. So both run "
            "each time: have each write to a file of its own"
        )


def _is_same_call(entry: Entry, other: Entry | None) -> bool:
    """Tell whether two runs differ by nothing but what is in files."""
    return other is not None and other.record.get("inputs") == entry.record.get("inputs")


def tell_of_races(subject: str, store: Store, key: Key, facts: Facts, began: float) -> None:
    """Warn of a file that a run read, and that another one wrote which went on beside it."""
    paths = [*(fact.path for fact in facts.read), *facts.unvouched]
    found = store.left_during(key, paths, began)
    if found is not None:
        path, stage = found
        warn(
            f"{subject} read {path}, which stage {stage!r} wrote at the same time: nothing says "
            "which comes first. Hand the file on from one to the other, or run them one after the "
            "other"
        )


def tell_of_open(subject: str, entry: Entry, root: str) -> None:
    """Warn of outputs that will be others once what is still to be written to them is."""
    paths = [each.locate(root) for each in entry.artifacts if each.kind == "file"]
    for path in still_written(paths):
        if _is_printed_to(path):
            told = (
                "is also where this process prints (> FILE), which empties it first, so that it "
                "runs each time: have the command redirect (sh -c '... > FILE'), or leave out the "
                "output"
            )
        else:
            told = (
                "is still open for writing, and what is written from here on makes it run again: "
                "have it close the file (with open(...) as file)"
            )
        warn(f"{subject}: its output {path} {told}")


def _is_printed_to(path: str) -> bool:
    for number in (1, 2):
        try:
            if os.path.samestat(os.stat(path), os.fstat(number)):
                return True
        except OSError:
            continue  # closed
    return False
