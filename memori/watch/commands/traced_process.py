"""One process of a traced command: where it is, and what it runs."""

from __future__ import annotations


class Process:
    """One process, or the threads of one.

    Attributes
    ----------
    cwd : str
        Its folder.
    start : str
        The folder above it from which its names are meant: a shell's own ``cd atlas`` is spelled
        out.
    program : int
        The number of the program that it runs, counted over all processes.
    elsewhere : bool
        Whether it sees other files than this process: a container.
    is_watchdog : bool
        Whether it is no part of the command, but watches over a Python that uses memori.
    """

    __slots__ = ("cwd", "elsewhere", "is_watchdog", "program", "start")

    def __init__(self, cwd: str, program: int, elsewhere: bool) -> None:
        self.cwd = self.start = cwd
        self.program = program
        self.elsewhere = elsewhere
        self.is_watchdog = False

    def goes(self, folder: str) -> None:
        """Make a folder the current one."""
        self.cwd = folder
        if not f"{folder}/".startswith(f"{self.start}/"):
            self.start = folder
