"""Changes within one process: each is seen, and nothing else is."""

from __future__ import annotations

import functools
import gc
import importlib
import sys
import types
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memori.fingerprint import fingerprint


def build(source: str, name: str = "built") -> Any:
    """Return a module made of `source`."""
    module = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


SOURCE = """
import functools
RATE = 0.5
ITEMS = [1, [2, 3]]
TABLE = {"a": {"b": 1}}
NAMES = {"x"}
class Config:
    level = 1
    __slots__ = ("depth", "__dict__")
    def __init__(self):
        self.depth = 1
        self.width = 2
    def area(self):
        return self.depth
CONFIG = Config()
def make():
    count = [0]
    def counter():
        return count
    return counter
counter = make()
def helper(x, items=[1], *, table={"k": 1}):
    return x
def decorated(x):
    return x
decorated = functools.lru_cache(decorated)
def run(x):
    return (helper(x), RATE, ITEMS, TABLE, NAMES, CONFIG.area(), counter(), decorated(x),
            undefined if x is None else 0)
"""


def _set(**names: object) -> Any:
    def change(module: Any) -> None:
        vars(module).update(names)

    return change


CHANGES: dict[str, Any] = {
    "global reassigned": _set(RATE=0.4),
    "global of another type": _set(RATE=True),
    "global defined": _set(undefined=1),
    "helper reassigned": _set(helper=lambda x: 3),
    "list appended": lambda m: m.ITEMS.append(1),
    "nested list changed": lambda m: m.ITEMS[1].append(1),
    "list item replaced": lambda m: m.ITEMS.__setitem__(0, 5),
    "dict item added": lambda m: m.TABLE.update(c=1),
    "nested dict changed": lambda m: m.TABLE["a"].update(b=2),
    "dict reordered": lambda m: m.TABLE.update(c=1) or m.TABLE.update(a=m.TABLE.pop("a")),
    "set changed": lambda m: m.NAMES.add("y"),
    "instance attribute": lambda m: setattr(m.CONFIG, "width", 3),
    "instance attribute added": lambda m: setattr(m.CONFIG, "more", 3),
    "slot": lambda m: setattr(m.CONFIG, "depth", 3),
    "class attribute": lambda m: setattr(m.Config, "level", 2),
    "class attribute added": lambda m: setattr(m.Config, "extra", 2),
    "class attribute deleted": lambda m: delattr(m.Config, "level"),
    "method replaced": lambda m: setattr(m.Config, "area", lambda self: 3),
    "class of an instance": lambda m: setattr(
        m.CONFIG, "__class__", type("D", (m.Config,), {"__slots__": ()})
    ),
    "code swapped": lambda m: setattr(
        m.helper, "__code__", (lambda x, items, *, table: 3).__code__
    ),
    "method's code swapped": lambda m: setattr(
        m.Config.area, "__code__", (lambda self: 3).__code__
    ),
    "defaults replaced": lambda m: setattr(m.helper, "__defaults__", ([2],)),
    "default mutated": lambda m: m.helper.__defaults__[0].append(2),
    "keyword default mutated": lambda m: m.helper.__kwdefaults__["table"].update(k=2),
    "keyword default replaced": lambda m: m.helper.__kwdefaults__.update(table=5),
    "function attribute": lambda m: setattr(m.helper, "note", 1),
    "cell replaced": lambda m: setattr(m.counter.__closure__[0], "cell_contents", [1]),
    "cell's content mutated": lambda m: m.counter.__closure__[0].cell_contents.append(1),
    "cached function's code": lambda m: setattr(
        m.decorated.__wrapped__, "__code__", (lambda x: 9).__code__
    ),
    "own code swapped": lambda m: setattr(m.run, "__code__", (lambda x: 1).__code__),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_live_object_is_seen(change: str) -> None:
    """The fingerprint taken after a change differs from the one taken before."""
    module = build(SOURCE)
    before = fingerprint(module.run)
    assert fingerprint(module.run) is before

    CHANGES[change](module)
    after = fingerprint(module.run)

    assert before.fast != after.fast
    assert before.components() != after.components()
    assert fingerprint(module.run) is after


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_taken_back_is_forgotten(change: str) -> None:
    """A fingerprint depends on the state alone, not on how it came about."""
    one, two = build(SOURCE), build(SOURCE)
    fingerprint(one.run)

    CHANGES[change](one)
    CHANGES[change](two)

    assert fingerprint(two.run).fast == fingerprint(one.run).fast


def test_an_equal_value_in_place_of_another_changes_nothing() -> None:
    """Identities are only guards: an equal value leaves the same fingerprint, the same object."""
    module = build(SOURCE)
    before = fingerprint(module.run)

    module.ITEMS = [1, [2, 3]]
    module.TABLE = {"a": {"b": 1}}

    assert fingerprint(module.run) is before


@pytest.mark.parametrize(
    "value", [1, True, 1.0, "1", b"1", (1,), [1], {1}, {1: 1}, None, 0.0, -0.0, 1j]
)
def test_no_two_values_share_a_fingerprint(value: object) -> None:
    """Values that compare equal, or print equal, are told apart."""
    others = [1, True, 1.0, "1", b"1", (1,), [1], {1}, {1: 1}, None, 0.0, -0.0, 1j, frozenset({1})]
    module = build("V = 0\ndef run(x):\n    return V\n")
    found = {}
    for other in (*others, value):
        module.V = other
        found[repr((type(other), other))] = fingerprint(module.run).fast

    assert len(others) == len(set(found.values()))


def test_an_array_changed_in_place_is_seen() -> None:
    """The memory of an array is digested each time."""
    module = build("def run(x):\n    return DATA\n")
    module.DATA = np.zeros(4)
    before = fingerprint(module.run)
    assert fingerprint(module.run) is before

    module.DATA[2] = 1

    assert before.fast != fingerprint(module.run).fast


def test_a_context_variable_is_seen() -> None:
    """What a context variable is set to counts."""
    module = build("def run(x):\n    return level.get()\n")
    module.level = ContextVar("level", default=1)
    before = fingerprint(module.run)

    module.level.set(2)

    assert before.fast != fingerprint(module.run).fast


def test_a_registered_implementation_is_seen() -> None:
    """An implementation added to a single-dispatch function counts."""
    module = build(
        "import functools\n@functools.singledispatch\ndef go(x):\n    return 1\n"
        "def run(x):\n    return go(x)\n"
    )
    before = fingerprint(module.run)

    module.go.register(int, lambda x: 2)

    assert before.fast != fingerprint(module.run).fast


def test_a_virtual_subclass_is_seen() -> None:
    """A class registered with an abstract one counts."""
    module = build(
        "import abc\nclass A(abc.ABC):\n    pass\nclass B:\n    pass\n"
        "def run(x):\n    return isinstance(B(), A)\n"
    )
    before = fingerprint(module.run)

    module.A.register(module.B)

    assert before.fast != fingerprint(module.run).fast


def test_what_a_cache_holds_is_no_state() -> None:
    """Calling a cached function changes nothing."""
    module = build(SOURCE)
    before = fingerprint(module.run)

    module.decorated(3)

    assert fingerprint(module.run) is before


def test_reload_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that was edited and reloaded counts as it is now."""
    path = tmp_path / "reloaded_module.py"
    path.write_text("def go(x):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("reloaded_module")
    user = build("import reloaded_module\ndef run(x):\n    return reloaded_module.go(x)\n")
    before = fingerprint(user.run)

    path.write_text("def go(x):\n    return 1 + 1\n")
    importlib.reload(module)
    after = fingerprint(user.run)

    assert before.fast != after.fast
    assert before.canonical() is None  # its root was built from a string
    assert {"helper reloaded_module.go"} < set(after.components())


def test_a_cell_run_again_is_seen() -> None:
    """A function defined again under the same name counts as it is now."""
    module = build("def helper(x):\n    return 1\ndef run(x):\n    return helper(x)\n")
    before = fingerprint(module.run)

    exec("def helper(x):\n    return 2\n", module.__dict__)

    assert before.fast != fingerprint(module.run).fast


@pytest.mark.slow
def test_an_address_that_is_used_again_is_no_other_object() -> None:
    """A new object at the address of an old one is not taken for it."""
    seen = set()
    for number in range(50):
        module = build(f"def run(x):\n    return {number}\n")
        seen.add(fingerprint(module.run).fast)
        del module
        gc.collect()

    assert 50 == len(seen)


def test_partials_and_methods_are_compared_by_content() -> None:
    """A partial or a bound method made anew has the same fingerprint."""
    module = build(SOURCE)
    first = fingerprint(functools.partial(module.run, 1)).fast
    second = fingerprint(module.CONFIG.area).fast

    assert first == fingerprint(functools.partial(module.run, 1)).fast
    assert first != fingerprint(functools.partial(module.run, 2)).fast
    assert second == fingerprint(module.CONFIG.area).fast

    module.CONFIG.width = 7

    assert second != fingerprint(module.CONFIG.area).fast


def test_monkeypatching_a_library_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's function in the place of a library's counts with its code."""
    module = build("import numpy as np\ndef run(x):\n    return np.mean(x)\n")
    before = fingerprint(module.run)
    fakes = build("def mean(x):\n    return 1\ndef other(x):\n    return 2\n")

    monkeypatch.setattr(np, "mean", fakes.mean)
    first = fingerprint(module.run)
    monkeypatch.setattr(np, "mean", fakes.other)
    second = fingerprint(module.run)
    monkeypatch.undo()

    assert 3 == len({before.fast, first.fast, second.fast})
    assert before.fast == fingerprint(module.run).fast


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated at once")
def test_annotations_for_type_checkers_alone_are_read_as_text() -> None:
    """Where code reads annotations they count, and need not be there to be evaluated."""

    def module(kind: str) -> types.ModuleType:
        source = f"class A:\n    x: {kind}\ndef f(x: {kind}): return A, f.__annotations__"
        built = types.ModuleType("built")
        exec(compile(source, "built.py", "exec", dont_inherit=True), built.__dict__)
        return built

    first, second = fingerprint(module("Missing").f), fingerprint(module("Other").f)
    assert first.fast == fingerprint(module("Missing").f).fast
    assert first.fast != second.fast
