"""The package as others see it: version, citation, licence, command."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import memori

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def distribution():
    """The installed distribution, or a skip that says how to install it."""
    try:
        return importlib.metadata.distribution(PROJECT["name"])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("memori is not installed: pip install -e '.[test]'")


def citation():
    """CITATION.cff as a dictionary, validated against the official schema."""
    cffconvert = pytest.importorskip("cffconvert", reason="no schema: pip install cffconvert")
    from ruamel.yaml import YAML

    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cffconvert.Citation(text, src="CITATION.cff").validate()
    return json.loads(json.dumps(YAML(typ="safe").load(text), default=str))


def test_the_citation_is_valid_and_of_this_version():
    """CITATION.cff fulfils schema 1.2.0 and names the version of the package, twice."""
    cited = citation()

    assert "1.2.0" == cited["cff-version"]
    assert memori.__version__ == cited["version"] == cited["preferred-citation"]["version"]
    assert PROJECT["license"] == cited["license"]


def test_an_invalid_citation_is_noticed():
    """The validation is a real one."""
    cffconvert = pytest.importorskip("cffconvert", reason="no schema: pip install cffconvert")

    with pytest.raises(Exception, match=r"(?i)required|authors|version|message"):
        cffconvert.Citation("cff-version: 1.2.0\ntitle: x\n", src="x").validate()


def test_the_citation_credits_the_original_memori():
    """The memori of Andrew Van, whose Stage and Pipeline are implemented anew, is referenced."""
    (original,) = citation()["references"]

    assert [{"family-names": "Van", "given-names": "Andrew"}] == original["authors"]
    assert ("https://github.com/vanandrew/memori", "MIT") == (
        original["repository-code"],
        original["license"],
    )


def test_the_version_is_written_once():
    """The installed metadata, the package and the changelog agree."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert memori.__version__ == distribution().version
    assert re.search(rf"## \[({re.escape(memori.__version__)}|Unreleased)\]", changelog)


def test_the_package_is_typed():
    """py.typed is where type checkers look for it."""
    assert (ROOT / "memori" / "py.typed").is_file()


def test_every_dependency_says_why_it_is_there():
    """Each run-time dependency carries its reason as a comment."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.partition("\ndependencies = [\n")[2].partition("\n]")[0].splitlines()

    assert len(PROJECT["dependencies"]) == len(listed)
    assert [] == [line for line in listed if "#" not in line]


def test_the_command_is_installed():
    """`memori --version` prints the version."""
    distribution()
    command = Path(sys.executable).with_name("memori")

    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)

    assert f"memori {memori.__version__}\n" == done.stdout


def test_a_command_is_required_and_the_help_lists_them():
    """`memori` alone is a usage error; `memori --help` names the commands."""
    run = [sys.executable, "-c", "import sys; from memori.cli import main; sys.exit(main())"]

    alone = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    helped = subprocess.run([*run, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert 2 == alone.returncode
    assert "demo" in helped.stdout
