"""The level of syntax: what the source of a function says, whichever Python compiled it.

What a function's decorators and defaults come to is seen in the live objects, so only parameters
and body count here, as `writer` writes them. Code without a provable source stands for itself, as
bytecode of this version of Python.

The source of a component can be had as it was written, under a name: the digest of its syntax, or
of the statements of a module that nobody had imported, which its own text says. Sources of one
name say the same in all that counts.
"""

from __future__ import annotations

import re
from hashlib import sha256
from types import CodeType

from memori.digest.memo import Memo
from memori.fingerprint.bytecode import VERSION, code_digest, constant
from memori.fingerprint.graph import APART, Node, edge_parts, state_of
from memori.fingerprint.sources import show_lines, source_of, texts_of
from memori.fingerprint.writer import Writer, bound_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from memori.fingerprint.graph import Overlay, State
    from memori.fingerprint.sources import Function, Text

    Edge = tuple[str, State]


class Syntax:
    """The canonical text of a function, with holes where it names something outside itself.

    `parts` holds digests of text and, for the holes, chains of names. What a chain leads to takes
    the place of its spelling, so that an import may be spelled in any way.
    """

    __slots__ = ("names", "parts")

    def __init__(self, function: Function) -> None:
        writer = Writer(bound_names(function))
        writer.function(function)
        self.names = frozenset(writer.names)
        self.parts: list[bytes | tuple[str, ...]] = []
        run: list[bytes] = []
        for piece in writer.out:
            if isinstance(piece, bytes):
                run.append(piece)
            else:
                self.parts += (sha256(b"".join(run)).digest(), piece)
                run = []
        self.parts.append(sha256(b"".join(run)).digest())


_known: Memo[int, tuple[CodeType, Text, Syntax]] = Memo(10_000)


def syntax_of(code: CodeType, namespace: dict[str, object]) -> Syntax | None:
    """Return what the source of a loaded function says, or None if there is no such source."""
    known = _known.get(id(code))
    for text in texts_of(code, namespace):
        if known is not None and known[0] is code and known[1] == text:
            return known[2]
        source = source_of(text)
        function = None if source is None else source.function(code)
        if function is not None:
            syntax = Syntax(function)
            _known.keep(id(code), (code, text, syntax))
            show_lines(code.co_filename, text[0])
            return syntax
    return None


class Canonical:
    """Reads the parts of nodes at the level of syntax.

    Attributes
    ----------
    complete : bool
        Whether all code that was met has a source.
    trusted : bool
        Whether the code without one at least was made at run time, under a made-up file name.
    """

    def __init__(self) -> None:
        self.complete = True
        self.trusted = True

    def parts(self, node: Node, overlay: Overlay) -> Iterator[bytes | Node]:
        """Yield what `node` is made of at the level of syntax."""
        yield from state_of(node, overlay)
        if node.code is None:
            return
        namespace = getattr(node.origin, "__globals__", {})
        syntax = syntax_of(node.code, namespace)
        edges = sorted(node.edges, key=lambda edge: edge[0])
        if syntax is None:
            made = node.code.co_filename.startswith("<") and not node.label.startswith("function ")
            self.complete = False
            self.trusted = self.trusted and made
            yield b"C%d.%d" % VERSION + code_digest(node.code)
        else:
            edges = yield from _filled(syntax, edges)
        yield from edge_parts(edges)


def _filled(syntax: Syntax, edges: list[Edge]) -> Generator[bytes | Node, None, list[Edge]]:
    """Yield the text with its holes filled, and return the edges that filled none."""
    states = dict(edges)
    filled: set[str] = set()
    for part in syntax.parts:
        if isinstance(part, bytes):
            yield part
            continue
        for end in range(len(part), 0, -1):
            path = ".".join(part[:end])
            if path in states:
                filled.add(path)
                yield b"<"
                yield from states[path]
                yield b">" + constant(part[end:])
                break
        else:
            yield constant(part)
    return [edge for edge in edges if edge[0] not in filled and _is_named(edge[0], syntax.names)]


def _is_named(path: str, names: frozenset[str]) -> bool:
    """Return whether the canonical text names what an edge starts from."""
    first = path.lstrip(APART).partition(".")[0]
    if first in names or " " in first:
        return True
    # a name with two leading underscores is spelled otherwise in the bytecode of a class
    return any(first.endswith(name) for name in names if name.startswith("__"))


# The source of components, for people

_NAME = r"(?:\w+ )?syntax ([0-9a-f]{12})\b.*|([0-9a-f]{12})"
_MOST = 200_000  # characters; a text that is larger is nothing that a person reads


def names_of(components: Mapping[str, str]) -> dict[str, str]:
    """Return what the text of each component that may have one is called, by label.

    Examples
    --------
    >>> names_of({"helper f": "syntax 0123456789ab, bytecode 3.11 ba9876543210", "global N": "3"})
    {'helper f': '0123456789ab'}
    """
    found = ((label, re.fullmatch(_NAME, told)) for label, told in components.items())
    return {label: match[1] or match[2] for label, match in found if match}


def text_of(node: Node) -> str | None:
    """Return the source of a component as it was written, or None."""
    if node.piece is not None:
        text: str | None = node.piece.written()
    elif node.code is not None:
        text = _written(node)
    else:
        return None
    return text if text is None or len(text) <= _MOST else None


def _written(node: Node) -> str | None:
    assert node.code is not None
    for text in texts_of(node.code, getattr(node.origin, "__globals__", {})):
        source = source_of(text)
        function = None if source is None else source.function(node.code)
        if source is not None and function is not None:
            return source.written(function)
    return None
