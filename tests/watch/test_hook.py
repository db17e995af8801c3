"""Whose work is seen, and how files are first touched."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

from memori.aside import aside
from memori.digest.files import file_digest
from memori.neuro.process.own_cwd import run_in
from memori.watch import Sieve, watching


@pytest.fixture
def file(tmp_path):
    """A file that was there before."""
    path = tmp_path / "old.txt"
    path.write_text("old\n")
    return str(path)


def read(path):
    """Read a file as users do."""
    with open(path) as stream:
        return stream.read()


def write(path, mode="w"):
    """Write a file as users do."""
    with open(path, mode) as stream:
        stream.write("new\n")


def edit(path):
    """Write into a file, leaving the rest of it."""
    with open(path, "r+") as stream:
        stream.write("n")


def replace(path):
    """Write a file beside and put it in the place of another."""
    write(f"{path}.partial")
    os.replace(f"{path}.partial", path)


def extend(path):
    """Read a table and write it again, one row longer."""
    rows = pathlib.Path(path).read_text()
    pathlib.Path(path).write_text(rows + "row\n")


def remove_and_write(path):
    """Remove what is left of an earlier run first."""
    os.remove(path)
    write(path)


FIRST_TOUCHES = [
    (read, "read", False),
    (lambda path: pathlib.Path(path).read_bytes(), "read", False),
    (lambda path: os.close(os.open(path, os.O_RDONLY)), "read", False),
    (lambda path: open(os.fsencode(path)).close(), "read", False),
    (lambda path: read(os.path.relpath(path)), "read", False),
    (lambda path: shutil.copy(path, f"{path}.copy"), "read", False),
    (lambda path: os.link(path, f"{path}.link"), "read", False),
    (lambda path: read(f"{os.path.dirname(path)}/.//old.txt"), "read", False),
    (write, "write", True),
    (lambda path: pathlib.Path(path).write_text("x"), "write", True),
    (lambda path: open(path, "w+").close(), "write", True),
    (replace, "write", True),
    (remove_and_write, "write", True),
    (lambda path: shutil.copy(__file__, path), "write", True),
    (lambda path: os.truncate(path, 0), "write", True),
    (lambda path: write(path, "a"), "append", True),
    (edit, "read", True),
    (lambda path: open(path, "a+").close(), "read", True),
    (extend, "read", True),
    (lambda path: os.truncate(path, 2), "read", True),
    (lambda path: (read(path), write(os.path.relpath(path))), "read", True),
    (lambda path: os.rename(path, f"{path}.bak"), "read", True),
    (lambda path: write(f"{path}.other"), None, False),
]


@pytest.mark.parametrize(("act", "how", "wrote"), FIRST_TOUCHES)
def test_the_first_touch_tells_inputs_from_products(act, how, wrote, file):
    """What a run reads before it writes is its input; what it makes anew is its own."""
    with watching() as seen:
        act(file)

    assert (how, wrote) == (seen.how(file), seen.wrote(file))


def test_a_file_that_was_looked_for_and_then_made_is_the_runs_own(tmp_path):
    """A cache that is read if it is there, and made if not, is no input of the run that made it."""
    path = str(tmp_path / "cache.json")

    with watching() as seen:
        with pytest.raises(FileNotFoundError):
            read(path)
        write(path)

    assert ("write", True) == (seen.how(path), seen.wrote(path))


@pytest.mark.parametrize("act", [extend, edit, lambda path: os.rename(path, f"{path}.bak")])
def test_the_content_before_an_edit_in_place_is_kept(act, file):
    """Of a file that a run reads and then writes, the content counts that it had before."""
    before = file_digest(file).hash

    with watching() as seen:
        act(file)

    assert before == seen.touch(file).before.hash


def test_links_and_other_spellings_name_the_same_file(file, tmp_path, monkeypatch):
    """However a run spells a path, the recorder finds what it did with the file."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)

    with watching() as seen:
        read(str(link / "old.txt"))
        os.chdir("/")
        os.chdir(tmp_path)
        write("./made.txt")

    assert "read" == seen.how(file)
    assert "write" == seen.how(str(tmp_path / "made.txt"))


def test_files_below_an_open_folder_are_seen(file, tmp_path):
    """A file that is opened relative to a folder's descriptor is found."""
    folder = os.open(tmp_path, os.O_RDONLY)

    with watching() as seen:
        os.close(os.open("old.txt", os.O_RDONLY, dir_fd=folder))
        os.rename("old.txt", "moved.txt", src_dir_fd=folder, dst_dir_fd=folder)
    os.close(folder)

    assert "read" == seen.how(file)
    assert "write" == seen.how(str(tmp_path / "moved.txt"))


def test_what_was_written_in_a_folder_moves_with_it(tmp_path):
    """Results that are made in a temporary folder, which is then renamed, are the run's own."""
    with watching() as seen:
        os.mkdir(tmp_path / "partial")
        write(str(tmp_path / "partial" / "out.txt"))
        os.rename(tmp_path / "partial", tmp_path / "whole")

    assert "write" == seen.how(str(tmp_path / "whole" / "out.txt"))


def test_nothing_is_seen_outside_a_run(file):
    """Only what is done for a run is seen."""
    read(file)
    with watching() as seen:
        pass
    read(file)

    assert {} == seen.touched


def test_a_run_inside_a_run_is_seen_by_both(file, tmp_path):
    """The observations of an inner run belong to the outer, those of the outer not to the inner."""
    other = str(tmp_path / "other.txt")

    with watching() as outer:
        read(file)
        with watching() as inner:
            write(file)
            write(other)

    assert ("write", "write") == (inner.how(file), inner.how(other))
    assert ("read", "write") == (outer.how(file), outer.how(other))
    assert outer.touch(file).before is not None


@pytest.mark.parametrize("relative", [False, True])
def test_of_thousands_of_files_each_counts(relative, tmp_path, monkeypatch):
    """For a run inside a run as well, by whatever name, and where a program was started."""
    monkeypatch.chdir(tmp_path)
    paths = [f"{number}.txt" if relative else f"{tmp_path}/{number}.txt" for number in range(60)]
    for path in paths:
        with open(path, "w"):
            pass
    time.sleep(2.1)  # so that they are older than the run
    with watching() as outer, watching() as inner:
        for number, path in enumerate(paths):
            if number == 50:
                subprocess.run(["true"], check=True)
            with open(path):
                pass
    assert inner.reads_old
    for seen in (outer, inner):
        wanted = {os.path.abspath(path) for path in paths}
        assert wanted == {
            each.path for each in Sieve(seen, None).facts().read if each.path in wanted
        }


def test_a_thread_may_have_a_current_folder_of_its_own(tmp_path, monkeypatch):
    """What a run reads after it called an interface in another folder is what lies in its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    for path in ("here.txt", "other/there.txt"):
        with open(path, "w"):
            pass
    with watching() as seen:
        run_in(str(tmp_path / "other"), lambda: open("there.txt").close())
        open("here.txt").close()
    paths = [tmp_path / "other" / "there.txt", tmp_path / "here.txt"]
    assert ["read", "read"] == [seen.how(str(path)) for path in paths]


def test_what_memori_does_aside_is_not_seen(file):
    """What memori reads to do its work is nothing that the run read."""
    with watching() as seen, aside():
        read(file)

    assert {} == seen.touched


def started(work):
    """Run something in a thread of its own."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def pooled(work):
    """Run something in a pool of its own."""
    with ThreadPoolExecutor(2) as pool:
        pool.submit(work).result()


def in_the_older_pool(work):
    """Run something in the older kind of pool."""
    with ThreadPool(2) as pool:
        pool.apply(work)


def twice_removed(work):
    """Run something in a thread that a thread started."""
    started(lambda: started(work))


def in_a_loop(work):
    """Run something in a thread that asyncio started."""
    import asyncio

    async def main():
        await asyncio.to_thread(work)

    asyncio.run(main())


@pytest.mark.parametrize("way", [started, pooled, in_the_older_pool, twice_removed, in_a_loop])
def test_a_thread_belongs_to_the_run_that_started_it(way, file):
    """What threads read that a run starts is read by the run."""
    with watching() as seen:
        way(lambda: read(file))

    assert "read" == seen.how(file)


def test_threads_older_than_the_run_belong_to_none(file):
    """What goes on beside (the history of a notebook) is not the run's."""
    begun, over = threading.Event(), threading.Event()

    def beside():
        begun.wait()
        read(file)
        over.set()

    thread = threading.Thread(target=beside)
    thread.start()
    with watching() as seen:
        begun.set()
        over.wait()
    thread.join()

    assert seen.how(file) is None


def give_new(pool, *call):
    """Give work to a pool of the newer kind and wait for it."""
    pool.submit(*call).result()


def give_old(pool, function, *args):
    """Give work to a pool of the older kind and wait for it."""
    pool.apply(function, args)


@pytest.mark.parametrize(("pool", "give"), [(ThreadPoolExecutor, give_new), (ThreadPool, give_old)])
def test_a_pool_that_outlives_its_run_works_for_the_next(pool, give, file, tmp_path):
    """A pool held in a global works for each run that gives it work."""
    other = tmp_path / "other.txt"
    other.touch()

    with pool(1) as workers:
        with watching() as first:
            give(workers, read, file)
        with watching() as second:
            give(workers, read, str(other))

    assert ("read", None) == (first.how(file), first.how(str(other)))
    assert (None, "read") == (second.how(file), second.how(str(other)))


def test_runs_at_once_in_threads_are_told_apart(tmp_path):
    """Cases that run in threads see only their own files."""
    meet = threading.Barrier(2)

    def case(name):
        path = tmp_path / name
        path.touch()
        with watching() as seen:
            meet.wait()
            read(str(path))
            meet.wait()
        return list(seen.touched)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(case, "ab"))

    assert [[str(tmp_path / "a")], [str(tmp_path / "b")]] == found


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (lambda: subprocess.run(["true", "-x"], check=True), ("true", "-x")),
        (lambda: subprocess.run("true 1", shell=True, check=True), ("/bin/sh", "-c", "true 1")),
        (lambda: os.system("true 2"), ("/bin/sh", "-c", "true 2")),
        (lambda: os.popen("true 3").close(), ("/bin/sh", "-c", "true 3")),
    ],
)
def test_programs_are_named(start, words):
    """A program that a run starts is known by its words."""
    with watching() as seen:
        start()

    assert words in seen.programs


def test_a_fault_in_watching_never_reaches_the_user(file, monkeypatch):
    """Whatever goes wrong in watching, the user's own call works, and the run says so."""
    with watching() as seen:
        monkeypatch.setattr(seen, "reads", None)
        assert "old\n" == read(file)

    assert 1 == len(seen.faults)


def test_files_without_a_name_are_no_folder_that_is_written(tmp_path):
    """Temporary files that have no name leave nothing behind to be seen."""
    with watching() as seen:
        tempfile.TemporaryFile(dir=tmp_path).close()

    assert not seen.wrote(str(tmp_path))


def test_the_hook_is_installed_by_the_first_run():
    """A program that only asks what is remembered carries no hook."""
    program = (
        "import memori, sys; print('memori.watch' in sys.modules);"
        "from memori.watch import hook; print(hook._installed)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ["False", "[]"] == done.stdout.split()


def test_the_process_that_watches_over_a_run_is_not_the_runs_own():
    """What memori starts for itself is nothing that the stage did, nor what it unwatched."""
    script = (
        "from memori.processes import interrupts, temporary; from memori.watch import watching\n"
        "with watching() as seen:\n"
        "    interrupts.tell(interrupts.new_mark(), 'begin', None)\n"
        "    folder = temporary.own_folder()\n"
        "print(interrupts._pipe is not None, seen.programs, seen.unwatched, [*seen.touched])\n"
        "print(seen.temporary == {folder})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "True [] [] []\nTrue\n" == done.stdout, done.stderr
