"""What counts of a folder that an interface is given whole (``SUBJECTS_DIR``).

Where runs are watched, it is what the run read and listed there, so that a second subject does not
rerun the first. What nobody sees is made up for. Python code that asks whether something exists
tells nobody: so of each folder right below that it read from, all names count; where it read
nothing, all content does. And so it does where a program could not be watched, or a library reads
without telling (`memori.watch.libraries.unseen`).

Not promised: that Python code which reads of one subject and only asks whether something of
another one exists depends on the latter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nipype.interfaces.base import Directory, Interface, isdefined

from memori.aside import aside
from memori.neuro.nipype.base_names import is_command
from memori.neuro.nipype.traits.parts import names_output, uncounted, with_paths
from memori.watch.libraries.unseen import blind_readers
from memori.watch.observed import current
from memori.watch.threads import with_outer

if TYPE_CHECKING:
    from memori.watch import Observed

_MOST_FOLDERS = 10_000


def count_folders(interface: Interface) -> None:
    """Let the folders that an interface was given count for the runs around here, at its end."""
    run = current.get()
    if run is None or not run.live:
        return
    with aside():
        for folder in folders_given(interface):
            for each in with_outer(run):
                _count(each, folder, is_seen=is_command(interface))


def folders_given(interface: Interface) -> list[str]:
    """Return the folders that Directory traits of an interface name, absolute."""
    found: list[str] = []

    def note(path: str, kind: object) -> str:
        if isinstance(kind, Directory) and os.path.isdir(path):
            found.append(os.path.abspath(path))
        return path

    left_out = uncounted(interface)
    for name in interface.inputs.copyable_trait_names():
        value = getattr(interface.inputs, name)
        if isdefined(value) and name not in left_out and not names_output(interface, name):
            with_paths(interface.inputs.trait(name), value, note)
    return found


def _count(run: Observed, folder: str, *, is_seen: bool) -> None:
    is_blind = run.unseen or run.unwatched or not (is_seen or not blind_readers())
    if is_seen and not is_blind:
        return
    touched = {
        path[len(folder) + 1 :].split(os.sep)[0]
        for path in (*run.touched, *run.glanced, *run.folders)
        if path.startswith(f"{folder}/")
    }
    below = [os.path.join(folder, name) for name in touched]
    places = [above for each in below for above, _, _ in os.walk(each)]
    if is_blind or not below or len(places) > _MOST_FOLDERS:
        run.trees.add(folder)
        run.tells("trees", folder)
        return
    for place in (*places, *([] if all(map(os.path.isdir, below)) else [folder])):
        run.lists(place, (), whole=True)
