"""What a policy removes: files in runs' own folders that nobody needs any more.

A folder is left as it is while a run that was given something in it goes on, if it was accepted for
another run too, if an output in it is not as its run left it (a person edited it), and if its
locks cannot be had. What goes is noted in the folder's claim first (`memori.keep.removed`). Of a
folder something of which stays, these stay too:

- what an output that stays refers to: the files that belong to it, the target of a link;
- what lies beside it and is called like it (``brain.json`` beside ``brain.nii.gz``);
- what runs of the same pipeline were seen to read or to look for there;
- what runs of other pipelines were given, as far as they are remembered in the same folder.

Not promised: files that runs wrote outside their own folders, which nobody but the user removes.
"""

from __future__ import annotations

import json
import os
import time

from memori.digest.files import file_digest, is_file, stat_of, to_record
from memori.files import atomic_write, content_of, partial_of, remove_if_there
from memori.keep.demand import digests_do
from memori.layout import Layout, memo_of, root_of, stages_of
from memori.store import entries
from memori.store.folders import is_removable
from memori.store.gone import without_key
from memori.store.use import folder_lock
from memori.watch.places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from memori.digest.values import JSON
    from memori.store.entry import Entry


class Needs:
    """What has to stay of what runs made.

    Parameters
    ----------
    keep : str
        The policy, as it is told.
    stages : collection of str
        The file names of the pipeline's stages; what runs of others were given stays.

    Attributes
    ----------
    all_outputs : bool
        Whether every output stays.
    """

    def __init__(self, keep: str, stages: Collection[str], *, all_outputs: bool) -> None:
        self.keep = keep
        self.all_outputs = all_outputs
        self._stages = stages
        self._elsewhere: dict[str, set[tuple[str, str | None]]] = {}

    def elsewhere(self, root: str) -> set[tuple[str, str | None]]:
        """Return what runs of other pipelines below a root were given: paths and identities."""
        known = self._elsewhere.get(root)
        if known is None:
            known = self._elsewhere[root] = set()
            for name in entries.listed(stages_of(root)):
                if name not in self._stages:
                    known.update(_given(Layout(root, name)))
        return known


def _given(layout: Layout) -> Iterator[tuple[str, str | None]]:
    for path in entries.everything(layout, surely=True):
        entry = entries.read(path)
        for file in () if entry is None else entry.files:
            yield without_key(file.locate(layout.root)), file.identity
        for read in () if entry is None else _looked_at(entry, layout.root):
            yield without_key(read), None


def looked_at(paths: Iterable[str]) -> set[str]:
    """Return the files and folders that the runs of some entries read, listed or asked for."""
    found: set[str] = set()
    for path in paths:
        entry = entries.read(path)
        if entry is not None:
            found.update(_looked_at(entry, root_of(path)))
    return found


def _looked_at(entry: Entry, root: str) -> Iterator[str]:
    seen = entry.record.get("observed") or {}
    places = Places(root, seen.get("root"))
    for kind in ("read", "edited"):
        yield from places.paths((seen.get(kind) or {}).get("files", ()))
    yield from places.paths(seen.get("there", ()))
    for _, groups in seen.get("found", ()):
        yield from places.paths(groups)
    for listing in seen.get("listed", ()):
        yield places.folder(listing["folder"])
    for words, _ in seen.get("trees", ()):
        yield places.folder(words)


def remove_unneeded(path: str, kept: Collection[str], seen: Collection[str], needs: Needs) -> None:
    """Remove what is not needed any more from the own folder of the run of an entry.

    Parameters
    ----------
    path : str
        The entry's file.
    kept : collection of str
        Files and folders, absolute, that stay.
    seen : collection of str
        What runs of the pipeline looked at: it stays where something else does.
    needs : Needs
        The policy.
    """
    entry = entries.read(path)
    if entry is None or entry.folder is None or os.path.islink(_own(entry, path)):
        return
    layout = Layout(root_of(path), os.path.dirname(entry.folder))
    claim = layout.claim(entry.folder)
    with folder_lock(claim) as is_mine:
        own = _own(entry, path)
        if not is_mine or not is_removable(layout, entry.folder) or not os.path.isdir(own):
            return
        stays = _staying(entry, own, layout.root, kept, seen, needs)
        going = list(_going(own, stays))
        if going and not _is_edited(entry, layout.root):
            _note(claim, _told(entry, own, going, layout.root, seen), needs.keep)
            for each in going:
                _remove(each)


def _own(entry: Entry, path: str) -> str:
    return os.path.join(root_of(path), entry.folder or "")


def _is_edited(entry: Entry, root: str) -> bool:
    with digests_do():
        return any(each.fault(root, memo_of(root)) is not None for each in entry.artifacts)


def _staying(
    entry: Entry,
    own: str,
    root: str,
    kept: Collection[str],
    seen: Collection[str],
    needs: Needs,
) -> set[str]:
    """Return what stays in a run's own folder: files, and folders with all that is in them."""
    elsewhere = needs.elsewhere(root)
    outputs = {each.locate(root): each for each in entry.artifacts}
    stays = {path for path in kept if _lies_in(path, own)}
    for path, each in outputs.items():
        plain = without_key(path)
        is_given = (plain, each.identity) in elsewhere or (plain, None) in elsewhere
        if needs.all_outputs or is_given:
            stays.add(path)
    for path in [path for path in stays if path in outputs]:
        file = outputs[path].file
        for name in () if file is None else file.companions:
            stays.add(os.path.join(os.path.dirname(path), name))
    if stays:
        stays.update(path for path in seen if _lies_in(path, own) and os.path.lexists(path))
    return stays


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")


def _going(folder: str, stays: set[str]) -> Iterator[str]:
    """Yield the files that go, and the folders that go with all that is in them."""
    if folder in stays:
        return
    with os.scandir(folder) as found:
        inside = sorted(found, key=lambda each: each.name)
    called = {_stem(path) for path in stays if os.path.dirname(path) == folder}
    for each in inside:
        if each.is_dir(follow_symlinks=False):
            if any(_lies_in(path, each.path) for path in stays):
                yield from _going(each.path, stays)
            else:
                yield each.path
        elif each.path not in stays and _stem(each.path) not in called:
            yield each.path


def _stem(path: str) -> str:
    return os.path.basename(path).lstrip(".").partition(".")[0]


def _told(
    entry: Entry, own: str, going: list[str], root: str, seen: Collection[str]
) -> dict[str, JSON]:
    """Return what stands for each file and folder that goes, by its path in the run's folder.

    Of an output and of what a run looked at that is a digest, of the rest how it looked.
    """
    told: dict[str, JSON] = {}
    for path in going:
        name = os.path.relpath(path, own)
        told[name] = {"kind": "scratch"}
        if not os.path.isdir(path) or os.path.islink(path):
            told[name]["stat"] = list(stat_of(os.lstat(path)))
            continue
        for above, _, names in os.walk(path):
            for each in names:
                inner = os.path.join(above, each)
                known = {"kind": "scratch", "stat": list(stat_of(os.lstat(inner)))}
                told[os.path.relpath(inner, own)] = known
    for path in seen:
        if os.path.relpath(path, own) in told and is_file(path):
            digest: dict[str, JSON] = to_record(file_digest(path, memo_of(root)))
            told[os.path.relpath(path, own)] = {"kind": "file", **digest}
    for artifact in entry.artifacts:
        path = artifact.locate(root)
        if artifact.kind != "path" and any(_lies_in(path, each) for each in going):
            told[os.path.relpath(path, own)] = artifact.to_record()
    return told


def _note(claim: str, paths: dict[str, JSON], keep: str) -> None:
    """Write down in a folder's claim what is going to be removed, beside what went before."""
    lines = [json.loads(line) for line in content_of(claim).splitlines() if line]
    before = [line for line in lines if "removed" in line]
    for line in before:
        paths = {**line["removed"]["paths"], **paths}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = [line for line in lines if "removed" not in line]
    told.append({"removed": {"at": at, "keep": keep, "paths": paths}})
    atomic_write(claim, b"".join(json.dumps(line).encode("ascii") + b"\n" for line in told))


def _remove(path: str) -> None:
    """Remove a file or a folder; a folder leaves its name at once, so that no half of it is met."""
    import shutil

    if not os.path.isdir(path) or os.path.islink(path):
        remove_if_there(path)
        return
    aside = partial_of(path)
    try:
        os.rename(path, aside)
    except OSError:
        return  # it goes the next time
    shutil.rmtree(aside, ignore_errors=True)
