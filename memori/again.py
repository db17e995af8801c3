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
    from types import FunctionType
    from typing import Any

    from memori.digest.values import JSON
    from memori.results import Results


def source_of(function: object, outputs: list[str]) -> str:
    """Return Python source that finds a function again and makes a stage of it.

    Raises
    ------
    LookupError
        If it cannot be found by name; the message says why.
    """
    import inspect

    plain = inspect.unwrap(function) if callable(function) else function
    name = getattr(plain, "__qualname__", type(plain).__qualname__)
    if not inspect.isfunction(plain):
        raise LookupError(f"the callable is a {type(plain).__qualname__}, and no plain function")
    if "<" in name:
        kind = "a lambda" if "<lambda>" in name else "defined inside of another function"
        raise LookupError(f"{name} is {kind}, so it cannot be imported")
    where = _where(plain)
    return (
        "from memori.again import stage_of\n\n"
        f"stage = stage_of({name!r}, {where}, outputs={outputs!r})"
    )


def _where(function: FunctionType) -> str:
    """Return the argument that says where a function is defined."""
    path, module = os.path.abspath(function.__code__.co_filename), function.__module__
    is_script = "." not in module and "site-packages" not in path and os.path.isfile(path)
    if not is_script and module != "__main__" and module in sys.modules:
        return f"module={module!r}"
    if not is_script:
        raise LookupError(
            f"{function.__qualname__} was typed into a notebook or a shell "
            f"({function.__code__.co_filename}), so it cannot be imported"
        )
    return f"file={path!r}"


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
