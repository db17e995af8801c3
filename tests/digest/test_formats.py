"""The registry of formats: who is asked, and what happens when nobody knows."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.digest.formats import (
    FORMATS,
    PLAIN,
    Content,
    FieldDigest,
    companions_of,
    content_of,
    is_damaged,
    may_be_known,
)

ANATOMICAL = Path(nibabel.__file__).parent / "tests/data/anatomical.nii"
FIELDS = st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=4) | st.text(max_size=4)))

PLUGIN = """
class Xyz:
    family = "xyz 1"

    def companions(self, path):
        return ()

    def describe(self, path, fields):
        with open(path, "rb") as file:
            if file.read(4) != b"XYZ1":
                raise ValueError("no XYZ")
            file.readline()  # a date
            fields.field("points", file.read())

XYZ = Xyz()
"""


def digest(fields, streams=False):
    """The digest of fields."""
    put = FieldDigest("test")
    for name, value in fields:
        raw = value.encode() if isinstance(value, str) else value
        if streams:
            put.stream(name, [raw])
        else:
            put.field(name, raw)
    return put.hexdigest()


@given(old=FIELDS, new=FIELDS)
def test_fields_are_injective(old, new):
    """Two sequences of fields have one digest exactly if they are equal, as bytes."""
    as_bytes = [
        [(name, value.encode() if isinstance(value, str) else value) for name, value in fields]
        for fields in (old, new)
    ]
    assert (as_bytes[0] == as_bytes[1]) == (digest(old) == digest(new))
    assert (as_bytes[0] == as_bytes[1]) == (digest(old, True) == digest(new, True))


def test_families_kinds_and_seams_differ():
    """A family, a stream instead of a field, and another cut between names make other digests."""
    one = [("a", b"bc")]
    digests = {
        digest(one),
        digest(one, True),
        digest([("ab", b"c")]),
        digest([("a", b"b"), one[0]]),
    }
    assert 4 == len(digests)
    assert FieldDigest("a").hexdigest() != FieldDigest("b").hexdigest()


@given(raw=st.binary(), cuts=st.lists(st.integers(0, 100)))
def test_how_a_stream_is_cut_does_not_count(raw, cuts):
    """The pieces of a stream leave no trace."""
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in itertools.pairwise(edges)]
    whole, cut = FieldDigest("x"), FieldDigest("x")
    assert len(raw) == whole.stream("s", [raw]) == cut.stream("s", pieces)
    assert whole.hexdigest() == cut.hexdigest()


def test_long_streams_are_hashed_in_a_thread(monkeypatch):
    """An error of the producer passes through, and leaves no thread behind."""
    import threading

    def pieces():
        yield from [b"x" * (1 << 20)] * 20
        raise OSError(5, "disk")

    before = threading.active_count()
    with pytest.raises(OSError, match="disk"):
        FieldDigest("x").stream("s", pieces())
    assert before == threading.active_count()


@pytest.mark.parametrize("suffix", sorted({*FORMATS, *PLAIN, ".unknown", ""}))
@pytest.mark.parametrize("raw", [b"", b"\0", b"hello", bytes(400), b"\x1f\x8b", b"\xff" * 400])
def test_what_only_looks_like_a_format_has_no_content(tmp_path, suffix, raw):
    """The file's own bytes decide, not its name."""
    path = tmp_path / f"x{suffix}"
    path.write_bytes(raw)
    assert content_of(str(path)) is None
    assert () == companions_of(str(path))


def test_text_tables_are_their_bytes(tmp_path):
    """Gradient tables, confounds and events have no content beside their bytes."""
    for name in ("x.bval", "x.bvec", "x_events.tsv", "motion.1D"):
        assert not may_be_known(name)
    for name in ("mc.par", "x.mat", "x.xml", "x.set", "x.rec"):  # other files have these suffixes
        (tmp_path / name).write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
        assert content_of(str(tmp_path / name)) is None


def test_the_longest_suffix_and_capitals(tmp_path):
    """Dots in a name and capitals do not hide a suffix."""
    for name in ("sub-01.v2.nii", "A.NII", "x.dscalar.nii", "a.b.c.nii"):
        path = tmp_path / name
        path.write_bytes(ANATOMICAL.read_bytes())
        assert content_of(str(path)) == content_of(str(ANATOMICAL)) is not None


def test_equal_bytes_of_two_formats_have_two_contents(tmp_path):
    """The family is part of the digest."""
    assert content_of(str(ANATOMICAL)) != Content("0" * 64)
    assert FieldDigest("nifti 1").hexdigest() != FieldDigest("mgh 1").hexdigest()


def test_unreadable_files_raise(tmp_path):
    """A missing file, or a folder in its place, is no question of content."""
    with pytest.raises(FileNotFoundError):
        content_of(str(tmp_path / "none.nii"))
    (tmp_path / "folder.nii").mkdir()
    assert content_of(str(tmp_path / "folder.nii")) is None


def run(code, *arguments, path=""):
    """What a new process prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {code}", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")]),
        },
    )
    return json.loads(done.stdout)


def test_content_does_not_depend_on_what_was_imported():
    """With and without memori.neuro, one content; and neither numpy nor nibabel is needed."""
    ask = "from memori.digest.formats import content_of; found = content_of(sys.argv[1]).digest;"
    heavy = "[name for name in ('numpy', 'nibabel', 'importlib.metadata') if name in sys.modules]"
    alone = run(f"{ask} print(json.dumps([found, {heavy}]))", ANATOMICAL)
    after = run(f"import memori.neuro, nibabel; {ask} print(json.dumps(found))", ANATOMICAL)
    assert [after, []] == alone


@pytest.fixture
def plugin(tmp_path):
    """A distribution with one format for .xyz, and one that cannot be loaded."""
    site = tmp_path / "site"
    (site / "xyz-1.dist-info").mkdir(parents=True)
    (site / "xyz_format.py").write_text(PLUGIN)
    (site / "xyz-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: xyz\nVersion: 1\n"
    )
    (site / "xyz-1.dist-info" / "entry_points.txt").write_text(
        "[memori.formats]\n.xyz = xyz_format:XYZ\n.nii = xyz_format:XYZ\n.bad = nothing:HERE\n"
    )
    return site


def test_another_package_adds_a_format(plugin, tmp_path):
    """An entry point adds a format; a broken one is a warning; none replaces ours."""
    for name, text in {"a": "XYZ1 Monday\n1 2", "b": "XYZ1 Tue\n1 2", "c": "XYZ1 Mon\n1 3"}.items():
        (tmp_path / f"{name}.xyz").write_text(text)
    (tmp_path / "d.xyz").write_text("no")
    ask = """
from memori.digest.formats import content_of
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = [content_of(path) for path in sys.argv[1:]]
print(json.dumps([[each and each.digest for each in found], len(caught), str(caught[0].message)]))
"""
    paths = [tmp_path / f"{name}.xyz" for name in "abcd"]
    (a, b, c, d, nifti), count, message = run(ask, *paths, ANATOMICAL, path=plugin)
    assert a == b != c
    assert None is d
    assert content_of(str(ANATOMICAL)) == Content(nifti)
    assert 1 == count
    assert "'.bad'" in message


@pytest.mark.parametrize("name", ["a.nii", "A.NII.GZ", "sub-01_bold.json", "lh.aparc.annot"])
@pytest.mark.parametrize("raw", [b"", b"{", b"\x1f\x8b\x08 cut"])
def test_a_file_that_is_not_what_its_name_says_is_damaged(tmp_path, name, raw):
    """Empty, cut off, or broken."""
    (tmp_path / name).write_bytes(raw)
    assert is_damaged(str(tmp_path / name))


def test_what_is_whole_or_may_be_anything_is_not_damaged(tmp_path):
    """Of a text, or a suffix that several programs use, nobody can say."""
    for name in ("a.txt", "a.img", "a.stats", "a"):
        (tmp_path / name).write_bytes(b"")
        assert not is_damaged(str(tmp_path / name))
    assert not is_damaged(str(ANATOMICAL))
