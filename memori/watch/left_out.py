"""What does not count of all that a run was seen to read and write.

The list is short, and all of it is here:

- what the system shows of itself: ``/proc``, ``/sys``, ``/dev``, and ``/etc``, in which the hosts
  of one cluster differ; what its services keep of users and hosts (``/var/lib/sss``,
  ``/run/nscd``); of ``/dev/shm``, where users lay files, only what processes share, by name;
- what installations own by their own word (`memori.watch.installed`), the shared libraries and
  the languages of the system, what a Python is made of; and where these were looked for in vain;
- caches of libraries, by name, because what is in them is made of something else: matplotlib's,
  fontconfig's, numba's, pip's, and ``__pycache__``. Never a cache's root: models and templates that
  were downloaded once live in ``~/.cache``;
- what memori keeps (``.memori``), and where Python finds its packages (``.pth``);
- what the user names (`ignore_reads`, ``MEMORI_IGNORE_READS``): a file, a folder with all that is
  in it, or a pattern.

Settings of libraries and tools in the home folder count like any file.
"""

from __future__ import annotations

import os
import re
import sys
from fnmatch import fnmatchcase

from memori.watch.installed import installed
from memori.watch.listings import literal, meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM = re.compile(
    r"/(?:proc|sys|etc)/|/dev/(?!shm(?:/|$))"
    r"|/dev/shm/(?:sem\.|w?psm_|torch_|pym-|loky-|joblib_memmapping|__KMP_|nccl-|cuda|psm\d_"
    r"|vader_segment|sm_segment|osc_rdma|ompi|mpich|Intel_MPI|pulse-|\.)"
    r"|/var/(?:lib/(?:sss|nscd)|cache/nscd|db/nscd)/"
    r"|(?:/var)?/run/(?:utmp$|(?:nscd|sssd?|nslcd|systemd|dbus|munge|udev|lock|resolvconf)/)"
)
_CACHES = (
    r"/(?:\.memori|__pycache__|\.?fontconfig|\.cache/(?:matplotlib|pip|numba)"
    r"|\.config/matplotlib/tex\.cache)/"
    r"|/matplotlib/fontlist-[^/]*\.json(?:\.matplotlib-lock)?$"
    r"|/(?:site|dist)-packages/[^/]*\.pth$"
    r"|\.(?:pyc|nbi|nbc)(?:\.[^/]*)?$"
)
_SYSTEMS_OWN = (  # what its installer makes or asks for, and no list of it names
    r"^(?:/usr(?:/local)?)?/(?:lib\w*|share)/(?:.*\.so(?:\.[\d.]+)?$|locale/|(?:.*/)?gconv/)"
    r"|.*/(?:pyvenv\.cfg|bin/python[\d.]*|libpython[\d.]+\.so[\d.]*)$"
)
_LOOKED_FOR = (
    r"\.so(?:\.[\d.]+)?$|/(?:glibc-hwcaps|gconv|locale|terminfo)(?:/|$)"
    r"|/(?:tls|haswell|avx512_1|x86_64)$"
    r"|/(?:pyvenv\.cfg|pybuilddir\.txt|Setup\.local|lib-dynload|os\.py|__init__\.[^/]*)$"
    r"|/python[\d.]+(?:\.zip|\._pth)$"
)


class LeftOut:
    """Tells what of the observed paths does not count.

    Parameters
    ----------
    ignored : iterable of str
        What the user leaves out: paths of files and folders (``~`` stands for the home folder), or
        patterns (``*.log``, ``/scratch/*/tmp``), which are held against the whole path and, if they
        name no folder, against the name.

    Examples
    --------
    >>> left_out = LeftOut(["*.log", "/data/shared"])
    >>> sorted(left_out.among(["/a/x.log", "/data/shared/y", "/dev/null", "/a/x.txt"]))
    ['/a/x.log', '/data/shared/y', '/dev/null']
    """

    def __init__(self, ignored: Iterable[str] = ()) -> None:
        self._folders: list[str] = []
        self._patterns: list[str] = []
        self._names: list[str] = []
        for each in ignored:
            text = os.path.expanduser(each)
            name = meant(text)
            self._folders += [os.path.abspath(path) for path in {text, name or text}]
            if name is None and "/" not in text:
                self._names.append(text)
            elif name is None and text[0] in "/*":
                self._patterns.append(text)
            elif name is None:
                self._patterns.append(os.path.normpath(f"{literal(os.getcwd())}/{text}"))

    def among(self, paths: Iterable[str]) -> set[str]:
        """Return those of some absolute paths that do not count."""
        paths = list(paths)
        found = {path for path in paths if self._is_left_out(path)}
        return found | installed([path for path in paths if path not in found])

    def ignores(self, path: str) -> bool:
        """Tell whether the user, or its name, leaves an absolute path out."""
        return self._is_left_out(path)

    def listing(self, folder: str) -> bool:
        """Tell whether the names in a folder do not count."""
        path = os.path.join(folder, "")
        return self._is_left_out(path) or path in installed([path])

    def absent(self, path: str) -> bool:
        """Tell whether it does not count that a name was looked for in vain."""
        folder = os.path.dirname(path)
        if folder.endswith((".dist-info", ".egg-info")) or path in sys.path:
            return True  # that is how packages are looked for
        return re.search(_LOOKED_FOR, path) is not None or self._is_left_out(path)

    def _is_left_out(self, path: str) -> bool:
        if _SYSTEM.match(path) or re.search(_CACHES, path) or re.match(_SYSTEMS_OWN, path):
            return True
        for folder in self._folders:
            if path == folder or path.startswith(f"{folder}/"):
                return True
        if any(fnmatchcase(path, pattern) for pattern in self._patterns):
            return True
        name = os.path.basename(path)
        return any(fnmatchcase(name, pattern) for pattern in self._names)
