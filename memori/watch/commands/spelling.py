"""Paths as people spell them.

A tracer shows where a process really is. Where the folder of a command was reached through a link,
people spell what lies there by the link; so do the paths that a run was seen to touch.
"""

from __future__ import annotations

import os

from memori.watch.touch import plain_path


class Spelling:
    """Spells paths as the folder of a command is spelled.

    Parameters
    ----------
    cwd : str
        That folder, absolute.
    """

    def __init__(self, cwd: str) -> None:
        self._real, self._spelled = _difference(os.path.realpath(cwd), cwd)

    def plain(self, path: str) -> str:
        """Return an absolute path without detours, spelled as the folder of the command is."""
        path = plain_path(path)
        if self._real and f"{path}/".startswith(self._real):
            return (self._spelled + path[len(self._real) :]).rstrip("/")
        return path


def _difference(real: str, spelled: str) -> tuple[str, str]:
    """Return the folder at which a path leads through a link, real and as spelled."""
    if real == spelled:
        return "", ""
    first, second = real.split("/"), spelled.split("/")
    while first and second and first[-1] == second[-1]:
        first.pop()
        second.pop()
    above = "/".join(first) + "/", "/".join(second) + "/"
    return ("", "") if "/" in above else above
