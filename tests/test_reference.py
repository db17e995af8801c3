"""The reference is complete: what can be imported has its place on the page."""

import re
from importlib import import_module
from pathlib import Path

import memori
import memori.neuro

PAGE = (Path(__file__).parents[1] / "docs/reference.md").read_text(encoding="utf-8")


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
