"""The scan of bytecode: tables of instructions, chains, imports, unknown versions."""

from __future__ import annotations

import opcode
import sys
from types import CodeType

import pytest

from memori.fingerprint import bytecode
from memori.fingerprint.bytecode import NUMBERS, code_digest, scan
from tests.fingerprint.catalogue import Edit, body, reach
from tests.fingerprint.catalogue import imports as lazy

MEANINGS = {
    bytecode.GLOBAL: {"LOAD_GLOBAL"},
    bytecode.NAME: {"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"},
    bytecode.CELL: {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"},
    bytecode.ATTRIBUTE: {"LOAD_ATTR", "LOAD_METHOD"},
    bytecode.STORE_ATTRIBUTE: {"STORE_ATTR", "DELETE_ATTR"},
    bytecode.IMPORT: {"IMPORT_NAME"},
    bytecode.IMPORTED: {"IMPORT_FROM"},
    bytecode.CONSTANT: {"LOAD_CONST", "RETURN_CONST"},
    bytecode.LOCAL: {"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"},
    bytecode.STORE_LOCAL: {"STORE_FAST"},
    bytecode.STORE_CELL: {"STORE_DEREF"},
    bytecode.STORE_NAME: {"STORE_GLOBAL", "STORE_NAME"},
    bytecode.TWO_LOCALS: {"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"},
    bytecode.STORE_AND_LOCAL: {"STORE_FAST_LOAD_FAST"},
    bytecode.TWO_STORES: {"STORE_FAST_STORE_FAST"},
    bytecode.SWAP: {"SWAP"},
    bytecode.POP: {"POP_TOP"},
    bytecode.CALL: {"PRECALL", "CALL"},
    bytecode.SKIP: {"CACHE", "PUSH_NULL", "NOP", "RESUME", "COPY", "NOT_TAKEN"},
    bytecode.NUMBER: {"LOAD_SMALL_INT"},
    bytecode.EXTENDED: {"EXTENDED_ARG"},
}


@pytest.mark.skipif(sys.version_info[:2] not in NUMBERS, reason="no table for this version")
def test_the_table_says_what_the_interpreter_says() -> None:
    """Each instruction number of this version stands for what the table takes it for."""
    numbers = NUMBERS[sys.version_info[:2]]
    expected = {
        opcode.opmap[name]: kind
        for kind, names in MEANINGS.items()
        for name in names
        if opcode.opmap.get(name, 256) < 256
    }

    assert expected == numbers


def function(source: str) -> CodeType:
    """Return the code of the first function in `source`."""
    return next(c for c in compile(source, "f", "exec").co_consts if isinstance(c, CodeType))


def test_chains_are_followed_as_far_as_they_are_spelled() -> None:
    """A global is followed with the attributes after it; what is set is told apart."""
    found = scan(
        function("def f(x):\n    a.b.c(x).d\n    g\n    m.n = 1\n    return getattr(k, 'l')")
    )

    assert {("a", "b", "c"), ("g",), ("m", ""), ("k", "l"), ("getattr",)} == set(found.chains)


def test_imports_are_followed_through_local_names() -> None:
    """What is read from the names that an import binds counts, and no more."""
    source = (
        "def f(x):\n    import a.b\n    import c.d as e\n    from g import h as i, j\n"
        "    def inner():\n        return i.k\n    return a.b.m(x, e.n), j, inner"
    )
    found = {(each.module, *sorted(each.chains)) for each in scan(function(source)).imports}

    expected = {
        ("a.b", ("",)),
        ("a", ("b", "m")),
        ("c.d", ("n",)),
        ("g", ("h", ""), ("h", "k"), ("j",), ("j", "")),
    }
    assert expected == found


def test_many_names_need_wider_arguments() -> None:
    """Names beyond the 256th are read through extended arguments."""
    names = ", ".join(f"m{n}.a{n}" for n in range(400))
    found = scan(function(f"def f():\n    return [{names}]"))

    assert {(f"m{n}", f"a{n}") for n in range(400)} == set(found.chains)


def test_the_digest_leaves_out_what_does_not_count() -> None:
    """File, line, docstring and local names do not enter."""
    first = function("def f(x):\n    'doc'\n    y = x\n    return y")
    second = function("\n\n\ndef f(x):\n    'other'\n    z = x\n    return z")

    assert code_digest(first) == code_digest(second.replace(co_filename="elsewhere"))


def test_local_names_count_where_code_can_read_them() -> None:
    """A function that calls `locals` shows its local names."""
    first = function("def f(x):\n    y = x\n    return locals()")
    second = function("def f(x):\n    z = x\n    return locals()")

    assert code_digest(first) != code_digest(second)


EXPECTED = [
    pytest.param(edit, id=edit.name)
    for edit in (*body.EDITS, *reach.EDITS, *lazy.EDITS)
    if edit.reruns
]


@pytest.mark.slow
def test_an_unknown_version_misses_no_edit(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a table for the interpreter more is reached than need be, never less."""
    from tests.fingerprint.test_catalogue import drive, write

    root = tmp_path_factory.mktemp("unknown")
    edits: list[Edit] = [param.values[0] for param in EXPECTED]
    requests = []
    for number, edit in enumerate(edits):
        for when in ("before", "after"):
            folder = root / f"{number}-{when}"
            write(getattr(edit, when), folder)
            requests.append({"folder": str(folder), "version": "unknown"})
    found = drive(requests)

    stale = [
        edit.name
        for edit, before, after in zip(edits, found[::2], found[1::2], strict=True)
        if before["fast"] == after["fast"]
    ]
    assert [] == stale
