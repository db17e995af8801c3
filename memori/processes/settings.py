"""What a person may set for all stages, and where: few things, of which none changes a result.

From the weakest to the strongest place: ``[tool.memori]`` in the nearest ``pyproject.toml`` at or
above the current folder, ``memori.toml`` in the user's configuration (``~/.config``), environment
variables, and what a stage or a command is given itself. `memori config` prints what holds.

Not promised: that a file which is edited while a process goes on is read again by it.
"""

from __future__ import annotations

import os

from memori.aside import aside
from memori.errors import MemoriError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "folder": (),  # any text
    "watch": ("on", "off", "required"),
    "verify": ("stat", "content"),
    "ignore_reads": (),
    "executor": (),
    "further": ("point", "copy"),
}
"""The settings, each with the values that it may have."""
DEFAULTS: Mapping[str, str] = {
    "folder": ".memori",
    "watch": "on",
    "verify": "stat",
    "ignore_reads": "",
    "executor": "",
    "further": "point",
}
_PROJECT = "pyproject.toml"
_files: dict[str, dict[str, tuple[str, str]]] = {}
_MOST_FOLDERS = 256


class SettingError(MemoriError):
    """A setting that is not there, or a value that it cannot have."""


def setting(name: str) -> str:
    """Return what holds of a setting."""
    value = os.environ.get(f"MEMORI_{name.upper()}")
    if not value:
        return _in_files(name)
    if SETTINGS[name] and value not in SETTINGS[name]:
        _checked({name: value}, _place(name))
    return value


def check_variables() -> None:
    """Raise if a variable has a value that it cannot have."""
    for name, values in SETTINGS.items():
        if values:
            setting(name)


def where(name: str) -> tuple[str, str]:
    """Return what holds of a setting, and from where: a variable, a file, or ``default``."""
    variable = f"MEMORI_{name.upper()}"
    if value := os.environ.get(variable):
        if SETTINGS[name]:
            _checked({name: value}, _place(name))
        return value, variable
    return _told(_found(os.getcwd())).get(name, (DEFAULTS[name], "default"))


def _place(name: str) -> str:
    return f"the environment (MEMORI_{name.upper()})"


def _in_files(name: str) -> str:
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = os.path.expanduser("~")
    known = _files.get(here)
    if known is None:
        if len(_files) >= _MOST_FOLDERS:
            _files.clear()
        with aside():
            known = _files[here] = _told(_found(here))
    return known[name][0] if name in known else DEFAULTS[name]


def _told(found: list[tuple[str, dict[str, str]]]) -> dict[str, tuple[str, str]]:
    """Return each setting with the file that it is from; a later file wins."""
    return {name: (value, path) for path, given in found for name, value in given.items()}


def _found(here: str) -> list[tuple[str, dict[str, str]]]:
    """Return the files that set something, the weakest first, and what they set."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    user = os.path.join(home, "memori.toml")
    project = _project(here)
    pairs = [] if project is None else [(project, _read(project, "tool"))]
    return [*pairs, (user, _read(user, None))] if os.path.isfile(user) else pairs


def _project(here: str) -> str | None:
    """Return the nearest pyproject.toml at or above a folder."""
    while True:
        path = os.path.join(here, _PROJECT)
        if os.path.isfile(path):
            return path
        above = os.path.dirname(here)
        if above == here:
            return None
        here = above


def _read(path: str, table: str | None) -> dict[str, str]:
    """Return the settings in a file; of a project's file those of memori alone."""
    with open(path, "rb") as stream:
        content = stream.read()
    if table is not None and b"memori" not in content:
        return {}
    import tomllib

    try:
        document = tomllib.loads(content.decode())
    except ValueError as error:
        raise SettingError(f"{path} is no TOML: {error}") from error
    given = document if table is None else document.get(table, {}).get("memori", {})
    if not isinstance(given, dict):
        raise SettingError(f"{path}: tool.memori is a table, not {given!r}")
    return _checked(given, path)


def _checked(given: Mapping[str, object], path: str) -> dict[str, str]:
    """Return settings as text, paths among them from their file's folder."""
    found = {}
    for name, value in given.items():
        if name not in SETTINGS:
            raise SettingError(
                f"{path}: {name!r} is no setting of memori{_nearest(name)}; there are "
                f"{', '.join(SETTINGS)}"
            )
        if name == "ignore_reads" and isinstance(value, list):
            value = os.pathsep.join(map(str, value))
        if isinstance(value, bool):
            value = "on" if value else "off"
        if not isinstance(value, str) or (SETTINGS[name] and value not in SETTINGS[name]):
            kinds = " or ".join(map(repr, SETTINGS[name])) or "a text"
            raise SettingError(f"{path}: {name} = {value!r}; it is {kinds}")
        if name == "folder" and os.path.isfile(path):
            value = os.path.join(os.path.dirname(path), os.path.expanduser(value))
        found[name] = value
    return found


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, SETTINGS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
