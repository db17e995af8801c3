"""From a code object to the syntax tree it was compiled from, if that can be proved.

The file (or what `linecache` holds for a notebook's cell, or the loader for a zipped module) is
compiled again, and the code object that was loaded must be among the results. If it is not, the
file has changed since it was loaded, or the code never came from it: there is no syntax to compare.
"""

from __future__ import annotations

import ast
import os
from types import CodeType

from memori.fingerprint.bytecode import code_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    Position = tuple[int, int]

_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_SCOPES = (
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
_LIMIT = 500  # files remembered


class Source:
    """The functions of one source text: their code as compiled now, and their syntax."""

    __slots__ = ("_codes", "_functions")

    def __init__(self, content: bytes | str, name: str) -> None:
        tree = ast.parse(content, name)
        compiled = compile(tree, name, "exec", _TOP_LEVEL_AWAIT, dont_inherit=True)
        self._codes: dict[tuple[str, bytes], list[CodeType]] = {}
        self._functions: dict[tuple[int, str], list[Function]] = {}
        self._index(compiled)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                self._functions.setdefault((first, node.name), []).append(node)
            elif isinstance(node, ast.Lambda):
                self._functions.setdefault((node.lineno, "<lambda>"), []).append(node)

    def _index(self, code: CodeType) -> None:
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                key = (inner.co_qualname, code_digest(inner))
                self._codes.setdefault(key, []).append(inner)
                self._index(inner)

    def function(self, code: CodeType) -> Function | None:
        """Return the syntax of the function that was loaded as `code`, or None."""
        same = self._codes.get((code.co_qualname, code_digest(code)))
        if not same:
            return None
        best = next((each for each in same if each.co_firstlineno == code.co_firstlineno), same[0])
        found = self._functions.get((best.co_firstlineno, best.co_name), [])
        if len(found) > 1:
            found = _narrowest(found, best)
        return found[0] if len(found) == 1 else None


def _narrowest(found: list[Function], code: CodeType) -> list[Function]:
    """Choose between functions on one line by the columns of their instructions."""
    spans = [
        ((line, column), (last, end))
        for line, last, column, end in code.co_positions()
        if line is not None and last is not None and column is not None and end is not None
    ]
    spans = [span for span in spans if span[1] > span[0]]
    if not spans:
        return [each for each in found if _compiles_to(each, code)][:1]
    start, stop = min(span[0] for span in spans), max(span[1] for span in spans)
    nested = any(isinstance(each, CodeType) for each in code.co_consts)
    found = [each for each in found if _may_nest(each, nested)]
    around = [each for each in found if _body(each)[0] <= start and stop <= _body(each)[1]]
    around.sort(key=lambda each: _body(each)[0])
    return around[-1:]  # the innermost begins last


def _compiles_to(function: Function, code: CodeType) -> bool:
    """Return whether a lambda is `code`; only a constant body has no columns, in Python 3.12."""
    if not isinstance(function, ast.Lambda):
        return False
    given = function.args
    plain = ast.arguments(
        given.posonlyargs,
        given.args,
        given.vararg,
        given.kwonlyargs,
        [None] * len(given.kwonlyargs),
        given.kwarg,
        [],  # defaults may hold lambdas of their own
    )
    alone = ast.copy_location(ast.Lambda(plain, function.body), function)
    compiled = compile(ast.Expression(alone), "", "eval", dont_inherit=True).co_consts
    return any(
        isinstance(each, CodeType) and code_digest(each) == code_digest(code) for each in compiled
    )


def _may_nest(function: Function, nested: bool) -> bool:
    """Return whether a function can have compiled to code with (or without) code nested in it."""
    inner = [each for part in _parts(function) for each in ast.walk(part)]
    makes = any(isinstance(each, (ast.Lambda, ast.GeneratorExp)) for each in inner)
    could = makes or any(isinstance(each, _SCOPES) for each in inner)
    return could if nested else not makes


def _parts(function: Function) -> list[ast.AST]:
    return list(function.body) if isinstance(function.body, list) else [function.body]


def _body(function: Function) -> tuple[Position, Position]:
    body: list[Any] = function.body if isinstance(function.body, list) else [function.body]
    return (body[0].lineno, body[0].col_offset), _end(body[-1])


def _end(node: Any) -> Position:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


_known: dict[str, tuple[object, Source | None]] = {}


def source_of(code: CodeType, namespace: dict[str, object]) -> Source | None:
    """Return the source that `code` names as its file, parsed, or None without one."""
    path = code.co_filename
    try:
        status = os.stat(path)
        stamp: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        content: bytes | str = b""
    except (OSError, ValueError):
        import linecache

        content = "".join(linecache.getlines(path, namespace))
        stamp = content
        if not content:
            return None
    known = _known.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    try:
        if not content:
            with open(path, "rb") as stream:
                content = stream.read()
        source = Source(content, path)
    except (OSError, SyntaxError, ValueError, RecursionError):
        source = None
    if len(_known) >= _LIMIT:
        _known.clear()
    _known[path] = (stamp, source)
    return source
