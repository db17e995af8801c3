"""Child processes of a run are watched, whatever way they are started."""

import contextlib
import json
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import loky
import pytest

from memori import MemoriWarning, Stage
from memori.watch import Sieve, watching
from memori.watch.children import SPOOL, _look_learned, _look_told
from memori.watch.commands import strace
from memori.watch.touch import UNLOOKED


@pytest.fixture
def file(tmp_path):
    """A file that was there before."""
    path = tmp_path / "old.txt"
    path.write_text("old\n")
    os.utime(path, (1, 1))
    return str(path)


def read(path):
    """Read a file as users do."""
    with open(path) as stream:
        return stream.read()


def in_a_process(method):
    """Run something in a process that is started by one of multiprocessing's methods."""

    def run(function, *args):
        process = multiprocessing.get_context(method).Process(target=function, args=args)
        process.start()
        process.join()
        assert 0 == process.exitcode

    return run


def in_a_pool(method):
    """Run something in a pool of processes."""

    def run(function, *args):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            pool.submit(function, *args).result()

    return run


def in_loky(function, *args):
    """Run something in a worker of loky that outlives the run."""
    loky.get_reusable_executor(1).submit(function, *args).result()


def forked(function, *args):
    """Run something in a bare fork that ends at once."""
    child = os.fork()
    if child == 0:
        function(*args)
        os._exit(0)
    os.waitpid(child, 0)


def as_a_script(function, *args):
    """Run a Python of its own."""
    program = f"import sys; open(sys.argv[1]).close() # {function.__name__}"
    subprocess.run([sys.executable, "-c", program, *args], check=True)


def through_a_shell(function, *args):
    """Run a Python through a shell."""
    os.system(f"{sys.executable} -c 'import sys; open(sys.argv[1]).close()' {args[0]}; true")


WAYS = {
    "fork": forked,
    "multiprocessing, fork": in_a_process("fork"),
    "multiprocessing, spawn": in_a_process("spawn"),
    "multiprocessing, forkserver": in_a_process("forkserver"),
    "pool, fork": in_a_pool("fork"),
    "pool, spawn": in_a_pool("spawn"),
    "loky": in_loky,
    "script": as_a_script,
    "shell": through_a_shell,
}


@pytest.fixture(autouse=True)
def _new_workers():
    """Leave no worker of loky that other tests started."""
    loky.get_reusable_executor(1).shutdown(wait=True)


@pytest.mark.parametrize("way", WAYS)
def test_what_a_child_reads_is_read_by_the_run(way, file):
    """A file that is read in a child counts."""
    with watching() as seen:
        WAYS[way](read, file)

    assert ("read", []) == (seen.how(file), seen.faults)
    facts = Sieve(seen, None).facts()
    assert ([file], []) == ([fact.path for fact in facts.read], facts.appended)


def read_if_there(path):
    """Read a file, or go on without it."""
    with contextlib.suppress(FileNotFoundError):
        read(path)


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("script", "shell")])
def test_what_a_child_looked_for_in_vain_was_made_by_a_helper_of_the_run(way, tmp_path):
    """What a tool makes after that is the run's own, and no file that changed meanwhile."""
    path = tmp_path / "local.cfg"
    with watching() as seen:
        WAYS[way](read_if_there, str(path))
        seen.programs.append(("tool", str(path)))
    assert [str(path)] == Sieve(seen, None).facts().absent

    path.write_text("made")
    facts = Sieve(seen, None).facts()
    assert ([str(path)], []) == ([each.path for each in facts.written], facts.unvouched)


@pytest.mark.parametrize(
    "look", [None, UNLOOKED, os.stat(__file__)], ids=["absent", "not", "there"]
)
def test_a_child_s_look_at_a_file_is_told_as_it_was(look):
    """That a file was absent, that nobody looked, and what there was are three things."""
    learned = _look_learned(json.loads(json.dumps(_look_told(look))))

    assert (type(look), bool(look)) == (type(learned), bool(learned))
    if look:
        names = ("st_mode", "st_ino", "st_dev", "st_size", "st_mtime_ns", "st_ctime_ns")
        assert [getattr(look, each) for each in names] == [getattr(learned, each) for each in names]


def write(path):
    """Write a file, and read it again."""
    pathlib.Path(path).write_text("new")
    pathlib.Path(path).read_text()
    os.listdir(os.path.dirname(path))


@pytest.mark.parametrize("way", ["fork", "pool, spawn"])
def test_what_a_child_writes_is_the_runs_own(way, tmp_path):
    """A file that a child makes is made by the run, for whoever reads it afterwards."""
    path = str(tmp_path / "made" / "new.txt")
    os.mkdir(tmp_path / "made")

    with watching() as seen:
        WAYS[way](write, path)
        read(path)
    facts = Sieve(seen, None).facts()

    assert ("write", True) == (seen.how(path), seen.wrote(path))
    assert ([], [path]) == ([fact.path for fact in facts.read], [f.path for f in facts.written])
    assert [()] == [fact.names for fact in facts.listed if fact.folder == os.path.dirname(path)]


def test_a_file_that_a_fork_edits_is_known_as_it_was(file):
    """What the run read before a forked child wrote it counts by its content before."""
    with watching() as seen:
        read(file)
        forked(write, file)

    assert seen.touch(file).before is not None
    assert "read" == seen.how(file)


def change_mode(path, _):
    """Let only the user read a file."""
    os.chmod(path, 0o600)


def take_along(path, folder):
    """Link a file into another folder."""
    os.link(path, os.path.join(folder, f"{os.urandom(4).hex()}.txt"))


def read_and_deal(path, deal, folder):
    """Read a file, and leave another mode or time of change of it behind."""
    found = pathlib.Path(path).read_text()
    deal(path, folder)
    return found


def read_in_worker(path, deal, folder):
    """Let a worker read it and deal with it."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(read_and_deal, (path, deal, folder))


def read_and_fork(path, deal, folder):
    """Read it, and let a fork deal with it."""
    found = pathlib.Path(path).read_text()
    forked(deal, path, folder)
    return found


def change_mode_by_program(path, _):
    """Let a program do it."""
    subprocess.run(["chmod", "600", path], check=True)


def read_twice(path, deal, folder):
    """Read it here and in a worker, which deals with it."""
    return pathlib.Path(path).read_text() + read_in_worker(path, deal, folder)


@pytest.mark.parametrize("deal", [change_mode, take_along, change_mode_by_program])
@pytest.mark.parametrize("way", [read_and_deal, read_in_worker, read_twice, read_and_fork])
def test_a_child_may_change_the_mode_or_link_what_its_run_reads(way, deal, file, tmp_path):
    """The content is what was read, whatever became of its time of change: it is remembered."""
    place = tmp_path / "links"
    place.mkdir()
    stage = Stage(lambda: way(file, deal, str(place)), "read", tmp_path / "work", "reads")
    first = stage.run()["read"]
    assert (first, False) == (stage.run()["read"], stage.state)


def test_a_worker_that_outlives_its_run_works_for_the_next(file, tmp_path):
    """Each run sees what a worker did for it, and not what it did before."""
    other = tmp_path / "other.txt"
    other.touch()

    with watching() as first:
        in_loky(read, file)
    with watching() as second:
        in_loky(read, str(other))

    assert ("read", None) == (first.how(file), first.how(str(other)))
    assert (None, "read") == (second.how(file), second.how(str(other)))


def in_a_pool_of_multiprocessing(pool):
    """Run something by each of the ways that such a pool takes."""

    def run(function, *args):
        pool.apply(function, args)
        pool.map(function, args)
        list(pool.imap_unordered(function, args))

    return run


@pytest.mark.parametrize("kind", ["concurrent", "loky", "multiprocessing"])
def test_a_worker_that_is_older_than_a_run_works_for_it(kind, file):
    """And for the next one that has it read the same file, too; between runs for nobody."""
    methods = {"concurrent": "fork", "multiprocessing": "spawn"}
    context = multiprocessing.get_context(methods.get(kind))
    if kind == "loky":
        give = in_loky
    elif kind == "multiprocessing":
        pool = context.Pool(1)
        give = in_a_pool_of_multiprocessing(pool)
    else:
        pool = ProcessPoolExecutor(1, mp_context=context)
        give = lambda function, *args: pool.submit(function, *args).result()  # noqa: E731
    give(read, file)
    for _ in range(2):
        with watching() as outer, watching() as inner:
            give(read, file)
        assert [("read", [])] * 2 == [(run.how(file), run.faults) for run in (outer, inner)]
        give(read, file)
    with watching() as other:
        pass
    assert other.how(file) is None
    if kind != "loky":
        (pool.terminate if kind == "multiprocessing" else pool.shutdown)()


def test_programs_that_cannot_be_watched_are_named(file, monkeypatch):
    """What is no Python, and a Python that is not told, is said to be unwatched."""
    monkeypatch.setattr(strace, "_why_unusable", lambda path: "strace is not installed")
    with watching() as seen:
        as_a_script(read, file)
        subprocess.run(["cat", file], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, "-c", "pass"], env={}, check=True)

    assert [("cat", file), (sys.executable, "-c", "pass")] == seen.unwatched


def test_nothing_is_left_in_the_environment():
    """Outside runs no child is told to watch."""
    with watching():
        assert "MEMORI_WATCH_SPOOL" in os.environ

    assert "MEMORI_WATCH_SPOOL" not in os.environ


def test_the_spool_goes_with_the_process(tmp_path):
    """Nothing is left where temporary files are."""
    program = """
import os, subprocess, sys
from memori.watch import watching
with watching():
    subprocess.run([sys.executable, "-c", "pass"])
print(os.listdir(os.environ["TMPDIR"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.stdout.startswith("['memori-watch-"), done.stderr
    assert [] == os.listdir(tmp_path)


PROGRAM = """
import multiprocessing, sys
from memori import Stage

def unused():
    return 1

def square(x):
    return x * x

def squares():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(square, [1, 2])

if __name__ == "__main__":
    stage = Stage(squares, stage_outputs=["squares"], hash_output="work")
    print("hit" if stage.explain().hit else "ran", stage.run()["squares"])
"""


@pytest.mark.parametrize("name", ["analyse.py", "analyse"])
def test_a_script_that_workers_run_again_counts_as_code(tmp_path, name):
    """Spawned workers run the script anew: what the stage does not use may change in it."""

    def run(program):
        (tmp_path / name).write_text(program)
        words = [sys.executable, name]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert "" == done.stderr
        return done.stdout.split(maxsplit=1)

    first, again = run(PROGRAM), run(PROGRAM)
    unused = run(PROGRAM.replace("return 1", "return 2"))
    edited = run(PROGRAM.replace("x * x", "x * x * x"))
    assert ["ran", "[1, 4]\n"] == first
    assert (["hit", "[1, 4]\n"], ["hit", "[1, 4]\n"]) == (again, unused)
    assert ["ran", "[1, 8]\n"] == edited


def read_on_a_full_disk(path):
    """Read a file where nothing can be written any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    read(path)


@pytest.mark.parametrize("way", ["forked", "spawned", "worker"])
def test_what_a_child_could_not_write_down_is_told(way, file):
    """A full disk leaves no run that seems to have read less than it did; the next one is sound."""
    with ProcessPoolExecutor(1) as pool:
        pool.submit(abs, 1).result()
        with watching() as seen:
            if way == "forked":
                forked(read_on_a_full_disk, file)
            elif way == "spawned":
                in_a_process("spawn")(read_on_a_full_disk, file)
            else:
                pool.submit(read_on_a_full_disk, file).result()
        assert ["a child process could not write down what it does"] == seen.faults
    with watching() as seen:
        forked(read, file)
    assert ("read", []) == (seen.how(file), seen.faults)


def test_a_child_that_only_begins_has_told_nothing_yet(file):
    """Who looks at that moment finds a file without a line."""
    with watching() as seen:
        forked(read, file)
        pathlib.Path(os.environ[SPOOL], "1.1").write_bytes(b'{"kind": "beg')
    assert ("read", []) == (seen.how(file), seen.faults)


def test_a_run_that_was_not_wholly_watched_is_not_remembered(file, tmp_path):
    """It says why, and runs again."""
    stage = Stage(lambda path: forked(read_on_a_full_disk, path), hash_output=tmp_path / "work")
    for _ in range(2):
        with pytest.warns(MemoriWarning, match=r"could not write down .* not remembered"):
            stage.run(file)
        assert stage.state


def test_a_daemon_that_closes_all_files_is_watched_and_its_own_files_stay_its_own(file, tmp_path):
    """The number of a descriptor that was closed belongs to what is opened next."""

    def daemon():
        os.closerange(3, 256)
        own = [open(tmp_path / f"{number}.txt", "w") for number in range(8)]
        read(file)
        for stream in own:
            stream.write("mine")
            stream.close()

    with watching() as seen:
        forked(daemon)
    assert ["mine"] * 8 == [(tmp_path / f"{number}.txt").read_text() for number in range(8)]
    assert ("read", []) == (seen.how(file), seen.faults)


def test_a_run_that_empties_the_environment_is_watched(file, monkeypatch):
    """What it forks goes on telling."""
    with watching() as seen, monkeypatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        forked(read, file)
    assert ("read", []) == (seen.how(file), seen.faults)
