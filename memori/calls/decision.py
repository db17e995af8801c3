"""The decision: hit or miss, and why.

Deciding is comparing. A key is compared with the entries of the store, and what differs
is a list of changes; an entry from which nothing differs is a hit. `explain` shows the same list,
so the reason that a person reads is the reason why the stage runs.

The code of an entry matches by either of two digests: the one over bytecode (fast, of one Python
version) or the one over syntax (of every version). Which component differs is told at a level that
the record and the present code both have. A surrounding that cannot be asked now (the tool is not
installed) matches whatever was recorded.
"""

from __future__ import annotations

import os
import re

from memori.calls.age import seconds_since_1970
from memori.calls.observations import differences
from memori.digest.values import equal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.key import Key
    from memori.store import Entry, Store

    Kind = Literal[
        "first run",
        "no store",
        "forced",
        "input",
        "file",
        "code",
        "surrounding",
        "outputs",
        "name",
        "missing",
        "edited",
        "observed",
        "expired",
        "upstream",
    ]

_DIGEST = r"[0-9a-f]{12,64}"
_ABSENT = "(none)"
PARTS = ("kind", "subject", "old", "new")
"""What a change is made of, in a record as well."""


class Change:
    """One difference that made a stage run.

    Attributes
    ----------
    kind : str
        "input" (a value), "file" (an input's content), "code", "surrounding", "outputs" (their
        names), "name" (the stage's), "missing" or "edited" (an output), "observed" (what the run
        was seen to read, find or leave), "upstream" (inputs that another stage is still to make),
        "expired", "first run", "no store" or "forced".
    subject : str
        What differs, such as ``"global pipeline.THRESHOLD"``.
    old, new : str
        As recorded, and as found now.
    """

    __slots__ = ("kind", "new", "old", "subject")

    def __init__(self, kind: Kind, subject: str, old: str = "", new: str = "") -> None:
        self.kind = kind
        self.subject = subject
        self.old = old
        self.new = new

    def __repr__(self) -> str:
        return f"Change({self.kind!r}, {self.subject!r}, {self.old!r}, {self.new!r})"

    def __str__(self) -> str:
        if self.kind in ("first run", "no store", "forced", "observed", "expired", "upstream"):
            return self.subject
        if self.kind == "missing":
            return f"output {self.subject} {'is missing' if self.new == 'nothing' else self.new}"
        if self.old == _ABSENT:
            return f"{self.subject} is new"
        if self.new == _ABSENT:
            return f"{self.subject} is gone"
        if re.fullmatch(_DIGEST, self.old) and re.fullmatch(_DIGEST, self.new):
            what = f"output {self.subject}" if self.kind == "edited" else self.subject
            return f"{what} edited"
        return f"{self.subject}: {self.old} -> {self.new}"


class Decision:
    """Hit or miss, with everything that was compared to find it.

    Attributes
    ----------
    hit : bool
        Whether the recorded outputs stand.
    changes : tuple of Change
        What differs from the nearest entry; empty for a hit.
    entry : Entry or None
        The entry that was hit, or the nearest.
    key : Key or None
        What the entries were compared with; None without a `hash_output`.
    overruled : tuple of str
        Of each value that a static one wins over, what it was given and what counts.
    elsewhere : Store or None
        The further place in which it was found; None for the stage's own.
    """

    __slots__ = ("changes", "elsewhere", "entry", "key", "overruled", "stage_name")

    def __init__(
        self, stage_name: str, changes: tuple[Change, ...], entry: Entry | None, key: Key | None
    ) -> None:
        self.stage_name = stage_name
        self.changes = changes
        self.entry = entry
        self.key = key
        self.overruled: tuple[str, ...] = ()
        self.elsewhere: Store | None = None

    @property
    def hit(self) -> bool:
        """Whether the recorded outputs stand."""
        return not self.changes

    @property
    def reasons(self) -> str:
        """The changes, in words; nothing for a hit."""
        return "; ".join(map(str, self.changes))

    @property
    def hit_entry(self) -> Entry | None:
        """The entry whose outputs stand, if there is one."""
        return self.entry if self.hit else None

    @property
    def accepted(self) -> tuple[str, ...]:
        """Of a hit: when, by whom and despite what its outputs were accepted, each time."""
        told = self.entry.record.get("accepted") if self.hit and self.entry else None
        return tuple(map(told_acceptance, told or ()))

    @property
    def unresolved(self) -> tuple[str, ...]:
        """What the code reaches that could not be followed."""
        return () if self.key is None else self.key.code.unresolved

    @property
    def unseen(self) -> tuple[str, ...]:
        """Who may have read files in the entry's run of which nobody told."""
        seen = None if self.entry is None else self.entry.record.get("observed")
        return tuple((seen or {}).get("unseen", ()))

    @property
    def edits(self) -> dict[str, str]:
        """The unified diff of each component of the code that was edited, if its source is kept."""
        compared = self.compared
        if self.entry is None or self.key is None or not compared:
            return {}
        from memori.calls.edits import edits_of

        return edits_of(self.entry, compared, self.key.code)

    @property
    def compared(self) -> dict[str, str]:
        """What the source of each edited component is called in the store, as the entry ran it."""
        edited = [each.subject for each in self.changes if each.kind == "code"]
        if self.entry is None or not edited:
            return {}
        from memori.fingerprint.syntax import names_of

        names = names_of(self.entry.record["code"]["components"])
        return {label: names[label] for label in edited if label in names}

    def _told_unseen(self) -> list[str]:
        """Return the programs, and in one text the libraries that the code names."""
        if not self.unseen:
            return []
        from memori.watch.libraries.unseen import programs_among, used_among

        used = used_among(self.unseen, () if self.key is None else self.key.code.functions)
        return [*programs_among(self.unseen), *([", ".join(used)] if used else [])]

    def __repr__(self) -> str:
        return f"<Decision {self._verdict()}>"

    def _verdict(self) -> str:
        where = "" if self.elsewhere is None else f" in {self.elsewhere.root}"
        verdict = f"hit{where}" if self.hit else f"miss: {self.reasons}"
        return f"stage {self.stage_name!r}: {verdict}"

    def __str__(self) -> str:
        lines = [self._verdict()]
        lines += [f"  {line}" for diff in self.edits.values() for line in diff.splitlines()]
        lines += [f"  accepted {each}" for each in self.accepted]
        lines += [f"  overruled: {each}" for each in self.overruled]
        lines += [f"  not followed: {each}" for each in self.unresolved]
        lines += [f"  not seen: what is read by {each}" for each in self._told_unseen()]
        if self.entry is not None and "observed" not in self.entry.record:
            lines.append("  recorded unwatched")
        return "\n".join(lines)


def decide(stage_name: str, key: Key, store: Store, *, explained: bool = True) -> Decision:
    """Compare a key with the entries of a store.

    Parameters
    ----------
    stage_name : str
        For the text of the decision.
    key : Key
        What the stage would run with.
    store : Store
        Where its entries lie.
    explained : bool, optional
        Whether a miss for which no entry has the same inputs is explained against the entry whose
        inputs are most alike.

    Returns
    -------
    Decision
        A hit on the first entry from which nothing differs, else a miss with the changes against
        the nearest entry.
    """
    exact = exact_hit(key, store)
    if exact is not None:
        return Decision(stage_name, (), exact, key)
    nearest: list[Change] = []
    near: Entry | None = None
    for entry in store.neighbours(key):
        changes = compare(entry, key) or faults(entry, key, store)
        if not changes:
            return Decision(stage_name, (), entry, key)
        if near is None or len(changes) < len(nearest):
            nearest, near = changes, entry
    if near is None:
        near = store.nearest(key) if explained else None
        nearest = [] if near is None else compare(near, key)
    changes = nearest or [Change("first run", "no run with these inputs is recorded")]
    return Decision(stage_name, tuple(changes), near, key)


def told_acceptance(acceptance: Mapping[str, JSON]) -> str:
    """Say when, by whom and despite what outputs were accepted (an item of `accepted`)."""
    changes = [Change(*(each[part] for part in PARTS)) for each in acceptance["changes"]]
    despite = "; ".join(map(str, changes)) or "made before it was remembered"
    return f"{acceptance['at']} by {acceptance['by']}@{acceptance['host']}: {despite}"


def exact_hit(key: Key, store: Store) -> Entry | None:
    """Return an entry of exactly this key of which all else stands as its run found or left it."""
    return next((each for each in store.under(key) if not faults(each, key, store)), None)


def faults(entry: Entry, key: Key, store: Store) -> list[Change]:
    """List what is not any more as an entry's run left it (its outputs), or found it."""
    changes = output_changes(entry, store)
    if key.not_before is not None:
        accepted = entry.record.get("accepted")
        began = accepted[-1]["at"] if accepted else entry.record["ran"]["at"]
        if seconds_since_1970(began) < key.not_before:
            changes.insert(0, Change("expired", f"it ran at {began} and has expired"))
    changes += [_observed_change(each, store.root) for each in differences(entry, store, key.files)]
    return changes


def compare(entry: Entry, key: Key) -> list[Change]:
    """List what differs between an entry's run and a key; nothing for a hit."""
    changes = _differences("input", "input ", entry.inputs, key.inputs)
    if not changes:
        changes += _content_changes(entry.files, key.files)
    changes += _code_changes(entry.record["code"], key)
    recorded = entry.record["surroundings"]
    asked = {
        name: recorded.get(name) if value is None else value
        for name, value in key.surroundings.items()
    }
    changes += _differences("surrounding", "", recorded, asked)
    if entry.record["declared"] != list(key.outputs):
        old, new = ", ".join(entry.record["declared"]), ", ".join(key.outputs)
        changes.append(Change("outputs", "stage_outputs", old, new))
    return changes


def _code_changes(recorded: Mapping[str, JSON], key: Key) -> list[Change]:
    code = key.code
    if recorded["fast"] == code.fast:
        return []
    if recorded["canonical"] is not None and recorded["canonical"] == code.canonical():
        return []
    from memori.calls.levels import comparable

    old, new, unlike = comparable(recorded["components"], code.components())
    changes = _differences("code", "", old, new, quote=False)
    if not changes and unlike:  # code without source, seen by another version of Python
        subject, (then, now) = ", ".join(unlike), next(iter(unlike.values()))
        changes.append(Change("code", subject, then, f"{now}, which cannot be compared"))
    return changes or [Change("code", "code", recorded["fast"], code.fast)]


def _content_changes(old: list[Artifact], new: list[Artifact]) -> list[Change]:
    then = {artifact.pointer: artifact for artifact in old}
    changes = []
    for artifact in new:
        before = then.pop(artifact.pointer, None)
        was = _ABSENT if before is None else f"{before.kind} {before.identity}"
        now = f"{artifact.kind} {artifact.identity}"
        if was != now:
            old_text = "a mere name" if before is None else before.identity or before.kind
            subject = f"{artifact.kind} {artifact.path} ({_place(artifact.pointer)})"
            changes.append(Change("file", subject, old_text, artifact.identity or artifact.kind))
    for artifact in then.values():
        subject = f"{artifact.kind} {artifact.path} ({_place(artifact.pointer)})"
        changes.append(Change("file", subject, artifact.identity or artifact.kind, "a mere name"))
    return changes


def output_changes(entry: Entry, store: Store) -> list[Change]:
    """List the outputs of an entry that are missing or were edited."""
    changes = []
    for artifact in entry.artifacts:
        fault = artifact.fault(store.root, store.memo)
        if fault is not None:
            path, pair = artifact.locate(store.root), (artifact.identity or "", fault[1])
            if store.came_of(entry, path, pair, returned=True):
                continue
            kind: Kind = "missing" if fault[0] == "missing" else "edited"
            subject = f"{_place(artifact.pointer)} ({artifact.path})"
            changes.append(Change(kind, subject, artifact.identity or "", fault[1]))
    return changes


_SEEN = {
    "read": "file {}, which the run read,",
    "module": "module {}, which the run imported,",
    "written": "file {}, which the run wrote,",
    "edited": "file {}, which the run changed,",
    "tree": "folder {}, which a program of the run was told of,",
    "appended": "file {}, to which the run appended and which is written anew,",
}


def _observed_change(difference: tuple[str, str, str, str], root: str) -> Change:
    """Say in words what a run saw that is otherwise now."""
    kind, path, old, new = difference
    shown = os.path.relpath(path, root) if path.startswith(root + os.sep) else path
    if kind in _SEEN:
        text = f"{_SEEN[kind].format(shown)} {'is gone' if new == 'nothing' else 'edited'}"
    elif kind == "absent":
        text = f"{shown}, which the run looked for in vain, is there"
    elif kind == "found":
        text = f"{shown}, which the run looked at, was {old} and is {new}"
    elif kind == "there":
        text = f"{shown}, which the run found, is gone"
    elif kind == "listed":
        names = [f"{what}: {which}" for what, which in (("gone", old), ("new", new)) if which]
        text = f"folder {shown}, which the run listed ({'; '.join(names)})"
    elif kind == "variable":
        text = f"variable {path}, which the run read, was {old} and is {new}"
    elif kind == "tool":
        text = f"{path}, of a program that the run started or looked for, was {old} and is {new}"
    elif kind == "dataset":
        text = f"dataset {shown}: {old} -> {new}"
    else:
        text = "recorded unwatched"
    return Change("observed", text, old, new)


def _place(pointer: tuple[str | int, ...]) -> str:
    return str(pointer[0]) + "".join(f"[{part!r}]" for part in pointer[1:])


def _differences(
    kind: Kind, prefix: str, old: Mapping[str, JSON], new: Mapping[str, JSON], *, quote: bool = True
) -> list[Change]:
    from memori.calls.excerpts import apart, short, shortened

    changes = []
    for name in dict.fromkeys((*old, *new)):
        if name not in old:
            changes.append(Change(kind, f"{prefix}{name}", _ABSENT, short(new[name], quote)))
        elif name not in new:
            changes.append(Change(kind, f"{prefix}{name}", short(old[name], quote), _ABSENT))
        elif not equal(old[name], new[name]):
            place, before, now = apart(old[name], new[name])
            texts = shortened(*((repr(v) if quote else str(v)) for v in (before, now)))
            changes.append(Change(kind, f"{prefix}{name}{place}", *texts))
    if not changes and kind == "input" and list(old) != list(new):
        changes.append(Change(kind, f"{prefix}order", ", ".join(old), ", ".join(new)))
    return changes
