"""What strace writes becomes what a run was seen to do."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori import Stage
from memori.digest import clock
from memori.watch import Sieve, watching
from memori.watch import told as telling
from memori.watch.commands.strace import _why_unusable, traced
from memori.watch.commands.strace_lines import plain
from memori.watch.commands.trace import Trace
from memori.watch.told import Marks

BEGIN = ['7 execve("/usr/bin/env", ["env"], 0x1) = 0', '7 execve("/bin/sh", ["sh"], 0x1) = 0']
END = ["7 +++ exited with 0 +++"]
traces = pytest.mark.skipif(
    bool(_why_unusable(shutil.which("strace") or "")), reason="commands cannot be watched here"
)


def told(*lines, cwd="/vol", spool=None):
    """Return the trace of a command of which strace wrote these lines."""
    trace = Trace(cwd, spool)
    trace.reads([*BEGIN, *lines, *END])
    trace.ends()
    return trace


def read(trace):
    """Return the paths that a trace read, and those that it missed."""
    touched = trace.files.touched.items()
    found = sorted(path for path, touch in touched if touch.how == "read" and touch.look is False)
    missed = sorted(path for path, touch in touched if touch.how == "read" and touch.look is None)
    return [path for path in found if path != "/bin/sh"], missed


def test_what_comes_before_the_command_is_not_its_own():
    """The program that becomes the command reads for itself."""
    trace = Trace("/vol")
    trace.reads([BEGIN[0], '7 openat(AT_FDCWD</vol>, "/x", O_RDONLY) = 3</x>', BEGIN[1], *END])
    assert ([], []) == read(trace)
    assert [("/bin/sh", ("sh",))] == trace.programs


def test_a_call_in_two_lines_is_one():
    """Another process came between."""
    trace = told(
        '7 openat(AT_FDCWD</study>, "a", O_RDONLY <unfinished ...>',
        '8 openat(AT_FDCWD</study>, "b", O_RDONLY) = 3</study/b>',
        "7 <... openat resumed>) = 3</study/a>",
        "7 vfork() = 8",
    )
    assert (["/study/a", "/study/b"], []) == read(trace)


def test_relative_paths_are_those_of_each_process():
    """A child begins where its parent is, and goes its own way, also before strace says whose."""
    trace = told(
        '7 chdir("/one") = 0',
        "7 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>",
        '8 chdir("two") = 0',
        '8 access("x", F_OK) = -1 ENOENT (No such file or directory)',
        "7 <... clone resumed>) = 8",
        '7 access("y", F_OK) = -1 ENOENT (No such file or directory)',
        '8 chdir("gone") = -1 ENOENT (No such file or directory)',
        '8 open("z", O_RDONLY) = 3</one/two/z>',
        "8 fchdir(5</three>) = 0",
        '8 open("z", O_RDONLY) = 3</three/z>',
    )
    missed = ["/one/two/gone", "/one/two/x", "/one/y"]
    assert (["/one/two/z", "/three/z"], missed) == read(trace)


def test_threads_share_their_folder():
    """One goes, and all are there."""
    trace = told(
        "7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD}, 88) = 8",
        '8 chdir("/one") = 0',
        '7 open("z", O_RDONLY) = 3</one/z>',
    )
    assert (["/one/z"], []) == read(trace)


def test_the_number_of_a_process_may_be_used_again():
    """Another process has it, and is where its own parent was."""
    trace = told(
        "7 vfork() = 8",
        '8 chdir("/one") = 0',
        "8 +++ exited with 0 +++",
        '8 open("z", O_RDONLY) = 3</vol/z>',
        "7 vfork() = 8",
    )
    assert (["/vol/z"], []) == read(trace)


def test_a_folder_behind_a_link_keeps_its_name(tmp_path):
    """Strace shows where a process really is; people spell their folders otherwise."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    real, link = tmp_path / "real", tmp_path / "link"
    line = f'7 openat(AT_FDCWD<{real}/run>, "../a", O_RDONLY) = 3<{real}/a>'
    (real / "run").mkdir()
    trace = told(line, cwd=f"{link}/run")
    assert ([f"{link}/a"], []) == read(trace)


def test_what_runs_in_a_container_is_not_taken_for_files_of_here():
    """Its paths mean something else; it is named instead."""
    trace = told(
        "7 vfork() = 8",
        '8 execve("/usr/bin/bwrap", ["bwrap"], 0x1) = 0',
        "8 unshare(CLONE_NEWNS|CLONE_NEWUSER) = 0",
        '8 openat(AT_FDCWD</>, "/inside", O_RDONLY) = 3</inside>',
        "8 vfork() = 9",
        '9 openat(AT_FDCWD</>, "/inside2", O_RDONLY) = 3</inside2>',
        '7 openat(AT_FDCWD</vol>, "/here", O_RDONLY) = 3</here>',
    )
    assert (["/here", "/usr/bin/bwrap"], []) == read(trace)
    assert ["bwrap"] == trace.contained


def test_a_python_that_tells_of_itself_lists_and_imports_unheard():
    """It knows which folders it looks through for modules; another program's listing counts."""
    lines = [
        "7 vfork() = 8",
        '8 execve("/usr/bin/python3", ["python3", "x.py"], 0x1) = 0',
        '8 openat(AT_FDCWD</vol>, "/spool/8.1", O_WRONLY|O_CREAT|O_APPEND, 0600) = 3</spool/8.1>',
        '8 openat(AT_FDCWD</vol>, "mine.py", O_RDONLY) = 4</vol/mine.py>',
        '8 openat(AT_FDCWD</vol>, "table.csv", O_RDONLY) = 4</vol/table.csv>',
        '8 getdents64(5</vol>, [{d_ino=1, d_type=DT_REG, d_name="mine.py"}], 9) = 24',
        '7 getdents64(5</other>, [{d_ino=1, d_type=DT_DIR, d_name="a"}], 9) = 24',
    ]
    trace = told(*lines, spool="/spool")
    assert (["/usr/bin/python3", "/vol/table.csv"], []) == read(trace)
    assert {"/other": {"a": True}} == trace.folders
    assert {"/other", "/vol"} == told(*lines).folders.keys()


def test_compiled_modules_stand_for_their_sources(tmp_path):
    """A Python that tells nothing opens but what it compiled."""
    line = '7 openat(AT_FDCWD</vol>, "__pycache__/a.cpython-311.pyc", O_RDONLY) = 3</x>'
    assert "/vol/a.py" in read(told(line))[0]


FIRST = {
    "read, then emptied": (["O_RDONLY", "O_WRONLY|O_CREAT|O_TRUNC"], ("read", True, False)),
    "emptied, then read": (["O_WRONLY|O_CREAT|O_TRUNC", "O_RDONLY"], ("write", True, False)),
    "appended to": (["O_WRONLY|O_CREAT|O_APPEND"], ("append", True, True)),
    "appended to, then read": (["O_WRONLY|O_APPEND", "O_RDONLY"], ("read", True, False)),
    "appended to, then emptied": (
        ["O_WRONLY|O_APPEND", "O_WRONLY|O_TRUNC"],
        ("append", True, False),
    ),
    "changed in parts": (["O_RDWR"], ("read", True, False)),
    "made": (["O_RDWR|O_CREAT|O_EXCL"], ("write", True, False)),
    "a look": (["O_RDONLY|O_PATH"], None),
    "without a name": (["O_RDWR|O_TMPFILE"], None),
}


@pytest.mark.parametrize("case", FIRST)
def test_the_first_touch_decides(case):
    """As it does for files that Python opens."""
    flags, expected = FIRST[case]
    trace = told(*(f'7 openat(AT_FDCWD</w>, "/a/O_RDWR", {each}) = 3</a>' for each in flags))
    touch = trace.files.touched.get("/a/O_RDWR")
    found = touch and (touch.how, touch.written, touch.appends)
    assert expected == found


@pytest.mark.parametrize(
    "made", ["creat({}, 0666)", "openat(9, {}, O_WRONLY|O_CREAT|O_TRUNC, 0666)"]
)
def test_a_c_shell_appends_to_what_it_makes(made):
    """Its ``>>`` asks for a file to append to, and makes it where there is none."""
    asked = '7 openat(9, "/w/log", O_WRONLY|O_APPEND) = -1 ENOENT (No such file or directory)'

    def how(*lines):
        touch = told(*lines).files.touched["/w/log"]
        return touch.how, touch.appends

    log = f"7 {made} = 3</w/log>".format('"/w/log"')
    other = f"7 {made} = 3</w/new>".format('"/w/new"')
    assert ("append", True) == how(asked, log)
    assert ("write", False) == how(asked, other, log)
    assert ("write", False) == how(log)
    assert ("append", False) == how(asked, log, log)  # emptied again


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_text_is_read_back_as_strace_writes_it(name):
    """Whatever bytes a path is made of."""
    signs = {9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 34: r"\"", 92: r"\\"}
    written = ""
    for byte, after in zip(name, [*name[1:], 0], strict=True):
        digits = 3 if 48 <= after < 58 else 1  # all of them only where a digit follows
        plainly = chr(byte) if 32 <= byte < 127 else f"\\{byte:0{digits}o}"
        written += signs.get(byte) or plainly
    assert os.fsdecode(name) == plain(written)


# With strace itself


def run(command, cwd, before=None):
    """Run a shell's command in a watched run; return what was seen and how it ended."""
    with watching() as seen:
        words = ["sh", "-c", command]
        watch = traced(words, shutil.which("sh"), dict(os.environ), str(cwd))
        with watch as started:
            process = subprocess.Popen(
                started.argv,
                executable=started.executable,
                env=started.environment,
                cwd=cwd,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if before is not None:
                before(process)
            code = process.wait()
    return seen, code


@traces
def test_a_command_is_told_to_the_run_that_waits_for_it(tmp_path):
    """What it read, missed, wrote, listed and started."""
    (tmp_path / "a.txt").write_text("a")
    os.mkdir(tmp_path / "d")
    seen, code = run("cat a.txt none; echo x > new; ls d; echo y >> log; exit 4", tmp_path)
    path = f"{tmp_path}/".__add__
    assert 4 == code
    assert ["read", "read", "write", "append"] == [
        seen.how(path(name)) for name in ("a.txt", "none", "new", "log")
    ]
    assert seen.touch(path("none")).look is None
    assert os.stat(path("a.txt")) == seen.touch(path("a.txt")).look
    assert () == seen.folders[path("d")].names
    assert ("cat", "a.txt", "none") in seen.programs
    assert ([], [], []) == (seen.unwatched, seen.unseen, seen.faults)


@traces
@pytest.mark.parametrize("shell", ["csh", "tcsh"])
def test_steps_of_a_c_shell_share_a_log(shell, tmp_path, monkeypatch):
    """Both are remembered, as those of recon-all, which tells all it does in one log."""
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")

    def step(name):
        subprocess.run([shell, "-fc", f"echo {name} >> log; echo {name} > {name}"], check=True)

    monkeypatch.chdir(tmp_path)
    stages = [Stage(step, "made", "work", stage_name=name) for name in ("one", "two")]
    for ran in (True, False):
        for stage in stages:
            stage.run(stage.stage_name)
            assert ran == stage.state
    assert "one\ntwo\n" == (tmp_path / "log").read_text()


@traces
def test_odd_names_are_understood(tmp_path):
    """Blanks, quotes, line ends, brackets, and bytes that are no text."""
    names = [b'a "b"', b"new\nline", b"a>b<c", b"\xff\xfe", "é".encode(), b"back\\slash", b"\x01"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"x")
    seen, _ = run("cat *", tmp_path)
    assert {os.fsdecode(name) for name in names} <= {
        os.path.basename(path) for path in seen.touched
    }
    assert {os.fsdecode(name) for name in names} == set(seen.folders[str(tmp_path)].names)


@traces
def test_two_commands_in_threads_are_told_to_their_own_runs(tmp_path):
    """Neither run sees the other's."""

    def one(name):
        seen, _ = run(f"cat {name}; sleep 0.1", tmp_path)
        return sorted(path for path in seen.touched if path.startswith(str(tmp_path)))

    for name in "abcd":
        (tmp_path / name).write_text(name)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, "abcd"))
    assert [[f"{tmp_path}/{name}"] for name in "abcd"] == found


@traces
def test_a_tracer_that_is_ended_is_said(tmp_path):
    """Nobody knows what the command went on to read; it is not waited for."""

    def end_tracer(process):
        tracer = 0
        while not tracer:
            with open(f"/proc/{process.pid}/status") as file:
                tracer = int(file.read().partition("TracerPid:")[2].split()[0])
        while not os.path.exists(tmp_path / "up"):
            threading.Event().wait(0.01)
        os.kill(tracer, signal.SIGKILL)
        (tmp_path / "go").write_text("")

    command = "echo > up; for i in $(seq 1000); do [ -e go ] && break; sleep 0.01; done"
    seen, _ = run(command, tmp_path, end_tracer)
    assert ["sh (the tracer was ended)"] == seen.unseen
    said = f"the tracer of {shutil.which('sh')} was ended while it ran"
    assert [said] == Sieve(seen, None).facts().spoilt


@traces
def test_what_a_python_below_a_command_reads_is_told_once_and_whole(tmp_path):
    """By itself what it imports, by the tracer what it opens."""
    (tmp_path / "mine.py").write_text("x = 1\n")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "main.py").write_text("import mine\nopen('a.txt').close()\n")
    seen, code = run(f"{sys.executable} main.py", tmp_path)
    facts = Sieve(seen, None).facts()
    assert 0 == code
    assert [f"{tmp_path}/mine.py"] == [fact.path for fact in facts.modules]
    assert {f"{tmp_path}/a.txt", f"{tmp_path}/main.py"} == {
        fact.path for fact in facts.read if fact.path.startswith(str(tmp_path))
    }
    assert [] == [fact.folder for fact in facts.listed if fact.folder == str(tmp_path)]


def test_marks_vouch_for_what_was_written_a_moment_before(tmp_path):
    """And not for what is written after they were waited for."""
    for number in range(20):
        (tmp_path / "a").write_text(str(number))
        marks = Marks([str(tmp_path)])
        marks.wait()
        (tmp_path / "b").write_text(str(number))
        found = [marks.is_older(os.stat(tmp_path / name)) for name in "ab"]
        assert [True, False] == found


@traces
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root")
def test_no_tracer_is_left_where_memori_is_the_first_process(tmp_path):
    """In a container nobody else takes ended processes off the list."""
    script = tmp_path / "main.py"
    script.write_text(
        "import os, subprocess\n"
        "from memori.neuro import ShellStage\n"
        "for n in range(3):\n"
        "    ShellStage(f'echo {n}', hash_output='work').run()\n"
        "print(os.getpid(), subprocess.check_output(['ps', 'ax', '-o', 'stat,comm']).decode())\n"
    )
    call = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, script]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(done.stderr)
    assert (True, False) == (done.stdout.startswith("1 "), "strace" in done.stdout), done


def test_a_process_that_did_nothing_and_ended_is_not_missed():
    """A child of which the tracer did not see the start: its parent was killed as it was made."""
    ended = "9 +++ exited with 1 +++"
    silent = told("8 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>", ended)
    assert ([], {7, 9}) == (silent.lost, {7, 9} - silent.alive)
    reader = told('9 openat(AT_FDCWD</vol>, "a.txt", O_RDONLY) = 3</vol/a.txt>', ended)
    assert [9] == reader.lost


@pytest.mark.skipif(sys.platform != "linux", reason="asks the clock of Linux")
def test_a_file_on_a_file_system_that_was_not_asked_is_old_at_once(tmp_path):
    """As the clock that stamps it is that of this machine; one that keeps whole seconds is not."""
    path = tmp_path / "x"
    for text in "one", "two", "three":
        path.write_text(text)
        marks = Marks([])
        marks.wait()
        before = os.stat(path)
        path.write_text(f"{text} more")
        after = os.stat(path)
        is_rounded = not before.st_ctime_ns % 10_000_000
        assert [not is_rounded, False] == [marks.is_older(each) for each in (before, after)]
    second = after.st_mtime_ns // 1_000_000_000 * 1_000_000_000
    os.utime(path, ns=(second, second))
    assert not marks.is_older(os.stat(path), marked=True)


def test_a_program_that_is_killed_while_it_is_looked_for_was_not_refused():
    """Not being in the first folder of the PATH is no error of a system that has it in another."""
    lines = [BEGIN[0], '7 execve("/opt/sleep", ["sleep"], 0x1) = -1 ENOENT (No such file)']
    trace = Trace("/vol")
    trace.reads([*lines, "7 +++ exited with 127 +++"])
    assert errno.ENOENT == trace.refused
    trace = Trace("/vol")
    trace.reads([*lines, "7 +++ killed by SIGKILL +++"])
    assert trace.refused is None


@pytest.mark.skipif(sys.platform != "linux", reason="asks the clock of Linux")
def test_a_tick_that_came_late_is_not_taken_for_later_than_an_exact_stamp(tmp_path, monkeypatch):
    """Newer kernels stamp by the exact time what somebody looked at; a tick may lag behind it."""
    path = tmp_path / "x"
    path.write_text("")
    look = os.stat(path)
    late = [look.st_ctime_ns - 2_000_000, look.st_ctime_ns - 1_000_000]
    clocks = iter(late)
    monkeypatch.setattr(telling, "_file_clock", lambda: next(clocks, time.time_ns()))
    marks = Marks([])
    marks.wait()
    assert marks.is_older(look)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the clock of Linux")
def test_a_clock_that_is_set_back_does_not_hold_a_program_up(tmp_path, monkeypatch):
    """It is started; what it reads is then old only by a wide margin."""
    path = tmp_path / "x"
    path.write_text("")
    marks = Marks([])
    monkeypatch.setattr(telling, "_file_clock", lambda: marks._made - 3_600_000_000_000)
    marks.wait()
    assert not marks.is_older(os.stat(path))


def test_a_file_on_a_server_that_was_not_asked_is_old_after_a_while(tmp_path, monkeypatch):
    """Nobody knows its clock."""
    (tmp_path / "x").touch()
    monkeypatch.setitem(clock._kinds, os.stat(tmp_path).st_dev, "nfs4")
    marks = Marks([])
    marks.wait()
    assert not marks.is_older(os.stat(tmp_path / "x"))


def test_calls_of_programs_of_32_bits_and_queues_are_told():
    """The one by their own names; of what is put into a queue only that nobody saw it."""
    trace = told(
        '7 stat64("/vol/flag", 0xffffd0) = -1 ENOENT (No such file or directory)',
        '7 fstatat64(AT_FDCWD</vol>, "a", {st_mode=S_IFREG|0644, st_size=2, ...}, 0) = 0',
        '7 truncate64("/vol/b", 0) = 0',
        "7 io_uring_setup(4, {flags=0, sq_entries=4}) = 3",
        "7 io_uring_setup(4, {flags=0, sq_entries=4}) = 4",
    )
    assert (["/vol/b"], ["/vol/flag"]) == read(trace)
    assert trace.files.touched["/vol/b"].written
    assert "/vol/a" in trace.files.found
    assert ["sh"] == trace.queues
    assert [] == told("7 io_uring_setup(4, {}) = -1 EPERM (Operation not permitted)").queues


@traces
def test_a_process_that_is_counted_anew_is_the_same(tmp_path, monkeypatch):
    """In a namespace of its own a child has two numbers; which is meant is known."""
    program = "unshare -rpf sh -c 'cat in; cat in; true' > out"
    if subprocess.run(["unshare", "-rpf", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces can be made here")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("one")
    stage = Stage(calls, hash_output="work")
    for state in (True, False):
        stage.run(program)
        assert state == stage.state


def calls(program):
    """Call a program."""
    return subprocess.run(program, shell=True, check=True).returncode


def test_a_file_that_is_reached_through_proc_is_that_file():
    """The kernel's links to a process's folder and root are no files of its own."""
    trace = told('7 openat(AT_FDCWD</vol>, "/proc/self/cwd/a", O_RDONLY) = 3</vol/a>')
    assert (["/vol/a"], []) == read(trace)
