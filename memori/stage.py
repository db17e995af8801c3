"""A stage: a callable given a memory.

A run binds its arguments, fingerprints them together with the code, and asks for a decision. On a
hit the recorded outputs come back and nothing is called or written. On a miss the callable runs,
under the lock of its key, and what it returned becomes an entry before the results are returned.

A stage keeps of a run only what its read-only properties show. Nothing of it enters the next run,
so one stage can run in several threads at once.

Not promised: that an argument arrives as it was passed. Values between stages are JSON, and the
callable is given a `Path` as str and a tuple as list, on every run.
"""

from __future__ import annotations

import sys
import warnings

from memori.artifacts import find_inputs, spelled_values
from memori.decision import Change, Decision, decide, exact_hit
from memori.digest.values import copy_json, to_json_as
from memori.entry import Fingerprint
from memori.errors import MemoriWarning, StageError
from memori.fingerprint import fingerprint
from memori.interrupts import terminable
from memori.outputs import Outputs
from memori.parameters import fixed_values, full_name_of, name_of, parameters_of, shown
from memori.place import Place
from memori.recording import Recording
from memori.results import Results
from memori.run import Run
from memori.running import Running, reject_recursion, running
from memori.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from logging import Logger
    from typing import Any, ClassVar, Literal

    from memori.digest.values import JSON
    from memori.entry import Entry


class Stage:
    """A callable given a memory.

    Parameters
    ----------
    function : callable
        A function, method, partial, lambda or object with ``__call__``.
    stage_outputs : str or sequence of str, optional
        A name for each value that is returned; one output called ``output`` by default. With one
        name the value is taken whole.
    hash_output : str or os.PathLike, optional
        The folder in which runs are remembered. Fields are filled from the inputs:
        ``"work/{subject}"``; one that is no parameter only says where. Without a folder the
        stage always runs.
    stage_name : str, optional
        The name of the records; by default that of the function.
    aliases : mapping of str to str, optional
        ``{"a": "b"}`` also offers output a as b.
    stage_output : str or sequence of str, optional
        Another spelling of `stage_outputs`.
    depends_on : sequence, optional
        Modules, functions and files whose content counts as code.
    code_version : str, optional
        Replaces the analysis of the code; another text reruns.
    **static
        Values for parameters; they win over what a run is given.

    Raises
    ------
    TypeError
        If the callable is a generator or coroutine function, or takes no such parameter.

    Examples
    --------
    >>> def split(total, parts=2):
    ...     return total // parts, total % parts
    >>> stage = Stage(split, stage_outputs=["quotient", "rest"], parts=3)
    >>> stage.run(10)
    Results({'quotient': 3, 'rest': 1})
    """

    _names_files_by: ClassVar[Literal["path", "name"]] = "path"
    _uncounted: ClassVar[frozenset[str]] = frozenset()
    _always_runs: bool = False
    threads: int = 1

    def __init__(
        self,
        function: Callable[..., Any],
        stage_outputs: str | Sequence[str] | None = None,
        hash_output: str | os.PathLike[str] | None = None,
        stage_name: str | None = None,
        aliases: Mapping[str, str] | None = None,
        *,
        stage_output: str | Sequence[str] | None = None,
        depends_on: Iterable[object] = (),
        code_version: str | None = None,
        **static: object,
    ) -> None:
        self.function = function
        self.stage_name = stage_name or name_of(function)
        self._subject = f"stage {self.stage_name!r}"
        self._parameters = parameters_of(function)
        self._fixed = fixed_values(function)
        self._outputs = Outputs(self._subject, stage_outputs, stage_output, aliases)
        self._depends_on = tuple(depends_on)
        self._code_version = code_version
        self.hash_output = hash_output
        self._parameters.reject_unknown(static, self._subject, self._places)
        self._static = {
            name: to_json_as(f"{self._subject}, argument {name!r}", value)
            for name, value in static.items()
        }
        self._last = Run({}, Results())

    def __repr__(self) -> str:
        return f"<Stage {self.stage_name}({', '.join(self.inputs)}) -> {', '.join(self.outputs)}>"

    # What a stage shows

    @property
    def title(self) -> str:
        """What messages call it."""
        return self._subject

    @property
    def inputs(self) -> list[str]:
        """Names of the parameters, and of what only says where to remember."""
        return [*self._parameters.names, *self._places]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return list(self._outputs.names)

    @property
    def args(self) -> dict[str, JSON]:
        """The static values."""
        return copy_json(self._static)  # type: ignore[no-any-return]

    @property
    def offers(self) -> list[str]:
        """Names under which results can be taken: outputs and aliases."""
        return [*self._outputs.names, *self._outputs.aliases.values()]

    @property
    def required(self) -> list[str]:
        """Names of the parameters that a run must fill."""
        return [n for n in (*self._parameters.required, *self._places) if n not in self._static]

    def takes(self, name: str) -> bool:
        """Tell whether a value can be passed under this name."""
        return self._parameters.takes(name) or name in self._places

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""
        return list(self._parameters.names[: min(count, self._parameters.positional)])

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if the callable cannot take so many positional arguments."""
        self._parameters.check_positional(self._subject, values)

    @property
    def input_args(self) -> dict[str, JSON]:
        """The inputs of the last run."""
        return copy_json(self._last.inputs)  # type: ignore[no-any-return]

    @property
    def results(self) -> Results:
        """The results of the last run."""
        return Results(copy_json(self._last.results))

    @property
    def state(self) -> bool:
        """Whether the last run executed the callable."""
        return self._last.executed

    @property
    def hash_output(self) -> str | None:
        """The folder in which runs are remembered; it may hold fields."""
        return None if self._place is None else self._place.text

    @hash_output.setter
    def hash_output(self, folder: str | os.PathLike[str] | None) -> None:
        self._place = None if folder is None else Place(self._subject, folder)
        fields = () if self._place is None else self._place.fields
        self._places = tuple(name for name in fields if not self._parameters.takes(name))

    # Running

    def run(
        self,
        /,
        *args: object,
        force_run_stage: bool = False,
        force_skip_stage: bool = False,
        **kwargs: object,
    ) -> Results:
        """Return the outputs, running the callable unless this very run is remembered.

        Parameters
        ----------
        *args, **kwargs
            Arguments of the callable; a single `Results` stands for its values by name.
        force_run_stage : bool, optional
            Run in any case, and replace the entry.
        force_skip_stage : bool, optional
            Return the latest recorded outputs without any check.

        Returns
        -------
        Results
            The value of each output, and of each alias.

        Raises
        ------
        TypeError
            For wrong arguments and for values that JSON cannot hold.
        StageError
            If the number of returned values is wrong, or there is nothing to skip to.
        RecordError
            If the run cannot be recorded; the exception carries its results.
        """
        if force_run_stage and force_skip_stage:
            raise ValueError(f"{self._subject}: force_run_stage or force_skip_stage, not both")
        self.show(None)
        if force_skip_stage:
            is_one_place = self._place is None or not self._place.fields
            inputs = {} if is_one_place else self._inputs(args, kwargs)
            run = Run(inputs, self._latest(self._store(inputs)))
        else:
            run = self.call(args, kwargs, forced=force_run_stage)
        self.show(run)
        return run.results

    def show(self, run: Run | None) -> None:
        """Show this run as the last; None for none."""
        self._last = Run({}, Results()) if run is None else run

    def __getstate__(self) -> dict[str, object]:
        """Travel, to workers and into copies, without the last run."""
        return {**self.__dict__, "_last": Run({}, Results())}

    def call(
        self, args: tuple[object, ...], kwargs: Mapping[str, object], *, forced: bool = False
    ) -> Run:
        """Run it unless it is remembered, and return all that is known of that."""
        inputs = self._inputs(args, kwargs)
        store = self._store(inputs)
        if store is not None:
            return self._remembered(inputs, store, forced=forced or self._always_runs)
        with terminable():
            values = self._execute(inputs, Running(self.stage_name, (), None))
        return Run(inputs, self._outputs.results(values), (self.stage_name,))

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Run | None:
        """Return the run if it is remembered, else None; nothing is run."""
        inputs = self._inputs(args, kwargs)
        store = self._store(inputs)
        if store is None or not store.has_records():
            return None
        found, decision = self._decide(inputs, store, forced=self._always_runs, explained=False)
        entry = decision.hit_entry
        return None if entry is None else self._hit(entry, found, inputs, store)

    def explain(self, /, *args: object, **kwargs: object) -> Decision:
        """Return the decision that `run` would take, with its reasons, without running."""
        inputs = self._inputs(args, kwargs)
        store = self._store(inputs)
        if store is None:
            always = Change("no store", "the stage has no hash_output, so it always runs")
            return Decision(self.stage_name, (always,), None, None)
        return self._decide(inputs, store, forced=self._always_runs)[1]

    def _inputs(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        if self._parameters.are_outdated(self.function):
            self._parameters = parameters_of(self.function)
        return self._parameters.with_defaults(self._bind(args, kwargs))

    def _bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        if args and isinstance(args[0], Results):
            if len(args) > 1:
                raise TypeError(f"{self._subject}: Results stand alone, or are passed by **results")
            offered = {k: v for k, v in args[0].items() if self.takes(k)}
            args, kwargs = (), {**offered, **kwargs}
        return self._parameters.bind(self._subject, args, kwargs, self._static, self._places)

    def _store(self, inputs: Mapping[str, JSON]) -> Store | None:
        return None if self._place is None else Store(self._place.fill(inputs), self.stage_name)

    def _decide(
        self, inputs: dict[str, JSON], store: Store, *, forced: bool, explained: bool = True
    ) -> tuple[Fingerprint, Decision]:
        found = self._fingerprint(inputs, store)
        if forced:
            return found, Decision(self.stage_name, (Change("forced", "forced"),), None, found)
        return found, decide(self.stage_name, found, store, against_latest=explained)

    def _fingerprint(
        self, inputs: dict[str, JSON], store: Store, before: Fingerprint | None = None
    ) -> Fingerprint:
        """Fingerprint what there is now; code and surroundings as before a run, if it is given."""
        code = (
            fingerprint(self.function, depends_on=self._depends_on, code_version=self._code_version)
            if before is None
            else before.code
        )
        surroundings = self._surroundings(inputs) if before is None else before.surroundings
        left_out = self._uncounted.union(self._places)
        counted = {name: value for name, value in inputs.items() if name not in left_out}
        counted.update(self._fixed)
        by_name = self._names_files_by == "name"
        values, files = find_inputs(counted, store.root, store.memo, by_name=by_name)
        return Fingerprint(values, files, code, surroundings, self._outputs.names)

    def _remembered(self, inputs: dict[str, JSON], store: Store, *, forced: bool) -> Run:
        logger = _heard_logger()
        found, decision = self._decide(inputs, store, forced=forced, explained=logger is not None)
        if logger is not None:
            logger.info("%s", decision)
        if decision.hit_entry is not None:
            return self._hit(decision.hit_entry, found, inputs, store)
        reject_recursion(self.stage_name, (store.root, store.name, found.key))
        with terminable(), store.lock(found.names, found.key) as held:
            # Whoever held the lock may have run this very stage, and may have written its files.
            found = self._fingerprint(inputs, store)
            entry = None if forced else exact_hit(found, store)
            if entry is not None:
                return self._hit(entry, found, inputs, store)
            return self._record_run(inputs, found, store, alone=held is True)

    def _record_run(
        self, inputs: dict[str, JSON], found: Fingerprint, store: Store, *, alone: bool
    ) -> Run:
        place = (store.root, store.name, found.key)
        about = (self._subject, self.stage_name, full_name_of(self.function))
        recording = Recording(*about, found, store, alone=alone)
        try:
            values = self._execute(inputs, Running(self.stage_name, place, recording.new_folder))
        finally:
            found.code.settle()
        results = self._outputs.results(values)
        entry = recording.finish(values, results, lambda: self._fingerprint(inputs, store, found))
        if entry is not None:
            results = self._restored(entry, store.root)
        return Run(inputs, results, (self.stage_name,))

    def _hit(self, entry: Entry, found: Fingerprint, inputs: dict[str, JSON], store: Store) -> Run:
        if not store.views_show(entry.key):
            try:
                store.show(entry, found.names)
            except OSError as error:
                message = f"the files that describe the latest run cannot be written: {error}"
                warnings.warn(f"{self._subject}: {message}", MemoriWarning, stacklevel=4)
        return Run(inputs, self._restored(entry, store.root))

    def _latest(self, store: Store | None) -> Results:
        entry = None if store is None else store.latest()
        if entry is None or store is None or entry.record["declared"] != self.outputs:
            where = "a stage without hash_output" if store is None else store.root
            raise StageError(
                f"{self._subject}: force_skip_stage asks for the latest recorded "
                f"{', '.join(self.outputs)}, and there are none in {where}; run it once"
            )
        return self._restored(entry, store.root)

    def _restored(self, entry: Entry, root: str) -> Results:
        return self._outputs.results(spelled_values(entry.outputs, entry.artifacts, root))

    def _execute(self, inputs: dict[str, JSON], run: Running) -> dict[str, JSON]:
        bound = {name: value for name, value in inputs.items() if name not in self._places}
        self._check(bound)
        with running(run):
            try:
                value = self._parameters.call(self.function, copy_json(bound))
            except BaseException as error:
                error.add_note(f"memori: raised in {self._subject} with {shown(bound)}")
                raise
        return self._named(value)

    def _named(self, value: object) -> dict[str, JSON]:
        """Give each returned value its name, as JSON."""
        return self._outputs.named(value)

    # What kinds of stages differ in

    def _surroundings(self, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
        """Name what counts besides code and inputs; None for what cannot be asked now."""
        return {}

    def _check(self, inputs: Mapping[str, JSON]) -> None:
        """Raise before a run that cannot work."""


def _heard_logger() -> Logger | None:
    if "logging" not in sys.modules:  # where nobody imported it, nobody listens
        return None
    logger: Logger = sys.modules["logging"].getLogger(__name__)
    return logger if logger.isEnabledFor(20) else None  # INFO
