"""The reference is complete: what can be imported has its place on the page."""

import re
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import memori
import memori.neuro

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")


def test_every_name_that_is_offered_is_in_the_reference_and_no_other():
    """Names of `memori` and `memori.neuro`, each once, under which they are imported."""
    offered = [f"memori.{name}" for name in memori.__all__ if not name.startswith("__")]
    offered += [f"memori.neuro.{name}" for name in memori.neuro.__all__]

    assert sorted(offered) == sorted(re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE))


def test_every_name_of_the_reference_says_what_it_is():
    """Each has a docstring, from which its part of the page is made."""
    for name in re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE):
        module, _, own = name.rpartition(".")
        assert getattr(import_module(module), own).__doc__, name


def test_the_site_tells_of_each_command_and_of_each_of_its_words():
    """The reference of the command line is made from the parser that reads it."""
    path = ROOT / ".ci/site.py"
    if not path.exists():
        pytest.skip("the site is made in a checkout only")
    spec = spec_from_file_location("memori_site", path)
    site = module_from_spec(spec)
    spec.loader.exec_module(site)

    told = "\n".join(site.commands())

    for command in (
        "run",
        "map",
        "ls",
        "show",
        "why",
        "log",
        "verify",
        "prune",
        "report",
        "status",
    ):
        assert f"## memori {command}\n" in told
    assert "| `--older AGE` | runs made longer ago" in told
    assert "%(" not in told
