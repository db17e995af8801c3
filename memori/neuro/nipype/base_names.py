"""Whether a file counts with its path, or with its base name alone.

Python code is given the whole path, and may take a subject out of it or name an output after it. A
command is given the path, too, but hardly looks at it: an equal file of the same name elsewhere is
the same to it. Around a command of Nipype's there is Nipype's own Python code, which names outputs
after the base name, in the run's folder, or has the input brought there; a class of the user's, or
of another package, may do anything, unless its code never comes near its inputs.

Not promised: a class whose methods hand themselves to a function elsewhere that looks at inputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from nipype.interfaces.base import CommandLine, Interface

_TRUSTED = ("nipype.interfaces.", "traits.", "builtins")
_BESIDE_THEIR_INPUT = frozenset({"VecReg", "ProjThresh"})
"""Commands of Nipype's (``nipype.interfaces.fsl.dti``) that leave their outputs there."""
_TELLS_OF_INPUTS = frozenset({"inputs", "cmdline"})


def is_command(interface: Interface) -> bool:
    """Tell whether an interface hands paths to a program (SPM's to MATLAB), not to Python code."""
    return isinstance(interface, CommandLine) or hasattr(interface, "mlab")


def counts_by_name(interface: Interface) -> bool:
    """Tell whether a file's base name counts, not its path: no Python but Nipype's own sees it."""
    if not is_command(interface):
        return False
    specs = (interface.input_spec, interface.output_spec)
    return not any(map(_sees_inputs, _own_parts(type(interface)))) and not any(
        callable(getattr(part, "__get__", None)) for spec in specs for part in _own_parts(spec)
    )


def _own_parts(kind: Any) -> Iterator[Any]:
    """Yield what classes that are not Nipype's, or write beside their input, add to a class."""
    for owner in getattr(kind, "__mro__", ()):
        is_trusted = owner.__module__.startswith(_TRUSTED)
        if not is_trusted or owner.__name__ in _BESIDE_THEIR_INPUT:
            yield from (part for part in vars(owner).values() if not isinstance(part, type))


def _sees_inputs(part: Any) -> bool:
    """Tell whether a method is handed a value of an input, or looks for one."""
    function = getattr(part, "fget", None) or getattr(part, "__func__", part)
    if not isinstance(function, FunctionType):
        return callable(getattr(part, "__get__", None))
    code = function.__code__
    is_handed_any = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    return bool(is_handed_any) or code.co_argcount > 2 or _names_inputs(code)


def _names_inputs(code: CodeType) -> bool:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return not _TELLS_OF_INPUTS.isdisjoint(code.co_names) or any(map(_names_inputs, inner))
