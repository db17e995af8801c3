"""Steps that go on in each other's files: nothing runs where nothing has changed."""

import os
import re
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from memori import Folder, MemoriWarning, Stage, workdir
from memori.neuro import ShellStage


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    os.mkdir("shared")
    write("in.txt", "1")


def write(path, text):
    """Write a file."""
    with open(path, "w") as file:
        file.write(text)


def read(path):
    """Return the text of a file."""
    with open(path) as file:
        return file.read()


def make(source):
    """Write a file anew."""
    write("shared/image", read(source))
    write("shared/status", "made")


def change(by):
    """Change it in place."""
    write("shared/image", read("shared/image") + by)
    write("shared/status", "changed")


def use(by):
    """Read it."""
    write("shared/status", "used")
    return read("shared/image") + by


def states(steps):
    """Run steps in order; tell which were executed."""
    return [(step.run(*given), step.state)[1] for step, *given in steps]


def in_python():
    """Return steps that are functions."""
    stages = [Stage(each, hash_output="work") for each in (make, change, use)]
    return [(stages[0], "in.txt"), (stages[1], "+"), (stages[2], "!")]


def in_shell():
    """Return steps that are commands."""
    here = os.getcwd()
    texts = [
        f"cat {here}/in.txt > {here}/shared/image; echo made > {here}/shared/status",
        f"sed -i s/$/+/ {here}/shared/image; echo changed > {here}/shared/status",
        f"cat {here}/shared/image; echo used > {here}/shared/status",
    ]
    return [
        (ShellStage(f"sh -c '{text}'", hash_output="work", stage_name=name),)
        for text, name in zip(texts, "abc", strict=True)
    ]


def on_command_line():
    """Return steps that `memori run` remembers."""

    class Step:
        def __init__(self, text, name):
            self.text, self.name = text, name

        def run(self):
            main = "import sys; from memori.cli import main; sys.exit(main())"
            call = [
                sys.executable,
                "-c",
                main,
                "run",
                "-v",
                "-n",
                self.name,
                "--",
                "sh",
                "-c",
                self.text,
            ]
            done = subprocess.run(call, capture_output=True, text=True, check=True)
            self.state = ": hit" not in done.stderr

    texts = [
        "cat in.txt > shared/image; echo made > shared/status",
        "sed s/$/+/ shared/image > t; cat t > shared/image; echo changed > shared/status",
        "cat shared/image; echo used > shared/status",
    ]
    return [(Step(text, name),) for text, name in zip(texts, "abc", strict=True)]


@pytest.mark.parametrize("kind", [in_python, in_shell, on_command_line])
def test_nothing_runs_where_nothing_has_changed(kind):
    """A file that a later step changed, and one that every step writes anew, are no edits."""
    steps = kind()
    assert [[True] * 3, [False] * 3, [False] * 3] == [states(steps) for _ in range(3)]
    assert "used" == read("shared/status").strip()


def test_one_command_may_be_each_of_the_steps():
    """As recon-all is: what it went on from is looked at before it runs."""
    choice = "if [ $1 = 1 ]; then cat ../in.txt; else cat x; echo $1; fi"
    write("step.sh", f"cd shared; ({choice}) > y; cat y > x")
    here = os.getcwd()
    stage = ShellStage(f"sh -c 'cd {here}; . ./step.sh' sh {{step}}", hash_output="work")
    steps = [(stage, step) for step in (1, 2, 3)]
    for source in ("1\n", "2\n"):
        write("in.txt", source)
        assert [[True] * 3, [False] * 3, [False] * 3] == [states(steps) for _ in range(3)]
        assert f"{source}2\n3\n" == read("shared/x")


@pytest.mark.parametrize("kind", [in_python, in_shell])
def test_an_edit_runs_all_that_made_the_file(kind):
    """By hand, or by whoever is not remembered. Who only reads it finds it as it was."""
    steps = kind()
    states(steps)
    image = read("shared/image")
    write("shared/image", "edited")
    assert [True, True, False] == states(steps)
    assert "used" == read("shared/status").strip()
    assert image == read("shared/image")
    assert [False] * 3 == states(steps)


@pytest.mark.parametrize("kind", [in_python, in_shell])
def test_a_first_step_that_changes_runs_all_after_it(kind):
    """When it changes back, who only reads what comes of that has read it before."""
    steps = kind()
    found = []
    for text in ("1", "2", "1", "2"):
        write("in.txt", text)
        found.append((states(steps), read("shared/image").strip()))
        assert "used" == read("shared/status").strip()
        assert [False] * 3 == states(steps)
    new, known = [True] * 3, [True, True, False]
    assert [(new, "1+"), (new, "2+"), (known, "1+"), (known, "2+")] == found


def last(case):
    """Write over what another case wrote."""
    write("shared/last", str(case))


def counted(case):
    """Write over what another case wrote, in Python and by a command."""
    write("shared/last", read(f"{case}.txt"))
    subprocess.run(["cp", f"{case}.txt", "shared/copy"], check=True)
    os.chmod("shared/copy", 0o640)


def test_what_was_written_over_is_put_back():
    """An unchanged script hits, and the file is that of its last call; an edit is no exception."""
    for case in "abc":
        write(f"{case}.txt", case)
    stage = Stage(counted, hash_output="work")

    def called(cases):
        ran = [(stage.run(each), stage.state)[1] for each in cases]
        assert read("shared/last") == read("shared/copy") == read(f"{cases[-1]}.txt")
        assert 0o640 == os.stat("shared/copy").st_mode & 0o7777
        return ran

    assert [[True] * 3, [False] * 3, [False] * 3] == [called("abc") for _ in range(3)]
    write("b.txt", "edited")
    assert [[False, True, False], [False] * 3] == [called("abc") for _ in range(2)]
    assert [False] == called("a")
    write("b.txt", "b")
    assert [False] * 2 == called("ab")
    assert stage.explain("c").hit
    assert "b" == read("shared/last")  # asking puts nothing back
    write("shared/last", "by hand")
    assert [True] == called("b")
    os.unlink("shared/last")
    assert [True] == called("b")


def test_what_is_too_large_to_be_put_back_is_written_anew():
    """Nothing is kept of it."""
    for case in "ab":
        write(f"{case}.txt", case * 300_000)
    stage = Stage(counted, hash_output="work")
    assert [True] * 2 == [(stage.run(each), stage.state)[1] for each in "ab"]
    with pytest.warns(MemoriWarning, match="'counted' runs again because another run of it"):
        assert [True] * 2 == [(stage.run(each), stage.state)[1] for each in "ab"]
    assert read("b.txt") == read("shared/last")


def append(line):
    """Add a line to a file that it did not make."""
    with open("shared/image", "a") as file:
        file.write(line)


def appending():
    """Return steps that append: in Python, by a command, and by one that is given the file."""
    path = os.path.abspath("shared/image")
    return [
        (Stage(append, hash_output="work"), "b"),
        (ShellStage(f"sh -c 'printf c >> {path}'", stage_name="shell", hash_output="work"),),
        (
            ShellStage(
                "sh -c 'printf d | dd of=$0 conv=notrunc bs=1 seek=3' {path}",
                stage_name="given",
                hash_output="work",
            ),
            path,
        ),
    ]


def start(text):
    """Write a file anew, and return it."""
    write("shared/image", text)
    return os.path.abspath("shared/image")


def test_what_is_appended_to_the_file_of_a_step_is_neither_lost_nor_stale():
    """Both run again, and a warning names them; the file is as a first run would leave it."""
    first = Stage(start, "path", hash_output="work")

    def steps(text):
        return [(first, text), *appending()]

    assert [True] * 4 == states(steps("a"))
    assert "abcd" == read("shared/image")
    for text, warned in (("a", 1), ("a", 1), ("2", 0), ("a", 0), ("a", 1)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert [True] * 3 == states(steps(text))[:3]
        assert f"{text}bcd" == read("shared/image")
        why = "stage 'start' runs again because stage '(given|shell)' went on in its file"
        assert warned == len([each for each in told if re.match(why, str(each.message))])


def test_two_calls_that_write_one_file_are_told_so_in_their_own_words():
    """Whatever the function is called, the other call is no other stage, and goes on in nothing."""

    def _smooth(text):
        return write("out", text) or os.path.abspath("out")

    stage = Stage(_smooth, "path", "work")
    for text in ("a", "b"):
        stage.run(text)
    why = "stage '_smooth' runs again because another run of it wrote its file"
    with pytest.warns(MemoriWarning, match=why):
        stage.run("a")


def test_what_is_appended_to_a_file_of_nobody_is_a_log():
    """It never counts, whoever else appends to it and whatever is removed."""
    write("shared/image", "")
    steps = appending()[:2]
    assert [True] * 2 == states(steps)
    write("shared/image", "begun anew by hand")
    assert [False] * 2 == states(steps)


def made_in_own_folder():
    """Return a file in the run's own folder."""
    path = workdir() / "image"
    path.write_text("1")
    return str(path)


def goes_on_there(number):
    """Change it in place, though nobody handed it on."""
    path = os.path.realpath("work/made/latest/image")
    write(path, read(path) + str(number))


def test_later_steps_go_on_in_the_own_folder_of_a_run():
    """As in files that it wrote elsewhere: where nothing has changed, nothing runs."""
    made = Stage(made_in_own_folder, "image", "work", "made")
    on = Stage(goes_on_there, hash_output="work")
    steps = [(made,), (on, 2), (on, 3)]
    assert [[True] * 3, [False] * 3, [False] * 3] == [states(steps) for _ in range(3)]
    assert "123" == read(made.run()["image"])
    write(os.path.realpath("work/made/latest/image"), "by hand")
    assert states(steps)[0]


def table(case):
    """Let a table grow."""
    text = read("shared/table") if os.path.exists("shared/table") else ""
    if f"{case}\n" not in text:
        write("shared/table", f"{text}{case}\n")


def test_a_run_of_the_same_stage_takes_the_place_of_another():
    """Who goes back to an earlier case finds its file."""
    stage = Stage(last, hash_output="work")
    for case in (1, 2, 1):
        stage.run(case)
        assert str(case) == read("shared/last")


def test_a_table_that_grows_case_by_case_is_no_edit():
    """Each case has read what the one before left."""
    write("shared/table", "")
    stage = Stage(table, hash_output="work")
    cases = [(stage, case) for case in "abc"]
    assert [True] * 3 == states(cases)
    assert [[False] * 3] * 2 == [states(cases) for _ in range(2)]


def model(name):
    """Return a folder, as FEAT leaves one."""
    os.makedirs(f"shared/{name}", exist_ok=True)
    write(f"shared/{name}/zstat", name)
    return Folder(f"shared/{name}")


def registered(name):
    """Go on in that folder."""
    write(f"shared/{name}/reg", read(f"shared/{name}/zstat"))


def test_a_folder_that_a_later_step_goes_on_in_stands():
    """It is returned whole, and more is put into it; by hand it may not be."""
    steps = [(Stage(each, hash_output="work"), "a.feat") for each in (model, registered)]
    assert [[True] * 2, [False] * 2, [False] * 2] == [states(steps) for _ in range(3)]
    write("shared/a.feat/more", "by hand")
    assert [True, False] == states(steps)


def test_broken_lines_cost_a_run_only():
    """What tells of the runs may be lost."""
    steps = in_python()
    states(steps)
    with open("work/.memori/left", "ab") as file:
        file.write(b'["make", \n[]\n')
    assert [False] * 3 == states(steps)
    os.unlink("work/.memori/left")
    assert states(steps)[0]


def slow_writer(number):
    """Write a file while another run goes on."""
    GATES[0].wait(20)
    write("shared/table", str(number))


def slow_reader(number):
    """Read it while its writer goes on."""
    GATES[0].set()
    GATES[1].wait(20)
    return read("shared/table")


GATES = [threading.Event(), threading.Event()]


def test_two_runs_at_once_of_which_one_reads_what_the_other_writes_are_told_of():
    """Nothing orders them: the warning names both, and the file."""
    write("shared/table", "0")
    writer, reader = (Stage(each, hash_output="work") for each in (slow_writer, slow_reader))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(writer.run, 1)
        second = pool.submit(reader.run, 1)
        first.result(30)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            GATES[1].set()
            second.result(30)
    texts = [str(each.message) for each in told if "at the same time" in str(each.message)]
    assert 1 == len(texts)
    assert all(part in texts[0] for part in ("'slow_reader'", "'slow_writer'", "shared/table"))


def outer(number):
    """Run another stage inside, and read what it wrote."""
    Stage(last, hash_output="work").run(number)
    return read("shared/last")


def test_a_stage_inside_a_stage_is_no_race():
    """Nor are two runs one after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Stage(outer, hash_output="work").run(1)
        states(in_python())
