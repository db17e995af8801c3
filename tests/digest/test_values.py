"""Values have one text each, and whatever JSON cannot hold is refused by name."""

from __future__ import annotations

import enum
import json
import re
from argparse import Namespace
from collections import deque
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori import Folder
from memori.digest.values import NotJSONError, copy_json, encode, strings, to_json

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner)
)


def same(a: object, b: object) -> bool:
    """Tell whether two JSON values are alike in every type, sign and order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return repr(a) == repr(b)


@given(values, values)
def test_two_values_share_a_text_exactly_if_they_are_alike(a: object, b: object) -> None:
    """No two values that differ in type, sign, order or nesting can share a key."""
    assert same(a, b) == (encode(a) == encode(b))


@given(values)
def test_every_json_value_comes_back_from_its_text(value: object) -> None:
    """What was recorded is what comes back."""
    assert same(value, json.loads(encode(value)))


@given(values)
def test_a_copy_is_alike_and_shares_nothing_that_can_change(value: object) -> None:
    """A caller who changes results does not change what the next one gets."""
    copied = copy_json(value)
    assert same(value, copied)
    if isinstance(value, (list, dict)):
        assert copied is not value


@pytest.mark.parametrize(
    "group",
    [
        [1, 1.0, "1", True, None, [1], {"1": 1}],
        [0.0, -0.0, False, 0, "", [], {}],
        [[1, 23], [12, 3], ["1", "23"], [[1], 23]],
        [-1, -2],
        [float("nan"), float("inf"), -float("inf"), "nan", None],
        [{"a": 1, "b": 2}, {"b": 2, "a": 1}, [["a", 1], ["b", 2]]],
        ["é", "e\u0301", "\\u00e9", "\udce9"],
    ],
)
def test_the_traps_of_other_caches_do_not_share_a_text(group: list[object]) -> None:
    """The collisions that were seen in other tools are none here."""
    assert len(group) == len({encode(value) for value in group})


class Colour(enum.IntEnum):
    RED = 3


class Name(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Path("a") / "b", "a/b"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (Colour.RED, 3),
        ({"a": (np.uint8(1),)}, {"a": [1]}),
    ],
)
def test_what_python_users_write_becomes_plain_json(given_value: object, expected: object) -> None:
    """Tuples, paths and numpy scalars arrive as list, str and number."""
    assert same(expected, to_json(given_value))


def test_a_folder_stays_a_folder() -> None:
    """A declared folder keeps its declaration on its way through lists and stages."""
    assert isinstance(to_json({"a": [Folder("x")]})["a"][0], Folder)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [{1, 2}]}, ["['a'][0]", "set", "sorted"]),
        ({1: 2}, ["key 1 is not a string"]),
        ([b"x"], ["[0]", "bytes"]),
        (np.zeros(2), ["numpy.ndarray", "save_array"]),
        ([Name.RED], ["[0]", "Name", "Pass value.value"]),
        (Namespace(fwhm=6), ["Namespace", "Pass vars(value)"]),
        (deque([1]), ["deque", "Pass list(value)"]),
        (re.compile("a"), ["Pattern", "Pass value.pattern"]),
        (same, ["function", "Pass its name"]),
        (1j, ["complex"]),
        (object(), ["object", "workdir"]),
        ([date(2026, 3, 1)], ["[0]", "date", "Pass str(value)"]),
        (np.datetime64("2026-03-01", "ns"), ["numpy.datetime64", "Pass str(value)"]),
        (np.timedelta64("NaT"), ["numpy.timedelta64", "Pass str(value)"]),
    ],
)
def test_what_json_cannot_hold_is_refused_with_place_and_remedy(
    value: object, words: list[str]
) -> None:
    """The error says where the value sits, what it is and what to do."""
    with pytest.raises(NotJSONError) as error:
        to_json(value)
    assert [] == [word for word in words if word not in str(error.value)]


def test_an_image_is_refused_with_the_helper_that_saves_it() -> None:
    """A nibabel image among the values names save_image."""
    import nibabel as nib

    with pytest.raises(TypeError, match="save_image"):
        to_json(nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)))


def test_a_value_that_holds_itself_is_refused() -> None:
    """A cycle is an error, not a crash."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotJSONError, match="holds itself"):
        to_json(loop)


def test_strings_are_found_with_their_place() -> None:
    """Every string that may name a file is looked at."""
    assert [(("a", 0), "x"), (("a", 1, "k"), "y")] == list(
        strings(["x", {"k": "y"}, 3, None, True], ("a",))
    )
