"""Command templates: one line of text that becomes a list of arguments.

A template is split into arguments first and filled afterwards, so a value is never split, quoted
or expanded: a file name with blanks, quotes, ``;`` or ``$()`` is one argument. No shell is ever
involved. The splitting knows blanks, single and double quotes and the backslash. Then:

``{in_file}``               the value of an input, or the path of an output
``{frac=0.5}``              with a default
``{frac: float = 0.5}``     and a kind: int, float, str (none of them ever a file), list or Path
                            (must exist)
``{files}``                 a list fills as many arguments; inside a larger argument (``-i{files}``)
                            the argument is repeated
``{shape:x}``               a list joined by one character: ``64x64x32``
``{in_file.stem}``          part of a file's name: stem, suffix or name; the suffix of
                            ``a.nii.gz`` is ``.nii.gz``
``[-m {mask}]``             an optional group: it vanishes when a value in it is None, False or []
``[-v]``                    a switch: an input ``v`` that is False unless given
``[-v {verbose}]``          a switch of another name: True adds no text of its own
``{{``  ``}}``              literal braces; brackets are literal inside an argument and in quotes

What a shell would act on (``|``, ``>``, ``$HOME``, backquotes) is refused when it is not quoted,
because the author expected a shell. A value that begins with ``-`` where an argument begins is
refused too, unless the field's kind is str: it would be taken for an option.

Not promised: anything that a template cannot say in one line. Write a function that returns the
list of arguments instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter
from keyword import iskeyword
from typing import Any

from memori.neuro.command.fields import (
    Argument,
    Field,
    Group,
    Piece,
    TemplateError,
    agreed,
    fill,
    parse_field,
    with_kinds,
)

_SHELL = re.compile(r"\d?(?:>>?|<<?|>&).*|\|\|?|\|&|&&?|;|.*[;`].*|.*\$[A-Za-z_(\0\1].*", re.DOTALL)


@dataclass(frozen=True)
class Template:
    """A parsed template.

    Attributes
    ----------
    text : str
        As it was written.
    parts : tuple
        An `Argument` or a `Group` each.
    """

    text: str
    parts: tuple[Argument | Group, ...]
    fields: dict[str, Field] = field(default_factory=dict)

    @property
    def program(self) -> str | None:
        """The first argument, if it is fixed."""
        first = self.parts[0]
        if isinstance(first, Group) or any(isinstance(piece, Field) for piece in first):
            return None
        return "".join(str(piece) for piece in first)

    def fill(
        self,
        values: Mapping[str, Any],
        path: Callable[[str], str] = lambda text: text,
        allowed: frozenset[str] = frozenset(),
    ) -> list[str]:
        """Return the arguments for one set of values.

        Parameters
        ----------
        values : Mapping
            A value for each field.
        path : callable
            Applied to each text that may name a file (not for the kinds str, int and float).
        allowed : frozenset of str
            Fields whose value may begin with ``-``.

        Raises
        ------
        TemplateError
            For a value that cannot stand where it would.

        Examples
        --------
        >>> parse("bet {in_file} {out} -f {frac=0.5} [-m {mask}] [-R]").fill(
        ...     {"in_file": "my T1.nii", "out": "b", "frac": 0.4, "mask": None, "R": True})
        ['bet', 'my T1.nii', 'b', '-f', '0.4', '-R']
        """
        argv: list[str] = []
        for part in self.parts:
            if not isinstance(part, Group):
                argv += fill(part, values, path, allowed, in_group=False)
            elif part.stands(values):
                for argument in part.arguments:
                    argv += fill(argument, values, path, allowed, in_group=True)
        return argv


# Parsing


def parse(text: str) -> Template:
    """Split a template into arguments and find its fields.

    Raises
    ------
    TemplateError
        If it is empty, a quote, brace or bracket is left open, a field is not understood, or it
        asks for a shell.
    """
    if not isinstance(text, str):
        raise TemplateError(f"a command template is a str, got {text!r}")
    parts: list[Argument | Group] = []
    open_group: list[Argument] | None = None
    for argument, opens, closes in _Splitter(text).arguments():
        if opens:
            if open_group is not None:
                raise TemplateError(f"{text!r}: a group inside a group; write two groups")
            open_group = []
        if open_group is None:
            parts.append(argument)
        elif argument:
            open_group.append(argument)
        if closes and open_group is not None:
            parts.append(_group(open_group, text))
            open_group = None
    if open_group is not None:
        raise TemplateError(f"{text!r}: '[' opens an optional group that no ']' closes")
    if not parts or isinstance(parts[0], Group):
        raise TemplateError(f"{text!r}: a command begins with the name of a program")
    fields = _fields(parts, text)
    return Template(text, tuple(_part_with_kinds(part, fields) for part in parts), fields)


def _part_with_kinds(part: Argument | Group, fields: Mapping[str, Field]) -> Argument | Group:
    if not isinstance(part, Group):
        return with_kinds(part, fields)
    return Group(tuple(with_kinds(each, fields) for each in part.arguments), part.switch)


def parse_name(text: str) -> Argument:
    """Parse the name of an output, such as ``{in_file.stem}_brain.nii.gz``: one argument."""
    splitter = _Splitter(text)
    pieces: list[Piece] = []
    while splitter.place < len(text):
        pieces.append(splitter.brace() if text[splitter.place] in "{}" else splitter.take(1))
    return _merged(pieces)


class _Splitter:
    """Reads a template from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.in_group = False

    def take(self, count: int) -> str:
        self.place += count
        return self.text[self.place - count : self.place]

    def arguments(self) -> Iterator[tuple[Argument, bool, bool]]:
        """Yield each argument, and whether it opens and closes an optional group."""
        while True:
            while self.place < len(self.text) and self._at_blank():
                self.take(2 if self.text.startswith("\\\n", self.place) else 1)
            if self.place >= len(self.text):
                return
            opens = self.text[self.place] == "["
            if opens:
                self.take(1)
                self.in_group = True
            pieces, plain, closes = self._argument()
            if _SHELL.fullmatch(plain):
                raise TemplateError(_no_shell(self.text, plain))
            yield _merged(pieces), opens, closes

    def _at_blank(self) -> bool:
        return self.text[self.place].isspace() or self.text.startswith("\\\n", self.place)

    def _argument(self) -> tuple[list[Piece], str, bool]:
        """Return the pieces, the text with what is quoted blotted out, and if a group ends."""
        pieces: list[Piece] = []
        plain: list[str] = []
        depth = 0
        while self.place < len(self.text) and not self._at_blank():
            character = self.text[self.place]
            if character in "'\"":
                pieces += self._quoted(plain)
                continue
            if character in "{}":
                pieces.append(self.brace())
                plain.append("\1")
                continue
            if character == "]" and depth == 0 and self.in_group:
                self.take(1)
                self.in_group = False
                self._require_blank()
                return pieces, "".join(plain), True
            depth += (character == "[") - (character == "]")
            if character == "\\":
                self.take(1)
                plain.append("\1")
            else:
                plain.append(character)
            pieces.append(self.take(1))
        return pieces, "".join(plain), False

    def _require_blank(self) -> None:
        if self.place < len(self.text) and not self._at_blank():
            rest = self.text[self.place :]
            raise TemplateError(
                f"{self.text!r}: {rest!r} follows the ']' of an optional group; a literal bracket "
                "at the start of an argument is written in quotes"
            )

    def _quoted(self, plain: list[str]) -> list[Piece]:
        quote = self.take(1)
        pieces: list[Piece] = [""]
        while self.place < len(self.text):
            character = self.text[self.place]
            if character == quote:
                self.take(1)
                return pieces
            if character in "{}":
                pieces.append(self.brace())
                plain.append("\1")
                continue
            if quote == '"' and character == "\\" and self.text[self.place + 1 :][:1] in '"\\$':
                self.take(1)
            elif quote == '"' and character == "$":
                follows = self.text[self.place + 1 : self.place + 2]
                plain.append("$\0" if follows.isalpha() or follows in ("_", "{", "(") else "")
            pieces.append(self.take(1))
            plain.append("\1")
        raise TemplateError(f"{self.text!r}: the quote {quote} is not closed")

    def brace(self) -> Piece:
        character = self.take(1)
        if self.text[self.place : self.place + 1] == character:
            return self.take(1)
        if character == "}":
            raise TemplateError(f"{self.text!r}: a single '}}'; a literal one is written '}}}}'")
        start, quote = self.place, ""
        while self.place < len(self.text):
            character = self.take(1)
            if quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character
            elif character == "}":
                return parse_field(self.text[start : self.place - 1], self.text)
        raise TemplateError(f"{self.text!r}: '{{' opens a field that no '}}' closes")


def _no_shell(text: str, plain: str) -> str:
    plain = plain.replace("\0", "").replace("\1", "?")
    return (
        f"{text!r}: {plain!r} is meant for a shell, and memori starts none. Capture what a "
        "command prints with outputs=Stdout(...), make each command of a pipe a stage of its "
        "own, take a variable from os.environ; or put it in single quotes if the tool itself is "
        "to get it"
    )


def _merged(pieces: list[Piece]) -> Argument:
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(piece for piece in merged if piece != "" or len(merged) == 1)


def _group(arguments: list[Argument], text: str) -> Group:
    group = Group(tuple(arguments))
    first = arguments[0] if arguments else ()
    begins = first[0] if first else ""
    if isinstance(begins, Field) and len(first) == 1:
        return group
    if not isinstance(begins, str) or not begins.startswith("-"):
        raise TemplateError(
            f"{text!r}: the optional group [{begins or ''}... does not begin with an option or a "
            "field; a literal bracket (ANTs) at the start of an argument is written in quotes"
        )
    if group.names:
        return group
    name = begins.lstrip("-").replace("-", "_")
    if not name.isidentifier() or iskeyword(name):
        raise TemplateError(
            f"{text!r}: the switch [{begins}] makes no Python name; name it: [{begins} {{name}}]"
        )
    return Group(group.arguments, switch=name)


def _fields(parts: list[Argument | Group], text: str) -> dict[str, Field]:
    """Return one field for each name; what a group's values are without is None or False."""
    found: dict[str, Field] = {}
    plain: set[str] = set()
    for part in parts:
        grouped = isinstance(part, Group)
        if isinstance(part, Group) and part.switch is not None:
            found.setdefault(part.switch, Field(part.switch, kind="bool", default=False))
        for argument in part.arguments if isinstance(part, Group) else (part,):
            for piece in argument:
                if isinstance(piece, Field):
                    found[piece.name] = agreed(found.get(piece.name), piece, text)
                    plain |= set() if grouped else {piece.name}
    for name, each in found.items():
        if each.default is Parameter.empty and name not in plain:
            found[name] = replace(each, default=None)
    return found
