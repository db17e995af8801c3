"""The script beside a failed stage's log: what it runs, and where it cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest

from memori import Stage

SCRIPT = '''
import functools
import sys
from pathlib import Path
from memori import Stage, remembered, workdir

def half(path: Path, *more, scale=2):
    """Fails where the file holds an odd number."""
    workdir().joinpath("seen").write_text("x")
    number = int(path.read_text()) * (scale != scale)
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number / 2

def maker():
    def inner():
        raise OSError("inside")
    return inner

@remembered("work")
def kept(n):
    raise KeyError(n)

if __name__ == "__main__":
    which = sys.argv[1]
    Path("number").write_text("3")
    if which == "half":
        Stage(half, hash_output="work").run("number", 1, 2, scale=float("nan"))
    elif which == "kept":
        kept({"a": [1, None, True]})
    elif which == "partial":
        odd = functools.partial(half, scale=float("nan"))
        Stage(odd, hash_output="work", stage_name=which).run("number")
    else:
        def guarded():
            raise OSError("inside")
        Stage({"lambda": lambda: 1 / 0, "inner": maker(), "guarded": guarded}[which],
              hash_output="work", stage_name=which).run()
'''


@pytest.fixture
def fail(tmp_path):
    """Run the script, which fails; return the stage's folder."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def run(which):
        done = subprocess.run(
            [sys.executable, script, which], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode, "it was to fail"
        (log,) = tmp_path.glob(f"work/{which}/*/failure.txt")
        return log.parent

    return run


def again(folder):
    """Run what lies beside the log, from somewhere else."""
    done = subprocess.run(
        [sys.executable, folder / "reproduce.py"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("which", "error"), [("half", "ValueError: 3 is odd"), ("kept", "KeyError")]
)
def test_a_function_of_a_script_fails_again_in_the_same_way(fail, which, error):
    """By its file: with its paths, further arguments and values that are no numbers."""
    code, told = again(fail(which))

    assert (1, True) == (code, error in told), told


def test_what_was_mended_returns(fail, tmp_path):
    """The script runs the function as it is now, and says what it returns; nothing is recorded."""
    folder = fail("half")
    Path(tmp_path / "number").write_text("4")

    assert (0, "stage 'half' returned {'output': 2.0}\n") == again(folder)
    assert [] == [*tmp_path.glob("work/.memori/stages/half/??/*.json")]


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("lambda", "a lambda"),
        ("inner", "inside of another function"),
        ("partial", "no plain function"),
    ],
)
def test_where_it_cannot_be_the_log_says_why(fail, which, why):
    """Python cannot find these by name."""
    folder = fail(which)

    assert not (folder / "reproduce.py").exists()
    assert why in (folder / "failure.txt").read_text()


def test_a_function_that_only_the_script_itself_defines_is_not_found(fail):
    """The script says so: what stands below the guard is not run when it is imported."""
    code, told = again(fail("guarded"))

    assert (1, True) == (code, "no guarded once it is imported" in told), told


def test_a_command_is_run_again_with_its_variables_but_no_secrets(tmp_path, monkeypatch):
    """In the folder where it ran; a variable that tells a secret is not written down."""
    from memori.neuro import CommandError, ShellStage

    monkeypatch.chdir(tmp_path)
    stage = ShellStage(
        "sh -c 'echo $MODE $API_TOKEN; exit 7'", stage_name="tool", hash_output="work",
        env={"MODE": "fast way", "API_TOKEN": "hush"},
    )  # fmt: skip
    with pytest.raises(CommandError) as caught:
        stage.run()
    folder = Path(caught.value.folder)

    code, told = again(folder)

    assert (7, "fast way\n") == (code, told)
    assert "hush" not in (folder / "reproduce.py").read_text()
    assert "API_TOKEN" in (folder / "reproduce.py").read_text()


def test_interfaces_are_run_again(tmp_path, monkeypatch):
    """Commands through the shell, as Nipype does; Python by its class and trait values."""
    from nipype.algorithms.confounds import TSNR
    from nipype.interfaces.base import CommandLine

    from memori.neuro import NipypeStage

    monkeypatch.chdir(tmp_path)
    command = NipypeStage(CommandLine(command="false"), "work", stage_name="command")
    Path("no_image.nii").write_text("x")
    python = NipypeStage(TSNR(regress_poly=2), "work", stage_name="python")
    for stage, inputs in ((command, {"args": "a"}), (python, {"in_file": "no_image.nii"})):
        with pytest.raises(Exception, match=r"(?s)."):
            stage.run(**inputs)

    (first,) = tmp_path.glob("work/command/*/reproduce.py")
    (second,) = tmp_path.glob("work/python/*/reproduce.py")

    assert (1, "") == again(first.parent)
    code, told = again(second.parent)
    assert (1, True) == (code, "ImageFileError" in told), told


def test_a_success_writes_nothing(tmp_path):
    """Only what fails leaves a script."""
    Stage(pow, hash_output=tmp_path, base=2).run(exp=3)

    assert [] == [*tmp_path.rglob("reproduce.py")]


def test_a_function_of_a_script_that_failed_in_a_worker_is_found_as_well(tmp_path):
    """By `n_jobs=2` too the log names the script, and the stage can be run alone."""
    script = tmp_path / "script.py"
    script.write_text(
        "from memori import Pipeline, Stage\n\n"
        "def scale(n):\n    return 1 / n\n\n"
        'if __name__ == "__main__":\n'
        '    stage = Stage(scale, hash_output="work/{n}")\n'
        '    Pipeline([("start", stage)]).map([{"n": 1}, {"n": 0}], n_jobs=2)\n'
    )
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, capture_output=True)
    (log,) = tmp_path.glob("work/0/scale/*/failure.txt")
    assert f'File "{script}", line 4, in scale\n    return 1 / n' in log.read_text()
    code, said = again(log.parent)
    assert 1 == code
    assert "ZeroDivisionError" in said
