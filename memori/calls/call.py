"""One call of a stage: decide, return what is remembered, or run and record.

On a hit the recorded outputs come back and the callable is not called. On a miss it runs under the
lock of its key, and what it returned becomes an entry before the results are returned. Deciding
and explaining are the same comparison (`memori.calls.decision`).

Not promised: that two calls at once run only once. Where locks are refused both run; then the
second to end takes what the first recorded.
"""

from __future__ import annotations

import os
import sys
import time

from memori.artifacts import current_folder, find_inputs, spelled_values
from memori.aside import aside
from memori.calls.attempts import attempted
from memori.calls.current_run import CurrentRun, entered, reject_recursion
from memori.calls.decision import Change, Decision, decide, exact_hit
from memori.calls.going_on import get_ready
from memori.calls.limit import limit
from memori.calls.observations import (
    Unwatched,
    Watch,
    environment_of,
    pass_on,
    put_back,
    watching_is_off,
)
from memori.calls.telling import tell, told
from memori.calls.twin import brought, twins
from memori.digest.values import strings
from memori.errors import BusyError, StageError, warn
from memori.key import Key
from memori.processes.interrupts import terminable
from memori.processes.planning import reject_run
from memori.processes.settings import setting
from memori.results import Outcome, Results
from memori.store.use import in_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from logging import Logger

    from memori.calls.acceptance import Acceptance
    from memori.digest.values import JSON
    from memori.kind import Kind
    from memori.store import Entry, Store


class Call:
    """One call of a stage.

    Parameters
    ----------
    stage : Kind
        Of which it is a call.
    inputs : dict of str to JSON
        All its inputs, defaults included.
    store : Store
        Where it is remembered.
    """

    __slots__ = ("_here", "_inputs", "_stage", "_store")

    def __init__(self, stage: Kind, inputs: dict[str, JSON], store: Store) -> None:
        self._stage = stage
        self._inputs = inputs
        self._store = store
        self._here = current_folder()  # a run may leave it for another one

    def decide(self, *, explained: bool = True) -> Decision:
        """Return the decision; a miss is explained against the run that is most alike."""
        decision = self._decide_here(explained=explained)
        is_settled = decision.hit or self._stage.always_runs or not self._stage.remembered
        return decision if is_settled else self._found_elsewhere() or decision

    def _decide_here(self, *, explained: bool) -> Decision:
        """Return the decision for the stage's own place, where runs are recorded."""
        key = self._key()
        if self._stage.always_runs or not self._stage.remembered:
            return self._forced(key)
        return decide(self._stage.stage_name, key, self._store, explained=explained)

    def _found_elsewhere(self) -> Decision | None:
        """Return a hit in a further place of the stage, which is only looked at."""
        for store in self._store.further:
            key = self._key(store=store)
            decision = decide(self._stage.stage_name, key, store, explained=False)
            if decision.hit:
                decision.elsewhere = store
                return decision
        return None

    def recall(self) -> Outcome | None:
        """Return the outcome if this call is remembered, else None."""
        with aside():
            decision = self.decide(explained=False)
        return self._hit(self._brought(decision)) if decision.hit else None

    def is_remembered(self) -> bool:
        """Tell whether this call is a hit."""
        with aside():
            return self.decide(explained=False).hit

    def forget(self) -> bool:
        """Forget this call: all that would be a hit. Tell whether there was something."""
        found = 0
        with aside():
            key = self._key()
            with self._store.lock(key):
                while entry := decide("", key, self._store, explained=False).hit_entry:
                    self._store.forget(entry)
                    if entry.folder is not None:
                        self._store.drop_folder(entry.folder)
                    found += 1
        return found > 0

    def plan_acceptance(
        self, defaults: Mapping[str, JSON], waived: Collection[str], source: str | None
    ) -> tuple[Outcome, Acceptance]:
        """Return what this call will be once the present outputs are taken as its own."""
        from memori.calls.acceptance import plan_acceptance

        with aside():
            plan = plan_acceptance(
                self._stage,
                self._decide_here(explained=False),
                self._store,
                defaults=defaults,
                waived=waived,
                source=source,
            )
        assert plan.decision.entry is not None
        return Outcome(self._inputs, self._restored(plan.decision.entry)), plan

    def adopt(self, make: Callable[[], dict[str, JSON]]) -> Decision:
        """File outputs that were made without memori; `make` returns those that are fit for it."""
        from memori.calls.acceptance import acceptance, made_by_itself
        from memori.calls.recorder import Recorder

        stage, store = self._stage, self._store
        with aside():
            decision = self.decide()
        if decision.hit:
            raise StageError(
                f"{stage.subject} remembers this very call: there is nothing to adopt; forget() "
                "it first if other outputs are meant"
            )
        key = decision.key
        assert key is not None
        about = (stage.subject, stage.stage_name, stage.function_name)
        recorder = Recorder(*about, key, store, inputs=self._inputs)
        recorder.accepted = acceptance()
        run = CurrentRun(stage.stage_name, self._identity(key), recorder.new_folder)
        with terminable(), store.lock(key), recorder:
            with entered(run):
                values = make()
            with aside():
                entry = recorder.finish(values, stage.results_of(values), None, lambda: key)
                assert entry is not None
                files = [each for each in entry.artifacts if each.kind == "file"]
                store.mark_written([each.locate(store.root) for each in files])
                store.mark_made(made_by_itself(entry))
        return Decision(stage.stage_name, (), entry, key)

    def run(self, *, forced: bool = False, waits: bool = True) -> Outcome:
        """Return the outcome, running the callable unless this call is remembered.

        Raises
        ------
        BusyError
            If it is being run elsewhere right now, and one is not to wait for that.
        """
        logger = _heard_logger()
        forced = forced or self._stage.always_runs
        with aside():
            decision = self._forced(self._key()) if forced else self.decide()
        if logger is not None:
            logger.info("%s", decision)
        assert decision.key is not None
        if decision.hit:
            return self._hit(self._brought(decision))
        reject_run(self._stage.subject, decision.reasons)
        reject_recursion(self._stage.stage_name, self._identity(decision.key))
        self._load(decision.key)
        if not self._stage.remembered:
            files = [file.absolute for file in decision.key.files]
            with terminable(), in_use(self._stage.subject, files):
                return self._execute(decision.key, decision, forced=True)
        with terminable(), self._store.lock(decision.key, wait=waits) as is_mine:
            if is_mine is False:
                raise BusyError(f"{self._stage.subject} is being run elsewhere")
            if is_mine is None:
                self._store.reject_unwritable(self._stage.subject)
            # Whoever held the lock may have run this very stage, and may have written its files.
            with aside():
                key = self._key() if decision.key.may_name_files else decision.key
                entry = None if forced else exact_hit(key, self._store)
            if entry is not None:
                return self._hit(Decision(self._stage.stage_name, (), entry, key))
            return self._run_once(key, decision, forced=forced, waits=waits)

    def _run_once(self, key: Key, why: Decision, *, forced: bool, waits: bool) -> Outcome:
        """Run it, unless an equal run is remembered elsewhere (`memori.calls.twin`)."""
        wanted = self._stage.is_scattered and not forced
        twin = twins(key, self._store, wanted=wanted, wait=waits)
        with twin as is_mine:
            if not is_mine:
                raise BusyError(f"{self._stage.subject} is being run elsewhere")
            with aside():
                entry = twin.copy()
            if entry is not None:
                return self._hit(Decision(self._stage.stage_name, (), entry, key))
            with in_use(self._stage.subject, [file.absolute for file in key.files]):
                outcome = self._execute(key, why, forced=forced)
            twin.tell()
            return outcome

    def _forced(self, key: Key) -> Decision:
        why = "forced" if self._stage.remembered else "remember=False"
        return Decision(self._stage.stage_name, (Change("forced", why),), None, key)

    def _load(self, key: Key) -> None:
        """Import what a run and its record need: nothing is imported while a lock is held."""
        import zlib  # noqa: F401

        import memori.calls.recorder
        import memori.fingerprint.syntax

        get_ready()
        key.code.canonical()
        if self._stage.is_scattered:
            import shutil  # noqa: F401
        if not watching_is_off() and self._stage.watched:
            import atexit  # noqa: F401

            import memori.watch.left_out
            import memori.watch.unkept  # noqa: F401
            from memori.watch.hook import install

            install()

    def _identity(self, key: Key) -> tuple[str, ...]:
        return self._store.root, self._store.name, key.digest

    def _key(self, before: Key | None = None, *, store: Store | None = None) -> Key:
        """Look at what there is now; code and surroundings as before a run, if that is given."""
        stage, root = self._stage, (store or self._store).root
        code = stage.code() if before is None else before.code
        surroundings = (
            {**stage.surroundings(self._inputs, root), **environment_of(code)}
            if before is None
            else before.surroundings
        )
        counted = stage.counted(self._inputs)
        values, files = find_inputs(
            counted,
            root,
            self._store.memo,
            by_name=stage.files_count_by == "name",
            texts=stage.texts,
            here=self._here,
            further=[each.root for each in (self._store, *self._store.further)],
        )
        key = Key(values, files, code, surroundings, tuple(stage.outputs))
        if stage.max_age is not None:
            key.not_before = time.time() - stage.max_age
        return key

    def _uncounted_paths(self) -> Iterator[str]:
        """Yield what inputs that do not count name: it does not count either that it is read."""
        counted = self._stage.counted(self._inputs)
        for name, value in self._inputs.items():
            if name not in counted and isinstance(value, (str, list, dict)):
                for _, text in strings(value, (name,)):
                    path = os.path.join(self._here, text)
                    if text and not set("*?[").intersection(text) and os.path.exists(path):
                        yield path

    def _execute(self, key: Key, why: Decision, *, forced: bool) -> Outcome:
        stage = self._stage
        tell("decided", stage.stage_name, hit=False, reason=why.reasons)
        with told(stage.stage_name):
            return attempted(
                lambda: self._attempt(key, why, forced=forced), stage.retries, stage.stage_name
            )

    def _attempt(self, key: Key, why: Decision, *, forced: bool) -> Outcome:
        from memori.calls.recorder import Recorder
        from memori.calls.shared import tell_of_open, tell_of_turns

        stage = self._stage
        with aside():
            tell_of_turns(stage.subject, why, self._store)
        about = (stage.subject, stage.stage_name, stage.function_name)
        recorder = Recorder(
            *about, key, self._store, forced=forced, inputs=self._inputs, why=why, alone=stage.alone
        )
        run = CurrentRun(stage.stage_name, self._identity(key), recorder.new_folder)
        watch = None
        if stage.remembered and stage.watched and not watching_is_off():
            watch = Watch(key.code, self._store, [*stage.ignored_reads, *self._uncounted_paths()])
        with recorder:
            timed = limit(stage.timeout, stage.stage_name)
            with entered(run), watch or Unwatched(key.code if stage.remembered else None), timed:
                values = stage.execute(self._inputs)
            recorder.command = run.command
            with aside():
                results = stage.results_of(values)
                entry = None
                if stage.remembered:
                    entry = recorder.finish(values, results, watch, lambda: self._key(key))
                else:
                    recorder.returns()
        if current_folder() != self._here:
            warn(
                f"{stage.subject} was called in {self._here} and left the current folder at "
                f"{current_folder()}; where it is remembered it will not: have it go back"
            )
        if entry is not None:
            with aside():
                tell_of_open(stage.subject, entry, self._store.root)
            pass_on(entry, self._store, key.files)
            results = self._restored(entry)
        reasons = {stage.stage_name: why.reasons}
        entries = () if entry is None else (entry.path,)
        return Outcome(self._inputs, results, (stage.stage_name,), reasons, entries)

    def _brought(self, hit: Decision) -> Decision:
        """Return a hit in a further place as one in the stage's own, if that is asked for."""
        if hit.elsewhere is None or setting("further") != "copy":
            return hit
        assert hit.entry is not None
        with aside(), terminable():
            key = self._key()
            with self._store.lock(key):
                entry = exact_hit(key, self._store) or brought(
                    hit.entry, hit.elsewhere, key, self._store
                )
        return hit if entry is None else Decision(self._stage.stage_name, (), entry, key)

    def _hit(self, decision: Decision) -> Outcome:
        entry, key, store = decision.hit_entry, decision.key, decision.elsewhere or self._store
        assert entry is not None
        files = () if key is None else key.files
        tell("decided", self._stage.stage_name, hit=True, reason="")
        try:
            with aside():
                if decision.elsewhere is None:
                    put_back(entry, store, files)
                    store.follow(entry)
        except OSError as error:
            message = f"the files that describe the latest run cannot be written: {error}"
            warn(f"{self._stage.subject}: {message}")
        pass_on(entry, store, files)
        entries = (entry.path,) if decision.elsewhere is None else ()
        return Outcome(self._inputs, restored(self._stage, entry, store.root), entries=entries)

    def _restored(self, entry: Entry) -> Results:
        return restored(self._stage, entry, self._store.root)


def restored(stage: Kind, entry: Entry, root: str) -> Results:
    """Return what a stage returned when an entry was recorded."""
    return stage.results_of(spelled_values(entry.outputs, entry.artifacts, root))


def latest_results(stage: Kind, store: Store | None) -> Results:
    """Return the latest recorded outputs of a stage, unchecked.

    Raises
    ------
    StageError
        If there are none.
    """
    entry = None if store is None else store.latest()
    if entry is None or store is None or entry.record["declared"] != stage.outputs:
        where = "a stage without hash_output" if store is None else store.root
        raise StageError(
            f"{stage.subject}: force_skip_stage asks for the latest recorded "
            f"{', '.join(stage.outputs)}, and there are none in {where}; run it once"
        )
    return restored(stage, entry, store.root)


def _heard_logger() -> Logger | None:
    if "logging" not in sys.modules:  # where nobody imported it, nobody listens
        return None
    logger: Logger = sys.modules["logging"].getLogger("memori.stage")
    return logger if logger.isEnabledFor(20) else None  # INFO
