"""An interface's class as a callable with a memory, for scripts written with nipype.caching."""

from __future__ import annotations

from nipype.interfaces import utility as niu
from nipype.interfaces.base import isdefined

from memori.neuro import remember


def test_outputs_are_read_as_from_nipype(tmp_path):
    """A call returns a result whose outputs are traits, from the memory at the second call."""
    (tmp_path / "a.txt").write_text("a")
    rename = remember(niu.Rename(format_string="b.txt"), hash_output=tmp_path / "work")
    first = rename(in_file=tmp_path / "a.txt").outputs.out_file
    assert first.endswith("b.txt")
    found = rename(in_file=tmp_path / "a.txt")
    assert first == found.outputs.out_file
    assert not found.runtime.executed
    assert niu.Rename is found.interface


def test_undefined_outputs_stay_undefined(tmp_path):
    """An output that did not come back is undefined, and one that appeared is there."""
    split = remember(niu.Split, hash_output=tmp_path / "work")
    for _ in range(2):
        assert [2, 3] == split(inlist=[1, 2, 3], splits=[1, 2]).outputs.out2
    same = remember(niu.IdentityInterface(fields=["a", "b"], mandatory_inputs=False))
    assert not isdefined(same(a=1).outputs.b)
