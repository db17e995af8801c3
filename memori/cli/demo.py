"""`memori demo`: preprocess a few real images, twice, and see what is remembered."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Any

from memori.errors import MemoriError

_NEEDED = ("niimath", "nilearn", "matplotlib")


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "demo",
        help="preprocess a few real images and see what is remembered",
        description="Preprocess the resting runs of three subjects, made from images that "
        "installed packages carry. Run it again and nothing runs; change a parameter and only "
        "what depends on it does.",
    )
    parser.add_argument(
        "--out", metavar="DIR", default="memori-demo", help="where to work (default: %(default)s)"
    )
    parser.add_argument(
        "--change",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="change a parameter: fwhm (smoothing, mm), threshold (brain, %%) or detrend (order)",
    )
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="subjects at once")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and return the exit code."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MemoriError(
            f"the demo needs {', '.join(missing)}, which this Python does not have; install "
            "memori with its extra, from the checkout: pip install '.[demo]'"
        )
    from memori.neuro.demo.session import changed, run_session

    try:
        changes = dict(changed(wish) for wish in arguments.change)
    except ValueError as error:
        raise MemoriError(str(error)) from error
    return 0 if run_session(arguments.out, changes, arguments.jobs) else 1
