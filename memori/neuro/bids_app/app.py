"""A pipeline as a BIDS App: `script.py BIDS_DIR OUT_DIR participant|group [options]`.

`app` reads the command line, chooses the files, runs the pipeline over them, saves what it makes as
BIDS derivatives, and ends the script with an exit code. What is remembered is not run again: a
second call does nothing but say so. A participant that fails does not stop the others, and is named
at the end. Nothing is ever written into BIDS_DIR, but below its `derivatives`.

Not promised: that results are saved while other participants still run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from memori.errors import MemoriError, escape_unprintable
from memori.neuro.bids.cases import Query
from memori.neuro.bids.collecting import Outputs
from memori.neuro.bids_app.chosen import Inputs
from memori.neuro.bids_app.errors import AppError
from memori.node import Node
from memori.processes.interrupted import end_as_interrupted


def app(
    pipeline: Node | Callable[..., Node],
    inputs: Mapping[str, Query],
    outputs: Outputs | Callable[[Mapping[str, object]], Outputs],
    *,
    group: Node | Callable[..., Node] | None = None,
    group_outputs: Outputs | None = None,
    source: str | None = None,
    by: Sequence[str] = ("subject", "session"),
    optional: Sequence[str] = (),
    several: Sequence[str] = (),
    lists: Sequence[str] = ("echo",),
    name: str | None = None,
    version: str | None = None,
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    **fields: object,
) -> NoReturn:
    """Run a pipeline as a BIDS App, by the words of the command line; it ends the script.

    Parameters
    ----------
    pipeline : Pipeline, stage, or callable
        What runs for each case. A relative `hash_output` of a stage begins in the work folder
        (`-w`). Of a function that returns the pipeline, the parameters are options of the command
        line: ``def pipeline(fwhm: float = 6.0)`` gives ``--fwhm``.
    inputs : mapping of str to mapping
        What a case is made of, as of `Dataset.cases`: ``{"bold": {"suffix": "bold"}}``. The first
        makes the cases.
    outputs : mapping of str to mapping, or callable
        What is saved, as of `Derivatives.map`: ``{"smooth": {"desc": "smooth"}}``.
    group : stage, pipeline, or callable, optional
        What the level `group` calls with the lists of what all cases made, as `Cases.reduce` does.
    group_outputs : mapping of str to mapping, optional
        What is saved of that; all of it by name (``{"mean": {"desc": "mean"}}``).
    source : str, optional
        The input that gives the names of derivatives; the first unless given.
    by, optional, several, lists
        As of `Dataset.cases`.
    name, version : str, optional
        Of the app; the script's name unless given. With a version, a derivative that lacks a field
        that BIDS requires is a failure.
    description : str, optional
        What `--help` says; the first lines of the script's docstring unless given.
    arguments : sequence of str, optional
        The words of the command line; those of this process unless given.
    **fields : object
        What sidecars of all derivatives say, by the names of BIDS: `SkullStripped=False`.

    Raises
    ------
    SystemExit
        Always: with 0 if all is done, 1 if a participant failed or the data are at fault, 2 for
        wrong arguments. Ctrl-C ends it by that signal, which shells call 130.
    TypeError, ValueError
        If the app itself is at fault: an output that the pipeline has not got, say.
    """
    from memori.neuro.bids_app.call import App

    if not isinstance(inputs, Mapping) or not inputs:
        raise TypeError(
            f"app: inputs={inputs!r}; expected what a case is made of, as Dataset.cases takes it: "
            "{'bold': {'suffix': 'bold'}}"
        )
    script = sys.modules["__main__"]
    told = description if description is not None else (script.__doc__ or "")
    own = _name_of(getattr(script, "__file__", None) or "app")
    made = App(
        pipeline=pipeline,
        inputs=Inputs(dict(inputs), by, optional, several, lists),
        outputs=outputs,
        group=group,
        group_outputs=group_outputs or {},
        source=source or next(iter(inputs)),
        name=name or own,
        version=version,
        description=told.strip().partition("\n\n")[0],
        fields=fields,
    )
    words = list(sys.argv[1:] if arguments is None else arguments)
    escape_unprintable(sys.stdout)
    try:
        code = made.main(words)
    except KeyboardInterrupt:
        told = "interrupted; what was done is remembered, and the same call goes on"
        print(f"{made.name}: {told}", file=sys.stderr)
        end_as_interrupted()
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except (MemoriError, OSError) as error:
        code = error.code if isinstance(error, AppError) else 1
        _end(made.name, str(error), code, is_full="--debug" in words)
    sys.exit(code)


def _name_of(script: str) -> str:
    """Return what an app is called: its file's name, or the package's that is run by `-m`.

    Examples
    --------
    >>> _name_of("code/measure.py"), _name_of("/site-packages/measure/__main__.py")
    ('measure', 'measure')
    """
    folder, name = os.path.split(os.path.abspath(script))
    return os.path.basename(folder) if name == "__main__.py" else os.path.splitext(name)[0]


def _end(name: str, message: str, code: int, *, is_full: bool = False) -> NoReturn:
    """Say in one line what went wrong, and end."""
    if is_full or os.environ.get("MEMORI_DEBUG"):
        import traceback

        traceback.print_exc()
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
