"""Programs that a function starts: what they read counts, and they run as without memori."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memori import Stage
from memori.watch import Sieve, watching
from memori.watch.commands import strace

WAYS = ["watched", "unwatched"]


@pytest.fixture(params=WAYS)
def way(request, tmp_path, monkeypatch):
    """Be in a folder of its own, with a tracer or without."""
    if request.param == "unwatched":
        monkeypatch.setattr(strace, "_why_unusable", lambda path: "strace is not installed")
    elif strace._why_unusable(shutil.which("strace") or ""):
        pytest.skip("programs cannot be watched here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("DATA", str(tmp_path))
    return request.param


def write(path, text="one\n"):
    """Write a file and the folders above it."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def program(name, text):
    """Write a program on the PATH."""
    write(f"bin/{name}", f"#!/bin/sh\n{text}\n")
    os.chmod(f"bin/{name}", 0o755)


def by_run(number):
    """Start it and wait."""
    return subprocess.run(["cat", "a.txt"], capture_output=True, text=True, check=True).stdout


def by_shell(number):
    """Have a shell start it."""
    return subprocess.check_output("cat $DATA/a.txt | tr a-z A-Z", shell=True, text=True)


def by_bash(number):
    """Have a shell's text, quoted, in another folder."""
    words = ["bash", "-c", "cd deep; sort '../a b.txt' > ../o.txt"]
    subprocess.run(words, check=True)
    with open("o.txt") as file:
        return file.read()


def by_system(number):
    """Call the system's shell."""
    assert os.system("cat a.txt > o.txt; exit 3") == 3 << 8
    with open("o.txt") as file:
        return file.read()


def by_popen(number):
    """Read from a shell."""
    return os.popen("cat a.txt").read()


def by_two(number):
    """Join two programs by a pipe."""
    first = subprocess.Popen(["cat", "a.txt"], stdout=subprocess.PIPE)
    second = subprocess.Popen(["cat"], stdin=first.stdout, stdout=subprocess.PIPE, text=True)
    first.stdout.close()
    return second.communicate()[0] + str(first.wait())


def by_threads(number):
    """Start several at once."""
    with ThreadPoolExecutor(2) as pool:
        words = ["cat", "a.txt"]
        calls = [pool.submit(subprocess.check_output, words, text=True) for _ in range(3)]
        return [call.result() for call in calls]


def by_own_program(number):
    """Start a script of one's own, which calls another."""
    return subprocess.check_output(["outer", "a.txt"], text=True)


def by_option(number):
    """Name the file behind an option."""
    return subprocess.check_output(["dd", "if=a.txt", "status=none"], text=True)


def by_stdin(number):
    """Have a shell open it."""
    return subprocess.check_output("cat < a.txt", shell=True, text=True)


def by_interrupted_system(number):
    """Catch what comes of a signal that arrives while the system's shell is called."""
    before = signal.signal(signal.SIGUSR1, lambda *_: 1 / 0)
    try:
        os.system(f"cat a.txt > o.txt; kill -USR1 {os.getpid()}")
    except ZeroDivisionError:
        pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    with open("o.txt") as file:
        return file.read()


def by_spawn(number):
    """Start it by the bare call."""
    cat = shutil.which("cat")
    out = [(os.POSIX_SPAWN_OPEN, 1, "o.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)]
    process = os.posix_spawn(cat, ["cat", "a.txt"], os.environ, file_actions=out)
    assert os.waitpid(process, 0)[1] == 0
    with open("o.txt") as file:
        return file.read()


READ = {
    by_run: "a.txt", by_shell: "a.txt", by_bash: "a b.txt", by_system: "a.txt", by_popen: "a.txt",
    by_two: "a.txt", by_threads: "a.txt", by_own_program: "a.txt", by_option: "a.txt",
    by_stdin: "a.txt", by_spawn: "a.txt", by_interrupted_system: "a.txt",
}  # fmt: skip


@pytest.mark.parametrize("function", READ, ids=lambda function: function.__name__)
def test_what_a_program_reads_counts_for_the_function(function, way):
    """Edited, the function runs; as before, it hits; with nothing changed, it always does."""
    write("a.txt")
    write("a b.txt")
    os.mkdir("deep")
    program("outer", "inner $1")
    program("inner", 'cat "$1"')
    stage = Stage(function, hash_output="work")

    def run():
        return stage.run(1)["output"], stage.state

    first, _ = run()
    assert [(first, False)] * 2 == [run() for _ in range(2)]
    write(READ[function], "two\n")
    second, state = run()
    assert (True, True) == (first != second, state)
    assert (second, False) == run()
    write(READ[function], "one\n")
    assert first == run()[0]


def test_a_program_that_was_started_counts(way):
    """A script of one's own, and what it calls."""
    write("a.txt")
    program("outer", "inner $1")
    program("inner", 'cat "$1"')
    stage = Stage(by_own_program, hash_output="work")
    stage.run(1)
    program("outer", "echo new; inner $1")
    assert ("new\none\n", True) == (stage.run(1)["output"], stage.state)
    program("inner", "echo newer")
    assert ("new\nnewer\n", True) == (stage.run(1)["output"], stage.state)


def overwriting(number):
    """Write by a program, over what an earlier run left."""
    subprocess.run(["cp", "a.txt", "out.txt"], check=True)
    with open("out.txt") as file:
        return file.read()


def test_what_a_program_writes_belongs_to_the_run(way):
    """It hits from the second run on, whatever lay there; what it wrote may not be edited."""
    write("a.txt")
    write("out.txt", "older")
    stage = Stage(overwriting, hash_output="work")
    states = []
    for _ in range(3):
        stage.run(1)
        states.append(stage.state)
    assert [True, False, False] == states
    write("out.txt", "edited")
    assert ("one\n", True) == (stage.run(1)["output"], stage.state)
    write("a.txt", "two\n")
    assert ("two\n", True) == (stage.run(1)["output"], stage.state)


# As without memori

ENV = {"PATH": os.environ["PATH"], "X": "1"}
CALLS = {
    "an exit code": lambda: subprocess.run(["sh", "-c", "exit 7"]).returncode,
    "a signal": lambda: subprocess.run(["sh", "-c", "kill -9 $$"]).returncode,
    "input": lambda: subprocess.run(["cat"], input=b"x", capture_output=True).stdout,
    "errors": lambda: subprocess.run("echo x >&2", shell=True, capture_output=True).stderr,
    "its environment": lambda: subprocess.check_output(["env"], env=ENV),
    "its words": lambda: subprocess.check_output(["printf", "%s|", "a b", "", "'\"$x`", "\n", "é"]),
    "its name": lambda: subprocess.check_output(["sh", "-c", "echo $0"]),
    "another name": lambda: subprocess.check_output(["x", "-c", "echo $0"], executable="sh"),
    "another shell": lambda: subprocess.check_output("echo $0", shell=True, executable="/bin/bash"),
    "bytes": lambda: subprocess.check_output([b"echo", b"\xff"], env={b"PATH": b"/bin:/usr/bin"}),
    "a folder": lambda: subprocess.check_output(["pwd"], cwd="/"),
    "a relative program": lambda: subprocess.check_output(["./bin/own"], cwd="."),
    "a long word": lambda: len(subprocess.check_output(["echo", "x" * 130_000])),
    "a number of words": lambda: len(subprocess.check_output(["echo", *"x" * 5000])),
    "its own session": lambda: subprocess.run(
        [sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"],
        start_new_session=True, capture_output=True,
    ).stdout,
    "a prepared process": lambda: subprocess.check_output(
        ["sh", "-c", "umask"], preexec_fn=lambda: os.umask(0o077)
    ),
    "a file that stays open": lambda: _through_an_open_file(),
    "a time limit": lambda: _timed_out(),
    "a system call": lambda: (os.system("exit 3"), os.system("kill -15 $$"), os.system("'")),
    "its limits": lambda: subprocess.check_output("ulimit -n", shell=True),
    "no such program": lambda: _error(["no-such-program"]),
    "no such interpreter": lambda: _error(["./bin/orphan"]),
    "no program": lambda: _error(["./a.txt"]),
    "no such folder": lambda: _error(["true"], cwd="/none"),
    "no words": lambda: _error([]),
    "a program without a first line": lambda: _error(["./bin/bare"]),
}  # fmt: skip


def _through_an_open_file():
    read, write = os.pipe()
    subprocess.run(["bash", "-c", f"echo x >&{write}"], pass_fds=[write], check=True)
    os.close(write)
    with open(read) as file:
        return file.read()


def _timed_out():
    try:
        subprocess.run(["sh", "-c", "echo x; exec sleep 60"], timeout=0.5, capture_output=True)
    except subprocess.TimeoutExpired as error:
        return error.output, error.cmd
    return None


def _error(*args, **more):
    try:
        return subprocess.run(*args, **more, capture_output=True).returncode
    except (OSError, IndexError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("call", CALLS)
def test_a_program_runs_as_without_memori(call, way):
    """What it is given and what comes of it are the same."""
    write("a.txt")
    program("own", "echo own")
    program("bare", "")
    write("bin/bare", "echo bare\n")
    write("bin/orphan", "#!/no/such/interpreter\n")
    os.chmod("bin/orphan", 0o755)
    plain = CALLS[call]()
    with watching() as seen:
        found = CALLS[call]()
    assert (plain, []) == (found, seen.faults)


def test_what_goes_on_behind_a_program_does_not_hold_it_up(way):
    """A server that a captured shell leaves behind: the shell is over when it says so."""
    began = time.monotonic()
    with watching():
        done = subprocess.run("sleep 5 >/dev/null 2>&1 & echo $!", shell=True, capture_output=True)
    seconds = time.monotonic() - began
    os.kill(int(done.stdout), signal.SIGKILL)
    assert (True, b"") == (seconds < 4, done.stderr)


def test_a_program_that_nobody_waits_for_is_told_of(way):
    """The run ends before it: what it read until then counts, and that it goes on is said."""
    write("a.txt")
    with watching() as seen:
        process = subprocess.Popen(["sh", "-c", "cat a.txt >/dev/null; echo; sleep 60"],
                                   stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
        process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)  # or its child would hold the pipe for a minute
    process.communicate()
    path = os.path.abspath("a.txt")
    assert ("read", True) == (seen.touch(path).how, any(each[:3] == "sh " for each in seen.unseen))


def test_what_memori_itself_starts_is_no_part_of_a_run(way):
    """Nor is a program that is started outside of any run."""
    write("a.txt")
    by_run(1)
    with watching() as seen:
        pass
    by_run(1)
    assert ({}, []) == (seen.touched, seen.programs)


def test_a_run_with_a_program_is_seen_whole(way):
    """A file that the program made and the function read is the run's own."""
    if way == "unwatched":
        pytest.skip("nobody tells that the program made it")
    write("a.txt")
    with watching() as seen:
        overwriting(1)
    facts = Sieve(seen, None).facts()
    here = f"{os.getcwd()}/"
    assert ({"a.txt"}, {"out.txt"}, []) == (
        {fact.path.removeprefix(here) for fact in facts.read if fact.path.startswith(here)},
        {fact.path.removeprefix(here) for fact in facts.written},
        facts.unvouched,
    )


def by_tool(number):
    """Call a tool of a suite."""
    return subprocess.check_output(["fslmaths"], text=True)


def by_tool_in_shell(number):
    """Call it in a shell."""
    return subprocess.check_output("fslmaths; true", shell=True, text=True)


@pytest.mark.parametrize("function", [by_tool, by_tool_in_shell])
def test_a_tool_of_a_suite_counts_by_its_version_and_its_variables(function, way, monkeypatch):
    """However deep it is started; an upgrade, and a variable that changes its results, rerun."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.abspath("cache"))
    monkeypatch.setenv("FSLDIR", os.getcwd())
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI")
    program("fslmaths", "exit 0")
    write("etc/fslversion", "6.0.5")
    stage = Stage(function, hash_output="work")

    def run():
        stage.run(1)
        return stage.state

    assert [True, False] == [run() for _ in range(2)]
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI_GZ")
    assert "FSLOUTPUTTYPE" in str(stage.explain(1))
    assert [True, False] == [run() for _ in range(2)]
    write("etc/fslversion", "6.0.7.1")
    assert [True, False] == [run() for _ in range(2)]


def test_a_program_may_remove_a_folder_that_it_lists(tmp_path, monkeypatch):
    """It was there before the run, and nothing can be asked about it any more."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("old/inner")

    def tidy():
        subprocess.run(["rm", "-r", "old"], check=True)

    stage = Stage(tidy, hash_output="work")
    stage.run()
    assert stage.state
    assert not os.path.exists("old")
