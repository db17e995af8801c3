"""What a function that makes the pipeline takes, as options."""

import argparse
from pathlib import Path
from typing import Annotated, Literal

import pytest

from memori.neuro.bids_app.options import options_of


def parsed(function, *words):
    """The values of the options, by parameter."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for option in options_of(function):
        parser.add_argument(option.flag, **option.keywords)
    found = vars(parser.parse_args(words))
    return {name.removeprefix("option_"): value for name, value in found.items()}


def test_types_come_of_annotations_or_defaults():
    """A bool is a switch with its opposite, a list takes several, a Literal has choices."""

    def make(
        fwhm: Annotated[float, "in mm"] = 6.0, order=2, detrend: bool = True,
        space: Literal["T1w", "MNI"] = "T1w", runs: list[int] | None = None,
        mask: str | None = None,
    ): ...  # fmt: skip

    assert parsed(make) == {
        "fwhm": 6.0, "order": 2, "detrend": True, "space": "T1w", "runs": None, "mask": None,
    }  # fmt: skip
    words = ["--fwhm", "4", "--order=1", "--no-detrend", "--space", "MNI", "--runs", "1", "2"]
    assert parsed(make, *words, "--mask", "x") == {
        "fwhm": 4.0, "order": 1, "detrend": False, "space": "MNI", "runs": [1, 2], "mask": "x",
    }  # fmt: skip


def test_annotations_may_be_texts_of_another_module():
    """As `from __future__ import annotations` makes them."""

    def make(width: "float" = 1): ...

    assert {"width": 2.5} == parsed(make, "--width", "2.5")


@pytest.mark.parametrize("kind", [dict, Path, tuple[int, int]])
def test_what_cannot_be_an_option_is_told(kind):
    """With the parameter and its type."""

    def make(what: kind): ...

    with pytest.raises(TypeError, match="the parameter 'what' of the function"):
        options_of(make)


def test_a_name_that_every_app_has_is_told(run):
    """It cannot be two things."""

    def make(mem: int = 1): ...

    with pytest.raises(TypeError, match=r"'mem' has the name of an option that every"):
        run(made=make)
