"""Little programs at random: what they read is seen, and nothing else counts.

A program does some acts (reads, listings, patterns, logs, side products), each in some way (in a
thread, in a forked child, from another folder), and returns all that it found. Then something in
its folder changes at random. The program is run once more, without memory: if it returns something
else, what was seen must not hold any more; if it does not, it must hold still.
"""

import glob
import os
import pathlib
import pickle
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from memori.watch import Sieve, differences, watching

FOLDERS = ("a", "a/deep")
NAMES = ("x.txt", "y.txt", "été.json")
FILES = [f"{folder}/{name}" for folder in FOLDERS for name in NAMES]
PATTERNS = ("a/*.txt", "*/x.*", "a/**/*.json", "?/deep/y.txt", "*", "a/**", "**/", "[!b]/d*/")


def content(path):
    """Read a file, or say that it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def by_descriptor(path):
    """Read a file as a program in C would."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, 1000).decode()
    finally:
        os.close(descriptor)


def names(folder):
    """List a folder, or say that it is not there."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return None


def walked(folder):
    """List a folder with all below."""
    return sorted((above, sorted(inner), sorted(files)) for above, inner, files in os.walk(folder))


def fitting(pattern):
    """Look for names that fit."""
    return sorted(glob.glob(pattern, recursive=True))


def fitting_flat(pattern):
    """Look for names that fit where two asterisks are one."""
    return sorted(glob.glob(pattern))


def fitting_path(pattern):
    """Look for names that fit as `pathlib` does."""
    return sorted(map(str, pathlib.Path().glob(pattern)))


def appended(name):
    """Write into a log."""
    with open(name, "a") as log:
        log.write("line\n")


def made(name):
    """Leave a side product, and read it."""
    pathlib.Path(name).write_text("made")
    return content(name)


def passing(name):
    """Make a file and remove it."""
    pathlib.Path(name).write_text("made")
    os.remove(name)


def plainly(act):
    """Just do it."""
    return act()


def in_a_thread(act):
    """Do it in a thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(act()))
    thread.start()
    thread.join()
    return found[0]


def in_a_pool(act):
    """Do it in a pool."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def in_a_fork(act):
    """Do it in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, pickle.dumps(act()))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        found = pickle.load(pipe)
    os.waitpid(child, 0)
    return found


def with_full_paths(act):
    """Do it from another folder and back."""
    here = os.getcwd()
    os.chdir("/")
    os.chdir(here)
    return act()


READS = [(read, path) for read in (content, by_descriptor) for path in (*FILES, "none.txt")]
LISTINGS = [(list_, folder) for list_ in (names, walked) for folder in (*FOLDERS, "none")]
GLOBS = [(look, each) for look in (fitting, fitting_flat, fitting_path) for each in PATTERNS]
SIDES = [(appended, "run.log"), (made, "side.txt"), (passing, "passing.txt")]
ACTS = st.one_of(*map(st.sampled_from, (READS, LISTINGS, GLOBS, SIDES)))
WAYS = st.sampled_from([plainly, in_a_thread, in_a_pool, in_a_fork, with_full_paths])
CHANGES = st.tuples(
    st.sampled_from(["edit", "touch", "remove", "rewrite"]),
    st.sampled_from([*FILES, "none.txt", "none/new.txt", "a/.hidden", "a/.nfs01", "run.log"]),
)


def change(kind, path):
    """Do something to a file."""
    file = pathlib.Path(path)
    file.parent.mkdir(exist_ok=True)
    if kind == "edit":
        file.write_text("edited")
    elif kind == "touch" and file.exists():
        os.utime(path, (1, 1))
    elif kind == "remove":
        file.unlink(missing_ok=True)
    elif kind == "rewrite" and file.exists():
        file.write_text(file.read_text())


def counted(found, own):
    """Leave out of what a program found the names that do not count: hidden ones, and its own."""
    if isinstance(found, (list, tuple)):
        return [
            counted(each, own)
            for each in found
            if not (
                isinstance(each, str) and (os.path.basename(each).startswith(".") or each in own)
            )
        ]
    return found


@settings(max_examples=int(os.environ.get("MEMORI_TEST_EXAMPLES", "150")), deadline=None)
@given(st.lists(st.tuples(WAYS, ACTS), min_size=1, max_size=6), st.lists(CHANGES, max_size=3))
def test_what_was_seen_holds_just_as_long_as_the_program_finds_the_same(acts, changes):
    """Never stale, and no run when nothing that was read has changed."""

    def program():
        return [way(lambda act=act, what=what: act(what)) for way, (act, what) in acts]

    own = {what for _, (act, what) in acts if act in (appended, made, passing)}
    here = os.getcwd()
    folder = tempfile.mkdtemp(suffix="run [1]*")  # what looks like a pattern is none
    try:
        os.chdir(folder)
        for path in FILES[::2]:
            pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(path).write_text(path)
        with watching() as seen:
            first = program()
        facts = Sieve(seen, None).facts()
        record = facts.to_record(f"{folder}/work")

        def found_now():
            return list(differences(record, f"{folder}/work", None))

        assert ([], []) == (seen.faults, facts.unvouched)
        assert [] == found_now()
        for each in changes:
            change(*each)
        different = found_now()
        second = program()
        assert (counted(first, own) != counted(second, own)) == bool(different), different
    finally:
        os.chdir(here)
        shutil.rmtree(folder)
