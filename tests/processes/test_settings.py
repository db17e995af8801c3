"""A few things are set for all stages and commands, where a person looks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from memori import MemoriError, Stage
from memori.cli import main
from memori.processes.settings import setting


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project and a user's configuration, and no variables."""
    for name in [name for name in os.environ if name.startswith("MEMORI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    (tmp_path / "project/inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project/inner")
    return tmp_path


def project(places: Path, text: str) -> str:
    path = places / "project/pyproject.toml"
    path.write_text(f'[project]\nname = "mine"\n\n[tool.memori]\n{text}\n')
    return str(path)


def user(places: Path, text: str) -> str:
    path = places / "config/memori.toml"
    path.write_text(f"{text}\n")
    return str(path)


def config(capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert 0 == main(["config", "--json"])
    return json.loads(capsys.readouterr().out)


def test_what_holds_is_told_with_its_place(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project is the weakest place, then the user's file, then variables."""
    path = project(places, 'watch = "off"\nfolder = "memory"\nverify = "content"')
    assert {"value": "off", "from": path} == config(capsys)["watch"]
    assert {"value": "", "from": "default"} == config(capsys)["ignore_reads"]
    own = user(places, 'watch = "required"\nignore_reads = ["*.lock", "/scratch"]')
    assert {"value": "required", "from": own} == config(capsys)["watch"]
    assert "*.lock:/scratch" == config(capsys)["ignore_reads"]["value"]
    monkeypatch.setenv("MEMORI_WATCH", "on")
    assert {"value": "on", "from": "MEMORI_WATCH"} == config(capsys)["watch"]
    assert {"value": "content", "from": path} == config(capsys)["verify"]
    assert 0 == main(["config"])
    assert "SETTING" in capsys.readouterr().out


def test_commands_remember_in_the_folder_of_the_project(places: Path) -> None:
    """From whatever folder of it they are called, unless they are told otherwise."""
    project(places, 'folder = "memory"')
    assert 0 == main(["run", "--", "true"])
    assert (places / "project/memory/.memori").is_dir()
    assert 0 == main(["run", "-d", "here", "--", "true"])
    assert Path("here/.memori").is_dir()


def test_stages_do_what_is_set(places: Path) -> None:
    """Here: nothing is watched."""
    project(places, 'watch = "off"')
    Path("noise.txt").write_text("1")

    def read() -> str:
        return Path("noise.txt").read_text()

    stage = Stage(read, "text", str(places / "work"))
    stage.run()
    Path("noise.txt").write_text("2")
    assert stage.explain().hit
    assert "off" == setting("watch")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('wacth = "off"', "'wacth' is no setting of memori (did you mean 'watch'?)"),
        ('watch = "never"', "watch = 'never'; it is 'on' or 'off' or 'required'"),
        ("folder = 3", "folder = 3; it is a text"),
        ("watch = ", "is no TOML"),
    ],
)
def test_what_cannot_be_meant_is_an_error(places: Path, text: str, told: str) -> None:
    """It names the file, and what there is."""
    path = project(places, text)
    with pytest.raises(MemoriError) as raised:
        setting("watch")
    assert path in str(raised.value)
    assert told in str(raised.value)


def test_a_project_that_says_nothing_of_memori_is_left_alone(places: Path) -> None:
    """Even if it is broken: that is not memori's concern."""
    (places / "project/pyproject.toml").write_text("[tool.other\n")
    assert "on" == setting("watch")


def test_a_value_of_the_environment_is_checked_where_it_is_shown(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told in one line what it may be."""
    monkeypatch.setenv("MEMORI_VERIFY", "contents")
    assert 1 == main(["config"])
    assert "verify = 'contents'; it is 'stat' or 'content'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WATCH", "of"), ("WATCH", "OFF"), ("VERIFY", "contents"), ("FURTHER", "cpy")],
)
def test_a_misspelt_variable_is_an_error_of_runs_too(
    places: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A variable is no weaker than a file: what it cannot be is told before anything runs."""
    monkeypatch.setenv(f"MEMORI_{variable}", value)
    with pytest.raises(MemoriError, match=rf"MEMORI_{variable}\): .* = '{value}'; it is '"):
        Stage(lambda: (places / "ran").touch(), "o", "work").run()
    assert not (places / "ran").exists()
