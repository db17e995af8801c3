"""`memori run`: a command of a shell script, remembered."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from memori.cli import main

MEMORI = [sys.executable, "-c", "import sys; from memori.cli import main; sys.exit(main())"]


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder of its own, and find memori from there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)


def memori(*words: str | bytes) -> subprocess.CompletedProcess[str]:
    """Run memori as a user does."""
    return subprocess.run(
        [*MEMORI, *words], capture_output=True, text=True, errors="surrogateescape", check=False
    )


def ran() -> int:
    """Return how often the counting command ran."""
    return len(Path("count").read_text().split()) if Path("count").exists() else 0


COUNT = 'echo x >> count; cat "$0" 2>/dev/null; echo told >&2; cat "$0" > "$1"'


def copy(*options: str, name: str = "in.txt") -> subprocess.CompletedProcess[str]:
    """Remember a command that copies, prints and counts."""
    return memori("run", "-o", "out.txt", *options, "--", "sh", "-c", COUNT, name, "out.txt")


def test_a_hit_replays_what_was_printed() -> None:
    """Both streams, and the exit code of success."""
    Path("in.txt").write_text("hello\n")
    for _ in range(2):
        done = copy()
        assert (0, "hello\n", "told\n") == (done.returncode, done.stdout, done.stderr)
    assert 1 == ran()


def test_inputs_tool_and_outputs_count() -> None:
    """A changed input, an edited or deleted output, another word: each runs again."""
    Path("in.txt").write_text("one")
    copy()
    Path("in.txt").write_text("two")
    copy()
    assert (2, "two") == (ran(), Path("out.txt").read_text())
    Path("out.txt").write_text("edited")
    copy()
    assert (3, "two") == (ran(), Path("out.txt").read_text())
    Path("out.txt").unlink()
    copy()
    assert 4 == ran()
    Path("in2.txt").write_text("two")
    copy(name="in2.txt")
    assert 5 == ran()
    copy("--force", name="in2.txt")
    assert 6 == ran()
    copy(name="in2.txt")
    assert 6 == ran()


def test_dependents_count() -> None:
    """-c names what the command reads without saying so."""
    Path("in.txt").write_text("one")
    Path("config").write_text("a")
    copy("-c", "config")
    copy("-c", "config")
    assert 1 == ran()
    Path("config").write_text("b")
    copy("-c", "config")
    assert 2 == ran()
    done = copy("-c", "missing")
    assert (1, True) == (done.returncode, "no such file" in done.stderr)


def test_an_output_that_was_not_declared_is_no_new_input() -> None:
    """The file that only the command made counts as it left it."""
    Path("in.txt").write_text("one")
    for _ in range(3):
        memori("run", "--", "sh", "-c", COUNT, "in.txt", "out.txt")
    assert 1 == ran()
    Path("out.txt").write_text("edited")
    memori("run", "--", "sh", "-c", COUNT, "in.txt", "out.txt")
    assert 2 == ran()


def test_files_in_options_count() -> None:
    """--in=FILE names a file, too."""
    Path("in.txt").write_text("one")
    command = ["run", "--", "sh", "-c", 'echo x >> count; cat "${0#--in=}"', "--in=in.txt"]
    assert "one" == memori(*command).stdout
    memori(*command)
    assert 1 == ran()
    Path("in.txt").write_text("two")
    assert "two" == memori(*command).stdout


def test_folders_count_with_all_they_hold() -> None:
    """One among the inputs, one as an output."""
    Path("data").mkdir()
    Path("data/a").write_text("one")
    command = ["run", "-o", "out", "--", "sh", "-c",
               'echo x >> count; mkdir -p "$1"; cat "$0"/* > "$1/all"', "data", "out"]  # fmt: skip
    for _ in range(2):
        memori(*command)
    assert 1 == ran()
    Path("data/b").write_text("two")
    memori(*command)
    assert (2, "onetwo") == (ran(), Path("out/all").read_text())
    Path("out/all").write_text("edited")
    memori(*command)
    assert (3, "onetwo") == (ran(), Path("out/all").read_text())


def test_a_script_counts_by_content() -> None:
    """By itself and by its interpreter."""
    for command in (["sh", "script.sh"], ["./script.sh"]):
        Path("script.sh").write_text("#!/bin/sh\necho one\n")
        Path("script.sh").chmod(0o755)
        assert "one\n" == memori("run", "--", *command).stdout
        Path("script.sh").write_text("#!/bin/sh\necho two\n")
        assert "two\n" == memori("run", "--", *command).stdout


def test_the_program_behind_a_wrapper_counts() -> None:
    """``env`` runs another program, which is the one that may change."""
    for said in ("one", "two"):
        Path("tool").write_text(f"#!/bin/sh\necho {said}\n")
        Path("tool").chmod(0o755)
        for _ in range(2):
            assert f"{said}\n" == memori("run", "--", "env", "A=1", "./tool").stdout


def test_the_exit_code_is_the_commands() -> None:
    """A failure is not remembered; its folder is evidence."""
    for _ in range(2):
        done = memori("run", "--", "sh", "-c", "echo x >> count; echo bad >&2; exit 42")
        assert (42, "bad\n") == (done.returncode, done.stderr)
    assert 2 == ran()
    assert 1 == len(list(Path(".memori").glob("sh/*/failure.txt")))
    assert 128 + 15 == memori("run", "--", "sh", "-c", "kill -TERM $$").returncode
    assert 127 == memori("run", "--", "no-such-program").returncode
    Path("plain").write_text("x")
    assert 126 == memori("run", "--", "./plain").returncode


def test_a_missing_output_is_an_error() -> None:
    """A command that ended well without its output is not remembered."""
    for _ in range(2):
        done = memori("run", "-o", "none", "--", "sh", "-c", "echo x >> count")
        assert (1, True) == (done.returncode, "did not write none" in done.stderr)
    assert 2 == ran()


def test_another_current_folder_is_another_run() -> None:
    """Relative outputs lie elsewhere; a project that moved as a whole still hits."""
    for folder in ("a", "b"):
        Path("project", folder).mkdir(parents=True)
        os.chdir(f"project/{folder}")
        memori(
            "run", "-d", "../work", "-o", "o", "--", "sh", "-c", "echo x >> ../../count; echo > o"
        )
        assert Path("o").exists()
        os.chdir("../..")
    assert 2 == ran()
    os.rename("project", "moved")
    os.chdir("moved/a")
    memori("run", "-d", "../work", "-o", "o", "--", "sh", "-c", "echo x >> ../../count; echo > o")
    os.chdir("../..")
    assert 2 == ran()


def test_options_of_the_command_are_its_own() -> None:
    """Also those that memori has, and a second --."""
    done = memori("run", "-n", "say", "--", "printf", "%s ", "-o", "--force", "--", "-d")
    assert "-o --force -- -d " == done.stdout
    assert Path(".memori/say.inputs").exists()


def test_names_that_a_shell_would_split(tmp_path: Path) -> None:
    """Blanks, quotes, line breaks and bytes that are no text reach the command whole."""
    for name in ["a b", "$(touch pwned)", "new\nline", os.fsdecode(b"\xff\xfe")]:
        Path(name).write_text("x")
        assert "x" == memori("run", "--", "cat", name).stdout
        assert "x" == memori("run", "--", "cat", name).stdout
    assert not Path("pwned").exists()


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage."""
    assert 1 == main(["run", "-o", "x"])
    assert "usage: memori run" in capsys.readouterr().err


def test_what_a_command_prints_comes_at_once() -> None:
    """Not only when it has ended: this one ends when its first line was read."""
    script = "echo first; until [ -e was-read ]; do sleep 0.02; done; echo second"
    running = subprocess.Popen(
        [*MEMORI, "run", "--", "timeout", "60", "sh", "-c", script], stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert b"first\n" == running.stdout.readline()
    Path("was-read").touch()
    assert (b"second\n", 0) == (running.stdout.read(), running.wait())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
def test_a_ctrl_c_ends_the_command() -> None:
    """And its children, and the loop of a shell around it; nothing is remembered."""
    nap = f"300.{os.getpid()}"  # tells it from all others on the machine
    command = shlex.join(
        [*MEMORI, "run", "--", "sh", "-c", f"sleep {nap} & touch began; sleep {nap}"]
    )
    text = f"for subject in 1 2; do echo x >> begins; {command}; done"
    running = subprocess.Popen(["bash", "-c", text], start_new_session=True)
    until = time.monotonic() + 10
    while not Path("began").exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    try:
        assert -signal.SIGINT == running.wait(30)
    finally:
        running.kill()
    assert "x\n" == Path("begins").read_text()
    until = time.monotonic() + 10  # what was killed takes its time to go on a busy machine
    while f"sleep\0{nap}\0".encode() in _command_lines():
        assert time.monotonic() < until
        time.sleep(0.05)


def _command_lines() -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    return lines


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="is told on Linux")
def test_a_command_that_is_given_something_to_read_is_told_that_it_finds_nothing() -> None:
    """It would be remembered with nothing; one that leaves a loop's list alone is as any."""
    Path("list.txt").write_text("a\nb\n")
    for redirected in ("< list.txt", "</dev/stdin"):
        text = f"cat list.txt | {shlex.join(MEMORI)} run -o out.txt -- sh -c 'cat > out.txt' "
        done = subprocess.run(
            ["bash", "-c", text + redirected], capture_output=True, text=True, check=False
        )
        assert (1, True) == (done.returncode, "read its standard input" in done.stderr)
    text = f"while read x; do {shlex.join(MEMORI)} run -- echo $x; done < list.txt"
    for _ in range(2):
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
        assert ("a\nb\n", "") == (done.stdout, done.stderr)
    text = f": | {shlex.join(MEMORI)} run -- wc -c; {shlex.join(MEMORI)} run -- cat < /dev/null"
    assert "0" == subprocess.check_output(["bash", "-c", text], text=True).strip()


def test_a_command_that_is_given_an_open_file_of_the_shell_is_told_what_to_do() -> None:
    """It would find nothing there, and go on without; a shell inside opens it."""
    Path("a.txt").write_text("b\na\n")
    run = f"{shlex.join(MEMORI)} run"
    for text in (
        f"{run} -- cat a.txt <(sort a.txt)",
        f"{run} -- dd status=none if=<(sort a.txt)",
        f"{run} -c <(sort a.txt) -- cat a.txt",
        f"{run} -- sh -c 'cat /dev/fd/4 || true' sh /dev/fd/4 4< a.txt",
    ):
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
        assert (1, "") == (done.returncode, done.stdout)
        assert "an open file of the shell" in done.stderr
    text = f"{run} -- bash -c 'cat <(sort a.txt)'; {run} -- echo /dev/fd/77"
    assert "a\nb\n/dev/fd/77\n" == subprocess.check_output(["bash", "-c", text], text=True)


def test_a_temporary_file_that_a_command_hands_on_is_made_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As mktemp and MRtrix's pipes do; whoever is told its name takes it away."""
    Path("mine").mkdir()
    monkeypatch.setenv("TMPDIR", str(Path("mine").resolve()))
    monkeypatch.setattr(tempfile, "tempdir", None)
    Path("project").mkdir()
    monkeypatch.chdir("project")
    for _ in range(2):
        done = memori("run", "--", "mktemp")
        assert "not remembered" in done.stderr
        Path(done.stdout.strip()).unlink()
    for _ in range(2):
        done = memori("run", "-v", "--", "sh", "-c", "echo 1 > made; echo $PWD/made")
        assert str(Path("made").resolve()) == done.stdout.strip()
    assert "hit" in done.stderr


def test_a_reader_that_has_enough_ends_the_command() -> None:
    """Without a word, as in a shell; a hit, too."""
    text = f"{shlex.join(MEMORI)} run -- seq 300000 | head -1; echo ${{PIPESTATUS[0]}}"
    for _ in range(2):
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
        assert ("1\n141\n", "") == (done.stdout, done.stderr)


def test_a_closed_stream_is_one_that_nobody_reads() -> None:
    """As in a job that closes them; a full one is told of as what it is."""
    Path("in.txt").write_text("1")
    run = f"{shlex.join(MEMORI)} run -o out.txt -- sh -c 'echo told; cp in.txt out.txt'"
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        for _ in range(2):
            subprocess.run(["bash", "-c", f"{run} {closed}"], check=True)
            assert "1" == Path("out.txt").read_text()
        Path("out.txt").unlink()
    done = subprocess.run(
        ["bash", "-c", f"{run} > /dev/full"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (1, True) == (done.returncode, "cannot be passed on" in done.stderr)


@pytest.mark.parametrize("words", [["srun", "-n1", "./step.sh"], ["sbatch", "--wait", "step.sh"]])
def test_the_files_of_a_script_that_runs_elsewhere_count(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can follow it to another node; what its text names is known before."""
    Path("bin").mkdir()
    starter = Path("bin", words[0])  # as SLURM's own would
    starter.write_text("#!/bin/bash\nexec sh step.sh\n")
    Path("step.sh").write_text("#!/bin/sh\ncat in.txt\n")
    for path in (starter, Path("step.sh")):
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path('bin').resolve()}", prepend=os.pathsep)
    for text in ("1", "2"):
        Path("in.txt").write_text(text)
        assert text == memori("run", "--", *words).stdout
    assert "hit" in memori("run", "-v", "--", *words).stderr


@pytest.mark.skipif(shutil.which("strace") is None, reason="follows commands by strace")
def test_a_run_inside_a_run_brings_nothing_stale_back() -> None:
    """Two tracers cannot follow one program: the parts run whenever the whole does."""
    Path("tool.sh").write_text("cat *.conf > part.txt\n")
    part = shlex.join([*MEMORI, "run", "-n", "part", "-o", "part.txt", "--", "sh", "tool.sh"])
    Path("whole.sh").write_text(f"{part}\ncp part.txt whole.txt\n")
    for text in ("1", "2"):
        Path("a.conf").write_text(text)
        for _ in range(2):
            done = memori("run", "-v", "-n", "whole", "-o", "whole.txt", "--", "sh", "whole.sh")
            assert (0, text) == (done.returncode, Path("whole.txt").read_text())
        assert "stage 'whole': hit" in done.stderr
    Path("a.conf").write_text("3")
    subprocess.run(["sh", "whole.sh"], check=True)
    assert "3" == Path("whole.txt").read_text()


def test_why_is_told_on_request() -> None:
    """The same reasons as of any stage."""
    Path("in.txt").write_text("one")
    copy()
    Path("in.txt").write_text("two")
    done = copy("-v")
    assert "in.txt (words[3]) edited" in done.stderr
    assert "hit" in copy("-v").stderr


@pytest.mark.parametrize(
    ("is_watched", "command"),
    [
        (True, [sys.executable, "wrapper.py"]),
        (False, ["cp"]),
        (False, ["sh", "-c", 'cat "$0" > "$1"']),
    ],
    ids=["a wrapper in Python", "a program that nobody sees", "a redirection that nobody sees"],
)
def test_a_file_holds_what_the_last_call_made_though_another_wrote_over_it(
    *, is_watched: bool, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes back to earlier inputs finds their output, and not that of others."""
    if not is_watched:  # a machine without a tracer
        Path("bin").mkdir()
        for name in ("sh", "cp", "cat"):
            Path("bin", name).symlink_to(str(shutil.which(name)))
        monkeypatch.setenv("PATH", str(Path("bin").absolute()))
    Path("wrapper.py").write_text("import subprocess, sys\nsubprocess.run(['cp', *sys.argv[1:]])\n")
    for name in ("one", "two", "one"):
        Path(f"{name}.txt").write_text(name)
        memori("run", "-n", "copy", "-o", "out.txt", "--", *command, f"{name}.txt", "out.txt")
        assert name == Path("out.txt").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["run", "-o", "made.txt", "sh", "-c", "echo x > made.txt"],
        ["run", "--force", "-n", "name", "sh", "-c", "echo x > made.txt"],
        ["run", "-o", "made.txt", "--", "sh", "-c", "echo x > made.txt"],
        ["run", "sh", "-c", "echo x > made.txt", "-o"],
        ["run", "sh", "-c", "echo x > $1.txt", "--", "made"],
    ],
)
def test_a_command_needs_no_dashes_before_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option then takes one value, and the first word that is neither begins the command."""
    monkeypatch.chdir(tmp_path)
    assert 0 == main(words)
    assert "x\n" == Path("made.txt").read_text()


def test_a_script_without_a_first_line_is_one_of_the_shell() -> None:
    """So `./script`, `nice` and `xargs` start it; its text counts."""
    script = Path("script")
    for text in ("echo one $1", "echo two $1"):
        script.write_text(f"{text}\necho x >> count\n")
        script.chmod(0o755)
        said = [memori("run", "--", "./script", "word").stdout for _ in range(2)]
        assert [f"{text[5:8]} word\n"] * 2 == said
    assert 2 == ran()


@pytest.mark.parametrize("entry", ["bin", "./bin", "."])
def test_programs_are_found_as_the_shell_finds_them(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of the PATH that are meant from the current one count, as a command runs in it."""
    path = Path(entry, "own-tool")
    path.parent.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", entry, prepend=os.pathsep)
    for text in ("one", "two"):
        path.write_text(f"#!/bin/sh\necho {text}; echo x >> count\n")
        path.chmod(0o755)
        assert [f"{text}\n"] * 2 == [memori("run", "--", "own-tool").stdout for _ in range(2)]
    assert 2 == ran()


def test_a_word_may_be_as_long_as_the_system_takes_it() -> None:
    """What watches a command leaves it all the room for its words."""
    words = ["sh", "-c", "echo ${#1} ${2} ${#3}", "sh", "\u00e4" * 65535, "", "x" * 131071]
    expected = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert expected == memori("run", "--", *words).stdout


def test_an_input_that_is_put_back_is_no_quarrel_of_two_runs() -> None:
    """Nobody is told to write elsewhere; two calls that write one file are."""
    for text in ("one", "two", "one", "two"):
        Path("in").write_text(text)
        assert "" == memori("run", "-n", "s", "-o", "out", "--", "cp", "in", "out").stderr
        assert text == Path("out").read_text()
    Path("other").write_text("three")
    memori("run", "-n", "s", "-o", "out", "--", "cp", "other", "out")
    told = memori("run", "-n", "s", "-o", "out", "--", "cp", "in", "out").stderr
    assert "another run of it wrote its file" in told


def test_a_reason_may_name_a_file_of_any_bytes() -> None:
    """A name from an older computer is no UTF-8; `-v` tells of its edit, and the command runs."""
    path = os.fsdecode(b"caf\xe9.txt")
    for text in ("one", "two"):
        Path(path).write_text(text)
        done = memori("run", "-v", "--", "cat", path)
        assert text == done.stdout
    assert path in done.stderr


def test_a_file_that_is_replaced_only_where_it_differs_follows_its_input() -> None:
    """As `cmp -s new out || mv new out` does: an earlier input brings its own result back."""
    text = "cp in new; cmp -s new out || mv new out; rm -f new; echo x >> count"
    for number, expected in enumerate(("one", "two", "one"), start=1):
        Path("in").write_text(expected)
        for _ in range(2):
            memori("run", "-o", "out", "--", "sh", "-c", text)
            assert expected == Path("out").read_text()
        assert number == ran()


def test_an_output_that_is_printed_to_is_told_of() -> None:
    """The shell empties it before each call, so that nothing can be remembered of it."""
    with Path("out.txt").open("w") as out:
        words = [*MEMORI, "run", "-o", "out.txt", "--", "echo", "told"]
        done = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, text=True, check=True)

    assert "have the command redirect (sh -c '... > FILE')" in done.stderr
    assert "told\n" == Path("out.txt").read_text()
