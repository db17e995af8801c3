"""Who asks: what the frame that opens a file or lists a folder tells of the purpose.

The import system looks into folders and reads sources on its way to a module: what counts of that
is the module. What prints a warning or a traceback reads the lines of code that it shows, and
joblib those of a function that it caches: they count already. What looks for a pattern lists
folders, of which the run gets but some names.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Literal

_LIBRARY = os.path.dirname(os.__file__)
_ZIPS = "<frozen zipimport"
_IMPORTS = (
    "<frozen importlib",
    "<frozen site",
    _ZIPS,
    os.path.join(_LIBRARY, "importlib") + os.sep,
    os.path.join(_LIBRARY, "pkgutil.py"),
)
_BACKPORTS = tuple(  # of what looks for installed packages; each entry of sys.path is listed
    f"{os.sep}{name}{os.sep}" for name in ("importlib_metadata", "pkg_resources")
)
_RUNS = ("<frozen runpy", os.path.join(_LIBRARY, "runpy.py"))
_SPAWNS = (  # of multiprocessing, and of loky
    os.path.join(_LIBRARY, "multiprocessing", "spawn.py"),
    os.path.join("loky", "backend", "spawn.py"),
)
_SHOWS = (os.path.join(_LIBRARY, "linecache.py"), os.path.join("joblib", "func_inspect.py"))
_PATTERNS = (os.path.join(_LIBRARY, "glob.py"), os.path.join(_LIBRARY, "pathlib"))
_GLOBS = ("glob", "rglob", "_glob", "_iglob", "iglob", "select_", "_select", "_iterate_dir")
_NEAR = 8


def is_of_imports(frame: FrameType | None) -> bool:
    """Tell whether it is the import system, or what looks for installed packages."""
    if frame is None:
        return False
    file = frame.f_code.co_filename
    return file.startswith(_IMPORTS) or any(name in file for name in _BACKPORTS)


def is_running_main_again(frame: FrameType | None) -> bool:
    """Tell whether a file is read because a spawned child runs the main script of its parent."""
    for _ in range(_NEAR):  # it looks first whether the file is an archive of modules
        if frame is None:
            return False
        file = frame.f_code.co_filename
        if file.endswith(_SPAWNS):
            return True
        if not file.startswith((*_IMPORTS, *_RUNS)):
            return False
        frame = frame.f_back
    return False


def reader_of_source(frame: FrameType | None) -> Literal["import", "look", ""]:
    """Tell whether Python source is read to import it, or to look at it: to show its lines."""
    if frame is None:
        return ""
    if is_running_main_again(frame):
        return "import"
    if frame.f_code.co_filename.startswith(_ZIPS):
        return "look"  # whether it is an archive
    if is_of_imports(frame):
        return "import"
    above = frame.f_back
    files = [each.f_code.co_filename for each in (frame, above) if each is not None]
    return "look" if any(file.endswith(_SHOWS) for file in files) else ""


def is_globbing(frame: FrameType | None) -> bool:
    """Tell whether a folder is listed for the names that fit a pattern."""
    for _ in range(_NEAR):
        if frame is None or not frame.f_code.co_filename.startswith(_PATTERNS):
            return False
        if frame.f_code.co_name.startswith(_GLOBS):
            return True
        frame = frame.f_back
    return False
