"""The command line of a BIDS App: `script.py BIDS_DIR OUT_DIR participant [options]`.

The words are those of the BIDS Apps standard and of fMRIPrep: `--participant_label` and
`--participant-label` are one, labels come with or without `sub-`, several after blanks or commas.
What the function that makes the pipeline takes is an option as well.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from memori.neuro.bids_app.errors import AppError
from memori.neuro.bids_app.options import Option

_UNITS = {"B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"
"""What word processors and web pages make of a hyphen."""
_EPILOG = """Exit codes: 0 all is done; 1 a participant failed, or the data are at fault; 2 wrong
arguments; 130 Ctrl-C. What is remembered is not run again."""


class Parser(argparse.ArgumentParser):
    """Takes `_` for `-` in the names of options, and tells of the nearest for a wrong one."""

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return what the words say.

        Raises
        ------
        AppError
            If they say nothing that is known; SystemExit for `--help` and `--version`.
        """
        spelled = [self._spelled(word) for word in words]
        found, others = self.parse_known_args(spelled)
        if others:
            known = [name for action in self._actions for name in action.option_strings]
            name = others[0].partition("=")[0]
            near = get_close_matches(name, known, n=1) if name.startswith("-") else []
            meant = f"; did you mean {near[0]}?" if near else "; --help lists what there is"
            raise AppError(f"unknown argument {others[0]!r}{meant}", 2)
        return found

    def _spelled(self, word: str) -> str:
        if word[:1] and word[0] in _DASHES:
            raise AppError(
                f"{word!r} begins with a dash that is no hyphen (-), as text that was copied from "
                f"a page often does; type {'--' + word.lstrip(_DASHES + '-')!r}",
                2,
            )
        name, sign, value = word.partition("=")
        return name.replace("_", "-") + sign + value if name.startswith("--") else word

    def error(self, message: str) -> NoReturn:
        """Raise, where argparse would print the usage and end."""
        if "required: " in message and "analysis_level" in message:
            message += (
                "; give BIDS_DIR OUT_DIR and the level first, before options that take several "
                "values, such as --participant-label"
            )
        raise AppError(f"{message}; --help tells what there is", 2)


def parser(
    name: str, version: str, description: str, levels: Sequence[str], options: Sequence[Option]
) -> Parser:
    """Return the parser of an app.

    Parameters
    ----------
    name, version, description : str
        What `--help` and `--version` say.
    levels : sequence of str
        The levels of analysis that the app has.
    options : sequence of Option
        Those of the function that makes the pipeline.
    """
    made = Parser(
        prog=name,
        description=description,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("bids_dir", metavar="BIDS_DIR", help="the dataset; nothing is written there")
    made.add_argument("output_dir", metavar="OUT_DIR", help="the folder of the derivatives")
    made.add_argument("analysis_level", choices=levels, help="what to run")
    made.add_argument("--version", action="version", version=f"{name} {version}".rstrip())
    _add_choices(made)
    _add_resources(made)
    own = made.add_argument_group("the pipeline") if options else made
    for option in options:
        try:
            own.add_argument(option.flag, **option.keywords)
        except argparse.ArgumentError as error:
            raise TypeError(
                f"the pipeline's parameter {option.name!r} has the name of an option that every "
                f"BIDS App has ({option.flag}): call it something else"
            ) from error
    return made


def _add_choices(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("which data")
    for flags, metavar, what in (
        (("--participant-label",), "LABEL", "participants, with or without sub- (default: all)"),
        (("--session-label", "--session-id"), "LABEL", "sessions, with or without ses-"),
        (("-t", "--task-id"), "LABEL", "tasks, with or without task-"),
    ):
        group.add_argument(
            *flags, nargs="+", action="extend", default=[], metavar=metavar, help=what
        )
    group.add_argument(
        "--bids-filter-file",
        metavar="FILE",
        help='further filters, as of fMRIPrep: JSON such as {"bold": {"run": 1, "echo": null}}',
    )
    group.add_argument(
        "--skip-bids-validation",
        "--skip-bids-validator",
        action="store_true",
        help="do not ask the bids-validator first",
    )


def _add_resources(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("how")
    group.add_argument(
        "-w",
        "--work-dir",
        metavar="DIR",
        default="work",
        help="where runs are remembered; keep it, and nothing runs twice (default: %(default)s)",
    )
    group.add_argument(
        "--nprocs",
        "--n-jobs",
        "--n-procs",
        "--nthreads",
        "--n-cpus",
        metavar="N",
        type=_count,
        default=1,
        help="processors to keep busy, -1 for all (default: %(default)s)",
    )
    group.add_argument(
        "--mem",
        "--mem-mb",
        metavar="SIZE",
        type=_size,
        help="run no more at once than fits, by what earlier runs took: 8G, 16000 (MB)",
    )
    group.add_argument(
        "--mem-gb", metavar="GB", dest="mem", type=lambda text: _size(f"{text}G"), help="the same"
    )
    group.add_argument("-v", "--verbose", action="count", default=0, help="say why a stage runs")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")


def labels(words: Sequence[str], key: str) -> list[str]:
    """Return labels without their prefix, each once; commas and blanks part them.

    Raises
    ------
    AppError
        If one is empty, as an unset variable of a shell makes it: that is not to mean "all".

    Examples
    --------
    >>> labels(["sub-01", "02,sub-03", "01"], "sub")
    ['01', '02', '03']
    """
    parts = [part.strip() for word in words for part in word.split(",")]
    bare = [part.removeprefix(f"{key}-").rstrip("/") for part in parts]
    if words and not all(bare):
        raise AppError(f"a label of {key}- is empty: {' '.join(map(repr, words))}", 2)
    return list(dict.fromkeys(bare))


def _count(text: str) -> int:
    if not re.fullmatch("-1|0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processors, and not -1 for all")
    if text == "-1":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return int(text)


def _size(text: str) -> int:
    """Return bytes; without a unit it counts MB, as of fMRIPrep.

    Examples
    --------
    >>> _size("8G"), _size("16000"), _size("1.5 GB")
    (8000000000, 16000000000, 1500000000)
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected one such as 8G or 16000")
    return int(float(match[1]) * _UNITS[match[2].upper() or "M"])
