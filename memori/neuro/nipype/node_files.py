"""The files of a node's folder, brought to memori's and back, and what is kept beside them.

Files are hard-linked where the file system can and copied where it cannot. What memori shares with
one node's folder already is copied for the next: a node that edits its input in place must not
reach the files of another node, such as those of an equal element of a map.

Memori's folder holds what a link to a file leads to, and no link: an edit of what memori keeps must
not reach a raw file. In the node's folder it is a link again, for code that follows links, where it
leads to another file of the node's or to an input. A link to a folder, or to nothing, stays a link,
to the same place. What is, or lies in, an input is looked for where that input is now.

Not promised: a link to a file elsewhere, as a link.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from nipype.interfaces.base import Bunch

from memori.digest.values import from_text
from memori.neuro.command.copies import private_copy
from memori.neuro.nipype.engine_api import FILES_OF_NIPYPE, FOLDERS_OF_NIPYPE

_ASIDE = ".runtime.json"
_ARRAYS = ".arrays"
_REPORT = os.path.join("_report", "report.rst")
_OF_EVERY_RUN = (
    "duration",
    "endTime",
    "hostname",
    "interface",
    "platform",
    "returncode",
    "startTime",
    "version",
)
_KEPT_OF_RUNTIME = (*_OF_EVERY_RUN, "cmdline", "command_path", "merged", "stderr", "stdout")

_PAIR = 2  # names of a file: memori's, and that of one node's folder

Pointer = list[str | int]


def files_of(folder: str, named: Collection[str] = ()) -> Iterator[str]:
    """Yield the files of a node's folder, relative to it, without those of Nipype's own.

    Parameters
    ----------
    folder : str
        The node's.
    named : collection of str
        What the node's outputs name there, relative: the node's own, whatever it is called.
    """
    for name in files_below(folder):
        if not _is_of_nipype(name, named):
            yield name


def _is_of_nipype(path: str, named: Collection[str]) -> bool:
    if path == _REPORT:  # it is written anew, in place, wherever the node is put back
        return True
    top, _, below = path.partition(os.sep)
    is_own = (
        top in FOLDERS_OF_NIPYPE
        if below
        else any(fnmatchcase(top, each) for each in FILES_OF_NIPYPE)
    )
    return is_own and not any(f"{path}/".startswith(f"{each}/") for each in named)


def files_below(folder: str) -> Iterator[str]:
    """Yield the files of a node that lie in its folder or in memori's, relative to it."""
    for above, folders, names in os.walk(folder):
        inside = os.path.relpath(above, folder)
        if inside == os.curdir:
            folders[:] = [name for name in folders if name != _ARRAYS]
            names = [name for name in names if name != _ASIDE]
        for name in names + [n for n in folders if os.path.islink(os.path.join(above, n))]:
            yield os.path.normpath(os.path.join(inside, name))


def named_in(folder: str, paths: Iterable[str]) -> list[str]:
    """Return the paths that lie in a node's folder, relative to it.

    Raises
    ------
    FileExistsError
        If one is called like what memori keeps beside the files.
    """
    found = [os.path.relpath(path, folder) for path in paths if path.startswith(folder + os.sep)]
    for each in found:
        if each.split(os.sep)[0] in (_ASIDE, _ARRAYS):
            raise FileExistsError(f"its output {each!r} is called like a file of memori's own")
    return found


def bring(
    source: str, target: str, names: Iterable[str], links: Mapping[str, str] | None = None
) -> None:
    """Link or copy files from one folder to another, with the folders they lie in.

    Parameters
    ----------
    source, target : str
        The folders.
    names : iterable of str
        The files, relative to the folders.
    links : mapping of str to str, optional
        By name: where a link is to lead; given where files are brought back, and links are
        those that were kept as links, too.
    """
    for name in names:
        old, new = os.path.join(source, name), os.path.join(target, name)
        os.makedirs(os.path.dirname(new), exist_ok=True)
        is_back = links is not None
        leads_to = (links or {}).get(name)
        if leads_to or (os.path.islink(old) and (is_back or not os.path.isfile(old))):
            _replace_link(new, leads_to or _target_from(old, source, name))
            continue
        real = os.path.realpath(old)
        try:
            if not real.startswith(os.path.realpath(source) + os.sep):
                private_copy(real, new)
            else:
                os.link(real, new)
                if is_back and os.stat(new).st_nlink > _PAIR:
                    os.unlink(new)
                    private_copy(real, new)
                    shutil.copystat(real, new)
        except FileExistsError:
            os.unlink(new)
            bring(source, target, [name])
        except OSError:  # another file system, or one without links
            shutil.copy2(real, new)


def _target_from(link: str, folder: str, name: str) -> str:
    """Return where a link to a folder leads: out of the node's folder absolutely."""
    spelled = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
    for root, target in (
        (os.path.normpath(folder), spelled),
        (os.path.realpath(folder), os.path.realpath(link)),
    ):
        if f"{target}/".startswith(f"{root}/"):
            inside = os.path.relpath(target, root)
            return os.path.relpath(inside, os.path.dirname(name) or os.curdir)
    return spelled


def _replace_link(link: str, target: str) -> None:
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(target, link)


def bring_folders(source: str, target: str, named: Collection[str] | None = None) -> None:
    """Make the empty folders of one folder in another; of a node's, those that `files_of` means."""
    for above, folders, _ in os.walk(source):
        for name in folders:
            whole = os.path.join(above, name)
            inside = os.path.relpath(whole, source)
            held = os.path.join(inside, os.curdir)
            is_own = inside == _ARRAYS if named is None else _is_of_nipype(held, named)
            if not is_own and not os.path.islink(whole):
                os.makedirs(os.path.join(target, inside), exist_ok=True)


def links_of(
    folder: str, names: Collection[str], inputs: Mapping[str, Pointer]
) -> dict[str, tuple[Pointer | None, str]]:
    """Return the links that lead to, or into, an input, and those to other files of the node.

    Parameters
    ----------
    folder : str
        The node's.
    names : collection of str
        Of its files.
    inputs : mapping of str to pointer
        The paths among the inputs.

    Returns
    -------
    dict
        By name: the pointer to the input, and the path from there; or None, and where it leads.
    """
    found: dict[str, tuple[Pointer | None, str]] = {}
    for name in names:
        link = os.path.join(folder, name)
        if not os.path.islink(link) or not os.path.exists(link):
            continue
        target = above = _target_from(link, folder, name)
        if not os.path.isabs(target):
            if os.path.normpath(os.path.join(os.path.dirname(name), target)) in names:
                found[name] = None, target
            continue
        while above not in inputs and above.strip("/"):
            above = os.path.dirname(above)
        if above in inputs:
            found[name] = inputs[above], os.path.relpath(target, above)
    return found


# What is kept beside the files


def keep_array(kept: str, array: np.ndarray) -> str:
    """Write an array to a file beside those of the node, and return its path."""
    folder = os.path.join(kept, _ARRAYS)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{len(os.listdir(folder))}.npy")
    np.save(path, array, allow_pickle=False)
    return path


def keep_aside(
    kept: str, folder: str, runtime: Any, links: Mapping[str, Any], *, has_lost: bool
) -> None:
    """Write what is known of a run beside its files; no environment, which may hold secrets."""
    told = {name: getattr(runtime, name, None) for name in _KEPT_OF_RUNTIME}
    facts: dict[str, Any] = {
        name: value.replace(folder, "\0") if isinstance(value, str) else value
        for name, value in told.items()
        if isinstance(value, (str, int, float))
    }
    if links:
        facts["links"] = links
    if has_lost:
        facts["lost"] = True
    with open(os.path.join(kept, _ASIDE), "w", encoding="ascii") as file:
        json.dump(facts, file)


def has_lost_files(kept: str) -> bool:
    """Tell whether files that a run had made, and that no output names, were removed after it."""
    return _told_aside(kept).get("lost") is True


def recall_aside(kept: str, folder: str) -> tuple[Bunch, dict[str, tuple[Pointer | None, str]]]:
    """Return what `keep_aside` wrote, for a node in `folder`: the runtime and the links."""
    told = _told_aside(kept)
    links = told.pop("links", {})
    told.pop("lost", None)
    facts = {k: v.replace("\0", folder) if isinstance(v, str) else v for k, v in told.items()}
    here = {"cwd": folder, "prevcwd": folder, "hostname": socket.gethostname()}
    known = {**dict.fromkeys(_OF_EVERY_RUN), **here, "environ": dict(os.environ), **facts}
    return Bunch(**known), links


def _told_aside(kept: str) -> dict[str, Any]:
    try:
        with open(os.path.join(kept, _ASIDE), encoding="ascii") as file:
            told: dict[str, Any] = from_text(file.read())
    except (OSError, ValueError):
        return {}
    return told
