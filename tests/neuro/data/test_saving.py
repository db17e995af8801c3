"""Files are written whole or not at all, under names that do not collide."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest

from memori import MemoriError, Stage
from memori.calls.current_run import CurrentRun, entered
from memori.errors import MemoriWarning
from memori.neuro.data.arrays import load_array, save_array
from memori.neuro.data.saving import save


@pytest.fixture
def run(tmp_path):
    """Make a stage's run the current one; its folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    with entered(CurrentRun("stage", (), lambda: str(folder))):
        yield folder


def names(folder):
    """Return the names of all files in a folder."""
    return sorted(os.listdir(folder))


def test_path_is_returned_as_given(tmp_path):
    """A path object comes back as the same path, a str."""
    path = save_array([1], tmp_path / "a.npy")

    assert str(tmp_path / "a.npy") == path
    assert str is type(path)


def test_without_path_files_go_to_the_run(run):
    """Several arrays of one run are named in the order of the calls."""
    paths = [save_array([number]) for number in range(3)]

    assert [str(run / n) for n in ("array.npy", "array-2.npy", "array-3.npy")] == paths
    assert [0, 1, 2] == [int(load_array(path)[0]) for path in paths]


def test_a_name_given_by_the_user_is_not_taken(run):
    """A file that the user put there stays."""
    save_array([1], run / "array.npy")

    assert str(run / "array-2.npy") == save_array([2])
    assert [1] == load_array(run / "array.npy").tolist()


def test_threads_never_share_a_name(run):
    """Many threads at once get as many names, each with its own content."""
    paths = {}

    def work(number):
        paths[number] = save_array([number])

    threads = [
        threading.Thread(target=copy_context().run, args=(work, number)) for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(20)) == sorted(paths)
    assert paths.keys() == {int(load_array(path)[0]) for path in paths.values()}
    assert all([number] == load_array(path).tolist() for number, path in paths.items())


@pytest.mark.parametrize("name", ["脑" * 83 + ".npy", "x" * 251 + ".npy", "a" + "é" * 125 + ".npy"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    """It allows 255 bytes, of which a Chinese character takes three."""
    assert [3] == load_array(save_array([3], tmp_path / name)).tolist()
    assert [name] == names(tmp_path)


def test_outside_a_stage_a_path_is_needed():
    """The message says what to give."""
    with pytest.raises(MemoriError, match=r"save_array got no path.*results/array\.npy") as caught:
        save_array([1])

    assert isinstance(caught.value.__cause__, MemoriError)


def test_missing_folder_is_named(tmp_path):
    """The folder is not made silently: a misspelt one would hide the result."""
    with pytest.raises(FileNotFoundError, match=r"save_array: the folder .*absent.* make it first"):
        save_array([1], tmp_path / "absent" / "a.npy")


def test_wrong_suffix_is_named(tmp_path):
    """The name decides the format, and only names that fit are written."""
    with pytest.raises(ValueError, match=r"writes \.npy, by the name: got '.*a\.dat'"):
        save_array([1], tmp_path / "a.dat")
    assert [] == names(tmp_path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_interrupted_write_keeps_the_old_file(tmp_path, error):
    """Whatever ends a write, no partial file is left and the old content stands."""
    path = tmp_path / "a.npy"
    path.write_bytes(b"old")

    def write(stream):
        stream.write(b"half")
        raise error

    with pytest.raises(error):
        save(write, path, default="", caller="")
    assert ["a.npy"] == names(tmp_path)
    assert b"old" == path.read_bytes()


def test_interrupted_write_gives_the_name_back(run):
    """A failed save without a path leaves nothing in the run's folder."""

    def write(stream):
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        save(write, None, default="array.npy", caller="")
    assert [] == names(run)


def test_full_disk_keeps_the_old_file(tmp_path):
    """A write beyond what the system allows is an error that leaves the old file."""
    path = tmp_path / "a.npy"
    save_array([1], path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        with pytest.raises(OSError, match=r"."):
            save_array(np.zeros(1_000_000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)

    assert ["a.npy"] == names(tmp_path)
    assert [1] == load_array(path).tolist()


def test_a_mapped_array_survives_its_replacement(tmp_path):
    """A program that maps the old file goes on seeing the old content."""
    path = save_array(np.arange(5), tmp_path / "a.npy")
    old = load_array(path)
    save_array(np.zeros(5, int), path)

    assert [0, 1, 2, 3, 4] == old.tolist()
    assert [0] * 5 == load_array(path).tolist()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_is_replaced_and_never_followed(tmp_path, link):
    """Raw data that a path leads to stay as they are (DataLad's files are links)."""
    raw = save_array([1], tmp_path / "raw.npy")
    link(raw, tmp_path / "a.npy")

    save_array([2], tmp_path / "a.npy")

    assert [1] == load_array(raw).tolist()
    assert [2] == load_array(tmp_path / "a.npy").tolist()
    assert not os.path.islink(tmp_path / "a.npy")


@pytest.mark.parametrize("through_link", [False, True])
def test_a_stage_that_saves_onto_its_input_is_told_so(tmp_path, through_link):
    """The file is what the code asked for, but nobody has to find it out by its results."""
    given = tmp_path / "raw.npy"
    save_array([1, 2], given)
    if through_link:
        (tmp_path / "link.npy").symlink_to(given)
        given = tmp_path / "link.npy"

    def double(in_file):
        return save_array(2 * load_array(in_file), in_file)

    with pytest.warns(MemoriWarning, match=r"the input .*\.npy changed while the stage ran"):
        Stage(double, hash_output=tmp_path / "work").run(given)


def test_kill_in_the_middle_keeps_the_old_file(tmp_path):
    """A reader never sees half of a file, whenever the writer is killed."""
    path = Path(save_array(np.zeros(3_000_000), tmp_path / "a.npy"))
    script = (
        "import sys, numpy as np; from memori.neuro.data.arrays import save_array\n"
        "ones = np.ones(3_000_000); print('ready', flush=True)\n"
        "while True: save_array(ones, sys.argv[1])"
    )
    for pause in (0.0, 0.011, 0.023):
        command = [sys.executable, "-c", script, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert "ready\n" == writer.stdout.readline()
            time.sleep(pause)
            writer.kill()
        array = load_array(path)
        assert (3_000_000,) == array.shape
        assert array.min() == array.max()


def test_the_file_has_the_usual_permissions(tmp_path):
    """The umask rules, as for any file that Python opens."""
    (tmp_path / "plain").write_bytes(b"")
    path = save_array([1], tmp_path / "a.npy")

    assert (tmp_path / "plain").stat().st_mode == os.stat(path).st_mode


def test_two_containers_write_one_file(tmp_path):
    """Processes of one number, as every container has them, do not get in each other's way."""
    script = (
        "import os, sys; os.getpid = lambda: 7\n"
        "from memori.neuro.data.saving import save\n"
        "def write(file): print('begun', flush=True); input(); file.write(b'whole')\n"
        "save(write, sys.argv[1], default='', caller='test')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.npy")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:
        assert ["begun\n"] * 2 == [each.stdout.readline() for each in (one, other)]
        for each in (one, other):
            each.communicate("\n")
    assert [0, 0] == [one.returncode, other.returncode]
    assert ["a.npy"] == names(tmp_path)
