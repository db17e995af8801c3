"""Asks the standard's own validator whether a dataset is BIDS, where it is installed.

What counts are errors of the dataset as a whole and of the participants that are to be run; an
error in another participant's folder is no reason not to run this one. `.bidsignore` counts.

Not promised: a word on what `bids-validator-deno` calls a warning.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection

from memori.neuro.bids_app.errors import AppError

NAME = "bids-validator-deno"
_SHOWN = 5


def validator() -> str | None:
    """Return the program, if it is on the PATH or beside this Python."""
    beside = os.path.join(os.path.dirname(sys.executable), NAME)
    return shutil.which(NAME) or (beside if os.access(beside, os.X_OK) else None)


def errors(program: str, root: str, participants: Collection[str]) -> list[str]:
    """Return the errors of a dataset that concern these participants, each in a line.

    Raises
    ------
    AppError
        If the validator does not answer.
    """
    command = [program, "--format", "json", "--ignoreWarnings", root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError, TypeError) as error:
        said = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        raise AppError(
            f"{program} did not answer ({said}); go on without it by --skip-bids-validation"
        ) from error
    faults = (each for each in found if each.get("severity") == "error")
    return sorted({_line(each) for each in faults if _concerns(each, participants)})


def _concerns(issue: dict[str, str], participants: Collection[str]) -> bool:
    match = re.match(r"/sub-([^/_]+)", issue.get("location") or "")
    return match is None or match[1] in participants


def _line(issue: dict[str, str]) -> str:
    parts = (issue.get("code"), issue.get("subCode"), issue.get("location"))
    return " ".join(str(part) for part in parts if part)


def require_valid(program: str, root: str, participants: Collection[str]) -> None:
    """Raise if the dataset is not BIDS, as far as these participants are concerned.

    Raises
    ------
    AppError
        It tells the first errors, and how to go on.
    """
    found = errors(program, root, participants)
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise AppError(
            f"{root} is not valid BIDS: {'; '.join(found[:_SHOWN])}{more}. {NAME} {root} tells all "
            "of it; mend it, list it in .bidsignore, or go on by --skip-bids-validation"
        )
