"""Nipype's traits read as parameters, and values moved between traits and JSON.

A trait of an interface's inputs plays one of several parts, and memori has to know which: a file
that is read counts by its content, a file that is to be written is only a name, a folder that is
read counts with all it holds, and some traits cannot change a result at all (`nohash`, threads).

Not promised: the part of a trait that says neither by its type nor by its metadata that it names
an output; what exists when the interface runs is taken for an input.
"""

from __future__ import annotations

import inspect
import keyword
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from nipype.interfaces.base import Bunch, Interface, Undefined, isdefined, traits
from nipype.interfaces.io import DataSink

from memori.digest.folder import Folder
from memori.neuro.nipype.engine_api import BasePath, Directory, outputs_of_kind

THREADS = frozenset(
    {"num_threads", "nthreads", "n_jobs", "n_procs", "num_jobs", "number_of_cpus", "nproc"}
)


def parameters(interface: Interface, defaults: dict[str, Any]) -> inspect.Signature:
    """Return the inputs of an interface as a signature.

    Parameters
    ----------
    interface : nipype Interface
        An instance.
    defaults : dict
        Values of traits that need not be given.
    """
    spec = interface.inputs
    empty, by_name = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
    names = [name for name in spec.copyable_trait_names() if name != "function_str"]
    needed = [name for name in names if name not in defaults and _is_needed(spec.trait(name))]
    found = [
        inspect.Parameter(
            name, by_name, default=empty if name in needed else defaults.get(name, Undefined)
        )
        for name in [*needed, *(name for name in names if name not in needed)]
        if name.isidentifier() and not keyword.iskeyword(name)
    ]
    if len(found) < len(names) or isinstance(interface, DataSink):
        found.append(inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(found)


def _is_needed(trait: Any) -> bool:
    return bool(trait.mandatory) and not trait.xor


def uncounted(interface: Interface) -> frozenset[str]:
    """Return the inputs that cannot change a result."""
    spec = interface.inputs
    return frozenset(
        name
        for name in spec.copyable_trait_names()
        if spec.trait(name).nohash or name in THREADS or name == "environ"
    )


def threads_set(interface: Interface, given: Mapping[str, object]) -> int | None:
    """Return how many threads an interface is set to keep busy; None if nothing says so."""
    values = {name: getattr(interface.inputs, name, None) for name in THREADS}
    values.update((name, value) for name, value in given.items() if name in THREADS)
    counts = [each for each in values.values() if isinstance(each, int) and each > 0]
    return max(counts, default=None)


def names_output(interface: Interface, name: str) -> bool:
    """Tell whether a trait says where an output goes, rather than what is read."""
    trait = interface.inputs.trait(name)
    if trait is None:
        return False
    if trait.genfile or trait.name_source or trait.output_name or trait.hash_files is False:
        return True
    if trait.exists or getattr(trait.trait_type, "exists", False):
        return name.startswith(("out_", "output_")) and trait.is_trait_type(Directory)
    if not trait.is_trait_type(BasePath):
        return False
    outputs = outputs_of_kind(interface)
    declared = [] if outputs is None else outputs.copyable_trait_names()
    return name.startswith("out") or name in declared


# From JSON to traits


def assign(interface: Interface, values: dict[str, Any], origin: str, *, spec: Any = None) -> None:
    """Set traits, in the order given.

    Parameters
    ----------
    interface : nipype Interface
        A fresh instance.
    values : dict
        As JSON holds them, or as traits do.
    origin : str
        The folder that relative paths of inputs refer to.
    spec : spec, optional
        Where to set them; the inputs of a MapNode are other than those of its interface.

    Raises
    ------
    TraitError, OSError
        If a trait refuses its value, or one that excludes it is set.
    """
    spec = interface.inputs if spec is None else spec
    for name, value in values.items():
        trait = spec.trait(name)
        if trait is None or name not in spec.copyable_trait_names():
            setattr(spec, name, value)
            continue
        if not names_output(interface, name):
            value = with_paths(trait, value, lambda path, _: _absolute(path, origin))
        if _is_set(spec, name, value):
            continue
        try:
            setattr(spec, name, shaped(trait, value))
        except traits.TraitError:
            if value is not None:
                raise
            setattr(spec, name, Undefined)


def _is_set(spec: Any, name: str, value: Any) -> bool:
    """Tell whether a trait has a value already, so that no handler is called in vain."""
    now = getattr(spec, name)
    try:
        return type(now) is type(value) and isdefined(now) and bool(now == value)
    except Exception:
        return False


def _absolute(path: str, origin: str) -> str:
    whole = os.path.join(origin, path)
    return whole if os.path.exists(whole) else path


def shaped(trait: Any, value: Any) -> Any:
    """Turn the lists of JSON into the tuples and sets that a trait asks for."""
    kind = trait.trait_type
    if isinstance(value, list):
        if isinstance(kind, traits.BaseTuple):
            parts = kind.types
            if len(parts) == len(value):
                return tuple(shaped(p.as_ctrait(), v) for p, v in zip(parts, value, strict=True))
            return tuple(value)
        if isinstance(kind, traits.Set):
            return set(value)
        if isinstance(kind, traits.List):
            return [shaped(trait.inner_traits[0], part) for part in value]
        if isinstance(kind, (traits.TraitCompound, traits.Union, traits.Either)):
            return _shaped_as_one_of(trait, value)
    if isinstance(value, dict) and isinstance(kind, traits.Dict):
        return {key: shaped(trait.inner_traits[1], part) for key, part in value.items()}
    return value


def _shaped_as_one_of(trait: Any, value: list[Any]) -> Any:
    for choice in _choices(trait):
        candidate = shaped(choice, value)
        try:
            choice.handler.validate(_Anything(), "value", candidate)
        except Exception:
            continue
        return candidate
    return value


class _Anything(traits.HasTraits):  # type: ignore[misc]
    """The owner of a value that is only tried."""


def _choices(trait: Any) -> list[Any]:
    handlers = getattr(trait.handler, "handlers", None) or trait.inner_traits or ()
    made = [each.as_ctrait() if hasattr(each, "as_ctrait") else each for each in handlers]
    return [each for each in made if hasattr(each, "trait_type")]


# Texts and paths inside values


def texts(value: Any) -> Iterator[str]:
    """Yield each text inside a value of any kind, keys and paths among them."""
    if isinstance(value, (str, PurePath)):
        yield str(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            yield from texts(part)
    elif isinstance(value, (dict, Bunch)):
        for item in value.items():
            yield from texts(item)


def with_texts(value: Any, change: Callable[[str], Any]) -> Any:
    """Return a value of lists, tuples and dicts with `change` applied to each string in it."""
    return with_paths(_ANY, value, lambda text, _: change(text))


def with_paths(trait: Any, value: Any, change: Callable[[str, Any], Any]) -> Any:
    """Return a value with `change` applied to each string that may be a path, with its trait."""
    if isinstance(value, str):
        kind = trait.trait_type
        if isinstance(kind, (BasePath, traits.Any)) or type(kind) is traits.TraitType:
            return change(value, kind)
        paths = [each for each in _choices(trait) if isinstance(each.trait_type, BasePath)]
        return change(value, paths[0].trait_type) if paths else value
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        inner = _inner(trait, len(value))
        changed = [with_paths(t, v, change) for t, v in zip(inner, value, strict=True)]
        return tuple(changed) if isinstance(value, tuple) else changed
    if isinstance(value, dict):
        inner = _inner(trait, 2)
        return {key: with_paths(inner[1], part, change) for key, part in value.items()}
    return value


_ANY = traits.Any().as_ctrait()


def _inner(trait: Any, count: int) -> list[Any]:
    kind = trait.trait_type
    if isinstance(kind, traits.BaseTuple) and len(kind.types) == count:
        return [each.as_ctrait() for each in kind.types]
    inner = trait.inner_traits
    if isinstance(kind, traits.Dict) and inner:
        return [inner[0], inner[1]]
    if isinstance(kind, traits.List) and inner:
        return [inner[0]] * count
    for choice in _choices(trait) if not isinstance(kind, traits.Any) else ():
        if isinstance(choice.trait_type, (traits.List, traits.BaseTuple)):
            return _inner(choice, count)
    return [_ANY if isinstance(kind, traits.Any) else trait] * count


def as_folders(trait: Any, value: Any) -> Any:
    """Return a value in which each folder that a Directory trait names counts with its content."""

    def change(path: str, kind: Any) -> str:
        is_folder = isinstance(kind, Directory) and os.path.isdir(path)
        return Folder(path) if is_folder else path

    return with_paths(trait, value, change)


def paths_of(trait: Any, value: Any) -> Iterator[str]:
    """Yield each string of a value that may be a path."""
    found: list[str] = []

    def note(path: str, _: Any) -> str:
        found.append(path)
        return path

    with_paths(trait, value, note)
    yield from found


# From traits to JSON


def outputs_of(outputs: Any, folder: str) -> dict[str, Any]:
    """Return the defined outputs as a user reads them, with absolute paths.

    Parameters
    ----------
    outputs : spec or None
        What the run returned.
    folder : str
        Where it ran.
    """
    if outputs is None:
        return {}
    found: dict[str, Any] = {}
    for name in outputs.copyable_trait_names():
        value = getattr(outputs, name)
        if isdefined(value):
            found[name] = with_paths(
                outputs.trait(name), value, lambda path, kind: _placed(path, kind, folder)
            )
    return found


def _placed(path: str, kind: Any, folder: str) -> str:
    whole = os.path.join(folder, path)
    return whole if isinstance(kind, BasePath) or (path and os.path.lexists(whole)) else path
