"""What is told of a run that failed: the error, the stage and its inputs, and where it was raised.

The text is for people. It lies in the run's own folder (`memori.store.failures`), and `memori show`
prints it.
"""

from __future__ import annotations

import json
import os
import sys
import time

from memori.digest.values import copy_json, put
from memori.errors import MemoriError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from memori.digest.values import JSON
    from memori.key import Key

_MOST = 2000  # characters of one input


def is_failure(error: object) -> bool:
    """Tell whether what ended a run is a failure, and not the user who interrupted it.

    Nor is a generator that is closed while it waits for a run.
    """
    return error is not None and not isinstance(error, (KeyboardInterrupt, GeneratorExit))


def describe(
    error: BaseException, subject: str, function: str, inputs: dict[str, JSON], seconds: float
) -> str:
    """Return the text of a failure.

    Parameters
    ----------
    error : BaseException
        What was raised.
    subject, function : str
        The stage, and the full name of its callable.
    inputs : dict of str to JSON
        What it was given.
    seconds : float
        How long it ran.
    """
    import traceback

    headline = traceback.format_exception_only(type(error), error)
    notes = "".join(f"{note}\n" for note in getattr(error, "__notes__", ()))
    told = str(error) if isinstance(error, MemoriError) else "".join(headline).removesuffix(notes)
    trace = _trace_of(error)
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    lines = [
        told.rstrip("\n"),
        "",
        f"{subject} ({function})",
        f"at {now}, after {seconds:.1f} s, process {os.getpid()} on {os.uname().nodename}, "
        f"Python {sys.version.partition(' ')[0]}",
        "inputs:" if inputs else "no inputs",
        *(f"  {name} = {_shown(value)}" for name, value in inputs.items()),
        "",
        _with_files("".join(traceback.format_exception(type(error), error, trace)), trace),
    ]
    return "\n".join(lines)


def told_inputs(text: str) -> dict[str, JSON]:
    r"""Return the inputs that the text of a failure tells, but for those that it cuts short.

    Examples
    --------
    >>> told_inputs("ValueError: no\n\ninputs:\n  fwhm = 6\n  mask = null\n\nTraceback")
    {'fwhm': 6, 'mask': None}
    """
    inputs: dict[str, JSON] = {}
    _, _, rest = text.partition("\ninputs:\n")
    for line in rest.partition("\n\n")[0].splitlines():
        name, is_one, value = line.strip().partition(" = ")
        try:
            inputs.update({name: json.loads(value)} if is_one else {})
        except ValueError:
            continue
    return inputs


def _trace_of(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first line on that is not memori's own, if there is one."""
    trace = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_globals.get("__name__", "").startswith("memori."):
            return trace
        trace = trace.tb_next
    return error.__traceback__


def _with_files(text: str, trace: TracebackType | None) -> str:
    """Name the script in a traceback through functions that were pickled for a worker.

    Where they are of several files, a name that says nothing is better than a wrong one.
    """
    from memori.fingerprint.origins import file_of
    from memori.fingerprint.sources import PICKLED

    files = set()
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == PICKLED:
            files.add(file_of(trace.tb_frame.f_globals))
        trace = trace.tb_next
    name = files.pop() if len(files) == 1 else None
    return text if name is None else text.replace(f'File "{PICKLED}"', f'File "{name}"')


def inputs_of(key: Key) -> dict[str, JSON]:
    """Return what counts of the inputs, with the files where they are."""
    inputs: dict[str, JSON] = copy_json(key.inputs)
    for file in key.files:
        if file.absolute:
            put(inputs, file.pointer, file.absolute)
    return inputs


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"
