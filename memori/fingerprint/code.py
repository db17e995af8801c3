"""The fingerprint of a callable: what it is now, in two digests and by component.

`fingerprint` looks at what it saw last time; if all of that still holds, it returns the same `Code`
again. Otherwise it walks. The walk repeats only where reachable code turns out to read things that
normally do not count (docstrings, annotations).

Code is compared at two levels: as bytecode of one minor version of Python, and as syntax where its
source can be proved. The text of a component with code says both digests and their levels, and
two components are compared at a level that both have, or not at all (`comparable`).
"""

from __future__ import annotations

import os
import sys
from types import FunctionType, ModuleType

from memori.digest.files import is_file
from memori.digest.folder import folder_digest
from memori.digest.memo import Memo
from memori.fingerprint.atoms import text
from memori.fingerprint.bytecode import VERSION
from memori.fingerprint.classes import put_named_patches
from memori.fingerprint.dispatch import new_walk
from memori.fingerprint.functions import put_root
from memori.fingerprint.graph import Node, fast_parts, graph_digest, order, own_digest
from memori.fingerprint.imports.set_up import put_set_up
from memori.fingerprint.imports.settings import put_settings
from memori.fingerprint.modules import put_module
from memori.fingerprint.settle import generation, now, overlay_of, settle, settle_loaded
from memori.fingerprint.walk import Walk, file_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, KeysView, Mapping
    from types import CodeType
    from typing import Any, TypeGuard

    from memori.fingerprint.graph import Overlay, State
    from memori.fingerprint.guards import Guards

    Asked = tuple[object, Iterable[object], str | None, Mapping[str, str]]

_HEAD = b"memori code 1 bytecode %d.%d" % VERSION
_CANONICAL_HEAD = b"memori code 1 syntax"
_NO_NOTES: Mapping[str, str] = {}
_UNKNOWN = "not yet known"
_LEVEL = f"bytecode {VERSION[0]}.{VERSION[1]}"


class Code:
    """What a callable is and reaches, as it was when `fingerprint` was called.

    Attributes
    ----------
    fast : str
        Digest at the level of bytecode; comparable within one minor version of Python.
    unresolved : tuple of str
        What could not be followed.
    """

    __slots__ = (
        "_asked",
        "_canonical",
        "_components",
        "_overlay",
        "_reached",
        "_root",
        "_taken",
        "_walk",
        "fast",
        "unresolved",
    )

    def __init__(self, walk: Walk, root: Node, overlay: Overlay, asked: Asked) -> None:
        self._walk = walk
        self._reached = walk
        self._root = root
        self._overlay = overlay
        self._asked = asked
        self._taken = now()
        self._canonical: str | None = _UNKNOWN
        self._components: dict[str, str] | None = None
        _, encodings = order(root, fast_parts, overlay)
        self.fast = graph_digest(encodings, _HEAD)
        self.unresolved = tuple(walk.unresolved)

    def canonical(self) -> str | None:
        """Return the digest at the level of syntax, equal across versions, or None."""
        if self._canonical is _UNKNOWN:
            self._canonical = self._find_canonical()
        return self._canonical

    def _find_canonical(self) -> str | None:
        from memori.fingerprint.syntax import Canonical

        reader = Canonical()
        _, encodings = order(self._root, reader.parts, self._overlay)
        return graph_digest(encodings, _CANONICAL_HEAD) if reader.trusted else None

    def components(self) -> dict[str, str]:
        """Return each component's label and what to compare and show of it."""
        if self._components is None:
            self._components = _components(self._root, self._overlay)
        return dict(self._components)

    def texts(self, wanted: Container[str]) -> dict[str, str]:
        """Return the source of components as it was written, by the name of the text.

        Parameters
        ----------
        wanted : container of str
            The names (`memori.fingerprint.syntax.names_of`) that are asked for.
        """
        from memori.fingerprint.syntax import names_of, text_of

        names = names_of(self.components())
        found = {}
        for node, label in _labels(order(self._root, fast_parts, self._overlay)[0]).items():
            name = names.get(label)
            text = text_of(node) if name is not None and name in wanted else None
            if name is not None and text is not None:
                found[name] = text
        return found

    def settle(self) -> set[tuple[int, str]]:
        """Take note, right after the callable ran here, of what the run itself has changed.

        Returns
        -------
        set of tuple of int and str
            Those of the `slots` that it left in another state.
        """
        if self._walk.guards.hold():
            return set()
        self._reached = after = _walked(self._asked)[0]
        changed = settle(self._walk, self._overlay, after, self._taken)
        settle_loaded(self._walk, self._taken)
        return changed

    @property
    def slots(self) -> KeysView[tuple[int, str]]:
        """The places that hold a value: the id of a namespace or cell, and the name in it."""
        return self._reached.slots.keys()

    @property
    def caches(self) -> list[Any]:
        """The functions made by `functools.lru_cache` among what is reached."""
        return self._reached.caches

    @property
    def handles(self) -> list[Any]:
        """The open files and databases among what is reached."""
        return self._walk.handles

    @property
    def things(self) -> list[object]:
        """The functions, classes and other objects that are reached."""
        return [node.origin for node in self._reached.nodes.values()]

    @property
    def functions(self) -> list[FunctionType]:
        """The functions that are reached."""
        return [each for each in self.things if isinstance(each, FunctionType)]

    @property
    def values(self) -> list[tuple[object, str, object]]:
        """The namespace or cell, name and value of each of the `slots` that no run has changed."""
        slots = (node for node in self._walk.slots.values() if node not in self._overlay)
        return [(*node.owner, node.origin) for node in slots if node.owner is not None]

    @property
    def codes(self) -> set[CodeType]:
        """The code of the functions that are reached."""
        return {node.code for node in self._reached.nodes.values() if node.code is not None}

    def followed(self) -> set[str]:
        """Return the files of modules of which the digests say what counts, loaded or not."""
        nodes = order(self._root, fast_parts, self._overlay)[0]
        codes = {node.code.co_filename for node in nodes if node.code is not None}
        spaces = (node.owner[0] for node in nodes if node.owner is not None)
        files = {space.get("__file__") for space in spaces if isinstance(space, dict)}
        return codes.union(filter(_is_text, files), self._walk.unloaded.values())

    @property
    def imports_any(self) -> bool:
        """Whether it imports by names that are computed: any loaded module may be meant."""
        return self._walk.imports_any

    @property
    def files(self) -> set[str]:
        """The files of the modules of which something is reached."""
        owners = (node.owner[0] for node in self._reached.slots.values() if node.owner is not None)
        spaces = (owner for owner in owners if isinstance(owner, dict))
        files = {space.get("__file__") for space in spaces}
        return {code.co_filename for code in self.codes}.union(filter(_is_text, files))


def _is_text(value: object) -> TypeGuard[str]:
    return type(value) is str


def _components(root: Node, overlay: Overlay) -> dict[str, str]:
    labels = _labels(order(root, fast_parts, overlay)[0])

    def name(node: Node) -> bytes:
        return b"#" + text(labels[node])

    return {label: _text(node, overlay, name) for node, label in labels.items()}


def _labels(nodes: list[Node]) -> dict[Node, str]:
    """Return the labels of components; those that share one are numbered as they are defined."""
    sharing: dict[str, list[Node]] = {}
    for node in nodes:
        if node.label:
            sharing.setdefault(node.label, []).append(node)
    numbered = {}
    for label, alike in sharing.items():
        alike.sort(key=lambda node: 0 if node.code is None else node.code.co_firstlineno)
        for number, node in enumerate(alike, 1):
            numbered[node] = label if number == 1 else f"{label} ({number})"
    return {node: numbered[node] for node in nodes if node.label}


def _text(node: Node, overlay: Overlay, name: Callable[[Node], bytes]) -> str:
    if node.shown and node not in overlay:
        return node.shown
    kind = type(node.origin).__name__ if node.owner is not None else ""
    fast, has_code = own_digest(node, fast_parts, overlay, name)
    told = fast.hex()[:12]
    if has_code:
        from memori.fingerprint.syntax import Canonical

        reader = Canonical()
        syntax, _ = own_digest(node, reader.parts, overlay, name)
        told = f"{_LEVEL} {told}"
        if reader.complete:
            told = f"syntax {syntax.hex()[:12]}, {told}"
    return f"{kind} {told}".strip()


class _Memory:
    __slots__ = ("asked", "code", "generation", "guards")

    def __init__(self, asked: Asked, code: Code, guards: Guards, generation: int) -> None:
        self.asked = asked
        self.code = code
        self.guards = guards
        self.generation = generation

    def answers(self, asked: Asked) -> bool:
        mine = self.asked
        return (
            mine[0] is asked[0]
            and (mine[1] is asked[1] or mine[1] == asked[1])
            and mine[2:] == asked[2:]
        )


_remembered: Memo[int, _Memory] = Memo(256)


def fingerprint(
    function: Callable[..., object],
    depends_on: Iterable[object] = (),
    code_version: str | None = None,
    notes: Mapping[str, str] = _NO_NOTES,
) -> Code:
    """Return what `function` is and reaches now.

    Parameters
    ----------
    function : callable
        A function, method, partial, class or object with ``__call__``.
    depends_on : iterable of modules, functions, classes, paths
        What counts besides what can be found; a file counts by its content.
    code_version : str, optional
        Replaces the analysis of `function`: only this text counts, and `depends_on`.
    notes : mapping of str to str, optional
        Further components, each with its text.

    Raises
    ------
    TypeError
        If `depends_on` holds something else, or `code_version` is no string.
    ValueError
        If a path in `depends_on` does not exist.
    """
    known = _remembered.get(id(function))
    asked = (function, depends_on, code_version, notes)
    if known is not None and not known.answers(asked):
        known = None
    settled = generation()
    if known is not None and known.generation == settled and known.guards.hold():
        return known.code
    there: Asked = (function, [_in_place(item) for item in _items(depends_on)], *asked[2:])
    walk, root = _walked(there)
    code = Code(walk, root, overlay_of(walk), there)
    if known is not None and known.code.fast == code.fast:
        code = known.code
        code._reached = walk  # runs may have made more of it than there was
    _remembered.keep(id(function), _Memory(asked, code, walk.guards, settled))
    return code


def _walked(asked: Asked) -> tuple[Walk, Node]:
    modes: frozenset[str] = frozenset()
    while True:
        walk = new_walk(modes)
        root = _root(walk, *asked)
        walk.run()
        put_named_patches(walk, root.state)
        put_set_up(walk, root.state)
        put_settings(walk, root.state)
        walk.run()
        if walk.wanted <= modes:
            walk.loaded = frozenset(sys.modules) if walk.unloaded else walk.loaded
            return walk, root
        modes |= walk.wanted


def _root(
    walk: Walk,
    function: object,
    depends_on: Iterable[object],
    code_version: str | None,
    notes: Mapping[str, str],
) -> Node:
    root = Node()
    if code_version is not None:
        if not isinstance(code_version, str):
            raise TypeError(
                f"code_version must be a string, got {type(code_version).__name__} {code_version!r}"
            )
        version = walk.component("code_version", [text(code_version)], repr(code_version))
        root.state.append(version)
    else:
        put_root(walk, function, root.state)
    for item in _items(depends_on):
        root.state.append(b"+")
        put_dependency(walk, item, root.state)
    for name, told in notes.items():
        root.state += (text(name), walk.component(name, [text(told)], told))
    return root


def _items(depends_on: Iterable[object]) -> list[object]:
    if isinstance(depends_on, (str, os.PathLike, ModuleType)) or callable(depends_on):
        return [depends_on]
    try:
        return list(depends_on)
    except TypeError:
        return [depends_on]  # to be refused with what it is


def _in_place(item: object) -> object:
    """Make a path absolute: the callable may leave the current folder for another one."""
    path = os.fspath(item) if isinstance(item, (str, os.PathLike)) else None
    return os.path.abspath(path) if isinstance(path, str) else item


def put_dependency(walk: Walk, item: object, out: State) -> None:
    """Append something that the user named in `depends_on`."""
    if isinstance(item, ModuleType):
        put_module(walk, item, out)
    elif isinstance(item, (str, os.PathLike)):
        out.append(_path_component(walk, os.fspath(item)))
    elif callable(item):
        walk.put(item, out)
    else:
        raise TypeError(
            f"depends_on takes modules, functions, classes and paths of files, "
            f"got {type(item).__name__} {item!r}"
        )


def _path_component(walk: Walk, path: object) -> Node:
    if not isinstance(path, str):
        raise TypeError(f"depends_on takes paths as text, got {path!r}")
    label = f"depends_on {os.path.basename(path)}"
    if os.path.isdir(path):
        digest = _folder_identity(path)
        walk.guards.redo(_folder_identity, path, digest)
        return walk.component(label, [b"f" + text(digest)], digest[:12])
    if not is_file(path):
        raise ValueError(
            f"depends_on names {path!r}, which is no existing file or folder; of a package give "
            "the module itself (import it, depends_on=[module])"
        )
    return walk.file_component(path, label)


def _folder_identity(path: str) -> str:
    return folder_digest(path, file_identity, follow=True)
