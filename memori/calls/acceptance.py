"""Acceptance: present outputs are taken as those of the present code and inputs.

What the analysis of code and the watch over a run make rerun, a person may know to be harmless.
`plan_acceptance` finds the recorded run that a call is taken for and looks at everything again: the
code, the inputs, the outputs as they stand, and what the run was seen to read. `Acceptance.file`
writes that as an entry, which says who accepted it, when and despite what. Later changes are
compared with this state. The entry of the old code stays, and hits when the code goes back.

What is missing or half is not accepted: an output that is gone, empty or no whole file of its
format, a folder that changed (nobody knows whether it lacks something), an output that changed
after a run with these inputs failed, and anything while such a run goes on.

A run is taken for the call only if its inputs have the same values. A new parameter may have its
default or the value of one that is gone (it was renamed); whatever else changed is to be named, or
one subject could get the results of another.

Not promised: that a text, a table or a folder that somebody cut off by hand is known to be half.
"""

from __future__ import annotations

import os
import time

from memori.aside import aside
from memori.calls.decision import PARTS, Change, Decision, compare, exact_hit, faults
from memori.digest.values import encode, strings
from memori.errors import StageError
from memori.store import Entry, Memory, Store, file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.key import Key
    from memori.kind import Kind

_INTACT = ("edited", "missing", "expired")


class Acceptance:
    """What is about to be accepted of one stage; nothing is written before `file`.

    Attributes
    ----------
    decision : Decision
        The hit that the call will be; its `accepted` says what was waved through.
    """

    def __init__(
        self, decision: Decision, key: Key, store: Store, held: tuple[Store, str | None] | None
    ) -> None:
        self.decision = decision
        self._key = key
        self._store = store
        self._held = held

    def file(self) -> None:
        """Write the entry, unless the call was remembered anyway.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        entry, store, key = self.decision.entry, self._store, self._key
        assert entry is not None
        if self._held is None:
            return
        with aside(), store.lock(key):
            if exact_hit(key, store) is not None:
                return
            store.write(entry, key)
            store.mark_made(made_by_itself(entry))
            store.finished(key, None)
            store.show(entry)
            holder, folder = self._held
            if folder is not None:
                holder.shared(folder)


def made_by_itself(entry: Entry) -> list[Artifact]:
    """List the files that an entry names as inputs and as outputs."""
    outputs = {artifact.path for artifact in entry.artifacts}
    return [file for file in entry.files if file.kind == "file" and file.path in outputs]


def plan_acceptance(
    stage: Kind,
    decision: Decision,
    store: Store,
    *,
    defaults: Mapping[str, JSON],
    waived: Collection[str] = (),
    source: str | None = None,
) -> Acceptance:
    """Look for the run that a call is taken for, and at all that would be accepted.

    Parameters
    ----------
    stage : Kind
        Of the call.
    decision : Decision
        What its run would decide.
    store : Store
        Where it is remembered.
    defaults : mapping of str to JSON
        Of its parameters.
    waived : collection of str, optional
        Inputs whose values may differ.
    source : str, optional
        The stage's earlier name.

    Raises
    ------
    StageError
        If there is nothing that can be accepted.
    """
    key = decision.key
    assert key is not None
    if decision.hit:
        return Acceptance(decision, key, store, None)
    old = _run_meant(stage, key, store, defaults, waived, source)
    _reject_running(stage, key, store)
    artifacts = _present_outputs(stage, old, key, store)
    changes = compare(old, key) + faults(old, key, store)
    record = _accepted_record(stage, old, key, store, artifacts)
    if source is not None:
        changes.insert(0, Change("name", "stage name", source, stage.stage_name))
        record.update(stage=stage.stage_name, folder=None)
    record["accepted"] = [*(old.record.get("accepted") or ()), acceptance(changes)]
    new = Decision(stage.stage_name, (), Entry(record), key)
    holder = store if source is None else Store(store.root, source)
    return Acceptance(new, key, store, (holder, old.folder))


def acceptance(changes: Collection[Change] = ()) -> JSON:
    """Return an item of an entry's `accepted`: now, by this user, despite these changes."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "by": _user(),
        "host": os.uname().nodename,
        "changes": [{part: getattr(each, part) for part in PARTS} for each in changes],
    }


def _user() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, as in containers
        return str(os.getuid())


# Which run is meant


def _run_meant(
    stage: Kind,
    key: Key,
    store: Store,
    defaults: Mapping[str, JSON],
    waived: Collection[str],
    source: str | None,
) -> Entry:
    memory = Memory(store.root)
    near = [] if source is not None else list(store.neighbours(key))
    if not near:
        held = memory.entries(file_name(source or stage.stage_name))
        recorded = [each.placed(key.files, store.root) for each in held]
        near = [each for each in recorded if _is_same_call(each, key, defaults, waived)]
        if not near:
            raise StageError(_nothing(stage, key, memory, recorded))
    latest = store.latest()
    pointed = latest.path if latest is not None else ""

    def rank(entry: Entry) -> tuple[int, bool, bool]:
        different = [*compare(entry, key), *faults(entry, key, store)]
        apart = sum(each.kind not in ("code", *_INTACT) for each in different)
        is_edited = any(each.kind == "edited" for each in different)
        return apart, is_edited, entry.path != pointed

    ranked = sorted(((rank(each), n) for n, each in enumerate(near)), key=lambda pair: pair)
    best = near[ranked[0][1]]
    for (apart, *_), n in ranked[1:]:
        others = near[n].inputs
        if apart == ranked[0][0][0] and not _agree(best.inputs, others, waived):
            raise StageError(
                f"{stage.subject}: several recorded runs can be meant, of {_shown(best.inputs)} "
                f"and of {_shown(others)}; name the inputs that make no difference "
                "(accept_inputs=[...]), and the latest run is taken"
            )
    return best


def _agree(one: Mapping[str, JSON], other: Mapping[str, JSON], waived: Collection[str]) -> bool:
    """Tell whether the inputs that two runs have in common are the same, or may differ."""
    common = [name for name in one if name in other and name not in waived]
    return all(encode(one[name]) == encode(other[name]) for name in common)


def _is_same_call(
    entry: Entry, key: Key, defaults: Mapping[str, JSON], waived: Collection[str]
) -> bool:
    then, now = entry.inputs, key.inputs
    gone = {encode(value) for name, value in then.items() if name not in now}
    for name, value in now.items():
        if name in waived:
            continue
        text = encode(value)
        if name in then:
            if encode(then[name]) != text:
                return False
        elif text not in gone and not (name in defaults and encode(defaults[name]) == text):
            return False
    return True


def _nothing(stage: Kind, key: Key, memory: Memory, recorded: list[Entry]) -> str:
    """Say that no run can be meant, and what to do."""
    start = f"{stage.subject}: there is nothing to accept: "
    others = [
        name
        for name in memory.stages()
        if name != file_name(stage.stage_name)
        and any(_is_same_call(each, key, {}, ()) for each in memory.entries(name))
    ]
    if recorded:
        differing = min(
            ([each for each in compare(entry, key) if each.kind == "input"] for entry in recorded),
            key=len,
        )
        start += (
            f"no recorded run has these inputs ({'; '.join(map(str, differing[:8]))}). Name in "
            "accept_inputs=[...] those that make no difference, adopt outputs that are there, "
            "or run it"
        )
    else:
        start += f"no run is recorded in {memory.root}; run it, or adopt outputs that are there"
    if others:
        start += (
            f". If the stage had another name before ({', '.join(others)}), give it: "
            f"accept_from={others[0]!r}"
        )
    return start


def _shown(inputs: Mapping[str, JSON]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in inputs.items())
    return text if len(text) <= 160 else f"{text[:157]}..."


# Whether it can be accepted


def _reject_running(stage: Kind, key: Key, store: Store) -> None:
    run = store.unfinished(key)
    if run is not None and not run.is_over:
        raise StageError(
            f"{stage.subject}: a run with these inputs goes on in {run.folder}; wait for its end, "
            "then accept what it left, or end it"
        )


def _present_outputs(stage: Kind, old: Entry, key: Key, store: Store) -> list[Artifact]:
    """Return the outputs of a run as they are now; raise if something is missing or half."""
    from memori.digest.formats import is_damaged

    if len(key.outputs) != len(old.record["declared"]):
        then = ", ".join(old.record["declared"])
        raise StageError(
            f"{stage.subject} declares the outputs {', '.join(key.outputs)}, and the run that "
            f"would be accepted left {then}: what it lacks cannot be accepted; run it"
        )
    failed = store.unfinished(key)
    present = []
    for artifact in old.artifacts:
        path = artifact.locate(store.root)
        now = artifact.present(store.root, store.memo)
        if now is None:
            raise StageError(
                f"{stage.subject}: the output {artifact.pointer[0]} ({path}) is missing, so it "
                "cannot be accepted; put it back, or run the stage"
            )
        if now.identity != artifact.identity:
            reason = None
            if failed is not None:
                reason = f"a run with these inputs failed since (see {failed.folder})"
            elif artifact.kind == "folder":
                reason = "nobody knows whether the folder is whole; adopt it if it is"
            elif _was_cut(artifact, now) or is_damaged(path):
                reason = "it is not whole"
            if reason is not None:
                raise StageError(
                    f"{stage.subject}: the output {artifact.pointer[0]} ({path}) is not as its "
                    f"run left it, and cannot be accepted: {reason}; put it back, or run the stage"
                )
        present.append(now)
    return present


def _was_cut(then: Artifact, now: Artifact) -> bool:
    if then.file is None or now.file is None:
        return False
    is_empty = now.file.stats[0][0] == 0 != then.file.stats[0][0]
    return is_empty or (then.file.content is not None and now.file.content is None)


# What is recorded


def _accepted_record(
    stage: Kind, old: Entry, key: Key, store: Store, artifacts: list[Artifact]
) -> dict[str, JSON]:
    from memori.calls.recorder import code_record

    then = old.record["surroundings"]
    names = _renamed(old.record["declared"], key.outputs)
    record = {
        **old.record,
        "key": key.digest,
        "function": stage.function_name,
        "code": code_record(key.code),
        "surroundings": {
            name: then.get(name) if value is None else value
            for name, value in key.surroundings.items()
        },
        "declared": list(key.outputs),
        "inputs": key.inputs,
        "files": [file.to_record() for file in key.files],
        "outputs": {names[name]: value for name, value in old.outputs.items()},
        "artifacts": [],
    }
    for artifact in artifacts:
        artifact.pointer = (names[str(artifact.pointer[0])], *artifact.pointer[1:])
        record["artifacts"].append(artifact.to_record())
    if len(old.record.get("observed") or ()) > 1:
        record["observed"] = _observed_now(stage, old, key, store)
    return record


def _renamed(then: list[str], now: tuple[str, ...]) -> dict[str, str]:
    """Return the present name of each output: its own, or the next that is new."""
    new = iter([name for name in now if name not in then])
    return {name: name if name in now else next(new) for name in then}


def _observed_now(stage: Kind, old: Entry, key: Key, store: Store) -> JSON:
    from memori.watch import datasets_of
    from memori.watch.present import Present

    datasets = datasets_of(file.absolute for file in key.files if file.absolute)
    made = store.was_written_for(old.artifacts)
    seen = Present(old.record["observed"], store.root, store.memo, datasets, made)
    if seen.lost:
        raise StageError(
            f"{stage.subject}: the run wrote {seen.lost[0]}, which is missing, so it cannot be "
            "accepted; put it back, or run the stage"
        )
    return seen.facts.to_record(store.root)


def reject_unfit(subject: str, values: Mapping[str, JSON]) -> None:
    """Raise for the first file among outputs to be adopted that is missing or half."""
    for pointer, text in strings(dict(values), ()):
        fault = _fault_of(text)
        if fault is not None:
            raise StageError(
                f"{subject}: the output {pointer[0]} cannot be adopted: {fault}; give what is there"
            )


def _fault_of(text: str) -> str | None:
    from memori.digest.formats import FORMATS, PLAIN, is_damaged

    if os.path.isdir(text):
        return None if os.listdir(text) else f"the folder {text} is empty"
    if os.path.isfile(text):
        return f"{text} is not a whole file of its format" if is_damaged(text) else None
    name = os.path.basename(text).lower()
    suffixes = {name[at:] for at, letter in enumerate(name) if letter == "."}
    is_path = text.startswith(("/", "./", "../", "~")) or not suffixes.isdisjoint(
        PLAIN.union(FORMATS)
    )
    return f"there is no {text}" if is_path else None
