"""From a code object to the source it was compiled from, if that can be proved.

A text is proved by compiling it again: the code object that was loaded must be among the results.
Where the text is found does not matter then. It is looked for in the file that the code names, in
`linecache` (a notebook's cell, a doctest) or the loader (a zipped module), and in the file of the
module whose globals the function has, because functions that were pickled by value name no file of
their own. If none of them compiles to the code, it was edited since, or the code never came from a
file: there is no syntax to compare.
"""

from __future__ import annotations

import _ast as ast  # the nodes alone: `ast` itself takes a millisecond to import
import os
import sys
from types import CodeType

from memori.digest.memo import Memo
from memori.fingerprint.bytecode import code_digest
from memori.fingerprint.origins import file_of
from memori.fingerprint.writer import inside, lines_of, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType
    from typing import Any

    Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    Position = tuple[int, int]
    Text = tuple[str, object]  # where it is, and what tells whether it is still the same

PICKLED = "<dynamic-code>"  # the file name that cloudpickle gives to all code that it carries
_SCOPES = (
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)


class Source:
    """The functions of one source text: their code as compiled now, and their syntax.

    The statement around a function's line is compiled alone, and the whole text only if the
    function is not found in it.
    """

    __slots__ = ("_compiled", "_content", "_imports", "_lines", "_name", "_statements")

    def __init__(self, content: bytes | str, name: str) -> None:
        self._name = name
        self._content = content
        self._statements = parsed(content, name).body
        self._lines = [lines_of(each) for each in self._statements]
        # a call is compiled otherwise if the module imports what it is called on
        self._imports = [each for each in self._statements for each in _imports_in(each)]
        self._compiled: dict[int | None, dict[tuple[str, bytes], list[CodeType]]] = {}

    def function(self, code: CodeType) -> Function | None:
        """Return the syntax of the function that was loaded as `code`, or None."""
        line = code.co_firstlineno
        around = [n for n, (first, last) in enumerate(self._lines) if first <= line <= last]
        for number in (*around, None):
            same = self._codes(number).get((code.co_qualname, code_digest(code)), [])
            here = [each for each in same if each.co_firstlineno == line]
            if here or (same and number is None):  # lines were added above it, say
                return self._syntax((here or same)[0])
        return None

    def written(self, function: Function) -> str:
        """Return a function as it is written, without decorators, flush to the left."""
        content = self._content
        lines = (content.encode() if isinstance(content, str) else content).splitlines()
        start, (last, end) = function.col_offset, _end(function)
        lines = lines[function.lineno - 1 : last]
        lines[-1] = lines[-1][:end]
        indent = len(lines[0]) - len(lines[0].lstrip())
        lines[0] = lines[0][start:]
        rest = (each[indent:] if not each[:indent].strip() else each for each in lines[1:])
        return b"\n".join([lines[0], *rest]).decode("utf-8", "replace")

    def _syntax(self, code: CodeType) -> Function | None:
        """Return the function that has compiled to `code`."""
        line = code.co_firstlineno
        pairs = zip(self._statements, self._lines, strict=True)
        around = [each for each, (first, last) in pairs if first <= line <= last]
        found: list[Any] = [node for each in around for node in inside(each)]
        found = [node for node in found if _begins_as(node, code)]
        if len(found) > 1:
            found = _narrowest(found, code)
        return found[0] if len(found) == 1 else None

    def _codes(self, number: int | None) -> dict[tuple[str, bytes], list[CodeType]]:
        """Return the code of each function in a statement, or in all, by name and digest."""
        known = self._compiled.get(number)
        if known is None:
            known = {}
            one = self._statements if number is None else [self._statements[number]]
            module = ast.Module(one if number is None else [*self._imports, *one], [])
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            try:
                _index(compile(module, self._name, "exec", flags, dont_inherit=True), known)
            except (SyntaxError, ValueError, RecursionError):
                pass  # a text that Python parses and yet refuses has no functions
            self._compiled[number] = known
        return known


def _imports_in(statement: ast.stmt) -> list[Any]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return []
    return [each for each in inside(statement) if isinstance(each, (ast.Import, ast.ImportFrom))]


def _index(code: CodeType, into: dict[tuple[str, bytes], list[CodeType]]) -> None:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            into.setdefault((inner.co_qualname, code_digest(inner)), []).append(inner)
            _index(inner, into)


def _begins_as(node: Any, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return node.name == code.co_name and lines_of(node)[0] == code.co_firstlineno
    return False


def _narrowest(found: list[Any], code: CodeType) -> list[Any]:
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
    place = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    alone = ast.Expression(ast.Lambda(plain, function.body, **place))
    compiled = compile(alone, "", "eval", dont_inherit=True).co_consts
    return any(
        isinstance(each, CodeType) and code_digest(each) == code_digest(code) for each in compiled
    )


def _may_nest(function: Function, nested: bool) -> bool:
    """Return whether a function can have compiled to code with (or without) code nested in it."""
    inner = [each for part in _parts(function) for each in inside(part)]
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


# Where a source is


_sources: Memo[str, tuple[object, Source | None]] = Memo(100)
_shown: dict[str, str | None] = {}  # a made-up file name -> the file it stands for, if it is one


def texts_of(code: CodeType, namespace: dict[str, object]) -> Iterator[Text]:
    """Yield the texts that `code` may come from, as (place, stamp)."""
    path = code.co_filename
    stamp = _stamp(path)
    text = _kept_text(path, namespace) if stamp is None else ""
    if stamp is not None or text:
        yield path, stamp or text
    file = file_of(namespace)
    if file is not None and file != path:
        stamp = _stamp(file)
        if stamp is not None:
            yield file, stamp


def _stamp(path: str) -> object:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def _kept_text(path: str, namespace: dict[str, object]) -> str:
    """Return the text that linecache or the module's loader holds for a file that is not there."""
    loader = namespace.get("__loader__")
    if path in _shown or ("linecache" not in sys.modules and not hasattr(loader, "get_source")):
        return ""
    import linecache

    try:
        return "".join(linecache.getlines(path, namespace))
    except Exception:  # another thread empties it, or a loader fails
        return ""


def source_of(text: Text) -> Source | None:
    """Return a text, parsed, or None if it cannot be."""
    place, stamp = text
    known = _sources.get(place)
    if known is not None and known[0] == stamp:
        return known[1]
    source: Source | None
    try:
        if isinstance(stamp, str):
            source = Source(stamp, place)
        else:
            with open(place, "rb") as stream:
                source = Source(stream.read(), place)
    except (OSError, SyntaxError, ValueError, RecursionError):
        source = None
    _sources.keep(place, (stamp, source))
    return source


def definition_of(function: FunctionType) -> Function | None:
    """Return the syntax of a loaded function, or None if there is no source of it."""
    code = function.__code__
    sources = map(source_of, texts_of(code, function.__globals__))
    found = (source.function(code) for source in sources if source is not None)
    return next((each for each in found if each is not None), None)


def show_lines(name: str, file: str) -> None:
    """Let tracebacks show the lines of code whose own file name says nothing.

    One name may stand for the files of several modules; then no line is better than a wrong one.
    """
    if name != PICKLED or _shown.get(name, "") in (file, None):
        return
    import linecache

    if name in _shown:
        _shown[name] = None
        linecache.cache.pop(name, None)
    elif name not in linecache.cache:
        _shown[name] = file
        lines = linecache.getlines(file)
        linecache.cache[name] = (sum(map(len, lines)), None, lines, file)
