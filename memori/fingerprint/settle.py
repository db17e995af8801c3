"""What a run changed of the things it reaches, so that the next call is not a miss for ever.

A callable may fill a memo dictionary, count its calls, import a module. The fingerprint is of the
state before the run, and in a new process that is the state again. In this process the slots (a
global, a cell, an attribute, in a namespace or cell) that a run left in another state are
remembered: a slot found later in exactly the state in which a run left it counts as what it was
before. A value that is set to anything else is seen.

The memory is shared by all fingerprints of the process, because what one stage changes another may
read. Runs in several threads may overlap: then the earliest state before any of them stands. A
fingerprint taken while another thread's run is half way sees the state half way; it costs a rerun.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from itertools import count
from types import ModuleType

from memori.digest.memo import Memo
from memori.fingerprint.dispatch import new_walk
from memori.fingerprint.graph import Node, fast_parts, own_digest
from memori.fingerprint.imports.unloaded import EFFECT
from memori.fingerprint.modules import put_module_name, put_name_of_module, put_unloaded
from memori.fingerprint.names import BY_NAME
from memori.fingerprint.origins import origin_of_module
from memori.fingerprint.walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint.graph import Overlay, State

_STATES = 32  # remembered for each slot, the latest ones
_lock = allocate_lock()
_clock = count(1)


class _Left:
    """A state before a run, what the run left, and when its fingerprint was taken and settled.

    What was left is kept alive: its digest goes by identity, and an address that is used again
    would make a new object of the user's look like it.
    """

    __slots__ = ("ended", "left", "state", "taken")

    def __init__(self, state: State, left: Node, taken: int, ended: int) -> None:
        self.state = state
        self.left = left
        self.taken = taken
        self.ended = ended


_settled: Memo[tuple[int, str], tuple[object, Memo[bytes, _Left]]] = Memo(10_000)
_loaded: set[str] = set()  # modules that runs have loaded
_generation = [0]


def _forget_holder() -> None:
    """Take a new lock in a forked process: a thread that held the old one does not live there."""
    global _lock
    _lock = allocate_lock()


os.register_at_fork(after_in_child=_forget_holder)


def now() -> int:
    """Return the next tick of a clock that orders fingerprints and settlements."""
    return next(_clock)


def generation() -> int:
    """Return a number that changes when something was settled."""
    return _generation[0]


def settle(before: Walk, overlay: Overlay, after: Walk, taken: int) -> set[tuple[int, str]]:
    """Remember for each slot that differs between two walks what it was before; return them."""
    ended = now()
    changed = set()
    for key, node in after.slots.items():
        then = before.slots.get(key)
        if then is None and key[0] not in before.listed:
            continue  # newly reached, not newly made
        left = local_digest(node)
        if then is None:
            state: State = []
        elif local_digest(then) == left:
            continue
        else:
            state = overlay.get(then, then.state)
        assert node.owner is not None
        remember(key, node.owner[0], left, _Left(state, node, taken, ended))
        changed.add(key)
    return changed


def settle_loaded(before: Walk, taken: int) -> None:
    """Remember for every name of a module that a run has loaded what its source says of it.

    Another callable, which reads another name, sees the module loaded here, and in a new process
    not loaded.
    """
    loaded = {name for name in before.unloaded if name in sys.modules}
    if not loaded:
        return
    loaded |= {name for name in sys.modules.keys() - before.loaded if _is_users(name)}
    live, source = new_walk(before.modes), new_walk(before.modes)
    source.as_unloaded = frozenset(loaded)
    ended = now()
    for name in sorted(loaded):
        for attribute in list(sys.modules[name].__dict__):
            put_name_of_module(live, name, (attribute,))
            put_name_of_module(source, name, (attribute,))
    live.run()
    source.run()
    for key, node in live.slots.items():
        if key[0] == id(sys.modules) and key in source.slots:
            entry = _Left(source.slots[key].state, node, taken, ended)
            remember(key, sys.modules, local_digest(node), entry)
    _loaded.update(loaded)


def _is_users(name: str) -> bool:
    """Tell whether a module that was loaded is one of the user's, and stands under its own name."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return (
        type(module) is ModuleType
        and getattr(spec, "name", None) == name
        and origin_of_module(module).kind == "user"
    )


def _settle_chains(walk: Walk) -> None:
    """Remember what sources say of chains of names, of modules that are as a run left them.

    Which chains a callable reads of a module is known when it is looked at.
    """
    owner = id(sys.modules)
    places = [place for of, place in walk.slots if of == owner] if _loaded else []
    for place in places:
        name, *chain = place.split("|")
        if name not in _loaded or (owner, place) in _settled:
            continue
        is_whole = not chain or chain[0] in ("", EFFECT, BY_NAME)
        names = list(sys.modules[name].__dict__) if is_whole else chain[:1]
        live = new_walk(walk.modes)
        firsts = {each: put_name_of_module(live, name, (each,)) for each in names}
        live.run()
        known = [_left_in((owner, f"{name}|{each}"), node) for each, node in firsts.items()]
        found = [each for each in known if each is not None]
        if found and len(found) == len(known):
            source = new_walk(walk.modes)
            source.as_unloaded = frozenset(_loaded)
            state: State = []
            if chain == [BY_NAME]:
                put_unloaded(source, name, ("*",), state)
            else:
                put_module_name(source, name, tuple(chain), state)
            source.run()
            left = walk.slots[owner, place]
            entry = _Left(state or [b""], left, found[0].taken, found[0].ended)  # it was there
            remember((owner, place), sys.modules, local_digest(left), entry)


def remember(key: tuple[int, str], owner: object, left: bytes, entry: _Left) -> None:
    """Note the state before the run for the state that a slot was left in."""
    with _lock:
        states = _settled[key][1] if key in _settled else Memo(_STATES)
        known = states.get(left)
        if known is not None and known.taken <= entry.taken < known.ended:
            return  # the runs overlapped, and the other one saw the earlier state
        states.keep(left, entry)
        _settled.keep(key, (owner, states))
        _generation[0] += 1


def overlay_of(walk: Walk) -> Overlay:
    """Return the states that count instead of those found, for slots that runs have changed."""
    overlay: Overlay = {}
    if not _settled:
        return overlay
    _settle_chains(walk)
    adopt = Adoption(walk)
    for key, node in list(walk.slots.items()):
        if key in _settled:
            entry = _left_in(key, node)
            if entry is not None:
                overlay[node] = adopt.state(entry.state)
    adopt.finish()
    return overlay


def _left_in(key: tuple[int, str], node: Node) -> _Left | None:
    """Return what is known of the state that a slot is in, if a run has left it so."""
    digest = local_digest(node)
    with _lock:
        known = _settled.get(key)
        is_same = known is not None and node.owner is not None and node.owner[0] is known[0]
        return known[1].get(digest) if known is not None and is_same else None


def local_digest(node: Node) -> bytes:
    """Return the digest of what a slot holds, other components by identity."""
    return own_digest(node, fast_parts, {}, _identity)[0]


def _identity(node: Node) -> bytes:
    thing = node.origin
    return b"#%d;" % id(thing) if thing is not None else b"#%b;" % node.label.encode()


class Adoption:
    """Takes states of an earlier walk over into a new one, which may have met the same objects."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._copies: dict[Node, Node] = {}
        self._labelled: dict[str, Node] = {}
        self._read: dict[str, Node] = {}  # what is read from modules
        self._open: list[tuple[Node, Node]] = []

    def state(self, state: State) -> State:
        """Return an earlier state with its nodes replaced by those of the new walk."""
        return [part if isinstance(part, bytes) else self._node(part) for part in state]

    def _node(self, old: Node) -> Node:
        copy = self._copies.get(old)
        if copy is None and old.origin is None and old.label:
            copy = self._labelled.get(_key(old))  # states of several walks may share it
        if copy is None and old.owner is not None and old.owner[0] is sys.modules:
            copy = self._read.get(old.owner[1])
        if copy is None:
            copy = self._copies[old] = self._same(old) or self._copy(old)
        return copy

    def _same(self, old: Node) -> Node | None:
        walk = self._walk
        if old.owner is not None:
            return walk.slots.get((id(old.owner[0]), old.owner[1]))
        if old.origin is None:
            return walk.shared.get(_key(old))
        found = walk.nodes.get(id(old.origin))
        if found is None or old.label or local_digest(found) == local_digest(old):
            return found
        return None

    def _copy(self, old: Node) -> Node:
        copy = Node(old.label, old.origin)
        if old.origin is None and old.label:
            self._labelled[_key(old)] = copy
        copy.code, copy.shown, copy.owner = old.code, old.shown, old.owner
        copy.piece = old.piece
        if old.owner is not None and old.owner[0] is sys.modules:
            self._read[old.owner[1]] = copy
        self._open.append((old, copy))
        return copy

    def finish(self) -> None:
        """Fill the copies that were made."""
        while self._open:
            old, copy = self._open.pop()
            copy.state = self.state(old.state)
            copy.edges = [(path, self.state(state)) for path, state in old.edges]


def _key(node: Node) -> str:
    """Return what tells a component without an origin from others; pieces may share a label."""
    return node.label if node.piece is None else node.piece.key
