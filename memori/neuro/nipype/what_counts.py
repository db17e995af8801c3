"""What counts of an interface, wherever it runs: as a stage, as a node, or inside a workflow.

It has three parts. The *code*: the class, the attributes of the instance, the function of a
`Function`, the Python packages of a library's interface (`code_of`). The *values* of its traits,
exactly, with the contents of the files and folders that they name (`counted_values`). And *facts*
(`facts_of`): the program, by version or content; the variables that the interface sets for it, and
those that its suite listens to; the files that belong to an input (an image's second half, SPM's
``.mat``, a sidecar); the files that a text of options (``args="-mas mask.nii"``) or an attribute
names.

What cannot change the result of a run that succeeded does not count: `nohash` traits, threads,
whether exceptions are ignored (a run that failed is never remembered), what is monitored and how
output is shown. Where an interface is not given its command's output (``terminal_output="none"``),
that counts, because some read their results from it. Which exit codes are right is said by the code
of an interface's class, and counts with it.

Not promised: files that are named by a text relative to the caller's folder; such a text could not
work in the run's own folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from nipype.interfaces.base import CommandLine, Interface, isdefined
from nipype.interfaces.io import DataSink

from memori.artifacts import relative_path
from memori.digest.files import file_digest, is_file
from memori.digest.values import encode
from memori.fingerprint.walk import origin_of_class
from memori.neuro.filenames import split
from memori.neuro.nipype.engine_api import (
    RUN_STATE,
    BasePath,
    create_function_from_source,
    get_related_files,
    named_package,
    own_environment,
    program_of,
)
from memori.neuro.nipype.traits.parts import (
    THREADS,
    as_folders,
    names_output,
    paths_of,
    texts,
    uncounted,
)
from memori.neuro.nipype.traits.values import NotPlainError, to_plain
from memori.neuro.tools.identity import facts, thread_variables

if TYPE_CHECKING:
    from memori.digest.values import JSON

_SHOWN_ONLY = frozenset({"write_cmdline", "resource_monitor", "ignore_exception", "ldd"})
_NOT_STATE = RUN_STATE | _SHOWN_ONLY | THREADS | {"terminal_output"}
_GIVEN_TO_THE_INTERFACE = ("stream", "allatonce")  # values of terminal_output that hide nothing

# Code


class InterfaceCode:
    """The code of an interface, as what `memori.fingerprint` looks at."""

    def __init__(self, name: str, parts: tuple[object, ...]) -> None:
        self.__name__ = name
        self.parts = parts

    def __call__(self) -> None:
        """Stand where a callable is expected; what runs is the interface."""

    def __fingerprint__(self) -> tuple[object, ...]:
        """Return what counts."""
        return self.parts


_codes: dict[str, InterfaceCode] = {}
_MOST_CODES = 4096


def code_of(interface: Interface, unwritten: Mapping[str, Any]) -> InterfaceCode:
    """Return the code of an interface; the same object for the same code where possible.

    Parameters
    ----------
    interface : nipype Interface
        An instance with its inputs.
    unwritten : mapping
        Values of traits that are no JSON; they count as code.
    """
    kind = type(interface)
    state = _state_of(interface)
    source = getattr(interface.inputs, "function_str", None)
    key = ""
    if not unwritten and not getattr(interface, "imports", None):  # what is imported may change
        try:
            values = [to_plain(part, _as_it_is) for part in (state, source)]
            key = f"{kind.__module__}.{kind.__qualname__} {id(kind)} {encode(values)}"
        except NotPlainError:
            pass
    known = _codes.get(key)
    if known is not None and known.parts[0] is kind:
        return known
    function = compiled_function(interface) if source else None
    name = getattr(function, "__name__", None) or name_of(interface)
    parts = (kind, state, dict(unwritten), function or source, _packages_of(interface))
    made = InterfaceCode(name, parts)
    if key:
        if len(_codes) >= _MOST_CODES:
            _codes.clear()
        _codes[key] = made
    return made


def _state_of(interface: Interface) -> dict[str, Any]:
    """Return the attributes of an instance that can change a result."""
    state = {
        name: value
        for name, value in vars(interface).items()
        if name.lstrip("_") not in _NOT_STATE and not isinstance(value, Interface)
    }
    terminal = getattr(interface, "terminal_output", None)
    if terminal is not None and terminal not in _GIVEN_TO_THE_INTERFACE:
        state["terminal_output"] = terminal
    return state


def compiled_function(interface: Interface) -> Any:
    """Return the function of a `Function` interface, so that what it reaches can be followed."""
    try:
        return create_function_from_source(
            interface.inputs.function_str, getattr(interface, "imports", None)
        )
    except Exception:  # an import that fails here and now: the text counts
        return None


def name_of(interface: Interface) -> str:
    """Return what people call an interface."""
    if type(interface) is CommandLine:
        return os.path.basename(str(interface.cmd).split()[0])
    return type(interface).__name__


def _packages_of(interface: Interface) -> tuple[ModuleType, ...]:
    """Return the modules that the code of a library's Python interface is made with."""
    if isinstance(interface, CommandLine):
        return ()
    found: dict[str, ModuleType] = {}
    for owner in type(interface).__mro__:
        # a class of the user's is followed by the fingerprint of its code
        is_named = owner.__module__.startswith("nipype.interfaces.base")
        is_counted = not is_named and origin_of_class(owner).kind == "distribution"
        module = sys.modules.get(owner.__module__) if is_counted else None
        for value in list(vars(module).values()) if module is not None else ():
            if isinstance(value, ModuleType):
                found[value.__name__] = value
    for name in (named_package(interface), *(getattr(interface, "imports", None) or ())):
        if isinstance(name, str) and name.isidentifier() and name in sys.modules:
            found[name] = sys.modules[name]
    return tuple(found[name] for name in sorted(found))


# Values


def counted_values(
    interface: Interface, values: Mapping[str, Any], *, is_watched: bool = False
) -> tuple[dict[str, JSON], dict[str, Any]]:
    """Return the values of traits that count, as JSON, and those that only code can tell apart.

    Folders that Directory traits name become `Folder`, so that their contents count, unless it is
    watched what is read there (`memori.neuro.nipype.given_folders`).
    """
    ignored = uncounted(interface) | {"function_str"}
    counted = {}
    for name, value in values.items():
        if isdefined(value) and name not in ignored:
            trait = interface.inputs.trait(name)
            is_read = not is_watched and trait is not None and not names_output(interface, name)
            counted[name] = as_folders(trait, value) if is_read else value
    return written(counted)


def written(values: Mapping[str, Any]) -> tuple[dict[str, JSON], dict[str, Any]]:
    """Return the values that can be written down exactly as JSON, and those that cannot."""
    plain: dict[str, JSON] = {}
    unwritten: dict[str, Any] = {}
    for name, value in values.items():
        try:
            plain[name] = to_plain(value, _as_it_is, _digest_of_array)
        except NotPlainError:
            unwritten[name] = value
    return plain, unwritten


def _as_it_is(text: str) -> str:
    return text


def _digest_of_array(array: np.ndarray) -> JSON:
    """Return what counts of a large array."""
    told = [np.lib.format.dtype_to_descr(array.dtype), list(array.shape)]
    digest = hashlib.sha256(np.ascontiguousarray(array).data.cast("B")).hexdigest()
    return {"memori": "digest", "of": [*told, digest]}


# Facts


def facts_of(
    interface: Interface,
    values: Mapping[str, Any],
    *,
    root: str,
    memo: str | None,
    uses: tuple[str, ...] = (),
    unwritten: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, JSON]:
    """Return what counts of an interface besides its code and its values, by what it is.

    Parameters
    ----------
    interface : nipype Interface
        An instance that calls the program of these values.
    values : mapping
        Values of its traits that it may not have yet.
    root : str
        The folder of the memory: paths count relative to it.
    memo : str or None
        The folder in which digests of files are remembered.
    uses : tuple of str, optional
        Further programs that it calls.
    unwritten : mapping, optional
        Values that are no JSON, whose files are looked for.
    """
    variables = variables_of(interface, values)
    found = dict(_program_facts(interface, values, uses, variables, root))
    for name, value in variables.items():
        if not _is_about_the_machine(name):
            found.setdefault(f"env {name}", _digest_of_variable(value, root, memo))
    found.update(_file_facts(interface, values, memo))
    for name, value in {**_state_of(interface), **unwritten}.items():
        found.update(files_named_in(name, value, memo))
    return found


def _program_facts(
    interface: Interface,
    values: Mapping[str, Any],
    uses: tuple[str, ...],
    variables: Mapping[str, str],
    root: str,
) -> Iterator[tuple[str, JSON]]:
    programs = programs_of(interface, uses)
    environment = environment_of(interface, values) if programs else {}
    # a path that the interface sets itself counts relative to the memory
    paths = {name for name, value in variables.items() if os.path.isabs(value)}
    for program in programs:
        yield from facts(program, environment, ignored=_THREAD_VARIABLES | paths).items()
    matlab = getattr(getattr(interface, "mlab", None), "inputs", None)
    folders = getattr(matlab, "paths", None)
    if folders is not None and isdefined(folders):
        yield "MATLAB's paths", [relative_path(os.path.abspath(each), root) for each in folders]
    if isinstance(interface, CommandLine):
        for word in shlex.split(interface.cmd)[1:]:
            if is_file(word):
                yield f"script {os.path.basename(word)}", file_digest(word).identity


def programs_of(interface: Interface, uses: tuple[str, ...]) -> list[str]:
    """Return the programs that an interface needs."""
    own = [interface, getattr(interface, "mlab", None)]  # SPM's interfaces have one of MATLAB's
    called = [program_of(each) for each in own if isinstance(each, CommandLine)]
    return list(dict.fromkeys([*called, *uses]))


# Variables

_THREAD_VARIABLES = frozenset({*thread_variables(1), "NSLOTS"})
_OF_THE_SESSION = frozenset({"DISPLAY", "XAUTHORITY", "PWD", "OLDPWD", "SHLVL", "_"})


def variables_of(interface: Interface, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that are set on an interface, for its command."""
    given = values.get("environ")
    return {**own_environment(interface), **(given if isinstance(given, dict) else {})}


def environment_of(interface: Interface, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the whole environment of an interface's command."""
    return {**os.environ, **variables_of(interface, values)}


def _is_about_the_machine(name: str) -> bool:
    """Tell a variable that says how and where to run from one that may change what comes out."""
    is_of_threads = name in _THREAD_VARIABLES or name.endswith("_NUM_THREADS")
    return is_of_threads or name in _OF_THE_SESSION


def _digest_of_variable(value: str, root: str, memo: str | None) -> str:
    """Digest a variable, so that no record holds it; paths in it count relative to the memory."""
    parts: list[JSON] = []
    for part in value.split(os.pathsep):
        if os.path.isabs(part) and os.path.exists(part):
            content = file_digest(part, memo).identity if is_file(part) else None
            parts.append([relative_path(os.path.normpath(part), root), content])
        else:
            parts.append(part)
    return hashlib.sha256(encode(parts).encode("ascii")).hexdigest()


# Files that no trait names

_PATH_IN_TEXT = re.compile(r"/[^\s'\",;:=\[\]()<>|]+")
_SIDECARS = (".json", ".bval", ".bvec", ".tsv")


def _file_facts(
    interface: Interface, values: Mapping[str, Any], memo: str | None
) -> Iterator[tuple[str, JSON]]:
    """Yield the files that belong to the inputs, and those that texts and attributes name."""
    reads_sidecars = not isinstance(interface, CommandLine) and not type(
        interface
    ).__module__.startswith("nipype.")
    for name, value in values.items():
        trait = interface.inputs.trait(name)
        if trait is None:
            continue
        if isinstance(value, str) and not isinstance(trait.trait_type, BasePath):
            yield from _named_in_text(name, value, memo)
        for path in paths_of(trait, value):
            if is_file(path):
                for companion in _companions(path, sidecars=reads_sidecars):
                    label = f"beside {name}: {os.path.basename(companion)}"
                    yield label, file_digest(companion, memo).identity
        if isinstance(interface, DataSink):
            yield from _folders_of_iterables(name, value)


def files_named_in(name: str, value: Any, memo: str | None) -> Iterator[tuple[str, JSON]]:
    """Yield the files whose absolute paths stand in a value of any kind."""
    for text in texts(value):
        if text[:1] == os.sep and is_file(text):
            yield f"file {text} in {name}", file_digest(text, memo).identity


def _named_in_text(name: str, text: str, memo: str | None) -> Iterator[tuple[str, JSON]]:
    if "/" not in text or is_file(text):
        return
    for path in _PATH_IN_TEXT.findall(text):
        yield from files_named_in(name, path, memo)


def _companions(path: str, *, sidecars: bool) -> list[str]:
    found = [each for each in get_related_files(path, include_this_file=False) if is_file(each)]
    if sidecars:
        bare, _ = split(path)
        found += [bare + suffix for suffix in _SIDECARS if is_file(bare + suffix)]
    return [each for each in dict.fromkeys(found) if each != path]


def _folders_of_iterables(name: str, value: Any) -> Iterator[tuple[str, JSON]]:
    """Yield the folders of iterables in a path: DataSink makes folders of them."""
    for text in texts(value):
        folders = [part for part in text.split(os.sep)[:-1] if part.startswith("_")]
        if folders:
            yield f"folders of {name}: {os.path.basename(text)}", folders
