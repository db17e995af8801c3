"""A stage: a callable given a memory.

A run binds its arguments, turns them into JSON and makes a `memori.calls.call.Call` of them, which
decides, runs and records. What kinds of stages differ in is said by `memori.kind.Kind`; `Stage`
answers for a plain callable, and a subclass overrides what differs.

A stage keeps of a run only what its read-only properties show. Nothing of it enters the next run,
so one stage can run in several threads at once.

Not promised: that an argument arrives as it was passed. Values between stages are JSON, and the
callable is given a tuple as list, on every run, and a `Path` as str, unless its parameter is
annotated as a path (`memori.signature.paths`).
"""

from __future__ import annotations

from memori.accepting import Accepting, checked_switches, several
from memori.calls.age import seconds_of
from memori.calls.attempts import attempted, count_of
from memori.calls.call import Call, latest_results, restored
from memori.calls.current_run import CurrentRun, entered
from memori.calls.decision import Change, Decision
from memori.calls.limit import limit
from memori.calls.telling import tell, told
from memori.digest.values import copy_json
from memori.errors import BusyError, RemovedError, note, warn
from memori.fingerprint import fingerprint
from memori.processes.interrupts import terminable
from memori.results import Outcome, Results
from memori.signature.callables import parameters_of
from memori.signature.options import parameters_first
from memori.signature.outputs import Outputs
from memori.signature.parameters import fixed_values, name_of, shown
from memori.signature.paths import classes_of
from memori.signature.paths import told as told_of_paths
from memori.signature.resources import Resources, resources_of
from memori.store import Store
from memori.store.use import in_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any, Literal

    from memori.calls.age import Age
    from memori.digest.values import JSON
    from memori.fingerprint import Code
    from memori.place import Where

_ALWAYS = Change("no store", "the stage has no hash_output, so it always runs")


class Stage(Accepting):
    """A callable given a memory.

    Parameters
    ----------
    function : callable
        A function, method, partial, lambda or object with ``__call__``.
    stage_outputs : str or sequence of str, optional
        A name for each value that is returned; one output called ``output`` by default. With one
        name the value is taken whole.
    hash_output : str or os.PathLike, or a list of them, optional
        The folder in which runs are remembered. Further ones in a list are looked in, too, and
        never written: what is remembered there alone is a hit, on its files there. Fields are
        filled from the inputs, ``"work/{subject}"``; one that is no parameter only says where.
        Without a folder the stage always runs.
    stage_name : str, optional
        The name of the records; by default that of the function.
    aliases : mapping of str to str, optional
        ``{"a": "b"}`` also offers output a as b; so does ``{"b": "a"}`` if b is no output.
    stage_output : str or sequence of str, optional
        Another spelling of `stage_outputs`.
    depends_on : sequence, optional
        Modules, functions and files whose content counts as code.
    code_version : str, optional
        Replaces the analysis of the code; another text reruns.
    watch : bool or "process", optional
        Whether what a run reads, lists and writes besides its inputs is seen and counts. With
        ``"process"`` it runs in a process of its own, where also what libraries in C open is seen
        (h5py, SimpleITK, SQLite), if commands can be watched here.
    ignore_reads : iterable of str or os.PathLike, optional
        Files, folders and patterns (``"*.log"``) that do not count though a run reads them.
    ignore : iterable of str, optional
        Parameters that do not count, such as ``n_jobs`` and ``verbose``: whatever their values,
        a run is remembered as one.
    remember : bool, optional
        Whether runs are remembered and so shared; not those of an unseeded random tool, of which
        there are to be several. Without, each run runs, and what it left in its own folder stays
        for a day at least.
    expires_after : float, str or datetime.timedelta, optional
        The age (seconds, or a text such as ``"7 days"``) from which on what is recorded runs again.
        Never counts.
    retries : int, optional
        How often a run that fails is begun again. Never counts.
    timeout : float, str or datetime.timedelta, optional
        The time (seconds, or a text such as ``"2 hours"``) after which each try fails with a
        `TimeLimitError`; what it started is ended, and a worker that goes on all the same ends
        with it (`memori.calls.limit`). Never counts.
    threads, memory, gpus : int, int or str, int, optional
        What a run keeps busy of a worker: threads, memory (``"8 GB"``) and GPUs. `Pipeline.map`
        runs no more at once than there is room for. Never counts.
    **static
        Values for parameters; they win over what a run is given. A parameter that is called like
        an option is meant before the option (`with_options`).

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

    files_count_by: Literal["path", "name"] = "path"
    uncounted: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    always_runs: bool = False
    watched: bool = True
    remembered: bool = True
    ignored_reads: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()
    max_age: float | None = None
    resources: Resources = Resources()
    retries: int = 0
    timeout: float | None = None
    _versions: bytes = b""
    _made: dict[str, Any]

    @parameters_first
    def __init__(
        self,
        function: Callable[..., Any],
        stage_outputs: str | Sequence[str] | None = None,
        hash_output: Where = None,
        stage_name: str | None = None,
        aliases: Mapping[str, str | Sequence[str]] | None = None,
        *,
        stage_output: str | Sequence[str] | None = None,
        depends_on: Iterable[object] = (),
        code_version: str | None = None,
        watch: bool | Literal["process"] = True,
        ignore_reads: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        ignore: str | Iterable[str] = (),
        remember: bool = True,
        expires_after: Age | None = None,
        retries: int = 0,
        timeout: Age | None = None,
        threads: int | None = None,
        memory: int | str | None = None,
        gpus: int = 0,
        **static: object,
    ) -> None:
        self.function = function
        self.stage_name = name_of(function, stage_name)
        self.subject = f"stage {self.stage_name!r}"
        self._parameters = parameters_of(function)
        self._fixed = fixed_values(function)
        self._outputs = Outputs(self.subject, stage_outputs, stage_output, aliases)
        is_several = hasattr(depends_on, "__iter__") and not isinstance(depends_on, str)
        self._depends_on = tuple(depends_on) if is_several else (depends_on,)
        self._code_version = code_version
        switches = checked_switches(self.subject, remember, watch, code_version)
        self.watched, self._runs_apart = switches
        self.remembered = remember
        self.ignored_reads = several(ignore_reads, f"{self.subject}, ignore_reads")
        self.hash_output = hash_output
        self.ignored = frozenset(several(ignore, f"{self.subject}, ignore"))
        self._parameters.reject_unknown(self.ignored, f"{self.subject}, ignore:", self._places)
        self.max_age = seconds_of(expires_after, self.subject)
        self.retries = count_of(retries, self.subject)
        self.timeout = seconds_of(timeout, self.subject, "timeout")
        self.resources = resources_of(threads, memory, gpus, self.subject)
        self._static = {}
        self.add_static(static)
        self._last = Outcome({}, Results())

    def __repr__(self) -> str:
        return f"<Stage {self.stage_name}({', '.join(self.inputs)}) -> {', '.join(self.outputs)}>"

    @classmethod
    def own_names(cls, given: Mapping[str, Any], source: str) -> Collection[str]:
        """Return the parameters of the callable that a stage is made for.

        Parameters
        ----------
        given : Mapping of str to object
            What the stage is made with.
        source : str
            The name of the callable in it.
        """
        return parameters_of(given[source]).names

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
            If the number of returned values is wrong, there is nothing to skip to, or nothing can
            be written in `hash_output` (nothing ran then).
        RecordError
            If the run cannot be recorded; the exception carries its results.
        """
        if force_run_stage and force_skip_stage:
            raise ValueError(f"{self.subject}: force_run_stage or force_skip_stage, not both")
        self.show(None)
        if force_skip_stage:
            has_fields = self._place is not None and self._place.fields
            inputs = self._inputs(args, kwargs) if has_fields else {}
            outcome = Outcome(inputs, latest_results(self, self._store(inputs)))
        else:
            for each in self.overruled(args, kwargs):
                warn(each)
            outcome = self.call(args, kwargs, forced=force_run_stage)
        self.show(outcome)
        return outcome.results

    def show(self, outcome: Outcome | None) -> None:
        """Show this run as the last; None for none."""
        self._last = Outcome({}, Results()) if outcome is None else outcome

    def __getstate__(self) -> dict[str, object]:
        """Travel, to workers and into copies, without the last run, and with versions of code."""
        from memori.fingerprint.versions import told_of

        return {**self.__dict__, "_last": Outcome({}, Results()), "_versions": told_of(self)}

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object], **how: bool) -> Outcome:
        """Run it unless it is remembered; `how` as for `memori.calls.call.Call.run`."""
        try:
            return self._call(args, kwargs, **how)
        except (BusyError, RemovedError):
            raise
        except BaseException as error:
            from memori.calls.fault import met

            met(error, stage=self.stage_name)
            tell("failed", self.stage_name, error=error)
            raise

    def _call(self, args: tuple[object, ...], kwargs: Mapping[str, object], **how: bool) -> Outcome:
        inputs = self._inputs(args, kwargs)
        store = self._store(inputs)
        if store is not None:
            return Call(self, inputs, store).run(**how)
        why = {self.stage_name: str(_ALWAYS)}
        tell("decided", self.stage_name, hit=False, reason=str(_ALWAYS))
        with terminable(), told(self.stage_name):
            values = attempted(lambda: self._unrecorded(inputs), self.retries, self.stage_name)
        return Outcome(inputs, self.results_of(values), (self.stage_name,), why)

    def _unrecorded(self, inputs: dict[str, JSON]) -> dict[str, JSON]:
        run = CurrentRun(self.stage_name, (), None)
        with in_use(self.subject, inputs), entered(run), limit(self.timeout, self.stage_name):
            return self.execute(inputs)

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome | None:
        """Return the outcome if it is remembered, else None; nothing is run."""
        call = self.remembered_call(args, kwargs)
        return None if call is None else call.recall()

    def explain(self, /, *args: object, **kwargs: object) -> Decision:
        """Return the decision that `run` would take, with its reasons, without running."""
        call = self.remembered_call(args, kwargs)
        no_place = Decision(self.stage_name, (_ALWAYS,), None, None)
        decision = no_place if call is None else call.decide()
        decision.overruled = tuple(self.overruled(args, kwargs))
        return decision

    def foresee(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[list[Decision], Results | None]:
        """Return the decision that `run` would take, and what it would return for a hit."""
        decision = self.explain(*args, **kwargs)
        entry, store = decision.hit_entry, self._store(self._inputs(args, kwargs))
        if entry is None or store is None:
            return [decision], None
        return [decision], restored(self, entry, (decision.elsewhere or store).root)

    def is_remembered(self, /, *args: object, **kwargs: object) -> bool:
        """Tell whether `run` would return what is recorded, without running."""
        call = self.remembered_call(args, kwargs)
        return call is not None and call.is_remembered()

    def remembered_call(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> Call | None:
        """Return a call that can be remembered; None for a stage without a place."""
        store = self._store(inputs := self._inputs(args, kwargs))
        return None if store is None else Call(self, inputs, store)

    def _inputs(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        if self._parameters.are_outdated(self.function):
            self._parameters = parameters_of(self.function)
        return self._parameters.with_defaults(self.bind(args, kwargs))

    def _store(self, inputs: Mapping[str, JSON]) -> Store | None:
        if self._place is None:
            return None
        root, *further = (each.fill(inputs) for each in (self._place, *self._further))
        return Store(root, self.stage_name, further)

    # What a kind of stage may change (see `memori.kind`)

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        """Return what a run was given, as JSON by name; static values win."""
        if args and isinstance(args[0], Results):
            if len(args) > 1:
                raise TypeError(f"{self.subject}: Results stand alone, or are passed by **results")
            offered = {k: v for k, v in args[0].items() if self.takes(k)}
            args, kwargs = (), {**offered, **kwargs}
        return self._parameters.bind(self.subject, args, kwargs, self._static, self._places)

    def code(self) -> Code:
        """Return what the callable is and reaches now."""
        code = self._code()
        if self._versions:
            from memori.fingerprint.versions import reject_outdated, take_settings

            if take_settings(self.subject, self._versions, code):
                code = self._code()
            reject_outdated(self.subject, self._versions, code.codes)
            self._versions = b""
        return code

    def _code(self) -> Code:
        paths = {} if self._code_version is not None else self._parameters.shapes(self.function)
        if paths:
            further = (*self._depends_on, *classes_of(paths.values()))
            return fingerprint(self.function, further, notes=told_of_paths(paths))
        return fingerprint(self.function, self._depends_on, self._code_version)

    def counted(self, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the inputs that can change a result, `uncounted` ones and mere places aside."""
        left_out = self.uncounted.union(self._places, self.ignored)
        return {**{k: v for k, v in inputs.items() if k not in left_out}, **self._fixed}

    def surroundings(self, inputs: Mapping[str, JSON], root: str) -> dict[str, JSON]:
        """Name what counts besides code and inputs; None for what cannot be asked now."""
        return {}

    def check(self, inputs: Mapping[str, JSON]) -> None:
        """Raise before a run that cannot work."""

    def execute(self, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
        """Run the callable and return each output's value by name."""
        bound = {name: value for name, value in inputs.items() if name not in self._places}
        self.check(bound)
        try:
            if self._runs_apart:
                from memori.calls.apart import call_apart

                value = call_apart(self._parameters.call, self.function, copy_json(bound))
            else:
                value = self._parameters.call(self.function, copy_json(bound))
        except BaseException as error:
            note(error, f"memori: raised in {self.subject} with {shown(bound)}")
            raise
        return self.named(value)

    def named(self, value: object) -> dict[str, JSON]:
        """Give what the callable returned its names, as JSON."""
        return self._outputs.named(value)

    def results_of(self, values: dict[str, JSON]) -> Results:
        """Return the values of the outputs, and of their aliases."""
        return self._outputs.results(values)
