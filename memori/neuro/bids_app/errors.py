"""What ends an app with one line on stderr."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from memori.errors import MemoriError
from memori.neuro.bids.query import some


class AppError(MemoriError):
    """An app cannot do what was asked; `code` is what it exits with.

    Attributes
    ----------
    code : int
        1 where the data are at fault, 2 where the words of the command line are.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def unknown(what: str, label: str, where: str, there: Iterable[str]) -> AppError:
    """Return the error for a label that nothing has, with the nearest and all that there are.

    Examples
    --------
    >>> print(unknown("participant", "1", "ds", ["01", "02"]))
    there is no participant '1' in ds; did you mean '01'? (there are '01', '02')
    """
    known = sorted(there)
    near = get_close_matches(label, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    listed = f"(there are {some(known)})" if near else f"there are {some(known)}"
    return AppError(f"there is no {what} {label!r} in {where}{meant} {listed}", 2)
