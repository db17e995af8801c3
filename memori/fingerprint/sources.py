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
    Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    Position = tuple[int, int]

_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
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
        return []
    start, stop = min(span[0] for span in spans), max(span[1] for span in spans)
    around = [each for each in found if _body(each)[0] <= start and stop <= _body(each)[1]]
    around.sort(key=lambda each: _body(each)[0], reverse=True)  # the innermost begins last
    return around[:1]


def _body(function: Function) -> tuple[Position, Position]:
    body = function.body if isinstance(function.body, list) else [function.body]
    first, last = body[0], body[-1]
    end = (last.end_lineno or last.lineno, last.end_col_offset or 0)
    return (first.lineno, first.col_offset), end


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
