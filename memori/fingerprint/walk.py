"""The walk over the live objects that a callable reaches.

It starts from the callable and the objects in `depends_on`, and follows what code names, what
functions close over and default to, what classes are made of and what values hold, through a
queue, so that neither depth nor cycles matter. Live objects are walked, not source text: whatever a
decorator, a metaclass or a line at the end of a module did to them before the call is seen. Nothing
is executed that belongs to the user but `__fingerprint__` methods.

What the standard library or a distribution defines is not entered: it counts by name, and by the
version of its distribution. What it holds for the user (the function inside a `partial`, the
closure of a wrapper) is.
"""

from __future__ import annotations

import sys
from _thread import _local
from collections import deque
from types import CellType, FunctionType, ModuleType

from memori.digest.files import file_digest
from memori.fingerprint.atoms import ATOMS, text, words
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import Guards
from memori.fingerprint.origins import (
    NOWHERE,
    Anchor,
    Origin,
    module_label,
    module_origin,
    origin_of_namespace,
    relative,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from memori.fingerprint.graph import State

    Fill = Callable[["Walk", Node], None]
    Handler = Callable[["Walk", Any, State], None]

# what reachable code may read besides values and code; each widens what counts
DOCS, ANNOTATIONS, ORDER = "docs", "annotations", "order"
WRAPPED, SUBCLASSES = "wrapped", "subclasses"
NAMES, LINES, SOURCE, PLACES = "names", "lines", "source", "places"
FILES = "files"
_here = _local()


# distributions that act on the annotations of functions and classes that they are given
_READ_ANNOTATIONS = words(
    "apischema beartype cattrs cyclopts dacite dataclass-wizard dataclasses-json fastapi "
    "hydra-core injector jaxtyping jsonargparse magicgui marshmallow-dataclass mashumaro msgspec "
    "omegaconf pandera plum-dispatch prefect pydra pyserde simple-parsing typeguard typer tyro"
)


def is_walking() -> bool:
    """Tell whether this thread is inside a walk: an object that is met may ask for one itself."""
    return getattr(_here, "is_walking", False)


class Walk:
    """One walk: its nodes, the guards of what it saw and what it could not follow.

    Parameters
    ----------
    encode : callable
        Appends the encoding of a value that is no atom; `dispatch.encode`, but for layers.
    modes : frozenset of str
        What reachable code reads besides values and code.
    outlines : int
        How many outlines it lies within, 0 if it is none; see `outline`.
    """

    def __init__(
        self, encode: Handler, modes: frozenset[str] = frozenset(), outlines: int = 0
    ) -> None:
        self._encode = encode
        self.modes = modes
        self.outlines = outlines
        self.wanted: set[str] = set(modes)
        self.guards = Guards()
        self.nodes: dict[int, Node] = {}
        self.slots: dict[tuple[int, str], Node] = {}
        self.caches: list[Any] = []  # functions made by `lru_cache`
        self.handles: list[Any] = []  # open files and databases
        self.shared: dict[str, Node] = {}  # distributions, files: by label
        self.unresolved: dict[str, None] = {}
        self.anchor = NOWHERE  # the project folder of the module that holds the current value
        self.where = ""  # what is being filled, for notes
        self.space: dict[str, object] = {}  # globals of the function that is being filled
        self.module = ""  # label of its module
        self.file = ""  # and the file of its code
        self.depth = 0  # of the tuple that is being encoded
        self.kept: list[object] = []  # what was made for the walk, so that no id is used twice
        self.holders: dict[int, tuple[dict[str, object], str]] = {}  # of globals' values, by id
        self.named: set[str] = set()  # the names in all code that is reached
        self.libraries: set[str] = set()  # top-level names of the libraries' modules that it names
        self.classes: set[type] = set()  # classes of libraries that it names
        self.imports_any = False  # whether code imports by names that could not be found
        self.unloaded: dict[str, str] = {}  # modules of which only the source was seen -> it
        self.as_unloaded: frozenset[str] = frozenset()  # modules to look at as if not loaded
        self.loaded: frozenset[str] = frozenset()  # all that were, if any was not
        self.listed: set[int] = set()  # ids of the namespaces of which every name was seen
        self._queue: deque[tuple[Node, Fill, Anchor, str]] = deque()

    def run(self) -> None:
        """Fill every node that was met, and what those lead to."""
        was_walking, _here.is_walking = is_walking(), True
        try:
            while self._queue:
                self._fill(*self._queue.popleft())
        finally:
            _here.is_walking = was_walking

    def _fill(self, node: Node, fill: Fill, anchor: Anchor, where: str) -> None:
        self.anchor, self.where = anchor, node.label or where
        self.depth = 0
        try:
            fill(self, node)
        except Exception as error:
            if node.label:
                raise
            self.ignore(node.origin, node.state, error)

    def outline(self) -> Walk:
        """Return a walk over single values, which does not follow what code reaches.

        What it finds tells values apart, as by their digests, at the price of the values alone.
        """
        inner = Walk(self._encode, self.modes, self.outlines + 1)
        inner.anchor, inner.space, inner.file = self.anchor, self.space, self.file
        return inner

    def ignore(self, value: object, out: State, error: Exception) -> None:
        """Note a value whose own methods fail when it is looked at (a proxy of nothing, say).

        Its class counts, if it is the user's.
        """
        kind = type(value)
        out.append(b"!" + text(kind.__qualname__))
        if origin_of_class(kind).kind == "user":
            self.put(kind, out)
        self.note(f"{self.where}: a {kind.__qualname__}, ignored ({type(error).__name__}: {error})")
        self.guards.volatile = True

    def note(self, what: str) -> None:
        """Remember, once, what could not be followed."""
        self.unresolved[what] = None

    def node(self, thing: object, fill: Fill, label: str = "") -> Node:
        """Return the node of a live object, to be filled by `fill` when its turn comes."""
        node = self.nodes.get(id(thing))
        if node is None:
            node = self.nodes[id(thing)] = Node(label, thing)
            self._queue.append((node, fill, self.anchor, self.where))
        return node

    def later(self, node: Node, fill: Fill) -> None:
        """Fill a node when its turn comes."""
        self._queue.append((node, fill, self.anchor, self.where))

    def component(self, label: str, state: State, shown: str = "") -> Node:
        """Return the node of something that is no live object, known by its label and state."""
        node = self.shared.get(label)
        if node is None or node.state != state:
            node = self.shared[label] = Node(label)
            node.state, node.shown = state, shown
        return node

    def slot(self, owner: object, name: str, value: object, label: str = "") -> Node:
        """Return the node of a place: `name` in `owner` (a namespace, a cell) holding `value`."""
        node = self.slots.get((id(owner), name))
        if node is None:
            node = self.slots[id(owner), name] = Node(label, value)
            node.owner = (owner, name)
            where, self.where = self.where, label or self.where
            self.put(value, node.state)
            self.where = where
            if label:
                node.shown = self.shown(value)
        return node

    def place(self, owner: object, name: str) -> Node:
        """Return a slot for the caller to fill."""
        node = self.slots.get((id(owner), name))
        if node is None:
            node = self.slots[id(owner), name] = Node()
            node.owner = (owner, name)
        return node

    def put(self, value: object, out: State) -> None:
        """Append the encoding of any value to `out`."""
        kind = type(value)
        encode = ATOMS.get(kind)
        if encode is not None:
            if kind is str and self.anchor[0] and value.startswith(self.anchor[0]):  # type: ignore[attr-defined]
                out.append(relative(value, self.anchor))  # type: ignore[arg-type]
            else:
                out.append(encode(value))
        else:
            self._encode(self, value, out)

    def shown(self, value: object) -> str:
        """Return a short and exact text for a value; paths are shown relative to the project."""
        project = self.anchor[0]
        if project and type(value) is str and value.startswith(project):
            where = relative(value, self.anchor)
            if where[:1] == b"p":
                path = where.partition(b":")[2].decode("utf-8", "surrogatepass")
                return f"(project){path}" if len(path) <= 72 else ""
        text = readable(value)
        return "" if project and project in text else text

    def put_all(self, values: tuple[object, ...], out: State) -> None:
        """Append the encoding of several values, in order, between brackets."""
        out.append(b"(")
        for value in values:
            self.put(value, out)
        out.append(b")")

    def put_cell(self, cell: CellType, name: str, label: str, out: State) -> None:
        """Append a closure cell as a slot."""
        try:
            content = cell.cell_contents
        except ValueError:
            self.guards.redo(is_empty, cell, True)
            out.append(b"empty;")
            return
        self.guards.cell(cell, content)
        out.append(self.slot(cell, name, content, label))

    def external(self, origin: Origin, out: State) -> None:
        """Append the distribution that something belongs to; the standard library has none."""
        if origin.kind == "distribution":
            if origin.name.lower() in _READ_ANNOTATIONS:
                self.wanted.add(ANNOTATIONS)
            version = b"D" + text(origin.name) + text(origin.version)
            out.append(self.component(f"distribution {origin.name}", [version], origin.version))

    def external_module(self, module: object, out: State) -> None:
        """Append the distribution that a module belongs to, or the file of the user's extension."""
        space = getattr(module, "__dict__", {})
        origin = origin_of_namespace(space)
        path = space.get("__file__")
        if origin.kind == "user" and type(path) is str:
            out.append(self.file_component(path, f"extension {module_label(space)}"))
        else:
            self.external(origin, out)

    def file_component(self, path: str, label: str) -> Node:
        """Return the component of a file that counts by its content."""
        digest = file_identity(path)
        self.guards.redo(file_identity, path, digest)
        return self.component(label, [b"f" + text(digest)], digest[:12])


def file_identity(path: str) -> str:
    """Return the digest of what a file means."""
    return file_digest(path).identity


def is_empty(cell: CellType) -> bool:
    """Return whether a closure cell holds nothing yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def annotations_of(thing: Any) -> object:
    """Return the annotations of a function or class; as texts where they cannot be evaluated.

    From Python 3.14 on that happens when they are asked for, and they may name what is imported
    for type checkers alone.
    """
    try:
        return thing.__annotations__
    except Exception:  # whatever the user's expressions raise
        if sys.version_info < (3, 14):
            return None  # a class of an extension, which has none
    from importlib import import_module

    library = import_module("annotationlib")
    return library.get_annotations(thing, format=library.Format.STRING)


def name_of_module(namespace: dict[str, object]) -> str:
    """Return the `__name__` of a module; that of a script is one in all processes."""
    name = namespace.get("__name__")
    return "__main__" if name == "__mp_main__" else str(name)


def readable(value: object, depth: int = 3) -> str:
    """Return a short and exact text for `value`, or nothing if there is none.

    >>> readable(-0.0), readable([1, "a"]), readable("x" * 100)
    ('-0.0', "[1, 'a']", '')
    """
    kind = type(value)
    if not depth:
        return ""
    if kind in (int, float, bool, str, bytes, type(None), complex):
        shown = repr(value) if kind is not int or abs(value) < 10**60 else ""  # type: ignore[arg-type]
        return shown if len(shown) <= 72 else ""
    if kind in (list, tuple) and len(value) <= 12:  # type: ignore[arg-type]
        inner = [readable(item, depth - 1) for item in value]  # type: ignore[attr-defined]
    elif kind is dict and len(value) <= 8:  # type: ignore[arg-type]
        items = list(value.items())  # type: ignore[attr-defined]
        pairs = [(readable(key), readable(item, depth - 1)) for key, item in items]
        inner = [f"{key}: {item}" if key and item else "" for key, item in pairs]
    else:
        return ""
    shown = ", ".join(inner)
    opening, closing = {list: ("[", "]"), dict: ("{", "}")}.get(kind, ("(", ")"))
    closing = ",)" if kind is tuple and len(inner) == 1 else closing
    return f"{opening}{shown}{closing}" if all(inner) and len(shown) <= 72 else ""


def origin_of_function(function: FunctionType) -> Origin:
    """Return the origin of the code of a function."""
    return origin_of_namespace(function.__globals__)


def origin_of_class(owner: type) -> Origin:
    """Return the origin of a class, by the module that it says it comes from."""
    name = owner.__module__
    if name == "builtins":
        return module_origin("builtins", None)
    module = sys.modules.get(name) if type(name) is str else None
    if module is None and not owner.__dict__.get("__dict__"):
        module = _home_of(owner)
    if isinstance(module, ModuleType):
        return origin_of_namespace(module.__dict__)
    return module_origin(str(name), None)


_homes: dict[type, ModuleType | None] = {}


def _home_of(owner: type) -> ModuleType | None:
    """Return the module of a compiled class that gives but the last part of the module's name."""
    if owner not in _homes:
        last = f".{owner.__module__}"
        found = (module for name, module in list(sys.modules.items()) if name.endswith(last))
        own = (each for each in found if getattr(each, owner.__name__, None) is owner)
        _homes[owner] = next(own, None)
    return _homes[owner]


def is_defined(value: object, module: object, path: object) -> bool:
    """Return whether `path` (dotted) in the loaded module called `module` is `value` itself."""
    found: object = sys.modules.get(module) if type(module) is str else None
    if found is None or type(path) is not str:
        return False
    for name in path.split("."):
        space = getattr(found, "__dict__", {})
        if name not in space:
            return False
        found = space[name]
    return found is value


def label_of(kind: str, namespace: dict[str, object], path: str, file: str) -> str:
    """Return a component label such as `helper mypkg.filters.smooth`."""
    return f"{kind} {module_label(namespace, file)}.{path}"
