"""Statements that do something to a library, of those that a module runs.

One does if it calls what a library offers by a name that says so (``seed``, ``add_constructor``,
``register``), decorates by such a call, assigns to an attribute or item of the library or, at the
top of the module, hands a function of the user's over.
"""

from __future__ import annotations

import _ast as ast
import re
from types import CodeType, FunctionType

from memori.fingerprint.atoms import atom, is_a
from memori.fingerprint.imports.kept_settings import LIBRARIES
from memori.fingerprint.imports.lines import VERBS
from memori.fingerprint.imports.parts import parts_read, value_of
from memori.fingerprint.imports.running import statements_run
from memori.fingerprint.imports.slices import chain_of
from memori.fingerprint.walk import origin_of_function
from memori.fingerprint.writer import Writer, inside, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memori.fingerprint.imports.running import Frame

    Space = dict[str, object]

_ANEW = frozenset({"seed", "set", "use"})
_OF_REGISTRIES = frozenset({"add", "register", "seed", "unregister"})
_OF_RUNNING = frozenset(
    ["debug", "level", "log", "loglevel", "logger", "logging", "progress", "threads", "verbose",
     "verbosity"]
)  # fmt: skip
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NO_MATTER = frozenset(  # of how a script runs, not of what it computes; or looked at by others
    ["argparse", "atexit", "builtins", "concurrent", "faulthandler", "gc", "io", "logging",
     "memori", "multiprocessing", "os", "pathlib", "signal", "subprocess", "sys", "tempfile",
     "threading", "time", "warnings"]
)  # fmt: skip


class Effect:
    """A statement that does something to a library.

    Attributes
    ----------
    library : str
        Its top-level name.
    text : bytes
        The canonical text of the statement, below what gave its local names their values.
    place : bytes
        What a later statement of the same one does anew.
    function : function
        Of the module, and of this statement alone, which is never called; it names what counts.
    """

    __slots__ = ("_read", "_told", "function", "library", "place", "text")

    def __init__(self, nodes: list[ast.stmt], frame: Frame, library: str) -> None:
        self.library, self.text = library, _written(nodes)
        self.place = _written(_place(nodes[-1]))
        awaits = any(isinstance(each, ast.Await) for node in nodes for each in inside(node))
        self._read = parts_read(nodes, frame)
        self._told: bytes | None = None
        local = sorted(frame.local.union(self._read))  # of `args.seed` all of `args` does not count
        head = f"{'async ' * awaits}def statement({', '.join(local)}): pass"
        tree = parsed(head, "<set-up>")
        tree.body[0].body = nodes  # type: ignore[attr-defined]
        found = compile(tree, str(frame.space.get("__file__")), "exec", dont_inherit=True).co_consts
        code = next(each for each in found if isinstance(each, CodeType))
        code = code.replace(co_name=library, co_qualname=library)
        self.function = FunctionType(code, frame.space)

    def values(self, _: object = None) -> bytes:
        """Return the plain values that the statement reads of globals which hold more."""
        if self._told is not None:
            return self._told
        space = self.function.__globals__
        found = (value_of(space, each) for parts in self._read.values() for each in parts)
        return b"".join(atom(each) or b"?" for each in found)

    def __reduce__(self) -> tuple[Any, ...]:
        return _told, (self.library, self.text, self.place, self.function, self.values())


def _told(library: str, text: bytes, place: bytes, function: FunctionType, told: bytes) -> Effect:
    effect = Effect.__new__(Effect)
    effect.library, effect.text, effect.place = library, text, place
    effect.function, effect._read, effect._told = function, {}, told
    return effect


def _written(nodes: list[Any]) -> bytes:
    writer = Writer()
    for node in nodes:
        writer.write(node)
    return writer.text()


def _place(node: Any) -> list[Any]:
    """Return what is assigned to, or what is called, with what it is told to do it to."""
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        return node.targets if isinstance(node, ast.Assign) else [node]
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return [node]
    call: Any = node.value
    words = set(_WORD.findall((chain_of(call.func) or ("",))[-1]))
    return [call.func] if words & _ANEW else [call.func, *call.args[:1]]


def latest(found: list[Effect]) -> list[Effect]:
    """Return of what was done several times what was done last, as cells are edited and rerun."""
    kept: dict[bytes, Effect] = {}
    for each in found:
        kept.pop(each.place, None)
        kept[each.place] = each
    return list(kept.values())


def effects(content: bytes, path: str, space: Space) -> list[Effect]:
    """Return the statements that a module runs and that do something to a library, in their order.

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
    found = []
    for node, frame in statements_run(content, path, space):
        library = _changed_by(node, frame)
        if library is not None:
            pieces: dict[Frame, list[ast.stmt]] = {}
            for each, where in (*frame.needed(node), (node, frame)):
                pieces.setdefault(where, []).append(each)
            found += [Effect(nodes, where, library) for where, nodes in pieces.items()]
    return found


def _changed_by(node: Any, frame: Frame) -> str | None:
    """Return the library to which a statement does something, if to any."""
    library = _changed_by_all_of(node, frame)
    if library is None and not hasattr(node, "body"):
        calls = (each for each in inside(node) if isinstance(each, ast.Call))
        found = (_seeded_by(each, frame) for each in calls)
        library = next((each for each in found if each is not None), None)
    return library


def _seeded_by(call: ast.Call, frame: Frame) -> str | None:
    """Return the library that a call seeds, wherever it stands: `seeded = torch.manual_seed(1)`."""
    last = (chain_of(call.func) or ("",))[-1]
    seeds = last.islower() and "seed" in _WORD.findall(last) and "get" not in _WORD.findall(last)
    return _called_on(call, frame, False) if seeds else None


def _changed_by_all_of(node: Any, frame: Frame) -> str | None:
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        found = (_library_of(_root(target), frame) for target in targets)
        return next((each for each in found if each is not None and each not in LIBRARIES), None)
    if isinstance(node, ast.Expr):
        return _called_on(node.value, frame, frame.depth == 0)
    found = (_called_on(each, frame, False) for each in getattr(node, "decorator_list", ()))
    return next((each for each in found if each is not None), None)


def _called_on(node: ast.expr, frame: Frame, handing: bool) -> str | None:
    """Return the library that a call, or a decorator, does something to."""
    chain = chain_of(node.func if isinstance(node, ast.Call) else node)
    library = None if chain is None else _library_of(chain[0], frame)
    if chain is None or library is None:
        return None
    words = set(map(str.lower, _WORD.findall(chain[-1])))
    counted = _OF_REGISTRIES if library in LIBRARIES else VERBS
    if words & _OF_RUNNING or (library == "nipype" and "config" in chain):
        return None
    hands_over = handing and isinstance(node, ast.Call) and _hands_over(node, frame)
    return library if words & counted or hands_over else None


def _root(target: ast.expr) -> str:
    """Return the name of which an attribute or item is assigned to; nothing for a plain name."""
    chain = chain_of(target.value) if isinstance(target, (ast.Attribute, ast.Subscript)) else None
    return chain[0] if chain else ""


def _library_of(name: str, frame: Frame) -> str | None:
    """Return the library that a name stands for, if it may matter."""
    library = frame.library(name)
    return None if library in _NO_MATTER else library


def _hands_over(call: ast.Call, frame: Frame) -> bool:
    """Tell whether a function of the user's is handed over to be called later."""
    given = [*call.args, *(each.value for each in call.keywords)]
    values = (frame.value(each.id) for each in given if isinstance(each, ast.Name))
    return any(isinstance(each, ast.Lambda) for each in given) or any(
        is_a(value, FunctionType) and origin_of_function(value).kind == "user" for value in values
    )
