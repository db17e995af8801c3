"""memori makes a script of neuroimaging steps remember.

remembered      a decorator: the function is called as before, and remembers
Stage           a callable given a memory
Pipeline        stages wired as a directed acyclic graph, over one case or many
Each            a stage over each element of a list, in a pipeline
when            a line of a pipeline that holds for some cases only
Cases, Failure  what a pipeline returns for many cases
Observer, Event
                who looks on while cases run, and what is told
CasesError      cases failed, where that is to end a script
Results         what both return: values by output name
Folder          a path whose folder's content counts
workdir         the own folder of the stage that is running
ResourceError   a stage needs more than any worker has
TimeLimitError  a stage ran longer than its timeout
WorkerError     a worker process died, and what it was at
MemoriError     what every error of memori's own is
MemoriWarning   what memori does not trust, or could not keep
hashable, redefine_result_key
                names of the first memori, for scripts that import them

The formats and tools of the field are in `memori.neuro`.
"""

from memori.calls.current_run import workdir
from memori.digest.folder import Folder
from memori.errors import (
    CasesError,
    MemoriError,
    MemoriWarning,
    RecordError,
    ResourceError,
    StageError,
    TimeLimitError,
    WorkerError,
)
from memori.results import Results
from memori.stage import Stage
from memori.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any, ParamSpec, Protocol, Self, TypeVar, overload

    from memori.graph.condition import when
    from memori.graph.each import Each
    from memori.mapping.cases import Cases
    from memori.mapping.failure import Failure
    from memori.mapping.observer import Event, Observer
    from memori.original import hashable, redefine_result_key
    from memori.pipeline import Pipeline
    from memori.scheduling.engines import executor

    Given = ParamSpec("Given")
    Returned = TypeVar("Returned")
    Gives = TypeVar("Gives", covariant=True)

    class RememberedFunction(Protocol[Given, Gives]):
        """A function that remembers, as type checkers see it."""

        __name__: str
        __qualname__: str
        stage: Stage

        @property
        def __wrapped__(self) -> Callable[Given, Gives]: ...

        def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> Gives: ...

        @overload
        def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...

        @overload
        def __get__(
            self, instance: object, owner: type | None = None, /
        ) -> Callable[..., Gives]: ...

    def remembered(  # what type checkers see of `memori.neuro.data.remembered`
        folder: str | os.PathLike[str], /, *, outputs: str | list[str] | None = None, **options: Any
    ) -> Callable[[Callable[Given, Returned]], RememberedFunction[Given, Returned]]:
        """Make a function remember."""


__all__ = [
    "Cases",
    "CasesError",
    "Each",
    "Event",
    "Failure",
    "Folder",
    "MemoriError",
    "MemoriWarning",
    "Observer",
    "Pipeline",
    "RecordError",
    "ResourceError",
    "Results",
    "Stage",
    "StageError",
    "TimeLimitError",
    "WorkerError",
    "__version__",
    "executor",
    "hashable",
    "redefine_result_key",
    "remembered",
    "when",
    "workdir",
]

_LATER = {
    "Cases": "memori.mapping.cases",
    "Each": "memori.graph.each",
    "Event": "memori.mapping.observer",
    "Failure": "memori.mapping.failure",
    "Observer": "memori.mapping.observer",
    "Pipeline": "memori.pipeline",
    "executor": "memori.scheduling.engines",
    "hashable": "memori.original",
    "redefine_result_key": "memori.original",
    "when": "memori.graph.condition",
    "remembered": "memori.neuro.data.remembered",
}


def __getattr__(name: str) -> object:
    """Import what a script of single stages does without, when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value
