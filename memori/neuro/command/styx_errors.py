"""Failures of NiWrap's tools: memori's errors, which those who know NiWrap can catch as well.

Not promised: Styx' own errors for what is wrong before a tool is called.
"""

from __future__ import annotations

from collections.abc import Iterable

from memori.neuro.command.errors import STREAMS, CommandError, tail
from memori.neuro.tools.identity import ToolError

try:
    from styxdefs import StyxRuntimeError
except ImportError:  # NiWrap is not installed, and nobody waits for its errors
    StyxRuntimeError = Exception


class StyxCommandError(CommandError, StyxRuntimeError):  # type: ignore[misc]
    """A tool failed; also a `styxdefs.StyxRuntimeError`, with what that tells.

    Attributes
    ----------
    return_code : int or None
        The exit code.
    command_args : list of str
        The command.
    stdout_tail, stderr_tail : list of str
        The last lines of what it printed.
    """


class StyxToolError(ToolError, StyxRuntimeError):  # type: ignore[misc]
    """A tool is not installed; also a `styxdefs.StyxRuntimeError`."""


def as_styx(
    error: CommandError | ToolError, cargs: Iterable[str]
) -> StyxCommandError | StyxToolError:
    """Return a failure as those who know NiWrap expect it."""
    kind: type[StyxCommandError | StyxToolError]
    kind = StyxCommandError if isinstance(error, CommandError) else StyxToolError
    made = kind.__new__(kind, *error.args)
    made.__dict__.update(error.__dict__)
    made.return_code, made.command_args = None, list(cargs)
    made.stdout_tail = made.stderr_tail = None
    if isinstance(error, CommandError):
        made.return_code, made.command_args = error.code, error.argv
        made.stdout_tail, made.stderr_tail = (tail(error.folder, name) for name in STREAMS)
    return made
