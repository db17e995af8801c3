"""The statements that a module runs: at its top, and in the functions of the user's called there.

``main()`` at the end of a script runs what stands in ``main``, and ``set_seed(1)`` there what
stands in ``set_seed``, in whatever module that is. What a parameter or a local name was given is
found where it is written down without a call: ``set_seed(1)``, ``seed = 1``, a default. Methods
are followed for objects of the user's classes that are made there or known, and `__enter__`.

Not promised: functions within functions, what a loop or a call gave a name or an attribute, and
attributes of objects that are not made in a function.
"""

from __future__ import annotations

import _ast as ast
import sys
from types import FunctionType, ModuleType, NoneType

from memori.fingerprint.atoms import globals_of, is_a, own_attributes
from memori.fingerprint.imports.slices import chain_of, reached
from memori.fingerprint.origins import SCRIPTS, origin_of_namespace
from memori.fingerprint.sources import definition_of
from memori.fingerprint.walk import origin_of_class, origin_of_function
from memori.fingerprint.writer import inside, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from memori.fingerprint.sources import Function

    Space = dict[str, object]
    Seen = dict[
        int, tuple[Function | None, dict[int, list[ast.Call]]]
    ]  # by the id of a function's code
    Given = tuple[tuple[ast.stmt, "Frame"], ...]

_DEEPEST = 10  # calls within calls
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Made:
    """An object that a call makes: its class, and what gave its attributes their values."""

    __slots__ = ("given", "owner")

    def __init__(self, owner: type) -> None:
        self.owner = owner
        self.given: dict[str, Given] = {}


class Frame:
    """Where statements run: the globals, the local names, and what was given to these.

    Attributes
    ----------
    space : dict
        The globals.
    local : frozenset of str
        Names of a function; none at the top of a module.
    depth : int
        Number of calls that led here.
    """

    __slots__ = ("_given", "_made", "_values", "depth", "local", "space")

    def __init__(self, space: Space, local: frozenset[str] = frozenset()) -> None:
        self.space, self.local, self.depth = space, local, 0
        self._given: dict[str, Given] = {}
        self._made: dict[int, tuple[ast.AST, Made]] = {}
        self._values: dict[str, object] = {}

    def value(self, name: str) -> object:
        """Return what a name stands for: a global, or what is imported here."""
        return self._values.get(name) if name in self.local else self.space.get(name)

    def library(self, name: str) -> str | None:
        """Return the top-level name of the library of which a module, class or function is."""
        value = self.value(name)
        try:
            named = getattr(value, "__module__", None) if callable(value) else None
        except Exception:  # whatever an object of the user's does that answers to any name
            return None
        module = value if is_a(value, ModuleType) else sys.modules.get(str(named))
        space = globals_of(module) if is_a(module, ModuleType) else None
        if space is None or origin_of_namespace(space).kind == "user":
            return None
        return str(space.get("__name__")).partition(".")[0]

    def object_of(self, node: ast.AST) -> Any:
        """Return what a dotted name stands for, or an object that is made there."""
        if isinstance(node, ast.Name):
            return self.value(node.id)
        if isinstance(node, ast.Attribute):
            return _attribute(self.object_of(node.value), node.attr)
        if isinstance(node, ast.Call):
            owner = self.object_of(node.func)
            return (
                self._made_by(node.func, owner) if is_a(owner, type) and _is_users(owner) else None
            )
        return None

    def _made_by(self, node: ast.AST, owner: type) -> Made:
        """Return the object that a call makes; it is the same however often that is asked for."""
        return self._made.setdefault(id(node), (node, Made(owner)))[1]

    def function(self, node: ast.AST) -> tuple[FunctionType, Made | None] | None:
        """Return the user's function that a call runs, below what wraps it, and its object."""
        value, made = self.object_of(node), None
        if is_a(value, type):
            value, made = _attribute(value, "__init__"), self._made_by(node, value)
        elif isinstance(node, ast.Attribute):
            owner = self.object_of(node.value)
            made = None if is_a(owner, ModuleType) or is_a(owner, type) else owner
            made = made if made is None or type(made) is Made else Made(type(made))
        if is_a(value, staticmethod) or is_a(value, classmethod):
            made = None if is_a(value, staticmethod) else made or Made(object)
            value = value.__func__
        found = None
        for _ in range(0 if is_a(value, ModuleType) else _DEEPEST):
            is_function = is_a(value, FunctionType)
            name = value.__globals__.get("__name__") if is_function else type(value).__module__
            if str(name).startswith("memori."):
                return None  # what is remembered need not run
            if is_function and origin_of_function(value).kind == "user":
                found = value
            inner = own_attributes(value)
            value = inner.get("__wrapped__") or inner.get("callback")  # which is click's word
        return None if found is None else (found, made)

    def needed(self, node: ast.AST) -> Given:
        """Return the assignments that gave the local names of a statement their values."""
        names = {each.id: None for each in inside(node) if isinstance(each, ast.Name)}
        found = [given for name in names for given in self._given.get(name, ())]
        for each in inside(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                made = self.value(each.value.id) if each.value.id in self.local else None
                found += made.given.get(each.attr, ()) if type(made) is Made else ()
        return tuple(dict.fromkeys(found))  # each once, or they would double from line to line

    def learn(self, node: ast.stmt) -> None:
        """Take in what a statement gives local names."""
        if not self.local:
            return  # what is made there is known
        if isinstance(node, ast.Import):
            for each in node.names:
                name = each.name if each.asname else each.name.partition(".")[0]
                self._values[each.asname or name] = sys.modules.get(name)
        elif isinstance(node, ast.ImportFrom):
            module = self._module(node)
            for each in node.names:
                found = _attribute(sys.modules.get(module), each.name)
                found = sys.modules.get(f"{module}.{each.name}") if found is None else found
                self._values[each.asname or each.name] = found
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value:
            given = (*self.needed(node), (node, self))
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                is_name = isinstance(target, ast.Name)
                for part in inside(target):
                    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                        self._values[part.id] = self.object_of(node.value) if is_name else None
                        self.give(part.id, node.value, given)
                if isinstance(target, ast.Attribute):
                    made = self.object_of(target.value)
                    if type(made) is Made:
                        made.given[target.attr] = () if _has_call(node.value) else given

    def _module(self, node: ast.ImportFrom) -> str:
        """Return the name of the module from which a statement imports."""
        package = str(self.space.get("__package__") or "").split(".")
        above = package[: len(package) - node.level + 1] if node.level else []
        return ".".join([*above, *filter(None, [node.module])])

    def give(self, name: str, value: ast.expr, given: Given) -> None:
        """Take in the assignments that gave a name its value, if that is no call's."""
        self._given[name] = () if _has_call(value) else given

    def entered(
        self, function: FunctionType, made: Made | None, definition: Function, call: ast.Call
    ) -> Frame:
        """Return the frame of a function that is called here."""
        code, names = function.__code__, definition.args
        frame = Frame(function.__globals__, frozenset(code.co_varnames + code.co_cellvars))
        frame.depth, frame._made = self.depth + 1, self._made
        parameters = [*names.posonlyargs, *names.args]
        if made is not None and parameters:
            frame._values[parameters.pop(0).arg] = made
        outer = Frame(function.__globals__)  # where defaults are found
        for each, value in (
            *zip(reversed(parameters), reversed(names.defaults), strict=False),
            *zip(names.kwonlyargs, names.kw_defaults, strict=True),
        ):
            frame._take(each.arg, value, outer)
        for number, passed in enumerate(call.args):
            if isinstance(passed, ast.Starred):  # which of it is what is not known
                for each in parameters[number:]:
                    frame._take(each.arg, passed.value, self)
                break
            for each in parameters[number : number + 1]:
                frame._take(each.arg, passed, self)
        for keyword in call.keywords:
            names_of = [each.arg for each in (*parameters, *names.kwonlyargs)]
            for name in names_of if keyword.arg is None else [keyword.arg]:
                frame._take(name, keyword.value, self)
        return frame

    def _take(self, name: str, value: ast.expr | None, outer: Frame) -> None:
        if value is not None:
            self._values[name] = outer.object_of(value)
            place = _place(value)
            given = ast.Assign([ast.Name(name, ast.Store(), **place)], value, **place)
            self.give(name, value, (*outer.needed(value), (given, outer)))


def statements_run(content: bytes, path: str, space: Space) -> Iterator[tuple[ast.stmt, Frame]]:
    """Yield the simple statements and definitions that a module runs, and where, in order.

    Raises
    ------
    SyntaxError, ValueError, RecursionError
        If the module cannot be parsed.
    """
    body = parsed(content, path).body
    is_script = space.get("__name__") in SCRIPTS
    yield from _run(body if is_script else [*reached(body)], Frame(space), {})


def _run(body: list[ast.stmt], frame: Frame, seen: Seen) -> Iterator[tuple[ast.stmt, Frame]]:
    for node in _simple(body):
        if not isinstance(node, _DEFINITIONS):
            for function, made, call in _called(node, frame):
                code = function.__code__
                definition, calls = seen.get(id(code), (None, None))
                if calls is None:
                    definition, calls = seen[id(code)] = definition_of(function), {}
                again = calls.setdefault(id(call), [])
                again.append(call)  # and so kept: no other has its id
                most = _DEEPEST if frame.needed(call) else 1
                if definition is not None and len(again) <= most:
                    below = frame.entered(function, made, definition, call)
                    yield from _run(_body(definition), below, seen)
        frame.learn(node)
        yield node, frame


def _has_call(value: ast.expr) -> bool:
    return any(isinstance(each, (ast.Call, ast.Await)) for each in inside(value))


def _body(definition: Function) -> list[ast.stmt]:
    if not isinstance(definition, ast.Lambda):
        return definition.body
    return [_evaluated(definition.body)]


def _evaluated(value: ast.expr) -> ast.Expr:
    return ast.Expr(value, **_place(value))


def _place(node: ast.expr | ast.stmt) -> dict[str, Any]:
    return {each: getattr(node, each) for each in node._attributes}


def _simple(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in nodes:
        names = ("body", "handlers", "cases", "orelse", "finalbody")
        parts = [getattr(node, name, ()) for name in names]
        if isinstance(node, _DEFINITIONS) or not any(parts):
            yield node
            if _is_command(node):
                place = _place(node)
                name = ast.Name(getattr(node, "name", ""), ast.Load(), **place)
                yield _evaluated(ast.Call(name, [], [], **place))
            continue
        yield from _header(node)
        for part in parts:
            for below in part:
                yield from _simple([below] if isinstance(below, ast.stmt) else below.body)


def _is_command(node: ast.stmt) -> bool:
    """Tell whether a function is one that an app of click's or typer's runs."""
    chains = (chain_of(getattr(each, "func", each)) for each in getattr(node, "decorator_list", ()))
    return any(chain is not None and chain[1:] and chain[-1] == "command" for chain in chains)


def _header(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield what an `if`, a loop, a `match` or a `with` evaluates before what stands below it."""
    values = [getattr(node, name, None) for name in ("test", "iter", "subject")]
    yield from map(_evaluated, filter(None, values))
    for item in getattr(node, "items", ()):
        place = _place(item.context_expr)
        enter = ast.Attribute(item.context_expr, "__enter__", ast.Load(), **place)
        yield _evaluated(item.context_expr)
        yield _evaluated(ast.Call(enter, [], [], **place))


def _called(node: ast.stmt, frame: Frame) -> Iterator[tuple[FunctionType, Made | None, ast.Call]]:
    """Yield the user's functions that a statement calls, or a library that it hands them to."""
    if frame.depth == _DEEPEST:
        return
    for call in reversed([*inside(node)]):  # what is made comes before its methods
        if not isinstance(call, ast.Call):
            continue
        found = frame.function(call.func)
        if found is not None:
            yield *found, call
        elif frame.depth == 0 and isinstance(node, ast.Expr):
            chain = chain_of(call.func)
            if chain is None or frame.library(chain[0]) in (None, "memori"):
                continue
            for each in filter(None, map(frame.function, call.args)):
                yield *each, ast.Call(call.func, [], [])


def _attribute(value: object, name: str) -> Any:
    """Return what a module or the class of an object has under a name."""
    if is_a(value, ModuleType):
        return globals_of(value).get(name)
    bases = _owner(value).__mro__ if _is_users(_owner(value)) else ()
    return next((vars(each)[name] for each in bases if name in vars(each)), None)


def _owner(value: object) -> type:
    return value if is_a(value, type) else value.owner if type(value) is Made else type(value)


def _is_users(owner: type) -> bool:
    return owner is not NoneType and origin_of_class(owner).kind == "user"
