"""Folders: names and contents count, links are not followed, nothing hangs."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.digest.files import sha256_file
from memori.digest.folder import Folder, folder_digest

NAMES = st.text(st.sampled_from("ab. é\udcff"), min_size=1, max_size=3).filter(
    lambda name: name not in (".", "..")
)
TREES = st.recursive(
    st.binary(max_size=2), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
).filter(lambda tree: isinstance(tree, dict))


def build(tree, path):
    """Write nested dicts of bytes as folders of files."""
    path.mkdir(exist_ok=True)
    for name, inner in tree.items():
        if isinstance(inner, dict):
            build(inner, path / name)
        else:
            (path / name).write_bytes(inner)


def digest(path):
    """The digest of a folder by the bytes of its files."""
    return folder_digest(os.fspath(path), sha256_file)


@given(old=TREES, new=TREES)
def test_digests_are_equal_if_and_only_if_the_trees_are(tmp_path_factory, old, new):
    """Names (in any bytes), nesting, empty folders and contents count, and nothing else."""
    folder = tmp_path_factory.mktemp("trees")
    build(old, folder / "old")
    build(new, folder / "elsewhere")
    assert (old == new) == (digest(folder / "old") == digest(folder / "elsewhere"))
    shutil.rmtree(folder)


def test_times_and_modes_do_not_count(tmp_path):
    """Touching files or changing permissions leaves the digest as it is."""
    build({"a": {"b": b"c"}, "d": b"e"}, tmp_path / "x")
    before = digest(tmp_path / "x")
    os.utime(tmp_path / "x" / "d", (1, 1))
    os.chmod(tmp_path / "x" / "d", 0o600)
    assert before == digest(tmp_path / "x")


def test_names_and_contents_cannot_be_confused(tmp_path):
    """A file in a folder, a file with the folder's content as name: all differ."""
    trees = [{"a": b"b"}, {"ab": b""}, {"a": {"b": b""}}, {"a": {}, "b": b""}, {"a": b"", "b": b""}]
    for number, tree in enumerate(trees):
        build(tree, tmp_path / str(number))
    assert len(trees) == len({digest(tmp_path / str(number)) for number in range(len(trees))})


def test_links_count_by_where_they_point(tmp_path):
    """A link is not followed: its target's content does not count, its text does."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"1")
    build({"a": b"1"}, tmp_path / "x")
    link = tmp_path / "x" / "link"
    digests = {digest(tmp_path / "x")}
    for target in (outside, "a", "none", "..", "/", "link"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        digests.add(digest(tmp_path / "x"))
    assert 7 == len(digests)
    link.unlink()
    link.symlink_to(outside)
    before = digest(tmp_path / "x")
    outside.write_bytes(b"2")
    assert before == digest(tmp_path / "x")


def test_links_into_the_folder_move_with_it(tmp_path):
    """An absolute link into the folder counts from the folder, so that it can be moved."""
    digests = set()
    for name in ("here", "there"):
        build({"sub": {"a": b"1"}}, tmp_path / name)
        (tmp_path / name / "link").symlink_to(tmp_path / name / "sub" / "a")
        digests.add(digest(tmp_path / name))
    assert 1 == len(digests)


def test_cycles_end(tmp_path):
    """A link to the folder above does not go round."""
    build({"a": {"b": {}}}, tmp_path / "x")
    (tmp_path / "x" / "a" / "b" / "up").symlink_to("../..")
    (tmp_path / "x" / "self").symlink_to(tmp_path / "x")
    assert 64 == len(digest(tmp_path / "x"))


def test_special_files_count_by_kind(tmp_path):
    """A pipe or a socket is not opened; that it is one counts."""
    build({"a": b""}, tmp_path / "file")
    build({}, tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe" / "a")
    build({}, tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(tmp_path / "socket" / "a"))
        digests = {digest(tmp_path / kind) for kind in ("file", "pipe", "socket")}
    assert 3 == len(digests)


def test_deep_folders(tmp_path):
    """Depth is not limited by recursion."""
    path = tmp_path / "x"
    path.mkdir()
    deepest = path
    for _ in range(300):
        deepest = deepest / "d"
        deepest.mkdir()
    before = digest(path)
    (deepest / "a").write_bytes(b"")
    assert before != digest(path)


def test_a_missing_folder_raises(tmp_path):
    """There is no digest of nothing."""
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "none")


def test_folder_is_a_string():
    """A Folder is its path; it takes a Path too and says what it is."""
    folder = Folder(Path("a") / "b")
    assert "a/b" == folder
    assert isinstance(folder, str)
    assert "Folder('a/b')" == repr(folder)


def followed(path):
    """The digest of a folder with what its links lead to."""
    return folder_digest(os.fspath(path), sha256_file, follow=True)


def test_what_links_lead_to_counts_where_it_is_asked_for(tmp_path):
    """Followed, a link counts by what lies behind it: a file, a folder, or another one."""
    build({"one": {"a": b"1"}, "two": {"a": b"2"}, "same": {"a": b"1"}}, tmp_path / "outside")
    build({"b": b""}, tmp_path / "x")
    link = tmp_path / "x" / "link"
    digests = []
    for target in ("outside/one", "outside/two", "outside/same", "outside/one/a", "x/b", "none"):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / target)
        digests.append(followed(tmp_path / "x"))
    assert digests[0] == digests[2]
    assert 5 == len(set(digests))
    link.unlink()
    link.symlink_to("../outside")
    before = followed(tmp_path / "x")
    (tmp_path / "outside" / "two" / "a").write_bytes(b"3")
    assert before != followed(tmp_path / "x")


def test_a_link_that_stays_inside_counts_by_where_it_points_in_a_followed_folder(tmp_path):
    """What it leads to counts where it lies, once."""
    build({"x": {"a": b"1", "in": {"b": b"2"}}}, tmp_path)
    for name, target in {"file": "a", "folder": "in", "in/root": "..", "gone": "nothing"}.items():
        (tmp_path / "x" / name).symlink_to(target)
    assert digest(tmp_path / "x") == followed(tmp_path / "x")


def test_a_followed_folder_is_the_same_as_one_that_is_copied(tmp_path):
    """Whether files are there or linked to makes no difference to who reads them."""
    build({"sub": {"a": b"1", "b": {}}}, tmp_path / "outside")
    build({"sub": {"a": b"1", "b": {}}}, tmp_path / "copied")
    build({}, tmp_path / "linked")
    (tmp_path / "linked" / "sub").symlink_to(tmp_path / "outside" / "sub")
    assert followed(tmp_path / "copied") == followed(tmp_path / "linked")
    assert digest(tmp_path / "copied") != digest(tmp_path / "linked")


def test_links_that_go_round_end(tmp_path):
    """Followed links that lead above, to each other or to themselves are entered once."""
    build({"in": {"a": b"1"}, "beside": {"b": b"2"}}, tmp_path / "x")
    for name, target in (
        ("in/up", ".."),
        ("in/self", "self"),
        ("in/beside", "../beside"),
        ("beside/in", "../in"),
        ("beside/above", "../.."),
    ):
        (tmp_path / "x" / name).symlink_to(target)
    before = followed(tmp_path / "x" / "in")
    assert before == followed(tmp_path / "x" / "in")
    (tmp_path / "x" / "beside" / "b").write_bytes(b"3")
    assert before != followed(tmp_path / "x" / "in")


def test_a_link_to_a_pipe_is_not_opened(tmp_path):
    """What lies behind a link counts by its kind if it is no file."""
    os.mkfifo(tmp_path / "pipe")
    build({}, tmp_path / "x")
    (tmp_path / "x" / "link").symlink_to(tmp_path / "pipe")
    assert followed(tmp_path / "x") != digest(tmp_path / "x")
