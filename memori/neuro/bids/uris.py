"""BIDS URIs: how a file says from which files of which datasets it was made.

`bids:raw:sub-01/anat/sub-01_T1w.nii.gz` is a file of the dataset that `DatasetLinks` of the
dataset_description.json calls `raw`, and `bids::sub-01/...` one of the same dataset. Links are
relative to the dataset that holds them, so that a study moves as a whole.
"""

from __future__ import annotations

import os
import re

from memori.neuro.bids.content import BIDSError, read_json
from memori.neuro.bids.description import NAME, root_of


class Links:
    """The datasets that a folder of derivatives was made from, by the names of its URIs.

    Parameters
    ----------
    root : str
        The folder of derivatives.
    known : dict of str to str
        `DatasetLinks` so far.

    Attributes
    ----------
    links : dict of str to str
        `DatasetLinks` with what was added.
    """

    def __init__(self, root: str, known: dict[str, str]) -> None:
        self.root = os.path.abspath(root)
        self.links = dict(known)

    def uri(self, path: str) -> str:
        """Return the URI of a file; of one in no dataset, its path from the derivatives' root."""
        path = os.path.abspath(path)
        if path.startswith(self.root + os.sep):
            return f"bids::{_posix(os.path.relpath(path, self.root))}"
        dataset = root_of(path)
        if dataset is None:
            return _posix(os.path.relpath(path, self.root))
        return f"bids:{self._name(dataset)}:{_posix(os.path.relpath(path, dataset))}"

    def _name(self, dataset: str) -> str:
        where = _posix(os.path.relpath(dataset, self.root))
        for name, link in self.links.items():
            if link.rstrip("/") == where:
                return name
        wish = (
            re.sub(r"[^0-9A-Za-z]", "", os.path.basename(dataset)) if is_derivative(dataset) else ""
        )
        wish = wish or "raw"
        name, number = wish, 1
        while name in self.links:
            number += 1
            name = f"{wish}{number}"
        self.links[name] = where
        return name


def sources_of(root: str, links: dict[str, str]) -> list[dict[str, str]]:
    """Return `SourceDatasets` for linked datasets: by DOI where they have one."""
    found = []
    for link in links.values():
        try:
            said = read_json(os.path.join(root, link, NAME))
        except (OSError, BIDSError):
            said = {}
        doi, version = said.get("DatasetDOI"), said.get("Version")
        each = {"DOI": str(doi)} if doi else {"URL": link}
        found.append(each | ({"Version": str(version)} if version else {}))
    return found


def is_derivative(dataset: str) -> bool:
    """Tell whether a dataset says that it is derivatives."""
    try:
        return read_json(os.path.join(dataset, NAME)).get("DatasetType") == "derivative"
    except (OSError, BIDSError):
        return False


def raw_sources(path: str, links: Links) -> list[str]:
    """Return the URIs of the raw files that a source is, or says that it was made from."""
    dataset = root_of(os.path.abspath(path))
    if dataset is None:
        return []
    if not is_derivative(dataset):
        return [links.uri(path)]
    from memori.neuro.bids.entities import BIDSFile

    sidecar = path.removesuffix(BIDSFile(path).extension) + ".json"
    try:
        found = read_json(sidecar).get("RawSources", [])
        theirs = read_json(os.path.join(dataset, NAME)).get("DatasetLinks", {})
    except (OSError, BIDSError):
        return []
    return [each for uri in found for each in _translated(str(uri), dataset, theirs, links)]


def _translated(uri: str, dataset: str, theirs: dict[str, str], links: Links) -> list[str]:
    """Return another dataset's URI as one of ours."""
    match = re.fullmatch(r"bids:([^:]*):(.+)", uri)
    if match is None or match[1] not in theirs or ":" in theirs[match[1]]:
        return []
    return [links.uri(os.path.normpath(os.path.join(dataset, theirs[match[1]], match[2])))]


def _posix(path: str) -> str:
    return path.replace(os.sep, "/")
