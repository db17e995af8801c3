"""Statements at the top of a module that do something to a library.

One does if it calls what a library offers by a name that says so (``seed``, ``add_constructor``,
``register``), hands a function of the user's over, or assigns to an attribute or item of it.
"""

from __future__ import annotations

import _ast as ast
import re
import sys
from types import CodeType, FunctionType, ModuleType

from memori.fingerprint.imports.kept_settings import LIBRARIES
from memori.fingerprint.imports.slices import chain_of, reached
from memori.fingerprint.origins import origin_of_namespace
from memori.fingerprint.walk import origin_of_function
from memori.fingerprint.writer import Writer, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Space = dict[str, object]

_VERBS = frozenset(
    ["add", "append", "clear", "configure", "disable", "enable", "extend", "insert", "install",
     "override", "patch", "pop", "register", "remove", "seed", "set", "setdefault", "unregister",
     "update", "use"]
)  # fmt: skip
_OF_REGISTRIES = frozenset({"add", "register", "seed", "unregister"})
_OF_RUNNING = frozenset(
    ["debug", "level", "log", "logger", "logging", "progress", "threads", "verbose", "verbosity"]
)
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NO_MATTER = frozenset(  # of how a script runs, not of what it computes; or looked at by others
    ["argparse", "atexit", "builtins", "concurrent", "faulthandler", "gc", "io", "logging",
     "memori", "multiprocessing", "os", "pathlib", "signal", "subprocess", "sys", "threading",
     "time", "warnings"]
)  # fmt: skip


class Effect:
    """A statement that does something to a library.

    Attributes
    ----------
    library : str
        Its top-level name.
    text : bytes
        The statement's canonical text.
    function : function
        Of the module, and of this statement alone, which is never called; it names what counts.
    """

    __slots__ = ("function", "library", "text")

    def __init__(self, node: ast.stmt, library: str, path: str, space: Space) -> None:
        writer = Writer()
        writer.write(node)
        self.library, self.text = library, writer.text()
        tree = parsed(b"def statement(): pass", path)
        tree.body[0].body = [node]  # type: ignore[attr-defined]
        found = compile(tree, path, "exec", dont_inherit=True).co_consts
        code = next(each for each in found if isinstance(each, CodeType))
        self.function = FunctionType(code.replace(co_name=library, co_qualname=library), space)


def effects(content: bytes, path: str, space: Space) -> list[Effect]:
    """Return the statements of a module that do something to a library, in their order.

    Parameters
    ----------
    content : bytes
        The source.
    path : str
        Its file.
    space : dict
        The module's globals.

    Raises
    ------
    SyntaxError, ValueError, RecursionError
        If it cannot be parsed.
    """
    nodes = [(node, _changed_by(node, space)) for node in _simple(parsed(content, path).body)]
    return [Effect(node, of, path, space) for node, of in nodes if of is not None]


def _simple(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the simple statements that run on import, also those below `if` and `try`."""
    for node in reached(nodes):
        if isinstance(node, (ast.If, ast.Try)):
            for below in (node.body, *(each.body for each in getattr(node, "handlers", ()))):
                yield from _simple(below)
            yield from _simple([*node.orelse, *getattr(node, "finalbody", ())])
        elif isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign)):
            yield node


def _changed_by(node: Any, space: Space) -> str | None:
    """Return the library to which a statement does something, if to any."""
    if not isinstance(node, ast.Expr):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        found = (_library_of(_root(target), space) for target in targets)
        return next((each for each in found if each is not None and each not in LIBRARIES), None)
    call = node.value
    chain = chain_of(call.func) if isinstance(call, ast.Call) else None
    library = None if chain is None else _library_of(chain[0], space)
    if chain is None or library is None or not isinstance(call, ast.Call):
        return None
    words = set(map(str.lower, _WORD.findall(chain[-1])))
    counted = _OF_REGISTRIES if library in LIBRARIES else _VERBS
    if words & _OF_RUNNING or (library == "nipype" and "config" in chain):
        return None
    return library if words & counted or _hands_over(call, space) else None


def _root(target: ast.expr) -> str:
    """Return the name of which an attribute or item is assigned to; nothing for a plain name."""
    chain = chain_of(target.value) if isinstance(target, (ast.Attribute, ast.Subscript)) else None
    return chain[0] if chain else ""


def _library_of(name: str, space: Space) -> str | None:
    """Return the library of which a module, class or function is, if it may matter."""
    value = space.get(name)
    try:
        named = getattr(value, "__module__", None) if callable(value) else None
    except Exception:  # whatever an object of the user's does that answers to any name
        return None
    module = value if isinstance(value, ModuleType) else sys.modules.get(str(named))
    if not isinstance(module, ModuleType) or origin_of_namespace(vars(module)).kind == "user":
        return None
    top = module.__name__.partition(".")[0]
    return None if top in _NO_MATTER else top


def _hands_over(call: ast.Call, space: Space) -> bool:
    """Tell whether a function of the user's is handed over to be called later."""
    given = [*call.args, *(each.value for each in call.keywords)]
    names = (space.get(each.id) for each in given if isinstance(each, ast.Name))
    return any(isinstance(each, ast.Lambda) for each in given) or any(
        isinstance(value, FunctionType) and origin_of_function(value).kind == "user"
        for value in names
    )
