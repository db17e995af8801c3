"""BIDS derivatives: results under names that say what they were made from.

A derivative of `sub-01/func/sub-01_task-rest_bold.nii.gz` keeps its entities and folder, and adds
what was done: `sub-01/func/sub-01_task-rest_desc-smooth_bold.nii.gz`. Derivatives lie in a folder
of their own with a dataset_description.json that says which programs made them, from which
datasets; beside each lies a sidecar with its sources as BIDS URIs, the parameters and the command
of the stage that made it, and the fields that BIDS requires.

Saving copies: the file in memori's own folders and the one in the derivatives are two, so editing
one never changes the other. A copy appears under its name whole or not at all; a file that already
holds the same bytes is left alone. The same values saved twice give the same bytes. Overwritten is
only what memori itself wrote from the same source (`memori.neuro.bids.written`).

Names that the standard does not have are kept, and listed in `.bidsignore` for the validator.

Not promised: recommended fields of sidecars, and that the validator has nothing to say of what
the files themselves hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from memori.errors import warn
from memori.neuro.bids import ignored, inheritance
from memori.neuro.bids.collecting import Outputs, Saved, run_and_save
from memori.neuro.bids.content import BIDSError, read_json
from memori.neuro.bids.description import NAME, RawDatasetError, refuse_raw, root_of
from memori.neuro.bids.entities import BIDSFile
from memori.neuro.bids.makers import describe_folder, maker
from memori.neuro.bids.names import Target, ignore_patterns
from memori.neuro.bids.naming import Source, listed, path_of, split_names, target_of
from memori.neuro.bids.placing import Value
from memori.neuro.bids.schema import schema
from memori.neuro.bids.sidecar import (
    SEGMENTATIONS,
    MissingFieldError,
    description_for,
    fields_of,
    spelled,
)
from memori.neuro.bids.uris import raw_sources
from memori.neuro.bids.written import DerivativeError, Overwrite, claimed, locked, outdated, retract

__all__ = ["DerivativeError", "Derivatives", "MissingFieldError", "RawDatasetError"]


class Derivatives:
    """A folder of BIDS derivatives.

    Parameters
    ----------
    root : str | os.PathLike[str]
        The folder of one pipeline's derivatives, usually `derivatives/NAME`. It is made when
        something is saved.
    name : str, optional
        What dataset_description.json calls them, and the pipeline; the folder's name unless given.
    version : str, optional
        The version of the pipeline. With one, the derivatives are meant to be complete: a field
        that BIDS requires and nobody knows is an error, without one a warning.
    link : bool, optional
        Save hard links where the file system can, rather than copies. An edit of the derivative
        then changes memori's own file, which is noticed and made again.
    **fields : object
        What holds for all derivatives, by the names of BIDS: `SkullStripped=False`.

    Raises
    ------
    RawDatasetError
        If the folder is a dataset that is not derivatives, or lies in one but not below its
        `derivatives`: raw datasets are never written to.

    Examples
    --------
    >>> derivatives = Derivatives("derivatives/demo", version="1.0", SkullStripped=False)
    >>> derivatives.path("ds/sub-01/func/sub-01_task-rest_bold.nii.gz", desc="smooth")
    'derivatives/demo/sub-01/func/sub-01_task-rest_desc-smooth_bold.nii.gz'
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        name: str | None = None,
        version: str | None = None,
        link: bool = False,
        **fields: object,
    ) -> None:
        self.root = os.fspath(root)
        self.name = name or os.path.basename(os.path.abspath(self.root))
        self.version = None if version is None else str(version)
        self.link = link
        entities, self.fields = split_names(fields)
        if entities:
            raise TypeError(
                f"Derivatives() got {next(iter(entities))!r}; expected name=, version=, link= or "
                "fields of sidecars, which begin with a capital letter"
            )
        self.written: set[str] = set()  # what `save` did not find there as it should be
        self._told: set[str] = set()
        refuse_raw(self.root, self.root)

    def __repr__(self) -> str:
        return f"Derivatives({self.root!r})"

    def path(
        self,
        source: Source,
        *,
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        **names: Any,
    ) -> str:
        """Return the path of a derivative of `source`; nothing is written.

        Parameters
        ----------
        source : str or os.PathLike, or sequence of them
            The BIDS file that the derivative was made from. Of several (echoes) the entities count
            that they share.
        suffix, extension, datatype : str, optional
            Those of `source` unless given.
        **names : str | int | None
            Entities to add or replace, by long or short name (`desc="brain"`); None leaves out
            one that `source` has. Fields of the sidecar (`SkullStripped=True`) do not matter here.

        Raises
        ------
        ValueError
            If a part of the name is none that BIDS admits (of `source`, too: nothing of its name
            is left out unasked), or the derivative would have the very name of its source.
        TypeError
            If BIDS has no such entity; the message gives the nearest one.
        """
        entities, _ = split_names(names)
        target = target_of(source, suffix, extension, datatype, entities)
        return path_of(self.root, target)

    def check(
        self,
        source: Source,
        *,
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        **names: Any,
    ) -> str:
        """Return the path of a derivative that can be saved; else raise, before anything runs.

        Parameters
        ----------
        source, suffix, extension, datatype, **names
            As for `save`. Without `extension` that of `source` is taken.

        Raises
        ------
        MissingFieldError
            If BIDS requires a field that nobody gives.
        ValueError, TypeError, RawDatasetError
            As of `save`.
        """
        entities, fields = split_names(names)
        target = target_of(source, suffix, extension, datatype, entities)
        path = path_of(self.root, target)
        refuse_raw(os.path.dirname(path), self.root)
        self._fields(target, fields, listed(source)[0], path)
        return path

    def save(
        self,
        value: object,
        *,
        source: Source | None = None,
        sources: Sequence[str | os.PathLike[str]] = (),
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        overwrite: Overwrite = False,
        **names: Any,
    ) -> str:
        """Save a result as a derivative and return its path.

        Parameters
        ----------
        value : str | os.PathLike[str] | JSON
            The path of a file, which is copied as it is and gives the extension, with what belongs
            to it (`.bval`, `.bvec`, the `.tsv` of a segmentation, the data and markers of a
            BrainVision recording, `.vhdr`); of a folder that is one file
            (`.ome.zarr`); any other value is written as .json.
        source : str or os.PathLike, or sequence of them, optional
            What it was made from, which gives the name, as for `path`; the first of `sources` by
            default.
        sources : sequence of str or os.PathLike, optional
            All that it was made from.
        overwrite : bool or "edited", optional
            Whether whatever has that name goes; "edited": whether one that was changed since
            memori wrote it goes, to `.memori/edited`.
        suffix, extension, datatype
            As for `path`.
        **names : object
            Entities as for `path`; fields of the sidecar by the names that BIDS gives them, which
            begin with a capital letter (`SkullStripped=True`). A path in one is a BIDS URI there.

        Raises
        ------
        FileNotFoundError
            If `value` is a string, but names no file.
        ValueError
            If it is one file of several, which BIDS does not have (.hdr and .img), holds a number
            that JSON has not (NaN), or `path` raises.
        TypeError
            If `value` is neither a path nor JSON.
        MissingFieldError
            If BIDS requires a field that nobody gives, and the derivatives have a version.
        DerivativeError
            If a file is there that memori may not overwrite.
        RawDatasetError
            If the derivative would lie in a raw dataset.
        """
        files = _sources(source, sources)
        entities, fields = split_names(names)
        content = Value(value, extension)
        target = target_of(
            files[0] if source is None else source, suffix, content.extension, datatype, entities
        )
        target = target._replace(is_folder=content.is_folder)
        path = path_of(self.root, target)
        refuse_raw(os.path.dirname(path), self.root)
        own = content.own_sidecar()
        fields = self._fields(target, (read_json(own) if own else {}) | fields, files[0], path)
        made = maker(content.path)
        along = content.beside(target.suffix)
        patterns = ignore_patterns(target, os.path.relpath(path, self.root), along)
        owner = _owner(target, files[0])
        stem = path.removesuffix(target.extension)
        content = content.under(stem)
        with claimed(self.root, path, owner, content.digest, overwrite=overwrite) as wanting:
            links = describe_folder(self.root, self._named(), files, fields, [made], patterns)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content.put(path, wanting=bool(wanting), link=self.link)
            self.written.update([path] if wanting else [])
        for end, beside in along.items():
            other = Value(beside, end, is_part=True).under(stem)
            with claimed(
                self.root, stem + end, owner, other.digest, overwrite=overwrite
            ) as wanting:
                other.put(stem + end, wanting=bool(wanting), link=self.link)
        if target.extension != ".json" and not _goes_along(target, stem):
            said = {
                "Description": description_for(
                    target, files[:1] if source is None else listed(source), made.stage
                ),
                "Sources": [links.uri(each) for each in files],
                "SpatialReference": _space(target, links.uri(files[0])),
                "RawSources": _distinct(u for each in files for u in raw_sources(each, links)),
                **spelled(fields, links),
                **made.said(),
            }
            sidecar = Value({name: v for name, v in said.items() if v not in (None, [])}, None)
            with claimed(
                self.root, f"{stem}.json", owner, sidecar.digest, is_sidecar=True
            ) as wanting:
                sidecar.put(f"{stem}.json", wanting=bool(wanting), link=False)
                self.written.update([path] if wanting else [])
        return path

    def map(
        self,
        pipeline: Any,
        cases: Iterable[Mapping[str, object]],
        outputs: Outputs | Callable[[Mapping[str, object]], Outputs],
        *,
        source: str,
        **options: Any,
    ) -> Saved:
        """Run a pipeline over cases and save what it makes of each.

        Names and required fields are checked for all cases before anything runs. What a case made
        is saved when all have run: what was deleted is there again, and what was changed is made
        again (the changed one is kept in `.memori/edited`). Of a case that failed, the derivatives
        that earlier runs made are retracted: moved to `.memori/outdated`, since they are not what
        the pipeline makes today.

        Parameters
        ----------
        pipeline : Pipeline
            What runs.
        cases : iterable of mappings
            As for `Pipeline.map`; `Dataset.cases` makes them.
        outputs : mapping of str to mapping, or callable
            What is saved: name of an output to the keywords of `save`. A callable is given the
            case and returns such a mapping, for fields that depend on the case.
        source : str
            The input of a case that gives the names. All inputs that are files of a dataset
            count as sources.
        **options
            As for `Pipeline.map`: `n_jobs`, `executor`, `on_error`, `progress`, `observer`.

        Returns
        -------
        Saved
            `cases`, what `Pipeline.map` returned, and `paths`: for each case output name to path.
        """
        return run_and_save(self, pipeline, cases, outputs, source, options)

    def retract(self, source: Source, **names: Any) -> list[str]:
        """Move a derivative out of the way because its rerun failed; return what was there.

        Parameters
        ----------
        source, **names
            As for `save`. Without `extension` whatever it ends in.
        """
        path = self.path(source, **{"extension": ".json", **names})
        stem = path.removesuffix(BIDSFile(path).extension)
        folder = os.path.dirname(path)
        there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        paths = [os.path.join(folder, name) for name in there]
        return [p for p in paths if p.startswith(f"{stem}.") and retract(self.root, p)]

    def outdated(self) -> list[str]:
        """List the derivatives that were retracted, by their names below the root."""
        return outdated(self.root)

    # What a derivative says of itself

    def _fields(
        self, target: Target, given: Mapping[str, Any], source: str, path: str
    ) -> dict[str, Any]:
        """Return the fields of a sidecar, and raise or warn where a required one is missing."""
        dataset = root_of(source)
        try:
            known = inheritance.metadata(dataset, BIDSFile(source)) if dataset else {}
        except BIDSError:
            known = {}
        fields, missing = fields_of(target, {**self.fields, **given}, known)
        if missing:
            error = MissingFieldError(path, missing)
            if self.version is not None:
                raise error
            if not self._told.issuperset(missing):
                warn(str(error))
                self._told.update(missing)
        return fields

    def note_tools(self, values: Iterable[object]) -> None:
        """Name the tools that made some results in dataset_description.json."""
        made = [maker(value) for value in values if isinstance(value, str)]
        describe_folder(self.root, self._named(), [], {}, made, [])

    def ignore(self, patterns: Iterable[str]) -> None:
        """Have the validator pass by what lies in the folder beside derivatives, such as logs."""
        with locked(self.root, os.path.join(self.root, NAME)):
            ignored.add(self.root, patterns)

    def _named(self) -> dict[str, str]:
        return {"Name": self.name} | ({"Version": self.version} if self.version else {})


def _owner(target: Target, source: str) -> str:
    """Return what a derivative is made from: the dataset, if it is of no subject alone."""
    is_of_all = "sub" in BIDSFile(source).entities and "sub" not in target.entities
    return (root_of(source) if is_of_all else None) or source


def _sources(source: Source | None, others: Sequence[str | os.PathLike[str]]) -> list[str]:
    found = [*([] if source is None else listed(source)), *(listed(others) if others else [])]
    if not found:
        raise TypeError("save() got no source: give the BIDS file that the value was made from")
    return _distinct(found)


def _goes_along(target: Target, stem: str) -> bool:
    """Tell whether a table lies beside an image of its name, whose sidecar is of both."""
    return target.extension == ".tsv" and any(
        map(os.path.exists, (f"{stem}.nii.gz", f"{stem}.nii"))
    )


def _space(target: Target, source: str) -> str | None:
    """Return what a file lies on, where its name says so: a standard space, or its source."""
    space = target.entities.get("space")
    if space in schema().spaces:
        return space
    is_own = target.suffix in SEGMENTATIONS and space is None
    return source if is_own and not target.extension.endswith((".tsv", ".gii")) else None


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
