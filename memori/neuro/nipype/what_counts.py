"""What counts for an interface besides its class and the values of its traits.

Its program, by version or content; the environment that its suite listens to; the Python packages
that its class names or its module uses; the files that belong to an input (an image's second half,
SPM's ``.mat``, a sidecar); and the files that a text of options names (``args="-mas mask.nii"``).

Not promised: files that are named by a text relative to the caller's folder; such a text could not
work in the run's own folder.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import CommandLine, Interface
from nipype.interfaces.base.traits_extension import BasePath
from nipype.interfaces.io import DataSink
from nipype.utils.filemanip import get_related_files

from memori.digest.files import file_digest, is_file
from memori.fingerprint.walk import origin_of_class
from memori.neuro.filenames import split
from memori.neuro.nipype.traits import paths_of
from memori.neuro.tools import identity as tools

if TYPE_CHECKING:
    from memori.digest.values import JSON

_PATH_IN_TEXT = re.compile(r"/[^\s'\",;:=\[\]()<>|]+")
_SIDECARS = (".json", ".bval", ".bvec", ".tsv")


def tool_facts(
    interface: Interface, inputs: Mapping[str, Any], uses: tuple[str, ...]
) -> Iterator[tuple[str, JSON]]:
    """Yield what the program of an interface is, and the environment that it listens to."""
    programs = programs_of(interface, uses)
    environment = environment_of(interface, inputs) if programs else {}
    for program in programs:
        path = tools.find(program, environment)
        yield f"tool {program}", None if path is None else tools.identity(program, path)
        yield from tools.surroundings(program, environment, ignored=_THREADS).items()
    if isinstance(interface, CommandLine):
        for word in shlex.split(interface.cmd)[1:]:
            if is_file(word):
                yield f"script {os.path.basename(word)}", file_digest(word).identity


_THREADS = frozenset(tools.thread_variables(1))


def programs_of(interface: Interface, uses: tuple[str, ...]) -> list[str]:
    """Return the programs that an interface needs."""
    if not isinstance(interface, CommandLine):
        return list(uses)
    return list(dict.fromkeys([*shlex.split(interface._cmd_prefix + interface.cmd)[:1], *uses]))


def environment_of(interface: Interface, inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the whole environment of an interface's command."""
    own = interface._get_environ() if hasattr(interface, "_get_environ") else {}
    return {**os.environ, **own, **(inputs.get("environ") or {})}


def packages_of(interface: Interface) -> tuple[ModuleType, ...]:
    """Return the modules that the code of a library's Python interface is made with."""
    if isinstance(interface, CommandLine):
        return ()
    found: dict[str, ModuleType] = {}
    named = (getattr(interface, "_pkg", None), *(getattr(interface, "imports", None) or ()))
    for owner in type(interface).__mro__:
        # a class of the user's is followed by the fingerprint of its code
        is_named = owner.__module__.startswith("nipype.interfaces.base")
        is_counted = not is_named and origin_of_class(owner).kind == "distribution"
        module = sys.modules.get(owner.__module__) if is_counted else None
        for value in list(vars(module).values()) if module is not None else ():
            if isinstance(value, ModuleType):
                found[value.__name__] = value
    for name in named:
        if isinstance(name, str) and name.isidentifier() and name in sys.modules:
            found[name] = sys.modules[name]
    return tuple(found[name] for name in sorted(found))


# Files that no trait names


def file_facts(
    interface: Interface, inputs: Mapping[str, JSON], memo: str | None
) -> Iterator[tuple[str, JSON]]:
    """Yield the files that belong to the inputs, and those that texts name."""
    reads_sidecars = not isinstance(interface, CommandLine) and not type(
        interface
    ).__module__.startswith("nipype.")
    for name, value in inputs.items():
        trait = interface.inputs.trait(name)
        if trait is None or not isinstance(value, (str, list, tuple, dict)):
            continue
        if isinstance(value, str) and not isinstance(trait.trait_type, BasePath):
            yield from _named_in_text(name, value, memo)
        for path in paths_of(trait, value):
            if is_file(path):
                for companion in _companions(path, sidecars=reads_sidecars):
                    label = f"beside {name}: {os.path.basename(companion)}"
                    yield label, file_digest(companion, memo).identity
        if isinstance(interface, DataSink):
            yield from _sink_facts(name, value)


def _named_in_text(name: str, text: str, memo: str | None) -> Iterator[tuple[str, JSON]]:
    if "/" not in text or is_file(text):
        return
    for path in _PATH_IN_TEXT.findall(text):
        if is_file(path):
            yield f"file {path} in {name}", file_digest(path, memo).identity


def _companions(path: str, *, sidecars: bool) -> list[str]:
    found = [each for each in get_related_files(path, include_this_file=False) if is_file(each)]
    if sidecars:
        bare, _ = split(path)
        found += [bare + suffix for suffix in _SIDECARS if is_file(bare + suffix)]
    return [each for each in dict.fromkeys(found) if each != path]


def _sink_facts(name: str, value: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield the folders of iterables in a path: DataSink makes folders of them."""
    texts = [value] if isinstance(value, str) else []
    stack = [value] if isinstance(value, (list, tuple, dict)) else []
    while stack:
        each = stack.pop()
        for part in each.values() if isinstance(each, dict) else each:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, (list, tuple, dict)):
                stack.append(part)
    for text in texts:
        folders = [part for part in text.split(os.sep)[:-1] if part.startswith("_")]
        if folders:
            yield f"folders of {name}: {os.path.basename(text)}", folders
