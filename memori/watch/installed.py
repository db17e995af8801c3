"""Which files installations own, by their own word.

What an installer put somewhere is known to it: a Python distribution lists it in RECORD, conda in
``conda-meta``, Debian's packages in ``/var/lib/dpkg/info``, RPM in its database. Such a file
changes with the version of what it belongs to, so it need not be looked at each time. Everything
else in the same folders is the user's: data in ``/opt`` or below an environment's prefix counts.

An answer is kept for the process. Lists are read only for paths that lie where they may be listed.
"""

from __future__ import annotations

import os
import sys

from memori.fingerprint.origins import OWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LIBRARIES = tuple(
    {os.path.dirname(each) + os.sep for each in (os.__file__, os.path.realpath(os.__file__))}
)
_SITES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/var/lib/", "/var/cache/", "/boot/")
_FOLDERS = ("/usr/share/", "/usr/lib/")  # of which the names are Debian's
_DPKG = "/var/lib/dpkg/info"
_RPM = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")

_real: dict[str, str] = {}  # folder -> the same without links
_known: dict[str, bool] = {}
_records: dict[str, list[bytes]] = {}  # site folder -> what each distribution lists
_listed: dict[tuple[str, str], frozenset[str]] = {}  # site folder, name in it -> paths below it
_prefixes: dict[str, str] = {}  # folder -> the conda environment that it lies in, or ""


def installed(paths: Iterable[str]) -> set[str]:
    """Return those of some absolute paths that an installation owns.

    A folder, spelled with a slash at its end, is an installation's if that put something into it.
    """
    paths = set(paths)
    new = [path for path in paths if path not in _known]
    if new:
        _find(new)
    return {path for path in paths if _known[path]}


def _find(paths: list[str]) -> None:
    left = []
    for path in paths:
        folder, name = os.path.split(path)
        real = os.path.join(_real_folder(folder), name)
        _known[path] = _is_pythons(path) or _is_pythons(real)
        if not _known[path]:
            left.append((path, real))
    for owners in (_owned_by_conda, _owned_by_dpkg, _owned_by_rpm):
        asked = [(path, real) for path, real in left if not _known[path]]
        if asked:
            owned = owners({each for pair in asked for each in pair})
            _known.update((path, True) for path, real in asked if {path, real} & owned)


def _real_folder(folder: str) -> str:
    known = _real.get(folder)
    if known is None:
        known = _real[folder] = os.path.realpath(folder)
    return known


def _is_pythons(path: str) -> bool:
    """Tell whether a file belongs to the standard library, a distribution or memori itself."""
    if path.startswith(OWN):
        return True
    for site in _SITES:
        above, found, below = path.rpartition(site)
        if found:
            listed = _listed_below(above + found, below.partition("/")[0])
            if path[-1:] == "/":
                return not below or any(each.startswith(below) for each in listed)
            return below in listed
    return path.startswith(_LIBRARIES) or _is_beside_site(path)


def _is_beside_site(path: str) -> bool:
    """Tell whether a distribution put a file beside site-packages: a script into bin, share."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    user = getattr(sys.modules.get("site"), "USER_BASE", None)
    for prefix in {sys.prefix, sys.base_prefix, user} - {None}:
        if path.startswith(f"{prefix}/"):
            site = f"{prefix}/lib/{version}/site-packages/"
            line = b"\n%s," % os.fsencode(os.path.relpath(path, site))
            if any(line in record for record in _records_in(site)):
                return True
    return False


def _listed_below(site: str, top: str) -> frozenset[str]:
    """Return what the distributions in a folder say they installed below one name in it."""
    known = _listed.get((site, top))
    if known is None:
        lines: set[str] = set()
        if top.endswith(".dist-info"):  # what describes a distribution is its own, listed or not
            lines.update(f"{top}/{name}" for name in _names_in(site + top))
        start = os.fsencode(f"\n{top}/"), os.fsencode(f"\n{top},"), os.fsencode(f'\n"{top}/')
        for record in _records_in(site):
            if any(each in record for each in start):
                text = os.fsdecode(record)
                lines.update(line.rsplit(",", 2)[0].strip('"') for line in text.splitlines())
        known = _listed[site, top] = frozenset(lines)
    return known


def _records_in(site: str) -> list[bytes]:
    known = _records.get(site)
    if known is None:
        names = [name for name in _names_in(site) if name.endswith(".dist-info")]
        files = [os.path.join(site, name, "RECORD") for name in names]
        known = _records[site] = [b"\n" + _content(file) for file in files]
    return known


def _prefix_of(path: str) -> str:
    """Return the conda environment that a path lies in, or nothing."""
    folder = os.path.dirname(path)
    known = _prefixes.get(folder)
    if known is None:
        if os.path.isdir(os.path.join(folder, "conda-meta")):
            known = folder
        else:
            known = _prefix_of(folder) if folder.strip("/") else ""
        _prefixes[folder] = known
    return known


def _owned_by_conda(paths: set[str]) -> set[str]:
    by_prefix: dict[str, list[str]] = {}
    for path in paths:
        prefix = _prefix_of(path)
        if prefix:
            by_prefix.setdefault(prefix, []).append(path)
    owned: set[str] = set()
    for prefix, asked in by_prefix.items():
        meta = os.path.join(prefix, "conda-meta")
        wanted = {}
        for path in asked:
            below = path[len(prefix) + 1 :]
            wanted[f'"{below}"'.encode() if below[-1:] != "/" else f'"{below}'.encode()] = path
        for name in _names_in(meta):
            if name.endswith(".json"):
                listed = _content(os.path.join(meta, name))
                owned.update(path for quoted, path in wanted.items() if quoted in listed)
    return owned


def _owned_by_dpkg(paths: set[str]) -> set[str]:
    asked = {path for path in paths if path.startswith(_SYSTEM)}
    asked -= {path for path in asked if path[-1:] == "/" and not path.startswith(_FOLDERS)}
    if not asked or not os.path.isdir(_DPKG):
        return set()
    # what lies in /usr/lib may be listed where it lay before, in /lib
    wanted = {os.fsencode(path.rstrip("/")): path for path in asked}
    wanted |= {line[4:]: path for line, path in wanted.items() if line[:5] == b"/usr/"}
    listed = b"".join(_content(f"{_DPKG}/{n}") for n in _names_in(_DPKG) if n.endswith(".list"))
    return {wanted[line] for line in wanted.keys() & listed.splitlines()}


def _owned_by_rpm(paths: set[str]) -> set[str]:
    asked = sorted(path for path in paths if path.startswith(_SYSTEM))
    if not asked or not any(map(os.path.isdir, _RPM)):
        return set()
    import subprocess

    try:
        done = subprocess.run(
            ["rpm", "-qf", "--queryformat", "owned\\n", *asked],
            capture_output=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return set()
    lines = done.stdout.splitlines()
    if len(lines) != len(asked):
        return set()
    return {path for path, line in zip(asked, lines, strict=True) if line == b"owned"}


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
