"""A failed stage once more, alone: what the `reproduce.py` beside its log is made of.

The script says in Python how the stage's callable is found, and calls it with the inputs of the run
that failed. Nothing is decided and nothing is recorded, so it can be run as often as it takes, in a
debugger too. A function is found by its module, or by its file where it was defined in the script
that ran; that script is imported for it, and what stands below ``if __name__ == "__main__":`` is
not run.

Not promised: closures, lambdas, methods of objects, partials and what was typed into a notebook or
a shell. Python cannot find these by name, and the log of the failure says so. A function that was
edited since is run as it is now.
"""

from __future__ import annotations

import os
import sys

from memori.calls.current_run import CurrentRun, entered
from memori.stage import Stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memori.digest.values import JSON
    from memori.results import Results


def stage_of(
    name: str, *, module: str | None = None, file: str | None = None, outputs: list[str]
) -> Stage:
    """Return a stage of a function that is found by name.

    Parameters
    ----------
    name : str
        Its qualified name.
    module : str, optional
        The module that it is imported from.
    file : str, optional
        The script that defines it.
    outputs : list of str
        The names of its outputs.

    Examples
    --------
    >>> stage_of("dirname", module="posixpath", outputs=["folder"])
    <Stage dirname(p) -> folder>
    """
    from importlib import import_module
    from operator import attrgetter

    if file is not None:
        source = _imported(file)
    elif module is not None:
        source = import_module(module)
    else:
        raise TypeError("stage_of takes a module or a file")
    try:
        found = attrgetter(name)(source)
    except AttributeError:
        raise LookupError(
            f"{file or module} has no {name} once it is imported; what is defined below "
            '`if __name__ == "__main__":` cannot be run alone'
        ) from None
    known = getattr(found, "stage", None)  # of a remembered function
    return known if isinstance(known, Stage) else Stage(found, outputs)


def _imported(file: str) -> Any:
    """Import a script by its path, under the name that processes give to their parent's."""
    from importlib.util import module_from_spec, spec_from_file_location

    sys.path.insert(0, os.path.dirname(file))
    spec = spec_from_file_location("__mp_main__", file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file} cannot be imported: its name does not end with .py")
    module = module_from_spec(spec)
    sys.modules["__mp_main__"] = module
    spec.loader.exec_module(module)
    return module


def run_alone(stage: Stage, inputs: dict[str, JSON]) -> Results:
    """Call what a stage calls, with these inputs, and print what it returns; nothing is recorded.

    Files that it writes into its own folder (`memori.workdir`) are gone when the process ends.
    """
    with entered(CurrentRun(stage.stage_name, (), None)):
        results = stage.results_of(stage.execute(inputs))
    print(f"{stage.subject} returned {dict(results)}")
    return results
