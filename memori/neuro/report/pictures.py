"""What the outputs of runs look like: figures for the page, within a budget.

A figure is JSON that the page draws: slices to scroll through, one image, lines of a table, or a
note on why there is none. Each output that memori can draw gets one, case by case until `Budget` is
spent; the report says what is left out. Pillow, matplotlib and nilearn (the extra `report`) are
imported here and where they are used; without them figures are notes.

Not promised: pictures of files inside of folders that are outputs, beyond the first few.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memori.neuro.report.runs import Run

if TYPE_CHECKING:
    from memori.neuro.report.images import Volume

Figure = dict[str, Any]
INSTALL = "pip install 'memori-neuro[report]'"
_IMAGES = (".nii", ".nii.gz", ".mgz", ".mgh", ".img")
_CIFTI = re.compile(r"\.d\w+\.nii$")
_TABLES = (".tsv", ".csv", ".txt", ".1D", ".par", ".npy")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_LOGS = ("stdout.txt", "stderr.txt")
_MOST_IN_FOLDER = 6
_MOST_OF_RUN = 12  # so that one stage of many files leaves room for other cases
_MOST_SVG = 300_000
_SIDE_OF_VIEWER = 110  # voxels
_ICON = re.compile(r"<link\s+rel=\"icon\".*?>", re.DOTALL)


@dataclass
class Budget:
    """How much room pictures may take.

    Attributes
    ----------
    figures : int
        How many more.
    size : int
        How many more bytes.
    viewers : int
        How many more of the slice viewers, which are large.
    left_out : int
        How many outputs got no picture for want of it.
    """

    figures: int = 100
    size: int = 10_000_000
    viewers: int = 6
    left_out: int = 0

    def take(self, size: int) -> bool:
        """Take room for a figure, if there is enough."""
        if self.figures < 1 or size > self.size:
            self.left_out += 1
            return False
        self.figures -= 1
        self.size -= size
        return True


class Gallery:
    """Draws the outputs of runs.

    Parameters
    ----------
    budget : Budget
        What may be drawn.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.missing = missing()
        self._volumes: dict[str, Volume | None] = {}

    def figures_of(self, run: Run) -> list[Figure]:
        """Return a figure for each output of a run that memori can draw."""
        found: list[Figure] = []
        for name, path in outputs_of(run):
            is_spent = self.budget.figures < 1 or self.budget.size < 1
            if is_spent or len(found) >= _MOST_OF_RUN:
                self.budget.left_out += 1
                continue
            try:
                figure = self._figure(run, path)
            except MemoryError:
                raise
            except Exception as error:  # a file may hold anything; the report goes without
                figure = {"kind": "note", "note": f"cannot be drawn: {_told(error)}"}
            if figure is None:
                continue
            figure = {"title": name, "file": os.path.basename(path), **figure}
            figure.setdefault("alt", f"{figure['file']}, the output {name} of stage {run.stage}")
            if self.budget.take(_size(figure)):
                found.append(figure)
        return found

    def _figure(self, run: Run, path: str) -> Figure | None:
        end = path.lower()
        if not os.path.exists(path):
            return {"kind": "note", "note": "is missing"}
        if not os.path.isfile(path):  # to read a pipe would wait for ever
            return {"kind": "note", "note": "is no regular file"}
        if end.endswith(_TABLES) or path.endswith(_TABLES):
            return _of_table(path)
        if end.endswith(".svg"):
            return _of_svg(path)
        if not end.endswith((*_IMAGES, *_PICTURES, ".gii")):
            return None
        if self.missing:
            return {"kind": "note", "note": f"no picture without {self.missing}: {INSTALL}"}
        if end.endswith(_PICTURES):
            return _of_picture(path)
        if end.endswith(".gii"):
            return _of_gifti(path, [each for _, each in run.files + outputs_of(run)])
        return _of_cifti(path) if _CIFTI.search(end) else self._of_image(run, path)

    # Images

    def _volume(self, path: str) -> Volume | None:
        """Return an image among the inputs, for whatever is laid over it; None if it is none."""
        from memori.neuro.report.images import read_volume

        if path not in self._volumes:
            if len(self._volumes) > 4:
                self._volumes.pop(next(iter(self._volumes)))
            try:
                self._volumes[path] = read_volume(path)
            except Exception:  # the figure does without what cannot be read
                self._volumes[path] = None
        return self._volumes[path]

    def _beside(self, run: Run, path: str) -> Iterator[tuple[str, Volume]]:
        """Yield the images that a run was given, and those that it made otherwise."""
        for name, each in (*run.files, *outputs_of(run)):
            if each != path and each.lower().endswith(_IMAGES):
                found = self._volume(each)
                if found is not None and not found.is_mask:
                    yield name, found

    def _of_image(self, run: Run, path: str) -> Figure:
        from memori.neuro.report.images import NotDrawnError, carpet, carpet_of, read_volume, slices

        volume = read_volume(path)
        figure: Figure = {"kind": "slices", "note": volume.stored}
        beside = list(self._beside(run, path))
        same = [(name, each) for name, each in beside if each.grid == volume.grid]
        if volume.is_mask and same:
            name, below = same[0]
            figure["sheets"] = [_sheet(f"outline over {name}", slices(below, volume))]
            return figure
        label = "mean over time" if volume.series is not None else ""
        figure["sheets"] = [_sheet(label, slices(volume))]
        if volume.series is None and same and len({each.grid for _, each in beside}) > 1:
            name, target = same[0]  # it was brought to the grid of another image
            figure["sheets"][0]["label"] = os.path.basename(path)
            figure["sheets"].append(_sheet(f"{name}, whose grid it has", slices(target)))
        if volume.series is not None:
            try:
                drawn = carpet(carpet_of(volume))
                figure["carpet"] = _src("webp", drawn)
            except NotDrawnError as error:
                figure["note"] += f"; no carpet: {error}"
        elif self.budget.viewers > 0 and not volume.is_mask:
            self.budget.viewers -= 1
            figure["viewer"] = viewer(volume)
        return figure


def missing() -> str:
    """Return the package that pictures need and that is not installed; an empty text if none."""
    for name, package in (("PIL", "Pillow"), ("matplotlib", "matplotlib"), ("nilearn", "nilearn")):
        try:
            __import__(name)
        except ImportError:
            return package
    return ""


def outputs_of(run: Run) -> list[tuple[str, str]]:
    """Return the files among the outputs: output, absolute path; of a folder the first few."""
    found = []
    for artifact in run.entry.artifacts if run.entry else ():
        name, path = ".".join(map(str, artifact.pointer)), artifact.locate(run.root)
        if artifact.kind == "file":
            found.append((name, path))
        elif os.path.isdir(path):
            inside = sorted(each.path for each in os.scandir(path) if each.is_file())
            found += [(name, each) for each in inside[:_MOST_IN_FOLDER]]
    return [(name, path) for name, path in found if os.path.basename(path) not in _LOGS]


def viewer(volume: Volume) -> str:
    """Return nilearn's slice viewer of an image, a page that needs nothing else."""
    import warnings

    import nibabel as nib
    import numpy as np
    from nilearn import plotting

    step = max(1, -(-max(volume.data.shape) // _SIDE_OF_VIEWER))
    affine = np.array(volume.grid[1]).reshape(4, 4) @ np.diag([step, step, step, 1])
    image = nib.Nifti1Image(volume.data[::step, ::step, ::step], affine)  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it resamples what looks binary: it is for the eye
        page = plotting.view_img(
            image, bg_img=None, threshold=None, cmap="gray", symmetric_cmap=False, colorbar=True
        )
    return _ICON.sub("", page.html)


def _of_table(path: str) -> Figure | None:
    from memori.neuro.report.tables import MOST_COLUMNS, lines_of

    columns = lines_of(path)
    if not columns:
        return None
    more = f" ({len(columns) - MOST_COLUMNS} more columns)" if len(columns) > MOST_COLUMNS else ""
    note = f"{columns[0]['rows']} rows, {len(columns)} columns of numbers{more}"
    return {"kind": "lines", "note": note, "columns": columns[:MOST_COLUMNS]}


def _of_svg(path: str) -> Figure:
    if os.path.getsize(path) > _MOST_SVG:
        return {"kind": "note", "note": "the drawing is too large to be shown here"}
    with open(path, "rb") as file:
        return {"kind": "image", "src": _src("svg+xml", file.read()), "note": ""}


def _of_picture(path: str) -> Figure:
    from PIL import Image

    from memori.neuro.report.images import as_webp

    with Image.open(path) as picture:
        note = f"{picture.width} x {picture.height} pixels"
        picture.thumbnail((900, 900))
        drawn = as_webp(picture.convert("RGB"), quality=75)
    return {"kind": "image", "src": _src("webp", drawn), "note": note}


def _of_gifti(path: str, beside: list[str]) -> Figure:
    from memori.neuro.report.surfaces import mesh_in, surface, values_in

    mesh = mesh_in(path)
    if mesh is not None:
        note = f"{len(mesh[0])} vertices; the colour is the distance from the middle"
        return {"kind": "image", "src": _src("webp", surface(mesh)), "note": note}
    values = values_in(path)
    if values is None:
        return {"kind": "note", "note": "holds neither a surface nor values of vertices"}
    for each in beside:
        mesh = mesh_in(each) if each.endswith(".gii") else None
        if mesh is not None and len(mesh[0]) == len(values):
            note = f"first map, over {os.path.basename(each)}"
            return {"kind": "image", "src": _src("webp", surface(mesh, values)), "note": note}
    return {"kind": "note", "note": f"{len(values)} vertices, and no surface of as many beside it"}


def _of_cifti(path: str) -> Figure:
    import nibabel as nib
    import numpy as np

    from memori.neuro.report.images import carpet

    image: Any = nib.load(path)
    if len(image.shape) != 2 or image.shape[0] < 3:
        return {"kind": "note", "note": f"CIFTI of shape {image.shape}; no picture"}
    rows = np.asarray(image.dataobj[:, :: max(1, image.shape[1] // 300)], np.float32).T
    note = f"{image.shape[0]} maps of {image.shape[1]} grayordinates"
    return {"kind": "image", "src": _src("webp", carpet(rows)), "note": note}


def _sheet(label: str, drawn: bytes) -> dict[str, str]:
    return {"label": label, "src": _src("webp", drawn)}


def _src(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _size(value: object) -> int:
    """Return about how many bytes a figure takes in the page."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 8


def _told(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
