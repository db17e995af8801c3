"""What parameters a callable has: as Python would bind a call, without the cost of `inspect`.

What a wrapper takes is what it names itself, and behind its ``*args`` and ``**kwargs`` what the
wrapped one takes besides. It is called by position where it takes nothing else, and where it has
both and its code names no parameter (``kw["x"]``): many decorators look at ``args[0]``, as
`functools.singledispatch` does.

Not promised: to know which arguments a wrapper passes itself, other than by their defaults.
"""

from __future__ import annotations

from types import CodeType, FunctionType, MethodType

from memori.signature.parameters import Parameters
from memori.signature.paths import holds_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

_VARARGS, _VARKEYWORDS = 0x04, 0x08
_MOST_WRAPPERS = 100  # one may lead back to itself
_GENERATOR_FLAGS = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator


def parameters_of(function: Callable[..., Any]) -> Parameters:
    """Read the parameters of a callable.

    Raises
    ------
    TypeError
        If it is not callable, or is a generator or coroutine function.
    """
    if not callable(function):
        kind = type(function).__name__
        above = f"; write @{kind} as the first decorator" if kind == "classmethod" else ""
        raise TypeError(
            f"a stage needs a callable, the function itself and not what it returns, got "
            f"{function!r}{above}"
        )
    _reject_generators(function)
    found = _parameters(function)
    if type(function) is FunctionType:
        found._held_by = (function.__defaults__, function.__kwdefaults__)
    return found


def _parameters(function: Callable[..., Any]) -> Parameters:
    attributes = getattr(function, "__dict__", {})
    is_told = "__signature__" in attributes
    wrapped: Any = attributes.get("__wrapped__")
    if type(function) is FunctionType and wrapped is None and not is_told:
        return _of_function(function)
    own = None if wrapped is None else _called(function)
    if own is None:
        return _of_callable(function)
    is_told = is_told or type(function) is MethodType or not callable(wrapped)
    found = _of_wrapper(own, _of_callable(function) if is_told else _parameters(wrapped))
    if own.extra_positional and not _name(function, found.passed_on):
        found.by_position = found.positional
    return found


def _name(function: Any, names: frozenset[str]) -> bool:
    """Tell whether a wrapper, or one that it wraps, names a parameter as a text (``kw["x"]``)."""
    seen = 0
    while "__wrapped__" in getattr(function, "__dict__", {}) and seen < _MOST_WRAPPERS:
        code = getattr(function, "__code__", None) or getattr(
            type(function).__call__, "__code__", None
        )
        if code is not None and not names.isdisjoint(_texts(code.co_consts)):
            return True
        function, seen = function.__dict__["__wrapped__"], seen + 1
    return False


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    for each in constants:
        if isinstance(each, str):
            yield each
        elif isinstance(each, (tuple, frozenset)):
            yield from _texts(each)
        elif isinstance(each, CodeType):
            yield from _texts(each.co_consts)


def _called(function: Any) -> Parameters | None:
    """Return the parameters of the code that a call runs; None if that is not in Python."""
    if type(function) is FunctionType:
        return _of_function(function)
    code = function.__func__ if type(function) is MethodType else type(function).__call__
    if type(code) is not FunctionType:
        return None
    own = _of_function(code)
    names = own.names[1:] if own.positional else own.names
    counts = max(0, own.positional - 1), max(0, own.positional_only - 1)
    defaults = {name: own.defaults[name] for name in names if name in own.defaults}
    return Parameters(names, *counts, defaults, own.extra_positional, own.extra_keywords)


def _of_function(function: FunctionType) -> Parameters:
    """Do what `inspect` does, for the plain case, without its import time."""
    code = function.__code__
    positional, keyword_only = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames[: positional + keyword_only]
    values = (function.__defaults__ or ())[-positional:] if positional else ()  # as Python does
    defaults: dict[str, object] = dict(
        zip(names[positional - len(values) : positional], values, strict=True)
    )
    defaults.update(function.__kwdefaults__ or {})
    extra = code.co_varnames[len(names)] if code.co_flags & _VARARGS else None
    return Parameters(
        names,
        positional,
        code.co_posonlyargcount,
        defaults,
        extra,
        bool(code.co_flags & _VARKEYWORDS),
    )


def _of_wrapper(own: Parameters, wrapped: Parameters) -> Parameters:
    """Return what a wrapper takes: what it names, and what it passes on to the wrapped one.

    A name of its own at the place of one of the wrapped stands for that (``path`` for ``image``).
    """
    args, keywords = own.extra_positional is not None, own.extra_keywords
    if not args and not keywords:
        return own
    foreign = sum(name not in wrapped.names for name in own.names[: own.positional])
    rest = [name for name in wrapped.names if name not in own.names]
    if not args:
        rest = rest[foreign:]
    behind = [n for n in rest if n in wrapped.names[: wrapped.positional]] if args else []
    others = [name for name in rest if name not in behind and keywords]
    unnamed = sum(name in wrapped.names[: wrapped.positional_only] for name in behind)
    first, last = own.names[: own.positional], own.names[own.positional :]
    found = Parameters(
        (*first, *behind, *last, *others),
        own.positional + len(behind),
        own.positional + unnamed if unnamed else own.positional_only,
        {**({} if args and foreign else wrapped.defaults), **own.defaults},
        wrapped.extra_positional if args else None,
        keywords and wrapped.extra_keywords,
    )
    if args and (foreign or not keywords):
        found.by_position = found.positional
    found.passed_on = frozenset((*behind, *others))
    is_left = found.passed_on if foreign else ()
    found.required = tuple(name for name in found.required if name not in is_left)
    found.defaults = {name: found.defaults[name] for name in found.names if name in found.defaults}
    return found


def _of_callable(function: Callable[..., Any]) -> Parameters:
    import inspect

    try:
        found = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # a builtin that does not say, or a proxy that lies
        return Parameters((), 0, 0, {}, "args", True)
    kinds = inspect.Parameter
    single = [p for p in found if p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
    extra = [p.name for p in found if p.kind is kinds.VAR_POSITIONAL]
    parameters = Parameters(
        tuple(p.name for p in single),
        sum(p.kind is not kinds.KEYWORD_ONLY for p in single),
        sum(p.kind is kinds.POSITIONAL_ONLY for p in single),
        {p.name: p.default for p in single if p.default is not kinds.empty},
        extra[0] if extra else None,
        any(p.kind is kinds.VAR_KEYWORD for p in found),
    )
    if not _is_python(function):  # C code may refuse its own defaults
        parameters.passed_on = frozenset(parameters.names)
    return parameters


def _is_python(function: Any) -> bool:
    """Tell whether a call runs a function in Python, or makes an instance of a class."""
    while holds_function(function):
        function = function.func
    is_python = isinstance(function, (FunctionType, MethodType, type))
    return is_python or hasattr(function, "__wrapped__") or _called(function) is not None


def _reject_generators(function: object) -> None:
    """Refuse what returns before its work is done."""
    inner: Any = function
    while holds_function(inner) and not hasattr(inner, "__code__"):
        inner = inner.func
    if not hasattr(inner, "__code__") and not hasattr(inner, "__func__"):
        inner = inner if isinstance(inner, type) else type(inner).__dict__.get("__call__", inner)
    inner = getattr(inner, "__func__", inner)
    code = getattr(inner, "__code__", None)
    flags = code.co_flags if type(code) is CodeType else 0
    if flags & _GENERATOR_FLAGS:
        kind = "generator" if flags & 0x20 else "coroutine or asynchronous generator"
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{name} is a {kind} function: it returns before its work is done, so its result "
            "cannot be remembered. Wrap it in a function that returns the finished values."
        )
