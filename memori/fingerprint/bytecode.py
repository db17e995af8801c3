"""What a code object says: a digest of it, and the names outside it that it reaches.

Both are read from the bytecode alone, without `dis` or `inspect`, whose import costs more than a
whole fingerprint. The digest covers instructions, typed constants, names, parameters, flags and
exception table; it leaves out file name, line numbers, docstring and the names of plain local
variables (unless the code can read them). It is comparable within one minor version of Python.

`scan` follows names: a global and the attributes read from it one after the other, as far as the
code spells them (`pkg.mod.f`), and imports inside functions with what is read from the names they
bind. The tables below hold the instruction numbers of the versions that were checked. On any other
version every name in the code counts as if it might be read from anything (`Scan.exact` is
False): more is reached than need be, never less.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from types import CodeType

from memori.digest.memo import Memo
from memori.fingerprint.atoms import LOOKING_BACK, atom, sized, text, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GLOBAL, NAME, ATTRIBUTE, STORE_ATTRIBUTE, IMPORT, IMPORTED, CONSTANT = range(1, 8)
LOCAL, CELL, STORE_LOCAL, STORE_CELL, STORE_NAME, SKIP, EXTENDED = range(8, 15)
TWO_LOCALS, STORE_AND_LOCAL, TWO_STORES, SWAP, POP, CALL, NUMBER = range(15, 22)

# instruction number -> what it means to the scan, for each minor version; checked by a test
NUMBERS: dict[tuple[int, int], dict[int, int]] = {
    (3, 11): {
        116: GLOBAL, 101: NAME, 148: CELL, 106: ATTRIBUTE, 160: ATTRIBUTE, 95: STORE_ATTRIBUTE,
        96: STORE_ATTRIBUTE, 108: IMPORT, 109: IMPORTED, 100: CONSTANT, 124: LOCAL, 137: CELL,
        125: STORE_LOCAL, 138: STORE_CELL, 97: STORE_NAME, 90: STORE_NAME, 99: SWAP, 1: POP,
        0: SKIP, 2: SKIP, 9: SKIP, 120: SKIP, 151: SKIP, 144: EXTENDED, 166: CALL,
        171: CALL,
    },
    (3, 12): {
        116: GLOBAL, 101: NAME, 175: NAME, 176: CELL, 106: ATTRIBUTE, 95: STORE_ATTRIBUTE,
        96: STORE_ATTRIBUTE, 108: IMPORT, 109: IMPORTED, 100: CONSTANT, 121: CONSTANT, 124: LOCAL,
        127: LOCAL, 137: CELL, 125: STORE_LOCAL, 138: STORE_CELL, 97: STORE_NAME, 90: STORE_NAME,
        99: SWAP, 1: POP, 0: SKIP, 2: SKIP, 9: SKIP, 120: SKIP, 151: SKIP, 144: EXTENDED,
        171: CALL,
    },
    (3, 13): {
        91: GLOBAL, 92: NAME, 90: NAME, 89: CELL, 82: ATTRIBUTE, 108: STORE_ATTRIBUTE,
        63: STORE_ATTRIBUTE, 75: IMPORT, 74: IMPORTED, 83: CONSTANT, 103: CONSTANT, 85: LOCAL,
        87: LOCAL, 84: CELL, 110: STORE_LOCAL, 109: STORE_CELL, 113: STORE_NAME, 114: STORE_NAME,
        88: TWO_LOCALS, 111: STORE_AND_LOCAL, 112: TWO_STORES, 115: SWAP, 32: POP, 0: SKIP,
        34: SKIP, 30: SKIP, 61: SKIP, 149: SKIP, 71: EXTENDED, 53: CALL,
    },
    (3, 14): {
        92: GLOBAL, 93: NAME, 91: NAME, 90: CELL, 80: ATTRIBUTE, 110: STORE_ATTRIBUTE,
        61: STORE_ATTRIBUTE, 73: IMPORT, 72: IMPORTED, 82: CONSTANT, 94: NUMBER, 84: LOCAL,
        86: LOCAL, 88: LOCAL, 83: CELL, 112: STORE_LOCAL, 111: STORE_CELL, 115: STORE_NAME,
        116: STORE_NAME, 87: TWO_LOCALS, 89: TWO_LOCALS, 113: STORE_AND_LOCAL, 114: TWO_STORES,
        117: SWAP, 31: POP, 0: SKIP, 33: SKIP, 27: SKIP, 28: SKIP, 59: SKIP, 128: SKIP,
        69: EXTENDED, 52: CALL,
    },
}  # fmt: skip

VERSION = sys.version_info[:2]
_KINDS: list[int] | None = None
if VERSION in NUMBERS and sys.implementation.name == "cpython":
    _KINDS = [NUMBERS[VERSION].get(number, 0) for number in range(256)]
_SHIFTED = VERSION >= (3, 12)  # LOAD_ATTR holds a flag beside the index of the name

_OWN = {
    "__file__": "file", "__spec__": "file", "__path__": "folder", "__name__": "name",
    "__package__": "name",
}  # fmt: skip
_SAME_PLACE = frozenset({"resolve", "absolute", "expanduser"})
_FLAGS = 0x3AF  # optimised, new locals, *args, **kwargs, generator, coroutine and its kin
_DOCSTRING_FLAG = 0x4000000  # from Python 3.14
_READS_LOCALS = words("locals vars eval exec dir f_locals _getframe")


class Import:
    """An import inside a function, and the attribute chains read from the names that it binds.

    A chain that ends in "" names something without using it as a value: what it names counts,
    but where that is a module, its content does not.
    """

    __slots__ = ("chains", "level", "module")

    def __init__(self, module: str, level: int) -> None:
        self.module = module
        self.level = level
        self.chains: dict[tuple[str, ...], None] = {}


class Scan:
    """What one code object, with the code nested in it, names outside itself."""

    __slots__ = ("attributes", "chains", "exact", "imports", "own", "strings")

    def __init__(self) -> None:
        self.chains: dict[tuple[str, ...], None] = {}
        self.attributes: set[str] = set()
        self.strings: set[str] = set()
        self.imports: list[Import] = []
        self.own: set[str] = set()  # what it reads of its module: "file", "folder", "name"
        self.exact = _KINDS is not None


# the tuples keep the code objects alive, so that their ids stay their own
_OPTIMIZED = 1  # CO_OPTIMIZED: names are local, as in functions
_digests: Memo[int, tuple[CodeType, bytes]] = Memo(20_000)
_scans: Memo[int, tuple[CodeType, Scan]] = Memo(20_000)


def code_digest(code: CodeType) -> bytes:
    """Return the SHA-256 digest of what `code` does, 32 bytes."""
    known = _digests.get(id(code))
    if known is None:
        known = code, sha256(b"".join(_content(code))).digest()
        _digests.keep(id(code), known)
    return known[1]


def _content(code: CodeType) -> Iterator[bytes]:
    parameters = code.co_argcount + code.co_kwonlyargcount
    parameters += bool(code.co_flags & 4) + bool(code.co_flags & 8)
    reads = _READS_LOCALS.intersection(code.co_names) or _texts_name_locals(code, parameters)
    taken = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    sizes = code.co_nlocals, len(code.co_cellvars), len(code.co_freevars)
    yield b"code%d,%d,%d,%d,%d,%d,%d;" % (*taken, code.co_flags & _FLAGS, *sizes)
    yield text(code.co_name)
    yield sized(b"b", code.co_code)
    yield sized(b"x", code.co_exceptiontable)
    yield constant(code.co_names)
    yield constant(code.co_varnames[: None if reads else parameters])
    yield constant(_undocumented(code))


def _texts_name_locals(code: CodeType, parameters: int) -> bool:
    if not LOOKING_BACK.intersection(code.co_names):
        return False
    texts = "\n".join(each for each in _undocumented(code) if type(each) is str)
    return any(name in texts for name in code.co_varnames[parameters:])


def _undocumented(code: CodeType) -> tuple[object, ...]:
    constants = code.co_consts
    is_text = bool(constants) and type(constants[0]) is str
    return (None, *constants[1:]) if is_text and _has_docstring(code) else constants


def _has_docstring(code: CodeType) -> bool:
    if VERSION >= (3, 14):
        return bool(code.co_flags & _DOCSTRING_FLAG)
    # until 3.13 a function's first constant is its docstring or None; comprehensions have neither
    return bool(code.co_flags & 1) and (not code.co_name.startswith("<"))


def constant(value: object) -> bytes:
    """Encode a constant: an atom, a tuple, a frozenset or a nested code object.

    >>> constant((1, True)) == constant((True, 1))
    False
    >>> constant(frozenset("abc")) == constant(frozenset("cba"))
    True
    """
    encoded = atom(value)
    if encoded is not None:
        return encoded
    if isinstance(value, tuple):
        return b"(%b)" % b"".join(map(constant, value))
    if isinstance(value, frozenset):
        return b"{%b}" % b"".join(sorted(map(constant, value)))
    if isinstance(value, slice):  # a constant from Python 3.14
        return b"[%b]" % b"".join(map(constant, (value.start, value.stop, value.step)))
    if isinstance(value, CodeType):
        return b"C" + code_digest(value)
    raise TypeError(f"a constant of type {type(value).__name__} is not known to this version")


def scan(code: CodeType) -> Scan:
    """Return what `code` and the code nested in it name outside themselves."""
    known = _scans.get(id(code))
    if known is None:
        known = code, Scan()
        _scan_into(code, known[1], {})
        _scans.keep(id(code), known)
    return known[1]


def _scan_into(code: CodeType, result: Scan, bound: dict[str, list[Import]]) -> None:
    """Add what `code` names; `bound` holds the local names that imports have bound so far."""
    is_class = not code.co_flags & _OPTIMIZED  # its body begins by noting the module
    result.attributes.update(n for n in code.co_names if not (is_class and n == "__module__"))
    if _KINDS is None:
        for name in code.co_names:
            result.chains[(name,)] = None
        result.own.update(_OWN[name] for name in code.co_names if name in _OWN)
        result.imports += _possible_imports(code)
    else:
        pairs = list(_instructions(code, _KINDS))
        _follow_globals(pairs, result)
        if any(kind == IMPORT for kind, _ in pairs):
            _bind_imports(pairs, result, bound)
        if bound:
            _follow_locals(pairs, bound)
    for value in _undocumented(code):
        if type(value) is str:
            result.strings.add(value)
        elif type(value) is CodeType:
            _scan_into(value, result, bound)
        elif type(value) is tuple:
            result.strings.update(item for item in value if type(item) is str)


def _instructions(code: CodeType, kinds: list[int]) -> Iterator[tuple[int, object]]:
    """Yield (kind, name or constant) for each instruction; what the scan ignores is (0, None)."""
    names, constants = code.co_names, code.co_consts
    local = code.co_varnames + tuple(c for c in code.co_cellvars if c not in code.co_varnames)
    local += code.co_freevars
    cells = {*code.co_cellvars, *code.co_freevars}  # loaded whole only to close over them
    raw = code.co_code
    extended = 0
    for number, low in zip(raw[::2], raw[1::2], strict=True):
        kind = kinds[number]
        if kind == SKIP:
            continue
        argument = extended | low
        extended = argument << 8 if kind == EXTENDED else 0
        if kind in (0, POP, SWAP, CALL):
            yield kind, None
        elif kind == CONSTANT:
            yield kind, constants[argument]
        elif kind == NUMBER:  # a constant as well, which is the argument itself
            yield CONSTANT, argument
        elif kind == GLOBAL:
            yield kind, names[argument >> 1]
        elif kind == ATTRIBUTE:
            yield kind, names[argument >> 1 if _SHIFTED else argument]
        elif kind in (CELL, STORE_LOCAL, STORE_CELL):
            yield kind, local[argument]
        elif kind == LOCAL:
            yield _local(local[argument], cells)
        elif kind == TWO_LOCALS:
            yield _local(local[argument >> 4], cells)
            yield _local(local[argument & 15], cells)
        elif kind == STORE_AND_LOCAL:
            yield STORE_LOCAL, local[argument >> 4]
            yield _local(local[argument & 15], cells)
        elif kind == TWO_STORES:
            yield STORE_LOCAL, local[argument >> 4]
            yield STORE_LOCAL, local[argument & 15]
        elif kind != EXTENDED:
            yield kind, names[argument]


def _local(name: str, cells: set[str]) -> tuple[int, object]:
    """Return the load of a local name; that of a cell (from Python 3.13) reads no value."""
    return (0, None) if name in cells else (LOCAL, name)


def _chain(pairs: list[tuple[int, object]], start: int) -> tuple[tuple[str, ...], bool]:
    """Return the attributes read from what instruction `start` loads, and whether it ends there.

    The second value is True if only an attribute is set on what the chain ends in.
    """
    attributes: list[str] = []
    position = start + 1
    while position < len(pairs) and pairs[position][0] == ATTRIBUTE:
        attributes.append(str(pairs[position][1]))
        position += 1
    following = pairs[position] if position < len(pairs) else (0, None)
    if following[0] == CONSTANT and type(following[1]) is str:
        before = pairs[start - 1] if start else (0, None)
        after = [kind for kind, _ in pairs[position + 1 : position + 3]]
        called = after[:1] == [CALL] or after == [CONSTANT, CALL]
        if called and before[0] == GLOBAL and before[1] in ("getattr", "hasattr"):
            attributes.append(following[1])
    return tuple(attributes), following[0] == STORE_ATTRIBUTE


def _follow_globals(pairs: list[tuple[int, object]], result: Scan) -> None:
    for position, (kind, name) in enumerate(pairs):
        if kind in (GLOBAL, NAME):
            if pairs[position + 1 : position + 2] == [(STORE_NAME, "__module__")]:
                continue  # a class body begins so
            if name in _OWN:
                result.own.update(_own(pairs, position, str(name)))
            attributes, only_set = _chain(pairs, position)
            if only_set:
                attributes += ("",)
            result.chains[(str(name), *attributes)] = None


def _own(pairs: list[tuple[int, object]], position: int, name: str) -> Iterator[str]:
    """Tell what is read of the module at an instruction that loads a name of its own.

    `Path(__file__).parent` and `os.path.dirname(__file__)` read but the folder; that a logger or
    the module itself is asked for by `__name__` says nothing of the name.
    """
    before = [each[1] for each in pairs[max(position - 4, 0) : position] if each[1] is not None]
    if name == "__name__" and before[-1:] in (["getLogger"], ["get_logger"], ["modules"]):
        return
    told = _OWN[name]
    if told == "file" and (_leads_up(pairs, position) or "dirname" in before):
        told = "folder"
    yield told


def _leads_up(pairs: list[tuple[int, object]], position: int) -> bool:
    """Tell whether what is loaded is wrapped and its parent asked for, as in `Path(...).parent`."""
    for kind, name in pairs[position + 1 :]:
        if kind == ATTRIBUTE and name in ("parent", "parents"):
            return True
        if kind != CALL and not (kind == ATTRIBUTE and name in _SAME_PLACE):
            return False
    return False


def _bind_imports(
    pairs: list[tuple[int, object]], result: Scan, bound: dict[str, list[Import]]
) -> None:
    """Find the imports, and which local name each of them binds."""
    for position, (kind, name) in enumerate(pairs):
        if kind != IMPORT:
            continue
        (_, level), (_, chosen) = pairs[position - 2 : position]
        module = str(name)
        found = Import(module, level if isinstance(level, int) else 0)
        result.imports.append(found)
        if isinstance(chosen, tuple) and chosen:
            for item in chosen:
                found.chains[(str(item), "")] = None
            _bind_chosen(pairs, position, found, bound)
            continue
        target = position + 1
        while pairs[target][0] in (IMPORTED, SWAP, POP):
            target += 1
        if target == position + 1 and "." in module:
            top = Import(module.partition(".")[0], found.level)  # `import a.b` binds a
            result.imports.append(top)
            found.chains[("",)] = None
            found = top
        _bind(pairs[target], found, bound)


def _bind_chosen(
    pairs: list[tuple[int, object]], position: int, found: Import, bound: dict[str, list[Import]]
) -> None:
    """Bind the names of `from module import name as local`, any of which may be a module."""
    target = position + 1
    while target + 1 < len(pairs) and pairs[target][0] == IMPORTED:
        _bind(pairs[target + 1], _Within(found, str(pairs[target][1])), bound)
        target += 2


def _possible_imports(code: CodeType) -> list[Import]:
    """Return, for an unknown version, every module that the code may import, each whole."""
    import dis

    if not any("IMPORT" in each.opname for each in dis.get_instructions(code)):
        return []
    found = [Import(name, level) for name in ("", *code.co_names) for level in range(4)]
    for each in found:
        each.chains[()] = None
    return [each for each in found if each.module or each.level]


class _Within(Import):
    """The name that `from module import name` binds: chains read from it start at the module."""

    __slots__ = ("outer", "prefix")

    def __init__(self, outer: Import, prefix: str) -> None:
        super().__init__(outer.module, outer.level)
        self.outer = outer
        self.prefix = prefix


def _bind(store: tuple[int, object], found: Import, bound: dict[str, list[Import]]) -> None:
    if store[0] in (STORE_LOCAL, STORE_CELL, STORE_NAME):
        bound.setdefault(str(store[1]), []).append(found)
    else:  # not understood: everything in it may be read
        _read(found, ())


def _read(found: Import, attributes: tuple[str, ...]) -> None:
    if isinstance(found, _Within):
        found.outer.chains[(found.prefix, *attributes)] = None
    else:
        found.chains[attributes] = None


def _follow_locals(pairs: list[tuple[int, object]], bound: dict[str, list[Import]]) -> None:
    for position, (kind, name) in enumerate(pairs):
        if kind in (LOCAL, CELL, GLOBAL, NAME) and name in bound:
            attributes, only_set = _chain(pairs, position)
            for found in bound[str(name)]:
                _read(found, (*attributes, "") if only_set else attributes)
