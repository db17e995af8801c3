"""What a hit puts back is sound, or it is no hit."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Stage
from memori.errors import StageError
from memori.store import replaced


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("shared")


def last(case):
    """Write over what another case wrote."""
    Path("shared/last").write_text(str(case))


def test_what_is_not_sound_any_more_is_never_put_back():
    """A disk that was full, or lost power, has the run run again."""
    stage = Stage(last, hash_output="work")
    for case in (1, 2):
        stage.run(case)
    for name in os.listdir("work/.memori/replaced"):
        os.truncate(f"work/.memori/replaced/{name}", 0)
    assert [True, False] == [(stage.run(1), stage.state)[1] for _ in range(2)]
    assert "1" == Path("shared/last").read_text()


def test_what_cannot_be_put_back_is_no_hit(monkeypatch):
    """The user has the file of this call, or an error, and never that of another one."""
    stage = Stage(last, hash_output="work")
    for case in (1, 2):
        stage.run(case)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(replaced, "replacing", full)
    with pytest.raises(StageError, match=r"stage 'last' .*shared/last.*No space left"):
        stage.run(1)
    assert "2" == Path("shared/last").read_text()


SCRIPT = """
from pathlib import Path
from memori import Stage
def f(x):
    Path("plain.txt").write_text(str(x))
    return x
print(Stage(f, "y", "work").run(1)["y"])
"""


def accented(case):
    """Leave a file that has no name in ASCII."""
    Path("shared/caf\u00e9").write_text(str(case))


def test_names_that_a_terminal_does_not_know_hinder_no_other_stage():
    """A job with the locale POSIX runs beside what others left under their names."""
    Stage(accented, hash_output="work").run(1)
    Path("script.py").write_text(SCRIPT)
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for _ in range(2):
        argv = [sys.executable, "script.py"]
        assert "1\n" == subprocess.check_output(argv, env={**os.environ, **plain}, text=True)
