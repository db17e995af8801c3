"""The digests of a key: what differs in anything that counts has another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori import Stage
from memori.artifacts import find_inputs
from memori.digest.folder import Folder
from memori.digest.values import encode
from memori.fingerprint import fingerprint
from memori.key import Key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
PARTS = st.tuples(
    st.dictionaries(st.sampled_from("abc"), JSON, max_size=3),
    st.sampled_from("12"),
    st.dictionaries(st.sampled_from(["tool", "system"]), JSON, max_size=2),
    st.lists(st.sampled_from("xyz"), unique=True, max_size=3),
)


def key_of(inputs: dict[str, Any], version: str, surroundings: Any, outputs: list[str]) -> Key:
    code = fingerprint(len, code_version=version)
    return Key(inputs, [], code, surroundings, tuple(outputs))


@given(PARTS, PARTS)
def test_keys_are_equal_if_and_only_if_all_that_counts_is(one: Any, other: Any) -> None:
    """Inputs, code, surroundings and the names of outputs, whatever they hold."""
    first, second = key_of(*one), key_of(*other)
    assert (encode(one) == encode(other)) == (first.digest == second.digest)
    assert (encode(one[0]) == encode(other[0])) == (first.inputs_digest == second.inputs_digest)
    assert first.digest == key_of(*one).digest


def test_the_content_of_a_file_counts_beside_its_name(tmp_path: Path) -> None:
    """Runs on other contents share the digest of the inputs, and no other."""
    path = tmp_path / "in.txt"
    keys = []
    for content in ("a", "b", "a"):
        path.write_text(content)
        values, files = find_inputs({"file": str(path)}, str(tmp_path), None, by_name=False)
        keys.append(Key(values, files, fingerprint(len, code_version="1"), {}, ("output",)))
    assert 1 == len({key.inputs_digest for key in keys})
    for digest in ("contents_digest", "digest"):
        first, second, third = (getattr(key, digest) for key in keys)
        assert first != second
        assert first == third
    assert keys[0].contents_digest != keys[0].inputs_digest


def test_a_folder_its_name_and_a_text_are_three_inputs(tmp_path: Path) -> None:
    """What a path stands for counts, not only what it says."""
    folder = tmp_path / "in"
    folder.mkdir()
    found = []
    for value in (Folder(str(folder)), str(folder)):
        values, files = find_inputs({"x": value}, str(tmp_path), None, by_name=False)
        found.append(Key(values, files, fingerprint(len, code_version="1"), {}, ()).digest)
    found.append(key_of({"x": "in"}, "1", {}, []).digest)
    assert 3 == len(set(found))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("x", True), (["x"], True), ({"a": "x"}, True), (1, False), (1.5, False), (None, False)],
)
def test_only_texts_may_name_files(value: object, expected: bool) -> None:
    """A run that is given numbers alone cannot have made what an input names."""
    assert expected == key_of({"n": value}, "1", {}, []).may_name_files


def test_a_number_that_python_does_not_write_down_is_refused_with_its_name(tmp_path: Path) -> None:
    """Before any work, as other values that JSON cannot hold."""
    called = []
    stage = Stage(lambda n, more: called.append(n), hash_output=tmp_path)
    with pytest.raises(TypeError, match="argument 'more': a whole number in it is too long"):
        stage.run(10**4000, more=[{"n": -(10**5000)}])
    assert [] == called
