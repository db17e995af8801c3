"""Fields of a command template, and how a value becomes arguments.

A value is written as a person would type it: text as it is, a number by its shortest spelling, a
list as several arguments. True, False and None are no text at all: inside an optional group they
decide whether it stands, outside they are an error that says so.

A text that names a file means the file, whether it was passed or is the template's own default;
where the field's kind is str, int or float it is text and nothing else, in the command line as in
what counts.

Not promised: dicts and nested lists. They have no spelling that all tools would understand.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import Parameter
from keyword import iskeyword
from typing import Any

from memori.errors import MemoriError
from memori.neuro.filenames import stem, suffix

KINDS: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "list": list,
    "Path": str | os.PathLike[str],
}
_TEXTS = ("str", "int", "float")
_FIELD = re.compile(
    r" *(?P<name>[A-Za-z_]\w*)(?:\.(?P<part>\w+))?\s*(?::(?P<kind>[^=]*))?(?:=(?P<default>.*))?",
    re.DOTALL,
)


class TemplateError(MemoriError, ValueError):
    """A template, or a value for it, that gives no command; the message says where and why."""


@dataclass(frozen=True)
class Field:
    """One ``{...}`` of a template.

    Attributes
    ----------
    name : str
        The input or output whose value it takes.
    part : str or None
        Which part of a file's name: "stem", "suffix" or "name".
    kind : str or None
        One of `KINDS`, where the template says it.
    default : object
        `inspect.Parameter.empty` where there is none.
    joint : str or None
        What joins the elements of a list.
    """

    name: str
    part: str | None = None
    kind: str | None = None
    default: Any = Parameter.empty
    joint: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether its value never means a file, also where there is one of that name."""
        return self.kind in _TEXTS


Piece = str | Field
Argument = tuple[Piece, ...]


@dataclass(frozen=True)
class Group:
    """Arguments that stand or vanish together; `switch` names the input of a bare ``[-v]``."""

    arguments: tuple[Argument, ...]
    switch: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs on which the group depends."""
        if self.switch is not None:
            return (self.switch,)
        return tuple(p.name for each in self.arguments for p in each if isinstance(p, Field))

    def stands(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the group is part of the command."""
        return not any(
            values[name] is None or values[name] is False or values[name] == []
            for name in self.names
        )


def parse_field(inside: str, text: str) -> Field:
    """Read what stands between the braces of a field.

    Parameters
    ----------
    inside : str
        Such as ``frac: float = 0.5``.
    text : str
        The whole template, for messages.

    Raises
    ------
    TemplateError
        If it is no field.
    """
    match = _FIELD.fullmatch(inside)
    if match is None:
        raise TemplateError(
            f"{text!r}: {{{inside}}} is no field; expected {{name}}, {{name=default}} or "
            "{name: kind = default}; a literal brace is written twice"
        )
    name, part, kind, default = match.group("name", "part", "kind", "default")
    if iskeyword(name):
        raise TemplateError(f"{text!r}: {name!r} is a word of Python; call it {name}_file, say")
    if part is not None and part not in _PARTS:
        raise TemplateError(f"{text!r}: {{{inside}}}: a file has {', '.join(_PARTS)}, no {part}")
    joint = None
    if kind is not None:
        kind = kind.strip() or kind
        if len(kind) == 1:
            joint, kind = kind, "list"
        elif kind not in KINDS:
            raise TemplateError(
                f"{text!r}: {{{inside}}}: {kind!r} is no kind; the kinds are "
                f"{', '.join(KINDS)}, or one character that joins a list"
            )
    empty = Parameter.empty
    field = Field(name, part, kind, empty if default is None else _literal(default, kind), joint)
    if field.default is not empty and field.default is not None:
        require_kind(field, field.default, f"{text!r}: the default of ")
    return field


def agreed(known: Field | None, new: Field, text: str) -> Field:
    """Return one field for two places of the same name.

    Raises
    ------
    TemplateError
        If they have two defaults, or two kinds.
    """
    if known is None:
        return new
    given = new.default is not Parameter.empty
    if given and known.default is not Parameter.empty and known.default != new.default:
        raise TemplateError(f"{text!r}: {new.name} has two defaults")
    if new.kind is not None and known.kind not in (None, new.kind):
        raise TemplateError(f"{text!r}: {new.name} has two kinds, {known.kind} and {new.kind}")
    default = new.default if given else known.default
    return Field(new.name, None, known.kind or new.kind, default, known.joint or new.joint)


def with_kinds(pieces: Argument, fields: Mapping[str, Field]) -> Argument:
    """Return pieces whose fields have the kind and default that is said anywhere."""
    return tuple(
        replace(piece, kind=fields[piece.name].kind, default=fields[piece.name].default)
        if isinstance(piece, Field) and piece.name in fields
        else piece
        for piece in pieces
    )


def _literal(text: str, kind: str | None) -> Any:
    """Read a default as Python would, or else take it as text."""
    text = text.strip()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if kind in ("str", "Path") and not isinstance(value, str) and value is not None:
        return text
    return list(value) if isinstance(value, tuple) else value


def require_kind(field: Field, value: Any, prefix: str = "") -> None:
    """Raise a TemplateError if a value is not of the kind that the template declares."""
    if field.kind in ("int", "float"):
        number = int if field.kind == "int" else float
        try:
            fits = not isinstance(value, bool) and number(value) == float(value) and value != ""
        except (TypeError, ValueError):
            fits = isinstance(value, float) and field.kind == "float"  # NaN
    elif field.kind == "Path":
        paths = value if isinstance(value, list) else [value]
        missing = [path for path in paths if not os.path.exists(path)]
        if missing and not prefix:
            raise TemplateError(f"{field.name!r} is {missing[0]!r}, and there is no such file")
        fits = True
    else:
        fits = field.kind != "list" or isinstance(value, list)
    if not fits:
        raise TemplateError(f"{prefix}{field.name!r} is {value!r}; expected {field.kind}")


_PARTS: dict[str, Callable[[str], str]] = {
    "stem": stem,
    "suffix": suffix,
    "name": lambda path: os.path.basename(path.rstrip("/")),
}


def text_of(name: str, value: Any) -> str:
    """Return a single value as the text of an argument.

    Raises
    ------
    TemplateError
        If it is not text, a number or a path, or holds a NUL.
    """
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, str) and "\0" not in text:
            return text
        raise TemplateError(f"{name!r} is {value!r}: no argument of a command can hold that")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    if value is None or isinstance(value, bool):
        raise TemplateError(
            f"{name!r} is {value}, which has no spelling; put the field in an optional group, "
            f"such as [-x {{{name}}}], or give text or a number"
        )
    raise TemplateError(
        f"{name!r} holds {value!r}, of type {type(value).__name__}; an argument is text, a "
        "number, or a list of these"
    )


def texts_of(field: Field, value: Any, path: Callable[[str], str] = lambda text: text) -> list[str]:
    """Return the texts that a field stands for: one, or one for each element of a list.

    Parameters
    ----------
    field : Field
        What stands in the template.
    value : JSON
        Its value.
    path : callable, optional
        Applied to each text that may name a file.
    """
    listed = list(value) if isinstance(value, (list, tuple)) else [value]
    texts = []
    for each in listed:
        text = text_of(field.name, each)
        if field.part is not None:
            text = _PARTS[field.part](text)
        elif not field.is_text and isinstance(each, (str, os.PathLike)):
            text = path(text)
        texts.append(text)
    return [field.joint.join(texts)] if field.joint is not None and texts else texts


def fill(
    argument: Argument,
    values: Mapping[str, Any],
    path: Callable[[str], str],
    allowed: frozenset[str],
    *,
    in_group: bool,
) -> list[str]:
    """Return the arguments that one argument of a template becomes.

    Parameters
    ----------
    argument : tuple of str and Field
        With at most one field that holds a list.
    values : Mapping
        A value for each field.
    path : callable
        Applied to each text that may name a file.
    allowed : frozenset of str
        Fields whose value may begin with ``-``.
    in_group : bool
        Whether a value of True adds no text.

    Raises
    ------
    TemplateError
        For a value that cannot stand where it would.
    """
    only = argument[0] if len(argument) == 1 else ""
    if in_group and isinstance(only, Field) and values[only.name] is True:
        return []
    grown: list[str] = [""]
    lists = 0
    for place, piece in enumerate(argument):
        if isinstance(piece, str):
            grown = [text + piece for text in grown]
            continue
        value = values[piece.name]
        require_kind(piece, value)
        texts = texts_of(piece, value, path)
        if place == 0 and not (piece.name in allowed or piece.kind == "str"):
            for text in _begins(piece, value, texts):
                reject_option(piece.name, text)
        lists += len(texts) != 1
        if lists > 1:
            raise TemplateError(f"{piece.name!r} is the second list inside one argument")
        grown = [text + each for text in grown for each in texts]
    return grown


def _begins(field: Field, value: Any, texts: list[str]) -> list[str]:
    """Return the texts with which arguments begin; a default is the author's own word."""
    if value == field.default:
        return []
    if field.part is not None:
        return texts
    listed = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in listed[: 1 if field.joint else None] if isinstance(each, str)]


def reject_option(name: str, text: str) -> None:
    """Raise if a value would be taken for an option where a file or a value is expected."""
    if text.startswith("-") and not _is_number(text):
        raise TemplateError(
            f"{name!r} is {text!r}: it begins with '-', and the command would take it for an "
            f"option. A file of that name is given as ./{text}; a text that may begin with '-' "
            f"is declared by {{{name}: str}} in the template, or by allow_dash=[{name!r}]"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
