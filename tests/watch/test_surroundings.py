"""What a run's scripts and programs take from the environment counts by its values."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from memori import Stage
from memori.neuro import ShellStage, Stdout
from memori.store import Memory
from memori.watch.commands import strace
from memori.watch.commands.variables import names_in_script


def script(path: Path, text: str) -> None:
    """Write a program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def by_function() -> str:
    """Start a program."""
    return subprocess.run(["inner"], capture_output=True, text=True, check=True).stdout


def by_python() -> str:
    """Start a script of Python."""
    argv = [sys.executable, os.path.abspath("inner.py")]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def make(kind: str) -> Stage:
    """Return a stage that comes to a script in some way."""
    return {
        "program": lambda: Stage(by_function, hash_output="work"),
        "python": lambda: Stage(by_python, hash_output="work"),
        "tool": lambda: ShellStage("outer", hash_output="work"),
        "interpreter": lambda: ShellStage("bash bin/outer", hash_output="work"),
    }[kind]()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs of which one calls the other on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("FWHM", raising=False)
    script(tmp_path / "bin" / "inner", "#!/bin/sh\nfwhm=${FWHM:-6}\necho $fwhm\n")
    script(tmp_path / "bin" / "outer", "#!/bin/bash\nset -e\ninner\n")
    (tmp_path / "inner.py").write_text("import os\nprint(os.environ.get('FWHM', '6'))\n")
    return tmp_path


@pytest.mark.parametrize("kind", ["program", "python", "tool", "interpreter"])
def test_a_variable_that_a_script_reads_counts(
    kind: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set, it runs again; with another value, too; without it, the first run is known."""
    for value in ("6", "8"):
        if value != "6":
            monkeypatch.setenv("FWHM", value)
        monkeypatch.setenv("OTHER", value)
        stage = make(kind)
        assert (stage.run()["output"].strip(), stage.state) == (value, True)
        stage.run()
        assert not stage.state
    monkeypatch.delenv("FWHM")
    stage = make(kind)
    assert (stage.run()["output"].strip(), stage.state) == ("6", False)


@pytest.mark.parametrize("kind", ["program", "tool"])
def test_another_program_under_a_name_counts(
    kind: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a module of a cluster is swapped; where the same program lies does not count."""
    assert make(kind).run()["output"].strip() == "6"
    path = os.environ["PATH"]
    for name, text in (("new", "#!/bin/sh\necho 7\n"), ("moved", None)):
        text = text or (programs / "bin" / "inner").read_text()
        script(programs / name / "inner", text)
        monkeypatch.setenv("PATH", f"{programs / name}{os.pathsep}{path}")
        stage = make(kind)
        answer = stage.run()["output"].strip()
        assert (answer, stage.state) == (("7", True) if name == "new" else ("6", False))


@pytest.mark.parametrize("kind", ["program", "tool"])
def test_what_lies_around_a_program_counts_when_it_is_found_elsewhere(
    kind: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions have one launcher; by another PATH the other version answers."""
    for version in ("1", "2", "as2"):
        (programs / version).mkdir()
        launcher = "#!/bin/sh\n. ${0%/*}/../lib/version.sh\n"
        script(programs / version / "bin" / "inner", launcher)
        script(programs / version / "lib" / "version.sh", f"echo {version[-1]}\n")
    path = os.environ["PATH"]
    for version, ran in (("1", True), ("2", True), ("as2", False), ("1", False)):
        monkeypatch.setenv("PATH", f"{programs / version / 'bin'}{os.pathsep}{path}")
        stage = make(kind)
        assert (stage.run()["output"].strip(), stage.state) == (version[-1], ran)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler")
def test_a_link_that_leads_to_another_version_of_a_program_counts(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its libraries are found beside where it really lies (`$ORIGIN`)."""
    Path("main.c").write_text("int f(void); int main(void) { return f(); }\n")
    for version in "12":
        Path(version, "lib").mkdir(parents=True)
        Path(version, "bin").mkdir()
        Path("f.c").write_text(f"int f(void) {{ return {version}; }}\n")
        words = ["cc", "-shared", "-fPIC", "-o", f"{version}/lib/libf.so", "f.c"]
        subprocess.run(words, check=True)
    place = ["-L1/lib", "-lf", "-Wl,-rpath,$ORIGIN/../lib"]
    subprocess.run(["cc", "-o", "1/bin/compiled", "main.c", *place], check=True)
    shutil.copy("1/bin/compiled", "2/bin/compiled")
    script(programs / "bin" / "outer", "#!/bin/sh\ncompiled\necho $?\n")
    monkeypatch.setenv("PATH", f"{programs}/current/bin{os.pathsep}{os.environ['PATH']}")
    for version in ("1", "2", "1"):
        Path("current").unlink(missing_ok=True)
        Path("current").symlink_to(version)
        assert ShellStage("outer", outputs=Stdout(int), hash_output="work").run() == {
            "output": int(version)
        }


@pytest.mark.parametrize("kind", ["program", "tool"])
def test_a_program_that_comes_before_that_of_the_system_counts(
    kind: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when `module load` brings a newer one than /usr/bin has."""
    script(programs / "bin" / "inner", "#!/bin/sh\nseq 1\n")
    script(programs / "new" / "seq", "#!/bin/sh\necho 2\n")
    for said, ran in (("1", True), ("2", True), ("1", False)):
        with monkeypatch.context() as context:
            if said == "2":
                context.setenv("PATH", f"{programs / 'new'}{os.pathsep}{os.environ['PATH']}")
            stage = make(kind)
            assert (stage.run()["output"].strip(), stage.state) == (said, ran)


@pytest.mark.parametrize("what", ["variable", "program"])
def test_what_an_inner_stage_depends_on_counts_for_the_outer_one(
    what: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the inner one was remembered."""
    make("program").run()
    outer = Stage(lambda: make("program").run()["output"], hash_output="outer")
    assert outer.run()["output"].strip() == "6"
    if what == "variable":
        monkeypatch.setenv("FWHM", "7")
    else:
        script(programs / "new" / "inner", "#!/bin/sh\necho 7\n")
        monkeypatch.setenv("PATH", f"{programs / 'new'}{os.pathsep}{os.environ['PATH']}")
    assert outer.run()["output"].strip() == "7"


def looked_up(name: str) -> str:
    """Take a tool if it is installed."""
    found = shutil.which(name)
    return subprocess.check_output([found], text=True) if found else "without it"


def looked_up_in(name: str) -> bool:
    """Look for a tool in a folder that is not on the PATH."""
    return shutil.which(name, path="own") is not None


def looked_up_in_child(name: str) -> str:
    """Look for it in a process of its own."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(looked_up, name).result()


@pytest.mark.parametrize("look", [looked_up, looked_up_in_child])
def test_a_tool_that_code_has_looked_up_counts(
    look: Callable[[str], object], programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is installed later runs, and so does another version of it on another PATH."""
    stage = Stage(look, "y", "work")

    def run() -> object:
        return stage.run("betty")["y"], stage.state

    assert [("without it", True), ("without it", False)] == [run(), run()]
    script(programs / "bin" / "betty", "#!/bin/sh\necho 6.0\n")
    assert [("6.0\n", True), ("6.0\n", False)] == [run(), run()]
    script(programs / "new" / "betty", "#!/bin/sh\necho 7.0\n")
    assert ("6.0\n", False) == run()
    monkeypatch.setenv("PATH", f"{programs / 'new'}{os.pathsep}{os.environ['PATH']}")
    assert [("7.0\n", True), ("7.0\n", False)] == [run(), run()]


def started(name: str) -> str:
    """Start a tool, and do without it if there is none."""
    try:
        return subprocess.check_output([name], text=True)
    except FileNotFoundError:
        return "without it\n"


def in_a_shell(name: str) -> str:
    """Let a shell do so."""
    text = f"{name} 2>/dev/null || echo without it"
    return subprocess.check_output(text, shell=True, text=True)


def by_a_command(name: str) -> Stage:
    """Let a command do so."""
    return ShellStage(
        f"sh -c '{name} 2>/dev/null || echo without it'",
        outputs={"y": Stdout(str)},
        hash_output="work",
    )


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("way", [started, in_a_shell, by_a_command])
def test_a_tool_that_was_not_found_counts_when_the_path_leads_to_it(
    way: Callable[[str], object], traced: bool, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when `module load` was forgotten, and a script goes on without the tool."""
    if not traced:
        monkeypatch.setattr(strace, "_why_unusable", lambda path: "strace is not installed")
    stage = (
        by_a_command("betty") if way is by_a_command else Stage(lambda: way("betty"), "y", "work")
    )

    def run() -> object:
        return str(stage.run()["y"]).strip(), stage.state

    path = os.environ["PATH"]
    assert [("without it", True), ("without it", False)] == [run(), run()]
    script(programs / "new" / "betty", "#!/bin/sh\necho 6.0\n")
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{programs / 'new'}")
    assert [("6.0", True), ("6.0", False)] == [run(), run()]


def with_inner(case: int) -> str:
    """Take what a stage inside makes."""
    return str(Stage(looked_up, "y", "work").run("betty")["y"])


def test_a_tool_that_an_inner_stage_has_looked_up_counts_for_the_outer_one(programs: Path) -> None:
    """Where the inner one hit, too; a tool that was not there is none that has run."""
    outer = Stage(with_inner, "y", "work")
    assert ["without it"] * 2 == [outer.run(case)["y"] for case in (1, 2)]
    entries = list(Memory(str(programs / "work")).entries("with_inner"))
    assert [[], []] == [each.record["observed"].get("programs", []) for each in entries]
    script(programs / "bin" / "betty", "#!/bin/sh\necho 6.0\n")
    assert ["6.0\n"] * 2 == [outer.run(case)["y"] for case in (1, 2)]


def test_a_tool_that_is_looked_up_elsewhere_counts_by_being_there(programs: Path) -> None:
    """In folders that code names, the PATH is of no matter."""
    stage = Stage(looked_up_in, "y", "work")
    for _ in range(2):
        assert {"y": False} == stage.run("betty")
    script(programs / "bin" / "betty", "#!/bin/sh\n")
    assert stage.is_remembered("betty")
    script(programs / "own" / "betty", "#!/bin/sh\n")
    assert {"y": True} == stage.run("betty")


def test_a_variable_that_a_run_sets_for_its_script_does_not_rerun_it(programs: Path) -> None:
    """What was set before the run counts, as in another process."""

    def sets() -> str:
        os.environ["FWHM"] = "9"
        try:
            return by_function()
        finally:
            del os.environ["FWHM"]

    stage = Stage(sets, hash_output="work")
    assert stage.run()["output"].strip() == "9"
    stage.run()
    assert not stage.state


def test_a_path_that_a_run_sets_for_its_programs_does_not_rerun_it(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it that another program of this name is found without that."""
    script(programs / "own" / "inner", "#!/bin/sh\necho 5\n")

    def sets() -> str:
        os.environ.update(PATH=f"{programs / 'own'}{os.pathsep}{os.environ['PATH']}")
        return by_function()

    path = os.environ["PATH"]
    stage = Stage(sets, hash_output="work")
    assert stage.run()["output"].strip() == "5"
    for now in (os.environ["PATH"], path):
        monkeypatch.setenv("PATH", now)
        stage.run()
        assert not stage.state


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("echo $A ${B} ${C:-3} ${#D} ${E%.nii}", "A B C D E"),
        ("A=1\nB=$B/x\nexport C='a b'\necho $A $B $C", "B"),
        ("if true; then\nA=1\nfi\necho $A", "A"),
        ("LC_ALL=C sort x\necho $LC_ALL", "LC_ALL"),
        ("echo $OMP_NUM_THREADS $TMPDIR $SLURM_JOB_ID $SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_ID"),
        (
            "echo $PBS_NODEFILE $SGE_STDOUT_PATH $LSB_HOSTS $SGE_TASK_ID $XDG_RUNTIME_DIR",
            "SGE_TASK_ID",
        ),
        ("A=$(a)/$(b $(c))\necho $A", ""),
        ('[ -n "$TMUX" ] || echo $COLORTERM $TERM_PROGRAM $STY $GPG_TTY', ""),
        ("[ -v A ] && printenv B; echo $((C + (D - 1))) $1 $@", "A B C D"),
        ("#!/bin/tcsh\nset a = 5\nsetenv B 3\nif ($?C) echo $a $B $C", "C"),
        ("#!/usr/bin/perl\nprint $ENV{'A'};", "A"),
        ("x = os.environ['A'] + os.environ.get('B') + os.getenv('C')", "A B C"),
        ("cat > x <<EOT\nA=1\nEOT\nB=2\necho $A $B", "A"),
        ("[[ A -gt 5 && 3 -lt B ]] && echo $((C+1))", "A B C"),
        ("jq -n 'env.A, $ENV.B' > x; declare -p C", "A B C"),
        ('for v in FWHM TR; do [ -n "${!v}" ] || exit; done', "FWHM TR v"),
        ("v=FW_$1_X\necho ${!v} ${!a[@]} ${!SLURM_*}", "FW_* SLURM_ a"),
        ("eval echo \\${${1}_DIR}", "*_DIR"),
        ("for (keys %ENV) { /^FSL/ }", "FSL*"),
        ("env | sort; x=${y^^}; env | grep ^PBS_", "y"),
        (
            "const { A, B: b = 3 } = process.env; print(process.env.C, process.env['D'])",
            "A B C D b",
        ),
        ("set -q A; and echo $B; puts $env(C)", "A B C"),
    ],
)
def test_what_a_script_takes_from_the_environment(text: str, names: str) -> None:
    """Names that it reads; not those that it surely sets first, nor what says where to run."""
    assert sorted(names_in_script(text)) == names.split()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("perl script.pl", "print $ENV{FWHM}"),
        ("node plain", "console.log(process.env.FWHM)"),
        ("awk -f plain", 'BEGIN{print ENVIRON["FWHM"]}'),
        ("awk 'BEGIN{print ENVIRON[\"FWHM\"]}'", ""),
        ("make -s -f plain", "all:\n\t@echo $(FWHM)\n"),
        ("bash -o pipefail plain", "echo $FWHM"),
        ("bash -c '. ./plain'", "echo $FWHM"),
        ("bash -c 'f=plain; . ./$f'", "echo $FWHM"),
        ("bash -c 'bash < plain'", "echo $FWHM"),
        ("make -s -f plain", "ifdef FWHM\nV=$(value FWHM)\nendif\nall:\n\t@echo $V\n"),
        ("bash plain M", "v=FWH$1\necho ${!v}"),
        ("perl script.pl M", 'print $ENV{"FWH$ARGV[0]"}'),
        ("printenv FWHM", ""),
        (f"{sys.executable} -S plain", "import os\nFWHM=5\nprint(os.environ['FWHM'])"),
    ],
)
def test_a_variable_counts_however_a_script_is_started(
    command: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever interpreter, under whatever name, read in or passed by its standard input."""
    program = shlex.split(command)[0]
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    monkeypatch.chdir(tmp_path)
    for name in ("script.pl", "plain"):
        (tmp_path / name).write_text(text)

    def starts(argv: list[str]) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    stage = Stage(starts, hash_output="work", argv=shlex.split(command))
    for value in ("6", "8"):
        monkeypatch.setenv("FWHM", value)
        assert (stage.run()["output"].strip(), stage.state) == (value, True)
        stage.run()
        assert not stage.state


def test_a_variable_of_a_name_that_a_script_makes_up_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was not set before, too; of what may be secret a record shows nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_text("echo ${!FW_*}\n")
    stage = ShellStage("bash {script}", script="plain", hash_output="work")
    assert (stage.run()["output"].strip(), stage.state) == ("", True)
    for name in ("FW_B", "FW_KEY"):
        monkeypatch.setenv(name, "a value")
        assert (name in stage.run()["output"], stage.state) == (True, True)
        monkeypatch.setenv("OTHER", name)
        stage.run()
        assert not stage.state
    records = [path.read_text() for path in (tmp_path / "work").rglob("*.json")]
    assert any("FW_B=a value" in text for text in records)
    assert not any("FW_KEY=a" in text for text in records)


def test_where_a_library_was_found_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another folder to search holds another; what is named and led to nothing does not count."""
    monkeypatch.chdir(tmp_path)
    for value in ("1", "2"):
        (tmp_path / value).mkdir()
        (tmp_path / value / "My.pm").write_text(f"package My; sub f {{{value}}} 1;")
    stage = ShellStage("perl -MMy -e 'print My::f()'", hash_output="work")
    for value in ("1", "2"):
        monkeypatch.setenv("PERL5LIB", str(tmp_path / value))
        assert (stage.run()["output"].strip(), stage.state) == (value, True)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / value))
        stage.run()
        assert not stage.state


def test_a_function_that_a_shell_has_exported_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a shell's text calls it; no other does."""
    monkeypatch.chdir(tmp_path)
    stage = ShellStage("bash -c 'outer'", hash_output="work")
    monkeypatch.setenv("BASH_FUNC_outer%%", "() {  inner\n}")
    for value in ("1", "2"):
        monkeypatch.setenv("BASH_FUNC_inner%%", f"() {{  echo {value}\n}}")
        assert (stage.run()["output"].strip(), stage.state) == (value, True)
        monkeypatch.setenv("BASH_FUNC_other%%", f"() {{  echo {value}\n}}")
        stage.run()
        assert not stage.state


@pytest.mark.parametrize(
    "text",
    ["A=" + "$(a)" * 100 + " && $b", "(" * 100_000 + "$b", "a" * 100_000 + "<<" * 10_000 + " $b"],
)
def test_no_line_of_a_script_takes_for_ever_to_read(text: str) -> None:
    """Whatever stands there: each run that starts the script reads it."""
    assert names_in_script(text) == {"b"}
