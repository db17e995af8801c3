"""The files of a BIDS dataset, found by what their names say.

`Dataset(root).files(suffix="bold")` lists files by what their names say. Each one is a `BIDSFile`:
a plain string, the path, so that it can be passed to a stage as it is, which also knows its
entities (`bold.subject`) and its dataset. A folder that is a file for those who use it (CTF's
`.ds`, `.ome.zarr`) is a `BIDSFolder`: all that it holds counts.

What the dataset says of a file beyond its name comes from it too: `metadata` (sidecars, by the
inheritance principle), `companions` (events, gradients, field maps ...), the tables of
participants, sessions and scans. `cases` joins files into the cases of `Pipeline.map`.

Names are read from the disk at each call, so a dataset that grows is seen to. No content is read,
of images never.

Not promised: that the dataset is valid BIDS (the bids-validator tells), or that files without
entities in their names are found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from memori.neuro.bids import companions, ignored, inheritance
from memori.neuro.bids.cases import Finder, Query, as_names, join
from memori.neuro.bids.content import BIDSError, ContentError, read_json, require
from memori.neuro.bids.description import NAME, datasets_below
from memori.neuro.bids.entities import OTHERS, BIDSFile, BIDSFolder, entity_name, nearest
from memori.neuro.bids.query import Choices, Wanted, choices, fits, may_hold, said, some
from memori.neuro.bids.tree import Found, walk


class Dataset:
    """A BIDS dataset: a folder whose files are found by what their names say.

    Parameters
    ----------
    root : str | os.PathLike[str]
        The dataset's folder. The paths of its files begin with it as it is given here.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it is not a BIDS dataset (it has neither a
        dataset_description.json nor a `sub-*` or `tpl-*` folder).
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root)
        if not os.path.isdir(self.root):
            raise FileNotFoundError(f"no BIDS dataset at {self.root!r}: there is no such folder")
        names = os.listdir(self.root)
        if NAME not in names and not any(name.startswith(("sub-", "tpl-")) for name in names):
            uninstalled = (
                ""
                if names
                else "; it is empty: if it is a DataLad subdataset, `datalad get -n` it first"
            )
            raise FileNotFoundError(
                f"no BIDS dataset at {self.root!r}: expected a dataset_description.json or "
                f"folders named sub-*; give the folder that holds them{uninstalled}"
            )

    def __repr__(self) -> str:
        return f"Dataset({self.root!r})"

    def __fspath__(self) -> str:
        return self.root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    @property
    def description(self) -> dict[str, Any]:
        """What dataset_description.json says; empty without one."""
        path = os.path.join(self.root, NAME)
        return read_json(path) if os.path.lexists(path) else {}

    @property
    def is_derivative(self) -> bool:
        """Whether the dataset says that it is derivatives; one that says nothing is raw."""
        try:
            return self.description.get("DatasetType") == "derivative"
        except BIDSError:
            return False

    @property
    def derivatives(self) -> dict[str, Dataset]:
        """The datasets in `derivatives/`, nested ones too, by their paths there."""
        return self._below("derivatives")

    @property
    def sources(self) -> dict[str, Dataset]:
        """The datasets in `sourcedata/`, nested ones too, by their paths there."""
        return self._below("sourcedata")

    def _below(self, folder: str) -> dict[str, Dataset]:
        above = os.path.join(self.root, folder)
        return {name: Dataset(os.path.join(above, name)) for name in datasets_below(above)}

    # Files

    def files(self, **wanted: Wanted) -> list[BIDSFile]:
        """List the files whose names say what is wanted, in the order of their paths.

        Parameters
        ----------
        **wanted : str | int | None | iterable of str or int
            Entities by long or short name (`subject="01"`, `sub="01"`), `suffix`, `extension`
            and `datatype`. A number, of Python or numpy, matches a label of that value (`run=1`
            finds `run-01`), several values any of them, None a name without that entity.

        Returns
        -------
        list[BIDSFile]
            Files that describe another one (.json, .bvec, .bval) are among them only if
            `extension` is given; tables of a whole subject, session or dataset (scans.tsv,
            sessions.tsv, task-rest_events.tsv) only if `suffix` or `extension` is. What the
            `.bidsignore` of a raw dataset names is not.

        Raises
        ------
        TypeError
            If a name is not an entity of BIDS, nor of a file here; the message gives the nearest
            one.

        Examples
        --------
        >>> bids = Dataset("ds000114")  # doctest: +SKIP
        >>> bids.files(subject=["01", "02"], suffix="bold", run=1)  # doctest: +SKIP
        ['ds000114/sub-01/func/sub-01_task-rest_run-01_bold.nii.gz', ...]
        """
        asked = self._choices(wanted)
        return [self._file(found) for found in self._walk(asked) if fits(found, asked)]

    def one(self, **wanted: Wanted) -> BIDSFile:
        """Return the one file whose name says what is wanted.

        Parameters
        ----------
        **wanted
            As of `files`.

        Raises
        ------
        BIDSError
            If there is none, or several; the message lists what there is.
        """
        found = self.files(**wanted)
        if len(found) == 1:
            return found[0]
        asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
        if found:
            raise BIDSError(
                f"{len(found)} files of {self!r} have {asked}, expected one: "
                f"{some(found)}; say which by one more entity"
            )
        there = [f"{name}: {some(self._values(name, wanted))}" for name in wanted]
        raise BIDSError(f"no file of {self!r} has {asked}; with all else as asked, there are "
                        + "; ".join(there))  # fmt: skip

    def file(self, path: str | os.PathLike[str]) -> BIDSFile:
        """Return a file of the dataset by its path: a string, a Path, a BIDSFile of pybids.

        A path that is relative, and not there from the current folder, is one from the root.
        """
        text = os.fspath(path)
        inside = os.path.join(self.root, text)
        if not os.path.lexists(text) and os.path.lexists(inside):
            text = inside
        file = (BIDSFolder if os.path.isdir(text) else BIDSFile)(text)
        file._dataset = self
        return file

    def _file(self, found: Found) -> BIDSFile:
        file = (BIDSFolder if found.item.is_folder else BIDSFile)(found.path)
        file._dataset = self
        return file

    def _walk(self, asked: Choices) -> Iterable[Found]:
        patterns = self._ignored()
        found = walk(self.root, lambda item: may_hold(item, asked))
        return (each for each in found if not self._is_ignored(each, patterns))

    def _ignored(self) -> list[ignored.Pattern]:
        return [] if self.is_derivative else ignored.patterns_of(self.root)

    def _is_ignored(self, found: Found, patterns: list[ignored.Pattern]) -> bool:
        if not patterns:
            return False
        inside = os.path.relpath(found.path, self.root) + "/" * found.item.is_folder
        return ignored.is_ignored(inside, patterns)

    def _choices(self, wanted: Mapping[str, Wanted]) -> dict[str, list[object]]:
        keys = {name: self._known(name) for name in wanted}
        return {keys[name]: choices(keys[name], value) for name, value in wanted.items()}

    def _known(self, name: str) -> str:
        try:
            return name if name in OTHERS else entity_name(name)
        except TypeError:
            if any(name in found.item.entities for found in walk(self.root)):
                return name
            message = f"files() got {name!r}, which BIDS does not have{nearest(name)}"
            raise TypeError(message) from None

    def _values(self, name: str, wanted: Mapping[str, Wanted]) -> list[str]:
        """Return what a name could be asked for, all else as it is wanted."""
        key = self._known(name)
        others = self._choices({each: value for each, value in wanted.items() if each != name})
        values = (said(f).get(key) for f in self._walk(others) if fits(f, others))
        return sorted({str(value) for value in values if value})

    # What is said of them

    def metadata(self, file: str | os.PathLike[str]) -> dict[str, Any]:
        """Return what the sidecars say of a file, by the inheritance principle.

        Parameters
        ----------
        file : str or os.PathLike
            A file of the dataset.

        Raises
        ------
        BIDSError
            If a sidecar is no JSON, or two that are equally near disagree.
        ContentError
            If git-annex has a sidecar elsewhere.
        """
        return inheritance.metadata(self.root, self._own(file))

    def companions(self, file: str | os.PathLike[str]) -> dict[str, list[BIDSFile]]:
        """Return what belongs to a file, by kind: only kinds that are there.

        Parameters
        ----------
        file : str or os.PathLike
            A file of the dataset.

        Returns
        -------
        dict of str to list of BIDSFile
            `events`, `bval`, `bvec`, `sbref`, `physio` (one for each recording), `channels`,
            `aslcontext` and so on; `fmap`: by B0FieldSource, else by IntendedFor.
        """
        own = self._own(file)
        found = {
            kind: [self.file(path) for path in paths]
            for kind, paths in companions.beside(self.root, own).items()
        }
        maps = self._field_maps(own) if own.entities.get("sub") else []
        return found | ({"fmap": maps} if maps else {})

    def _field_maps(self, file: BIDSFile) -> list[BIDSFile]:
        images = self.files(subject=file.entities["sub"], extension=[".nii.gz", ".nii"])

        def metadata(each: BIDSFile) -> dict[str, Any]:
            try:
                return self.metadata(each)
            except ContentError:
                if each.entities.get("ses") == file.entities.get("ses"):
                    raise
                return {}  # of another session, whose content nobody got: no map of this one

        return companions.field_maps(self.root, file, images, metadata)

    def _own(self, file: str | os.PathLike[str]) -> BIDSFile:
        own = self.file(file)
        inside = os.path.relpath(os.path.abspath(own), os.path.abspath(self.root))
        if inside.split(os.sep)[0] == os.pardir:
            folder, name = os.path.split(os.path.abspath(own))
            inside = os.path.relpath(os.path.realpath(folder), os.path.realpath(self.root))
            if inside.split(os.sep)[0] != os.pardir:  # the root is a link, or the path is resolved
                return self.file(os.path.normpath(os.path.join(self.root, inside, name)))
            raise BIDSError(f"{str(own)!r} does not lie in {self!r}; ask the dataset that holds it")
        return own

    # Tables

    def participants(self) -> Any:
        """Return participants.tsv as a pandas DataFrame; `participant_id` are texts."""
        return self._table("participants.tsv", "participant_id")

    def sessions(self, subject: str) -> Any:
        """Return a subject's sessions.tsv as a pandas DataFrame."""
        subject = subject.removeprefix("sub-")
        return self._table(f"sub-{subject}/sub-{subject}_sessions.tsv", "session_id")

    def scans(self, subject: str, session: str | None = None) -> Any:
        """Return the scans.tsv of a subject, or of a session, as a pandas DataFrame."""
        label = f"sub-{subject.removeprefix('sub-')}"
        parts = [label] if session is None else [label, f"ses-{session.removeprefix('ses-')}"]
        return self._table("/".join([*parts, "_".join([*parts, "scans.tsv"])]), "filename")

    def _table(self, name: str, text: str) -> Any:
        from memori.neuro.data.tables import load_table

        path = os.path.join(self.root, name)
        require([path])
        if not os.path.exists(path):
            raise FileNotFoundError(f"{self!r} has no {name}")
        return load_table(path, text=[text])

    # Cases

    def cases(
        self,
        *,
        by: Sequence[str] = ("subject", "session"),
        optional: Sequence[str] = (),
        several: Sequence[str] = (),
        lists: Sequence[str] = ("echo",),
        missing: str = "error",
        where: Mapping[str, Wanted] | None = None,
        **inputs: Query,
    ) -> list[dict[str, object]]:
        """Join files into cases for `Pipeline.map`: one case for each file of the first input.

        Parameters
        ----------
        by : sequence of str, optional
            The entities by which files belong together. Each is in the case, too (None where the
            name has not got it), for `hash_output="work/sub-{subject}/ses-{session}"`.
        optional : sequence of str, optional
            Inputs that may be missing: None then.
        several : sequence of str, optional
            Inputs of which a case takes any number, as a list.
        lists : sequence of str, optional
            Entities over which files that are alike in all else form one list, by their order.
        missing : {"error", "skip"}, optional
            Whether a subject that lacks something, or has too much of it, is an error, or is left
            out with a warning that says why.
        where : mapping, optional
            Which cases are wanted, as entities for `files`: ``{"subject": ["01", "02"]}``.
        **inputs : mapping, or iterable of paths
            What to find for each input: keywords for `files`, or files that were found, also by
            pybids.

        Returns
        -------
        list of dict
            The cases, in the order of the first input's files.

        Raises
        ------
        CasesError
            If for some subject something is missing, or ambiguous; it lists all of them.
        ContentError
            If git-annex has the content of a file elsewhere.

        Examples
        --------
        >>> bids = Dataset("ds000114")  # doctest: +SKIP
        >>> bids.cases(bold=dict(suffix="bold"), t1w=dict(suffix="T1w"))  # doctest: +SKIP
        [{'subject': '01', 'session': None, 'bold': 'ds000114/sub-01/...', 't1w': ...}, ...]
        """
        finder = Finder(self.files, self.file, self.metadata, self.root, self.subjects())
        chosen = self._choices(where or {})
        keys = {name: entity_name(name) for name in as_names("by", by)}
        over = [entity_name(name) for name in as_names("lists", lists)]
        return join(finder, inputs, keys, over, optional, several, missing, chosen)

    def subjects(self) -> list[str]:
        """List the labels of the subjects that have a folder, in order.

        One that the `.bidsignore` of a raw dataset names is not among them.
        """
        patterns = self._ignored()
        return [
            name.removeprefix("sub-")
            for name in sorted(os.listdir(self.root))
            if name.startswith("sub-")
            and os.path.isdir(os.path.join(self.root, name))
            and not ignored.is_ignored(f"{name}/", patterns)
        ]
