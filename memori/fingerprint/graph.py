"""The graph that a walk leaves behind, and the digests of it.

A node is a function, a class, a module, a distribution, a mutable container, an instance, or a
slot: a place (a global, a cell, a class attribute) that holds a value. Its `state` is a list of
encoded bytes and of references to other nodes. A digest numbers the nodes in the order in which
they are met from the root, so that cycles cost nothing and neither addresses nor the names of
modules and files take part. The graph is a snapshot: later changes of the live objects do not
reach it.

A node with a label is a component, shown and compared by name; nodes without one belong to the
component that holds them.
"""

from __future__ import annotations

from hashlib import sha256
from types import CodeType

from memori.fingerprint.bytecode import code_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class Piece(Protocol):
        """Statements of a module (`memori.fingerprint.imports.unloaded.Piece`)."""

        key: str

        def written(self) -> str:
            """Return their text."""

    State = list["bytes | Node"]
    Overlay = dict["Node", State]
    Parts = Callable[["Node", Overlay], Iterable["bytes | Node"]]

APART = "~"  # before the path of an edge that is no chain of names as the syntax spells it


class Node:
    """One object that the callable reaches, as it was when it was met."""

    __slots__ = ("code", "edges", "label", "origin", "owner", "piece", "shown", "state")

    def __init__(self, label: str = "", origin: object = None) -> None:
        self.label = label
        self.origin = origin  # the live object, kept alive: its identity is what was compared
        self.state: State = []
        self.code: CodeType | None = None
        self.edges: list[tuple[str, State]] = []  # path as the code spells it -> what it names
        self.shown = ""  # what to show instead of a digest, if that is short and exact
        self.owner: tuple[object, str] | None = None  # of a slot: namespace or cell, and name
        self.piece: Piece | None = None  # of code that nobody has imported

    def __repr__(self) -> str:
        return f"<Node {self.label or self.origin!r}>"


def through(node: Node, overlay: Overlay) -> Node:
    """Return the component that a slot stands for if it holds nothing else, else the node."""
    while node.owner is not None:
        state = overlay.get(node, node.state)
        if len(state) != 1 or type(state[0]) is bytes:
            break
        inner = state[0]
        if not isinstance(inner, Node) or not inner.label:
            break
        node = inner
    return node


def state_of(node: Node, overlay: Overlay) -> State:
    """Return the state of a node; slots that were not there before a run go with their names."""
    state = overlay.get(node, node.state)
    if not overlay:
        return state
    kept: State = []
    for part in state:
        if isinstance(part, Node) and part in overlay and not overlay[part]:
            kept.pop()
        else:
            kept.append(part)
    return kept


def fast_parts(node: Node, overlay: Overlay) -> Iterator[bytes | Node]:
    """Yield what `node` is made of at the level of bytecode."""
    yield from state_of(node, overlay)
    if node.code is not None:
        yield b"C" + code_digest(node.code)
        yield from edge_parts(node.edges)


def edge_parts(edges: Iterable[tuple[str, State]]) -> Iterator[bytes | Node]:
    """Yield names and what they lead to."""
    for path, state in edges:
        yield b"@%b=" % path.encode("utf-8", "surrogatepass")
        yield from state


def order(root: Node, parts: Parts, overlay: Overlay) -> tuple[list[Node], list[bytes]]:
    """Return the nodes in the order in which they are met from `root`, and each one's encoding."""
    numbers = {root: 0}
    nodes = [root]
    encodings = []
    for node in nodes:
        chunks = []
        for part in parts(node, overlay):
            if isinstance(part, bytes):
                chunks.append(part)
                continue
            if part.owner is not None:
                part = through(part, overlay)
            number = numbers.get(part)
            if number is None:
                number = numbers[part] = len(nodes)
                nodes.append(part)
            chunks.append(b"#%d;" % number)
        encodings.append(b"".join(chunks))
    return nodes, encodings


def graph_digest(encodings: list[bytes], head: bytes) -> str:
    """Return the digest over all nodes in order, as hexadecimal text."""
    digest = sha256(head)
    for encoding in encodings:
        digest.update(b"\n%d:" % len(encoding))
        digest.update(encoding)
    return digest.hexdigest()


def own_digest(
    node: Node,
    parts: Parts,
    overlay: Overlay,
    name: Callable[[Node], bytes],
) -> tuple[bytes, bool]:
    """Return the digest of one component, and whether code is in it.

    It covers the node itself and what it holds, other components by `name`.
    """
    numbers = {node: 0}
    nodes = [node]
    digest = sha256()
    for inner in nodes:
        for part in parts(inner, overlay):
            if isinstance(part, bytes):
                digest.update(part)
                continue
            if part.owner is not None:
                part = through(part, overlay)
            if part.label:
                digest.update(name(part))
                continue
            number = numbers.get(part)
            if number is None:
                number = numbers[part] = len(nodes)
                nodes.append(part)
            digest.update(b"#%d;" % number)
        digest.update(b"\n")
    return digest.digest(), any(inner.code is not None for inner in nodes)
