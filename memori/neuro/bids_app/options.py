"""A function that makes the pipeline: what it takes are options of the command line.

    def pipeline(fwhm: Annotated[float, "width of the smoothing kernel in mm"] = 6.0): ...

gives `--fwhm FWHM` with that help. Types are those of the annotation, or else of the default.
"""

from __future__ import annotations

import argparse
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_PLAIN = (int, float, str)


class Option(NamedTuple):
    """One parameter as an option.

    Attributes
    ----------
    name : str
        The parameter.
    flag : str
        The option.
    keywords : Mapping
        What argparse needs to know of it.
    """

    name: str
    flag: str
    keywords: Mapping[str, Any]


def options_of(function: Callable[..., Any]) -> list[Option]:
    """Return the options that a function's parameters make.

    Raises
    ------
    TypeError
        If a parameter cannot be one.

    Examples
    --------
    >>> def pipeline(*, fwhm: float = 6, detrend: bool = True): ...
    >>> [(option.flag, option.keywords["default"]) for option in options_of(pipeline)]
    [('--fwhm', 6), ('--detrend', True)]
    """
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return [_option(each, hints.get(each.name)) for each in parameters]


def _option(parameter: inspect.Parameter, hint: Any) -> Option:
    if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
        raise TypeError(_no_option(parameter.name, "it takes no keyword"))
    if parameter.kind is parameter.VAR_KEYWORD:
        raise TypeError(_no_option(parameter.name, "nobody knows what it takes"))
    kind, told = hint, ""
    if typing.get_origin(hint) is typing.Annotated:
        kind, *notes = typing.get_args(hint)
        told = next((note for note in notes if isinstance(note, str)), "")
    has_default = parameter.default is not parameter.empty
    keywords: dict[str, Any] = {"dest": f"option_{parameter.name}", "required": not has_default}
    keywords["default"] = parameter.default if has_default else None
    keywords["help"] = f"{told} (default: {parameter.default})" if has_default else told
    keywords["help"] = keywords["help"].replace("%", "%%").strip()
    keywords |= _type_of(parameter, kind)
    if "action" not in keywords and "choices" not in keywords:
        keywords["metavar"] = parameter.name.upper()
    return Option(parameter.name, f"--{parameter.name.replace('_', '-')}", keywords)


def _type_of(parameter: inspect.Parameter, kind: Any) -> dict[str, Any]:
    if kind is None and parameter.default not in (parameter.empty, None):
        kind = type(parameter.default)
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):  # Optional
        named = [each for each in members if each is not type(None)]
        return _type_of(parameter, named[0] if len(named) == 1 else tuple(named))
    if origin is typing.Literal:
        return {"choices": members, "type": type(members[0])}
    if kind is list or origin is list:
        return {"nargs": "+", "type": members[0] if members else str}
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if kind in _PLAIN:
        return {"type": kind}
    if kind is None:
        return {"type": str}
    raise TypeError(
        _no_option(parameter.name, f"it is {kind!r}, not bool, int, float, str, Literal or a list")
    )


def _no_option(name: str, why: str) -> str:
    return f"the parameter {name!r} of the function that makes the pipeline is no option: {why}"
