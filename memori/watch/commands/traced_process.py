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
    goes_on_in : str or None
        The file that it asked for last, only to append to it, and did not find.
    """

    __slots__ = ("cwd", "elsewhere", "goes_on_in", "is_watchdog", "program", "start")

    def __init__(self, cwd: str, program: int, elsewhere: bool) -> None:
        self.cwd = self.start = cwd
        self.program = program
        self.elsewhere = elsewhere
        self.is_watchdog = False
        self.goes_on_in: str | None = None

    def goes(self, folder: str) -> None:
        """Make a folder the current one."""
        self.cwd = folder
        if not f"{folder}/".startswith(f"{self.start}/"):
            self.start = folder
