"""A decorated function is called as its decorator takes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from memori import Pipeline, Stage


def inner(x: int, y: int = 2) -> int:
    return x * 10 + y


def two(x: int, y: int) -> int:
    return x * 10 + y


@functools.wraps(inner)
def by_position(*args: int) -> int:
    return inner(*args)


@functools.wraps(inner)
def renames(image: int, **more: int) -> int:
    return inner(image, **more)


@functools.wraps(two)
def fills_in(x: int) -> int:
    return two(x, 7)


@functools.wraps(inner)
def takes_more(x: int, verbose: int = 1) -> int:
    return inner(x) + verbose


@functools.wraps(inner)
def takes_a_keyword(*args: int, verbose: int = 1, **more: int) -> int:
    return inner(*args, **more) + verbose


@functools.wraps(inner)
def takes_one_first(scale: int, *args: int, **more: int) -> int:
    return scale * inner(*args, **more)


@functools.wraps(inner)
def as_it_is(*args: int, **more: int) -> int:
    return inner(*args, **more)


@functools.wraps(renames)
def around_a_wrapper(*args: int, **more: int) -> int:
    return renames(*args, **more)


class Timed:
    def __init__(self, function: Callable[..., int]) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *args: int) -> int:
        return self.function(*args)


def copies_defaults(*args: int, **more: int) -> int:
    return inner(*args, **more)


copies_defaults.__defaults__ = (2,)
copies_defaults.__wrapped__ = inner  # type: ignore[attr-defined]


CALLS: list[tuple[Callable[..., int], tuple[int, ...], dict[str, int]]] = [
    (by_position, (3,), {}),
    (by_position, (3, 4), {}),
    (renames, (3,), {}),
    (renames, (), {"image": 3, "y": 5}),
    (fills_in, (3,), {}),
    (takes_more, (3, 4), {}),
    (takes_more, (3,), {"verbose": 0}),
    (takes_a_keyword, (3,), {"verbose": 8, "y": 1}),
    (takes_one_first, (2, 3), {}),
    (takes_one_first, (2, 3, 4), {}),
    (as_it_is, (3,), {"y": 9}),
    (around_a_wrapper, (3,), {"y": 9}),
    (Timed(inner), (3, 4), {}),
    (Timed(inner), (3,), {}),
    (copies_defaults, (3,), {}),
    (copies_defaults, (), {"x": 3, "y": 5}),
]


@pytest.mark.parametrize(("function", "args", "named"), CALLS)
def test_a_wrapper_is_called_as_without_a_memory(
    function: Callable[..., int], args: tuple[int, ...], named: dict[str, Any]
) -> None:
    """Whatever it names, renames, adds, fills in or takes by position alone."""
    assert {"output": function(*args, **named)} == Stage(function, stage_name="f").run(
        *args, **named
    )


def test_what_a_wrapper_takes_by_position_is_wired_by_name() -> None:
    """Names are those of the function that is wrapped."""
    pipeline = Pipeline([("start", Stage(by_position, stage_name="f"))])
    assert {"output": 34} == pipeline.run(x=3, y=4)
    with pytest.raises(TypeError, match="'z'"):
        pipeline.run(x=3, z=4)
    with pytest.raises(TypeError, match="needs 'x'"):
        Stage(by_position).run(y=4)


class AnswersAll:
    """A callable that has any attribute, as a remote procedure or a command of ``sh`` has."""

    def __getattr__(self, name: str) -> AnswersAll:
        return AnswersAll()

    def __call__(self, *args: int) -> int:
        return sum(args)


def test_what_answers_any_attribute_makes_a_stage(tmp_path: Path) -> None:
    """Attributes that a callable only claims to have are not followed for ever."""
    mocked = mock.Mock(side_effect=lambda x: x + 100)
    assert Stage(mocked, "y", tmp_path, stage_name="mocked").run(2) == {"y": 102}
    assert "y" in repr(Stage(AnswersAll(), "y", tmp_path, stage_name="all"))


@functools.wraps(inner)
def looks_at_the_first(*args: int, **more: int) -> int:
    return args[0] * 1000 + inner(*args, **more)


@functools.wraps(inner)
def looks_at_a_name(*args: int, **more: int) -> int:
    return more["x"] * 1000 + inner(*args, **more)


@functools.wraps(looks_at_a_name)
def around_one_that_looks(*args: int, **more: int) -> int:
    return looks_at_a_name(*args, **more)


@functools.singledispatch
def dispatched(x: object, y: int = 2) -> str:
    return f"something {x} {y}"


@dispatched.register
def _of_a_number(x: int, y: int = 2) -> str:
    return f"a number {x} {y}"


@pytest.mark.parametrize(
    ("function", "args", "named"),
    [
        (looks_at_the_first, (3,), {}),
        (looks_at_the_first, (3,), {"y": 5}),
        (looks_at_a_name, (), {"x": 3}),
        (around_one_that_looks, (), {"x": 3, "y": 5}),
        (dispatched, (3,), {}),
        (dispatched, ("three",), {"y": 5}),
        (np.add, (1, 2), {}),
        (functools.partial(np.add, 1), (2,), {}),
    ],
)
def test_a_callable_may_look_at_how_it_is_called(
    function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """A decorator finds its argument where it looks; C code is not given defaults of its own."""
    assert {"output": function(*args, **named)} == Stage(function, stage_name="f").run(
        *args, **named
    )


def test_what_dispatches_by_type_is_wired_by_name() -> None:
    """A stage of `functools.singledispatch` stands in a pipeline as any other."""
    pipeline = Pipeline([("start", Stage(dispatched, stage_name="f"))])
    assert {"output": "a number 3 4"} == pipeline.run(x=3, y=4)
