"""The files and folders that the outputs of a run name.

An output that lies in the anchor of an input (`memori.artifacts.Artifact`: the folder of the node
or run that made the input) is kept as what lies there. A later call may be given an equal input out
of another folder, and then the output is what lies beside that one: a function that returns the
folder of its input, or the other half of an image, has no other meaning.
"""

from __future__ import annotations

import errno
import os
import time

from memori.artifacts import anchors_of, current_folder, find, path_candidates
from memori.digest.files import is_file, seconds_until_trusted
from memori.digest.folder import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memori.artifacts import Artifact
    from memori.digest.values import JSON


def find_outputs(
    values: dict[str, JSON],
    root: str,
    memo: str | None,
    folder: str | None,
    inputs: Iterable[Artifact] = (),
) -> list[Artifact]:
    """Find the files and folders that the outputs of a stage name.

    A folder inside the run's own `folder` counts with all it holds; a link to one elsewhere by its
    path alone. What lies in an anchor of the `inputs` is noted to lie there. Relative paths start
    from where the run has left the current folder, as they do for whoever is given them.

    Raises
    ------
    FileNotFoundError
        If an output lies in the run's own folder, which somebody removed meanwhile.
    """
    here, anchors = current_folder(), anchors_of(inputs)
    _wait_until_trusted([text for _, text in path_candidates(values) if is_file(text)])
    artifacts = []
    for pointer, text in path_candidates(values):
        if folder is not None and os.path.isdir(text) and _holds(folder, text):
            text = Folder(text)
        artifact = find(pointer, text, root, memo, here)
        if artifact is not None:
            if artifact.kind == "path" and os.path.isdir(text):
                artifact.folder = "exists"
            is_lost = artifact.kind == "path" and folder is not None and not os.path.isdir(folder)
            if is_lost and _holds(str(folder), text):  # who is given it could do nothing with it
                raise FileNotFoundError(errno.ENOENT, "removed while the stage ran", text)
            artifact.beside = _beside(artifact.locate(root), anchors, root, folder)
            is_path = artifact.kind == "path" and not artifact.beside
            if not is_path or _is_path_of_ours(text, artifact, root):
                artifacts.append(artifact)
    return artifacts


def _beside(
    path: str, anchors: Mapping[str, str], root: str, folder: str | None
) -> tuple[str, ...]:
    """Return the input in whose anchor an output lies, the nearest one, and the path from there."""
    if not anchors or (folder is not None and f"{path}/".startswith(f"{folder}/")):
        return ()
    within = [each for each in anchors.items() if f"{path}/".startswith(f"{each[1]}/")]
    name, anchor = max(within, key=lambda each: len(each[1]), default=("", ""))
    is_ours = path.startswith(root + os.sep) and not anchor.startswith(root + os.sep)
    return () if not name or is_ours else (name, os.path.relpath(path, anchor))


def _is_path_of_ours(text: str, artifact: Artifact, root: str) -> bool:
    """Tell a path that moves with the project from a text such as "/anat" or "sub-01"."""
    if text.startswith(root + os.sep):
        return True
    return artifact.folder is not None and not (artifact.relative and os.sep not in text)


def _wait_until_trusted(paths: list[str]) -> None:
    """Wait (milliseconds) until the stat of fresh files can vouch for them from here on."""
    wait = max(map(seconds_until_trusted, paths), default=0.0)
    if wait:
        time.sleep(wait)


def _holds(folder: str, path: str) -> bool:
    """Tell whether a path lies in a folder, and is no link to elsewhere."""
    pairs = ((os.path.abspath(path), folder), (os.path.realpath(path), os.path.realpath(folder)))
    return all(f"{inner}/".startswith(f"{outer}/") for inner, outer in pairs)
