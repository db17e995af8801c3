"""The words of a shell's text, as far as they can be known before it runs.

Quotes, variables of the environment and of the text itself, arguments (``$1``), substitutions,
redirections and pipes are read as a shell reads them; loops, tests and functions only as the words
that they are made of. So a word that names a file is found wherever it stands.

Not promised: what the text computes. A word that holds something unknown is left out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME = re.compile(r"\{(\w+)\}|(\w)(?![A-Za-z_0-9])|([A-Za-z_]\w*)|([@*#?$!-])")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ENDS = ";&|()\n"
_DEEPEST = 10


class Words(NamedTuple):
    """The words of one simple command.

    Attributes
    ----------
    argv : list of str
        Its words, what is read from a file (``<``) among them.
    patterns : frozenset of str
        Those of them in which a shell looks for names that fit.
    """

    argv: list[str]
    patterns: frozenset[str]


def commands_in(
    text: str, environment: Mapping[str, str], given: Sequence[str] = (), depth: int = 0
) -> Iterator[Words]:
    """Yield the words of each simple command in a shell's text.

    Parameters
    ----------
    text : str
        The text.
    environment : Mapping of str to str
        The variables that are known.
    given : sequence of str, optional
        The arguments: ``$0``, ``$1`` and so on.
    depth : int, optional
        How many substitutions it stands in.

    Examples
    --------
    >>> text = "cd /data && 3dcalc -a 'epi+orig[0..5]' < $X/in.txt > out.txt"
    >>> [each.argv for each in commands_in(text, {"X": "/x"})]
    [['cd', '/data'], ['3dcalc', '-a', 'epi+orig[0..5]', '/x/in.txt']]
    """
    if depth > _DEEPEST:
        return
    reader = _Reader(text, dict(environment), given)
    yield from reader.commands()
    for inner in reader.inner:
        yield from commands_in(inner, reader.variables, given, depth + 1)


class _Reader:
    """Reads one text from its start to its end."""

    def __init__(self, text: str, variables: dict[str, str], given: Sequence[str]) -> None:
        self._text = text
        self._at = 0
        self._given = given
        self.variables = variables
        self.inner: list[str] = []

    def commands(self) -> Iterator[Words]:
        argv: list[str] = []
        patterns: set[str] = set()
        drops = False
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign in _ENDS:
                self._at += 1
                if argv:
                    yield Words(argv, frozenset(patterns))
                argv, patterns, drops = [], set(), False
            elif sign in "<>":
                drops = self._redirection()
            elif sign in " \t\r" or self._text.startswith("\\\n", self._at):
                self._at += 1 if sign != "\\" else 2
            elif sign == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                word, is_pattern = self._word()
                assigned = None if argv or word is None else _ASSIGNED.fullmatch(word)
                if drops or word is None:
                    pass
                elif assigned is not None:
                    self.variables[assigned[1]] = assigned[2]
                elif word.isdigit() and self._text[self._at : self._at + 1] in ("<", ">"):
                    pass  # the number of an open file
                else:
                    argv.append(word)
                    patterns |= {word} if is_pattern else set()
                drops = False
        if argv:
            yield Words(argv, frozenset(patterns))

    def _redirection(self) -> bool:
        """Pass a sign of redirection; tell whether the word behind it is no file to read."""
        start = self._at
        while self._text[self._at : self._at + 1] in ("<", ">", "&", "|") and self._at < start + 3:
            self._at += 1
        return self._text[start : self._at] != "<"

    def _word(self) -> tuple[str | None, bool]:
        """Return the next word (None if it is not known), and whether it is a pattern."""
        found: list[str] = []
        is_known, is_pattern = True, False
        text = self._text
        while self._at < len(text) and text[self._at] not in " \t\r<>" + _ENDS:
            sign = text[self._at]
            if sign == "'":
                end = text.find("'", self._at + 1)
                end = len(text) if end < 0 else end
                found.append(text[self._at + 1 : end])
                self._at = end + 1
            elif sign == '"':
                is_known = self._quoted(found) and is_known
            elif sign == "\\":
                found.append(text[self._at + 1 : self._at + 2].replace("\n", ""))
                self._at += 2
            elif sign in "$`":
                is_known = self._substituted(found) and is_known
            else:
                is_pattern = is_pattern or sign in "*?["
                is_home = sign == "~" and not found
                found.append(self.variables.get("HOME", "~") if is_home else sign)
                self._at += 1
        return ("".join(found) if is_known else None), is_pattern

    def _quoted(self, found: list[str]) -> bool:
        is_known = True
        self._at += 1
        text = self._text
        while self._at < len(text) and text[self._at] != '"':
            if text[self._at] in "$`":
                is_known = self._substituted(found) and is_known
            elif text[self._at] == "\\" and text[self._at + 1 : self._at + 2] in '$`"\\\n':
                found.append(text[self._at + 1 : self._at + 2].replace("\n", ""))
                self._at += 2
            else:
                found.append(text[self._at])
                self._at += 1
        self._at += 1
        return is_known

    def _substituted(self, found: list[str]) -> bool:
        """Put what stands for a variable; tell whether it is known."""
        text, at = self._text, self._at
        if text[at] == "`":
            end = text.find("`", at + 1)
            end = len(text) if end < 0 else end
            self.inner.append(text[at + 1 : end])
            self._at = end + 1
            return False
        if text.startswith("$(", at):
            end = _closing(text, at + 1)
            self.inner.append(text[at + 2 : end])
            self._at = end + 1
            return False
        named = _NAME.match(text, at + 1)
        if named is None:
            is_brace = text.startswith("${", at)
            self._at = text.find("}", at) + 1 if is_brace and "}" in text[at:] else at + 1
            if not is_brace:
                found.append("$")
            return not is_brace
        self._at = named.end()
        name = next(filter(None, named.groups()))
        if name.isdigit():
            is_given = int(name) < len(self._given)
            found.append(self._given[int(name)] if is_given else "")
            return is_given
        if name in ("@", "*"):
            found.append(" ".join(self._given[1:]))
            return True
        found.append(self.variables.get(name, ""))
        return name in self.variables


def _closing(text: str, start: int) -> int:
    """Return where the bracket closes that opens at a place."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    return len(text)
