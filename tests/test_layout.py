"""Where things lie: names that files can have, and places that never meet."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from memori.artifacts import find_inputs
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.layout import ENTRY, Layout, file_name, is_run_folder


def key_of(**inputs: object) -> Key:
    values, files = find_inputs(inputs, "/nowhere", None, by_name=False)
    return Key(values, files, fingerprint(len, code_version="1"), {}, ("output",))


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=300))
def test_every_name_of_a_stage_becomes_one_file_name(name: str) -> None:
    """Visible, without separators, short enough, and the same each time."""
    found = file_name(name)
    assert found == file_name(name) == os.path.basename(found)
    assert found not in ("", ".", "..")
    assert not found.startswith(".")
    assert "\0" not in found
    assert len(os.fsencode(f".{found}.inputs.0123456789ab.partial")) <= 255


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    """What is cut off still counts."""
    assert file_name("n" * 200 + "a") != file_name("n" * 200 + "b")


def test_everything_of_a_stage_lies_below_its_folder() -> None:
    """Its records below one hidden folder, its runs and the files for people beside it."""
    layout = Layout("/root/w", "stage")
    key = key_of(n=1)
    hidden = [
        layout.entry(key),
        layout.old_entry(key),
        layout.unfinished(key),
        layout.recent(key),
        layout.latest,
        layout.marks,
        layout.sketches,
        layout.claim("stage/0123abcd"),
    ]
    assert len(hidden) == len(set(hidden))
    assert {"/root/w/.memori/stages/stage"} == {
        os.path.commonpath([path, "/root/w/.memori/stages/stage"]) for path in hidden
    }
    assert {"/root/w"} == {os.path.dirname(path) for path in layout.views}


def test_the_file_of_an_entry_is_known_by_its_name() -> None:
    """Of this schema and of the first; nothing that a damaged note could hold instead."""
    layout = Layout("/root/w", "stage")
    key = key_of(n=1)
    inside = [
        path[len(layout.records) + 1 :] for path in (layout.entry(key), layout.old_entry(key))
    ]
    assert all(re.fullmatch(ENTRY, path) for path in inside)
    assert re.fullmatch(ENTRY, inside[0].replace(".json", ".2.json"))
    others = [
        "",
        "\0" * 57,
        "../x.json",
        "ab/../../x.json",
        "/ab/cd.json",
        "ab/cd.json\n",
        "latest",
    ]
    assert [] == [path for path in others if re.fullmatch(ENTRY, path)]


def test_entries_of_one_input_lie_beside_each_other_whatever_the_code() -> None:
    """They are found by their names alone; those of other inputs have others."""
    layout = Layout("/root/w", "stage")
    values = {"n": 1}
    keys = [Key(values, [], fingerprint(len, code_version=v), {}, ("output",)) for v in "12"]
    first, second = (os.path.split(layout.entry(key)) for key in keys)
    other = os.path.split(layout.entry(key_of(n=2)))
    assert first[0] == second[0]
    assert first[1][:17] == second[1][:17] != other[1][:17]
    assert first[1] != second[1]


def test_a_folder_is_a_runs_own_only_where_memori_claimed_it(tmp_path: Path) -> None:
    """A folder of the user's that looks like one is none."""
    (tmp_path / "stage" / "0123abcd").mkdir(parents=True)
    assert is_run_folder(str(tmp_path), "stage/0123abcd") is False
    claim = Path(Layout(str(tmp_path), "stage").claim("stage/0123abcd"))
    claim.parent.mkdir(parents=True)
    claim.write_text("{}")
    assert is_run_folder(str(tmp_path), "stage/0123abcd") is True
    assert is_run_folder(str(tmp_path.parent), f"{tmp_path.name}/stage/0123abcd") is True
    assert is_run_folder(str(tmp_path), "stage/0123abce") is False
