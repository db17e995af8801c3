"""Which file an interpreter is told to run, and which program a wrapper."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from memori.neuro.command.scripts import programs_of, script_place


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a script and some data into the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("script", "data", "ignore", "pipefail", "a.jar"):
        Path(name).touch()


@pytest.mark.parametrize(
    "line",
    [
        "sh script data", "bash -e script", "bash -euo pipefail script", "sh -x script",
        "bash -eo pipefail -u script", "bash +x script", "bash -o pipefail script data",
        "bash --norc -x -- script", "/bin/bash -ex script", "tcsh -f script",
        "bash --rcfile data script",
        "python script", "python3.11 -u script", "python -W ignore script",
        "python -Wignore script",
        "python -OO -X dev script data", "pypy3 -B script",
        "perl -w script", "perl -I data script", "perl -Idata -Mstrict script", "ruby -w script",
        "Rscript --vanilla script data", "R --no-save -f script", "R --file=data -f script",
        "node --require data script", "julia --project=data -t 2 script", "octave -q script data",
        "tclsh8.6 script", "lua -l data script", "php -f script",
        "awk -f script data", "gawk -F , -f script data", "sed -n -f script data",
        "env -u HOME A=1 python -u script", "nice -n 10 sh -e script", "time -f %e bash script",
        "timeout 10m env X=data bash script", "stdbuf -oL python script data", "nohup sh script",
    ],
)  # fmt: skip
def test_the_script_is_found(line: str) -> None:
    """Whatever options stand before it, those with a value of their own included."""
    argv = shlex.split(line)
    assert argv.index("script") == script_place(argv)


@pytest.mark.parametrize(
    "line",
    [
        "bash -c script", "bash -ec 'echo $0' script", "bash -e -c script data", "sh -s script",
        "python -c script data", "python -m script data", "python -uc script data",
        "python - script",
        "perl -e script data", "perl -lane script data", "perl -w -E script", "ruby -e script data",
        "Rscript -e script data", "node -e script", "node -pe script", "node --eval script data",
        "julia -e script data", "octave --eval script data", "php -r script", "lua -e script data",
        "awk script data", "awk -F, script data", "sed script data", "sed -e script data",
        "bash nothing script", "cat script", "script data", "python", "env python -c script",
        "java -cp data script",
    ],
)  # fmt: skip
def test_what_is_no_script(line: str) -> None:
    """Code in words, a module, standard input, data of another program."""
    assert script_place(shlex.split(line)) is None


def test_a_jar_is_a_script() -> None:
    """Java's options are words of their own."""
    assert 5 == script_place(shlex.split("java -Xmx4g -cp data -jar a.jar data"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bet a b", ["bet"]),
        ("env bet a b", ["env", "bet"]),
        ("env -i PATH=/bin FSLOUTPUTTYPE=NIFTI bet a b", ["env", "bet"]),
        ("nice -n 10 ionice -c 3 bet a", ["nice", "ionice", "bet"]),
        ("timeout -k 5 10m bet a", ["timeout", "bet"]),
        ("taskset -c 0-3,7 bet a", ["taskset", "bet"]),
        ("xvfb-run -a -s '-screen 0 640x480x24' wb_view a", ["xvfb-run", "wb_view"]),
        ("mpirun -np 4 dwi2fod a", ["mpirun", "dwi2fod"]),
        ("/usr/bin/time -f %e /opt/bet a", ["/usr/bin/time", "/opt/bet"]),
        ("env A=1", ["env"]),
    ],
)
def test_the_program_behind_a_wrapper(line: str, expected: list[str]) -> None:
    """It is what runs, so it is what counts."""
    assert expected == programs_of(shlex.split(line))
