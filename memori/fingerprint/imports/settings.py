"""What a script has set in a library, of which its results depend though no code names it.

``plt.rcParams["font.size"] = 14`` at the top of a script changes every figure that its functions
draw, ``sklearn.set_config(transform_output="pandas")`` what transformers return,
``numpy.set_printoptions(precision=3)`` how arrays read in a report (`kept_settings` names the
libraries). Only what is not as the library comes counts, so that a library that is not loaded is as
one that nobody has set. Left out is what shows on a screen alone: windows, keys.
A worker process to which a function of a script is sent does not run the script's other lines: it
is told what they have set.
"""

from __future__ import annotations

import sys

from memori.fingerprint.atoms import text
from memori.fingerprint.imports.kept_settings import LIBRARIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memori.fingerprint.graph import State
    from memori.fingerprint.imports.kept_settings import Settings
    from memori.fingerprint.walk import Walk

_ON_SCREEN = ("backend", "interactive", "keymap.", "macosx.", "nbagg.", "tk.", "toolbar", "webagg.")
_PLACES: dict[str, dict[str, object]] = {name: {} for name in LIBRARIES}  # that own their slots


def put_settings(walk: Walk, out: State) -> None:
    """Append what was set in the libraries that what is reached draws or computes with."""
    draws = any(name.startswith("plot") for name in walk.named)  # by nilearn, pandas, MNE
    for name, library in LIBRARIES.items():
        if walk.libraries.isdisjoint(library.users) and not (draws and name == "matplotlib"):
            continue
        place = _PLACES[name]
        walk.listed.add(id(place))
        walk.guards.view(_values, name)
        for setting, value in sorted(_changed(name).items()):
            slot = walk.slot(place, setting, value, f"setting {name}.{setting}")
            out += (text(f"{name}.{setting}"), slot)


def put_parameters(walk: Walk, value: object, out: State) -> None:
    """Append parameters of matplotlib; what is set in those that it goes by is put as settings."""
    from memori.fingerprint.opaque import put_foreign
    from memori.fingerprint.walk import origin_of_class

    walk.libraries.add("matplotlib")
    if value is getattr(sys.modules.get("matplotlib"), "rcParams", None):
        walk.external(origin_of_class(type(value)), out)
        out.append(text("matplotlib.rcParams"))
    else:
        put_foreign(walk, value, out)


def library_of(owner: object) -> str | None:
    """Return the library whose settings are the slots of an owner."""
    return next((name for name, place in _PLACES.items() if place is owner), None)


def take_of_libraries(
    theirs: Mapping[tuple[str, str], object], here: Mapping[tuple[str, str], object]
) -> bool:
    """Set, by library and setting, in this process what is set in another; tell whether any was."""
    from importlib import import_module

    other = [key for key in {**here, **theirs} if not _is_at(key, theirs, here)]
    for name, setting in other:
        try:
            library = import_module(name)
            usual = _usual(name).get(setting)
            LIBRARIES[name].put(library, setting, theirs.get((name, setting), usual))
        except Exception:  # another version, which does not know it
            continue
    return bool(other)


def _is_at(
    key: tuple[str, str],
    theirs: Mapping[tuple[str, str], object],
    here: Mapping[tuple[str, str], object],
) -> bool:
    return key in theirs and key in here and _is_same(theirs[key], here[key])


def _changed(name: str) -> dict[str, object]:
    """Return what is not as the library comes; a cycle of styles by what it shows."""
    now, usual = _settings(name), _usual(name)
    return {
        key: repr(value) if type(value).__name__ == "Cycler" else value
        for key, value in now.items()
        if not key.startswith(_ON_SCREEN) and not _is_same(value, usual.get(key))
    }


def _is_same(value: object, other: object) -> bool:
    return value is other or (type(value) is type(other) and repr(value) == repr(other))


def _values(name: str) -> Iterable[object]:
    return _settings(name).values()


def _settings(name: str) -> Settings:
    library = sys.modules.get(name)
    try:
        return {} if library is None else LIBRARIES[name].now(library)
    except (AttributeError, KeyError):  # it is being imported, or keeps them elsewhere
        return {}


def _usual(name: str) -> Settings:
    try:
        return LIBRARIES[name].usual(sys.modules[name])
    except (AttributeError, KeyError):
        return {}
