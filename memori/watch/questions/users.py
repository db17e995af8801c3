"""Whose question it is: the user's, or a library's.

Code is the user's if neither an installation nor Python holds it. What a library asks is the
user's question too where the library was but handed the function (``df.path.map(os.path.exists)``,
``ThreadPoolExecutor().map(os.path.getsize, scans)``): no code of a library on the way to it names
the function.

So is what a library asks of a path that the user's code gave it, if it is not there: that is an
error, or another way, of which the user knows (``nibabel.load``).

Not promised: a library that hands such a function to another thread, or keeps it under another
name, is taken for the user.
"""

from __future__ import annotations

import os

from memori.fingerprint.origins import OWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

LIBRARY = os.path.dirname(os.__file__) + os.sep
_SITES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_users: dict[str, bool] = {}


def is_users(file: str) -> bool:
    """Tell whether code is neither a library's nor memori's own."""
    known = _users.get(file)
    if known is None:
        is_librarys = file.startswith(("<frozen", OWN, LIBRARY)) or any(
            site in file for site in _SITES
        )
        known = _users[file] = not is_librarys
    return known


def is_handed(frame: FrameType | None, names: Iterable[str]) -> bool:
    """Tell whether a library was handed by the user what it calls.

    Parameters
    ----------
    frame : frame or None
        What calls it.
    names : iterable of str
        By which a library's own code would name it (``exists``, and so ``_path_exists``).
    """
    endings = tuple(f"_{name}" for name in names)
    while frame is not None and not is_users(frame.f_code.co_filename):
        code = frame.f_code
        for each in (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_consts):
            if type(each) is str and f"_{each}".endswith(endings):
                return False
        frame = frame.f_back
    return True


def is_given(frame: FrameType | None, path: object) -> bool:
    """Tell whether the user's code called a library with the path of which that asks.

    Parameters
    ----------
    frame : frame or None
        What asks.
    path : object
        As the library has it.
    """
    file = OWN if frame is None else frame.f_code.co_filename
    if frame is None or file.startswith(OWN) or not any(site in file for site in _SITES):
        return False  # what Python itself asks for, it opens or lists
    above = frame.f_back
    while above is not None and not is_users(above.f_code.co_filename):
        frame, above = above, above.f_back
    if above is None or not isinstance(path, (str, os.PathLike)):
        return False
    given = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    held = (frame.f_locals.get(name) for name in given)
    text = os.fspath(path)
    return any(os.fspath(each) == text for each in held if isinstance(each, (str, os.PathLike)))
