"""Whether a command hands on a temporary file, by printing its name and nothing else.

So do the programs of MRtrix in a pipe (``mrconvert a.mif - | mrmath - ...``), and `mktemp`. Whoever
reads the name takes the file away, so that a hit would name what is gone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

_LONGEST = 4096  # bytes of a path
_SLACK = 2.0  # seconds that the clock of a file system may be behind
_PIPED = "mrtrix-tmp-"  # which lie in the current folder, where MRtrix is told so


def handed_on(stdout: str, words: Sequence[str], began: float) -> str | None:
    """Return the temporary file that a command made and named as its only answer, if any.

    Parameters
    ----------
    stdout : str
        The file that holds what it printed.
    words : sequence of str
        The command.
    began : float
        When it was started, in seconds since 1970.
    """
    with open(stdout, "rb") as file:
        path = os.fsdecode(file.read(_LONGEST)).removesuffix("\n")
    if os.path.basename(path).startswith(_PIPED) and "\n" not in path:
        return path
    if not os.path.isabs(path) or "\n" in path or "\0" in path or path in words:
        return None
    above = {tempfile.gettempdir(), "/tmp", "/var/tmp"}
    here = f"{os.getcwd().rstrip('/')}/"
    if path.startswith(here) or not path.startswith(tuple(f"{each}/" for each in above)):
        return None
    return path if _is_new(path, began) else None


def _is_new(path: str, began: float) -> bool:
    try:
        return os.stat(path).st_ctime >= began - _SLACK
    except OSError:  # somebody was quicker
        return True
