"""Planning: a process in which nothing may be run, because somebody only asks what would be.

`memori why SCRIPT` says so by a variable, which the processes that a script starts inherit: there
what is remembered comes back as always, and what would run is refused.
"""

from __future__ import annotations

import os

VARIABLE = "MEMORI_PLANNING"


class NotMadeYet(BaseException):
    """What is asked for is still to be made, and nothing is run now."""


def reject_run(subject: str, why: str = "") -> None:
    """Raise `NotMadeYet` where nothing may be run."""
    if os.environ.get(VARIABLE):
        raise NotMadeYet(f"{subject} would run{why and f' ({why})'}, which nothing does now")
