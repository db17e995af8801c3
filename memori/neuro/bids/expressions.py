"""The expressions in which the schema says to which files a rule applies.

A rule of the schema names its files by selectors such as ``suffix == "bold"``,
``"space" in entities`` or ``intersects([modality], ["mri", "pet"])``. `holds` tells whether all of
them are true of a file, given what is known of it by name.

Not promised: all that the language has. Of what this module does not know (`exists` and the like,
which look at disks) no selector is true, so that a rule that may not apply is not applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

Known: TypeAlias = Mapping[str, Any]
_Term: TypeAlias = Callable[[Known], Any]

_TOKEN = re.compile(
    r"""\s*(?: (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_]\w*) | (?P<sign>\|\||&&|[=!<>]=|[-!<>()\[\],.+]) )""",
    re.VERBOSE,
)
_BINDING = {"||": 1, "&&": 2, "==": 3, "!=": 3, "in": 4, "<": 4, ">": 4, "<=": 4, ">=": 4}
_WORDS = {"true": True, "false": False, "null": None}


class _UnknownError(Exception):
    """An expression asks for what is not known here."""


def holds(selectors: Iterable[str], known: Known) -> bool:
    r"""Tell whether all selectors are true of what is known.

    Examples
    --------
    >>> known = {"suffix": "bold", "entities": {"space": "MNI"}, "extension": ".nii.gz"}
    >>> holds(['"space" in entities', "match(extension, '^\\.nii(\\.gz)?$')"], known)
    True
    >>> holds(["intersects([suffix], ['T1w', 'T2w'])"], known)
    False
    """
    try:
        return all(_compiled(each)(known) for each in selectors)
    except (_UnknownError, TypeError, re.error):
        return False


@cache
def _compiled(text: str) -> _Term:
    parser = _Parser(text)
    term = parser.expression(0)
    if parser.peek():
        raise _UnknownError(text)
    return term


class _Parser:
    """Reads one expression, by how strongly its signs bind."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise _UnknownError(text)
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            place = found.end()

    def peek(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self, expected: str | None = None) -> tuple[str, str]:
        if not self._tokens or expected not in (None, self.peek()):
            raise _UnknownError(expected)
        return self._tokens.pop(0)

    def expression(self, least: int) -> _Term:
        left = self._unary()
        while _BINDING.get(self.peek(), 0) > least:
            sign = self._take()[1]
            left = _binary(sign, left, self.expression(_BINDING[sign]))
        return left

    def _unary(self) -> _Term:
        if self.peek() == "!":
            self._take()
            term = self._unary()
            return lambda known: not term(known)
        return self._member(self._atom())

    def _atom(self) -> _Term:
        kind, text = self._take()
        if kind == "text":
            value = re.sub(r"\\(.)", lambda m: m[1] if m[1] in "\"'\\" else m[0], text[1:-1])
            return lambda known: value
        if kind == "number":
            return lambda known: float(text)
        if text == "[":
            terms = self._until("]")
            return lambda known: [term(known) for term in terms]
        if text == "(":
            inner = self.expression(0)
            self._take(")")
            return inner
        if kind != "name":
            raise _UnknownError(text)
        if text in _WORDS:
            return lambda known: _WORDS[text]
        if self.peek() == "(":
            self._take()
            return _call(text, self._until(")"))
        return lambda known: _known(known, text)

    def _member(self, term: _Term) -> _Term:
        while self.peek() == ".":
            self._take()
            name = self._take()[1]
            term = _part(term, name)
        return term

    def _until(self, end: str) -> list[_Term]:
        terms = []
        while self.peek() != end:
            terms.append(self.expression(0))
            if self.peek() != end:
                self._take(",")
        self._take(end)
        return terms


def _known(known: Known, name: str) -> Any:
    if name not in known:
        raise _UnknownError(name)
    return known[name]


def _part(term: _Term, name: str) -> _Term:
    def value(known: Known) -> Any:
        whole = term(known)
        return whole.get(name) if isinstance(whole, Mapping) else None

    return value


def _binary(sign: str, left: _Term, right: _Term) -> _Term:
    apply: dict[str, Callable[[Any, Any], Any]] = {
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        "in": lambda a, b: b is not None and a in b,
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
        ">=": lambda a, b: a >= b,
    }
    if sign == "&&":
        return lambda known: left(known) and right(known)
    if sign == "||":
        return lambda known: left(known) or right(known)
    return lambda known: apply[sign](left(known), right(known))


def _call(name: str, terms: list[_Term]) -> _Term:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise _UnknownError(name)
    return lambda known: function(*(term(known) for term in terms))


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", str: "string", list: "array", int: "number", float: "number"}
    return names.get(type(value), "object")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "intersects": lambda a, b: any(each in (b or ()) for each in a or ()),
    "match": lambda text, pattern: text is not None and re.search(pattern, text) is not None,
    "type": _type_of,
    "length": lambda value: None if value is None else len(value),
}
