"""`reproduce.py`, beside the log of a failed stage: runs that stage alone, with the same inputs.

It is written when a run fails and at no other time, and holds plain Python for people to read, to
run and to change: memori never executes it. What failed in a command runs that command again, in
the folder where it ran; else `memori.again` calls the function.

Not promised: values of variables whose names tell of a secret. They are not written down, and must
be set before the script is run.
"""

from __future__ import annotations

import json
import os
import shlex
import sys

from memori.calls.fault import command_of
from memori.files import atomic_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FunctionType

    from memori.digest.values import JSON

NAME = "reproduce.py"


def told(
    error: BaseException,
    folder: str,
    subject: str,
    here: str,
    inputs: dict[str, JSON],
    alone: Callable[[], str] | None,
) -> str:
    """Write the script, and return what the log says of it.

    Parameters
    ----------
    error : BaseException
        What was raised; that of a command may say how to run it (`command_source`).
    folder : str
        The run's own, absolute.
    subject : str
        What errors call the stage.
    here : str
        The folder that relative paths among the inputs start from.
    inputs : dict of str to JSON
        What the run was given.
    alone : callable or None
        Returns Python source that makes ``stage``; raises a LookupError that says why it cannot.
        Without it nothing but a command is reproduced.
    """
    body = command_of(error)
    try:
        if body is None and alone is None:
            return ""
        body = body or _calling(alone(), here, inputs)  # type: ignore[misc]
    except (LookupError, ValueError, RecursionError) as unknown:
        return f"\nno {NAME} is here, which would run this stage alone: {unknown}"
    path = os.path.join(folder, NAME)
    script = (
        f'"""Runs {_quiet(subject)} alone, with the inputs of the run that failed."""\n\n{body}'
    )
    atomic_write(path, script.encode("utf-8", "backslashreplace"))
    os.chmod(path, 0o600)
    return f"\nto run this stage alone: {shlex.join([sys.executable, path])}"


def _quiet(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")


def _calling(source: str, here: str, inputs: dict[str, JSON]) -> str:
    from pprint import pformat

    plain = json.loads(json.dumps(inputs))
    own = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(os.__file__))]
    paths = [
        each
        for each in dict.fromkeys(map(os.path.abspath, sys.path))
        if os.path.isdir(each) and not any(each.startswith(f"{at}{os.sep}") for at in own)
    ]
    lines = [
        "import os",
        "import sys",
        "",
        "from memori.again import run_alone",
        "",
        f"os.chdir({here!r})",
        f"sys.path[:0] = {pformat(paths)}",
        'nan, inf = float("nan"), float("inf")',
        f"inputs = {pformat(plain, sort_dicts=False)}",
        "",
        'if __name__ == "__main__":',
        *(f"    {line}".rstrip() for line in source.splitlines()),
        "    run_alone(stage, inputs)",
        "",
    ]
    return "\n".join(lines)


def command_source(
    argv: Sequence[str] | str, folder: str, environment: Mapping[str, str] | None
) -> str:
    """Return source that runs a command again.

    Parameters
    ----------
    argv : sequence of str, or str
        The command; a text is for the shell.
    folder : str
        Where it ran.
    environment : mapping of str to str or None
        What it was given; those variables are set that this process has otherwise.
    """
    from pprint import pformat

    from memori.watch.environment import may_be_secret

    differs = {
        name: value
        for name, value in (environment or {}).items()
        if os.environ.get(name) != value and not name.startswith("MEMORI_")
    }
    secret = sorted(name for name in differs if may_be_secret(name))
    plain = {name: value for name, value in sorted(differs.items()) if name not in secret}
    lines = [
        "import os",
        "import subprocess",
        "import sys",
        "",
        *(f"# set {name} before: its value was not written down" for name in secret),
        f"os.chdir({folder!r})",
        f"command = {pformat(argv if isinstance(argv, str) else list(argv))}",
        f"variables = {pformat(plain)}",
        "",
        'if __name__ == "__main__":',
        "    done = subprocess.run(",
        f"        command, env={{**os.environ, **variables}}, shell={isinstance(argv, str)}",
        "    )",
        "    sys.exit(done.returncode)",
        "",
    ]
    return "\n".join(lines)


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
    path, module = os.path.abspath(_file_of(function)), function.__module__
    is_script = "." not in module and "site-packages" not in path and os.path.isfile(path)
    if not is_script and module != "__main__" and module in sys.modules:
        return f"module={module!r}"
    if not is_script:
        raise LookupError(
            f"{function.__qualname__} was typed into a notebook or a shell "
            f"({function.__code__.co_filename}), so it cannot be imported"
        )
    return f"file={path!r}"


def _file_of(function: FunctionType) -> str:
    """Return the file of a function; if pickled for a worker, its globals alone name it."""
    from memori.fingerprint.origins import file_of
    from memori.fingerprint.sources import PICKLED

    name = function.__code__.co_filename
    return (file_of(function.__globals__) if name == PICKLED else None) or name
