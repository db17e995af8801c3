"""Pictures of surfaces, drawn by nilearn: a mesh, or values over the mesh that belongs to them."""

from __future__ import annotations

import io
from typing import Any

import nibabel as nib
import numpy as np

from memori.neuro.report.images import NotDrawnError, as_webp

_MOST_VERTICES = 200_000
_MESH = "NIFTI_INTENT_POINTSET"


def mesh_in(path: str) -> Any:
    """Return the vertices and triangles of a GIFTI file; None if it has none."""
    image: Any = nib.load(path)
    points = image.get_arrays_from_intent(_MESH)
    triangles = image.get_arrays_from_intent("NIFTI_INTENT_TRIANGLE")
    return (points[0].data, triangles[0].data) if points and triangles else None


def values_in(path: str) -> Any:
    """Return the first map of a GIFTI file, a value a vertex; None if it has none."""
    image: Any = nib.load(path)
    maps = [each.data for each in image.darrays if each.data.ndim == 1]
    return maps[0] if maps else None


def surface(mesh: Any, values: Any = None) -> bytes:
    """Draw a mesh from both sides.

    Parameters
    ----------
    mesh : (array (n, 3), array (m, 3))
        Vertices and triangles.
    values : array (n,), optional
        What is shown on it; by default how deep its folds are.
    """
    from matplotlib.figure import Figure
    from nilearn import plotting
    from PIL import Image

    points, triangles = mesh
    if len(points) > _MOST_VERTICES:
        raise NotDrawnError(f"it is too large for a picture: {len(points)} vertices")
    if values is None:
        values = np.linalg.norm(points - points.mean(axis=0), axis=1)
    if np.ptp(values) == 0:  # nothing to colour
        values = points[:, 2]
    figure = Figure(figsize=(6, 3), layout="constrained")
    for place, view in enumerate(("lateral", "medial")):
        axes = figure.add_subplot(1, 2, place + 1, projection="3d")
        plotting.plot_surf(
            [np.asarray(points, float), np.asarray(triangles)],
            np.asarray(values, float),
            hemi="left",
            view=view,
            cmap="viridis",
            colorbar=False,
            engine="matplotlib",
            axes=axes,
            figure=figure,
        )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return as_webp(Image.open(stream).convert("RGB"))
