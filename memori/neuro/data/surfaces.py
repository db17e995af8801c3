"""Surfaces, and maps and labels on their vertices, as GIFTI files.

For what the files hold and what is converted see memori.neuro.data.gifti.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from memori.neuro.data.dtypes import as_array, exact
from memori.neuro.data.gifti import (
    STRUCTURE,
    Gifti,
    check_vertices,
    float32,
    gii,
    loaded,
    on_structure,
    shaped,
    storable,
    write_gifti,
    xml_text,
)

_KEPT = (STRUCTURE, "AnatomicalStructureSecondary", "GeometricType", "TopologicalType")


def save_surface(
    coords: npt.ArrayLike,
    faces: npt.ArrayLike | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    like: Gifti | None = None,
    structure: str | None = None,
    dtype: npt.DTypeLike | None = None,
) -> str:
    """Save a triangle mesh as a GIFTI surface.

    Parameters
    ----------
    coords : array-like of shape (n, 3)
        Vertex positions in mm, x, y and z in the space of `like` (unknown without it); float32.
    faces : array-like of shape (m, 3), optional
        The triangles, as vertex numbers from 0; int32. By default those of `like`.
    path : str or os.PathLike, optional
        A name in ``.surf.gii`` or ``.gii``. By default ``surface.surf.gii`` in the folder of the
        running stage, and ``surface-2.surf.gii`` and so on for further ones.
    like : nibabel GiftiImage, str or os.PathLike, optional
        A surface whose coordinate system, structure and (unless given) faces hold here too.
    structure : str, optional
        The anatomical structure, such as ``"CortexLeft"``. By default that of `like`.
    dtype : dtype-like, optional
        ``numpy.float32`` to round float64 coordinates.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If shapes are wrong, a face names a vertex that is not there, or values would be rounded.
    TypeError
        If there are neither `faces` nor `like`.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile, nibabel
    >>> folder = tempfile.TemporaryDirectory()
    >>> corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    >>> path = save_surface(corners, [[0, 1, 2]], f"{folder.name}/lh.surf.gii")
    >>> [array.shape for array in nibabel.load(path).agg_data()]
    [(3, 3), (1, 3)]
    """
    caller = "save_surface"
    model = loaded(like)
    points = float32(shaped(coords, (None, 3), "coords (n, 3)", caller), dtype, caller)
    if faces is None:
        if model is None:
            raise TypeError("save_surface: without faces, give like=(a surface that has them)")
        found = model.get_arrays_from_intent("triangle")
        if not found:
            raise ValueError("save_surface: like has no triangles: give faces, or another like")
        faces = found[0].data
    triangles = exact(
        shaped(faces, (None, 3), "faces (m, 3)", caller),
        np.int32,
        caller=caller,
        remedy="faces are whole vertex numbers",
    )
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(points):
        raise ValueError(
            f"save_surface: faces name vertices {triangles.min()} to {triangles.max()}, "
            f"but there are {len(points)} (numbered from 0)"
        )
    arrays = [
        gii.GiftiDataArray(points, "pointset", meta=_kept(model, "pointset", structure)),
        gii.GiftiDataArray(triangles, "triangle", meta=_kept(model, "triangle", None)),
    ]
    if model is not None:
        arrays[0].coordsys = _coordinate_system(model)
    return write_gifti(gii.GiftiImage(darrays=arrays), path, "surface.surf.gii", caller)


def save_metric(
    values: npt.ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    structure: str | None = None,
    like: Gifti | None = None,
    dtype: npt.DTypeLike | None = None,
) -> str:
    """Save one map or several on the vertices of a surface.

    Parameters
    ----------
    values : array-like of shape (n,) or (n, k)
        One value for each of n vertices, in k maps; float32, int32 or uint8 (bool becomes uint8).
    path : str or os.PathLike, optional
        A name in ``.func.gii``, ``.shape.gii`` or ``.gii``. By default ``metric.func.gii`` in the
        folder of the running stage, and ``metric-2.func.gii`` and so on for further ones.
    names : sequence of k str, optional
        The names of the maps.
    structure : str, optional
        The anatomical structure, such as ``"CortexLeft"``. By default that of `like`.
    like : nibabel GiftiImage, str or os.PathLike, optional
        A GIFTI file on the same vertices, whose structure holds here too.
    dtype : dtype-like, optional
        ``numpy.float32`` to round float64 values.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If the shape is wrong, n is not that of `like`, or values would be rounded.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile, nibabel
    >>> folder = tempfile.TemporaryDirectory()
    >>> thickness = np.array([2.5, 3.0, 1.5], np.float32)
    >>> path = save_metric(thickness, f"{folder.name}/thickness.shape.gii", structure="CortexLeft")
    >>> nibabel.load(path).agg_data()
    array([2.5, 3. , 1.5], dtype=float32)
    """
    caller = "save_metric"
    array = as_array(values, caller)
    columns = shaped(array if array.ndim != 1 else array[:, None], (None, None), "(n, k)", caller)
    columns = storable(columns, dtype, caller)
    model = loaded(like)
    check_vertices(len(columns), model, caller)
    if isinstance(names, (str, bytes)):
        names = [names]
    titles = [""] * columns.shape[1] if names is None else list(names)
    if len(titles) != columns.shape[1]:
        raise ValueError(f"save_metric: {len(titles)} names for {columns.shape[1]} maps")
    named = [xml_text(title, "the name of a map", caller) if title else "" for title in titles]
    maps = [
        gii.GiftiDataArray(
            np.ascontiguousarray(column), meta=gii.GiftiMetaData({"Name": title} if title else {})
        )
        for column, title in zip(columns.T, named, strict=True)
    ]
    image = gii.GiftiImage(darrays=maps, meta=on_structure(structure, model))
    return write_gifti(image, path, "metric.func.gii", caller)


def save_labels(
    labels: npt.ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    names: Mapping[int, str] | None = None,
    colors: Mapping[int, Sequence[float]] | None = None,
    structure: str | None = None,
    like: Gifti | None = None,
) -> str:
    """Save one label for each vertex of a surface, with names and colours.

    Parameters
    ----------
    labels : array-like of shape (n,)
        Whole numbers; int32.
    path : str or os.PathLike, optional
        A name in ``.label.gii`` or ``.gii``. By default ``labels.label.gii`` in the folder of the
        running stage, and ``labels-2.label.gii`` and so on for further ones.
    names : mapping of int to str, optional
        The name of each label (bytes are UTF-8); it may hold more than occur, not less, except
        that 0 is ``"???"`` unless named, as Workbench has it. By default those of `like`, else the
        numbers themselves.
    colors : mapping of int to 3 or 4 floats, optional
        Red, green, blue and opacity, each 0 to 1. By default those of `like`, else colours spread
        over the circle of hues, the same at every call (0 is transparent).
    structure : str, optional
        The anatomical structure, such as ``"CortexLeft"``. By default that of `like`.
    like : nibabel GiftiImage, str or os.PathLike, optional
        A label file on the same vertices, whose names, colours and structure hold here too.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If the shape is wrong, n is not that of `like`, a label has no name among `names`, a name
        is empty or holds control characters, or a colour is none.
    TypeError
        If names are no texts, or labels no whole numbers.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile, nibabel
    >>> folder = tempfile.TemporaryDirectory()
    >>> names = {0: "???", 1: "V1", 2: "V2"}
    >>> path = save_labels([0, 1, 1, 2], f"{folder.name}/areas.label.gii", names=names)
    >>> nibabel.load(path).labeltable.get_labels_as_dict()
    {0: '???', 1: 'V1', 2: 'V2'}
    """
    caller = "save_labels"
    keys = exact(
        shaped(labels, (None,), "labels (n,)", caller),
        np.int32,
        caller=caller,
        remedy="labels are whole numbers",
    )
    model = loaded(like)
    check_vertices(len(keys), model, caller)
    table = _label_table({int(key) for key in np.unique(keys)}, names, colors, model)
    image = gii.GiftiImage(
        darrays=[gii.GiftiDataArray(keys, "label")],
        labeltable=table,
        meta=on_structure(structure, model),
    )
    return write_gifti(image, path, "labels.label.gii", caller)


def _kept(model: Any, intent: str, structure: str | None) -> Any:
    """Take from a model's array the metadata that say what it is, and none that say whence."""
    found = model.get_arrays_from_intent(intent) if model is not None else []
    meta = {key: found[0].meta[key] for key in _KEPT if found and key in found[0].meta}
    if structure is not None:
        meta[STRUCTURE] = structure
    return gii.GiftiMetaData(meta)


def _coordinate_system(model: Any) -> Any:
    points = model.get_arrays_from_intent("pointset")
    return points[0].coordsys if points else gii.GiftiCoordSystem()


def _label_table(
    keys: set[int],
    names: Mapping[int, str] | None,
    colors: Mapping[int, Sequence[float]] | None,
    model: Any,
) -> Any:
    known = {} if model is None else {label.key: label for label in model.labeltable.labels}
    given, chosen = _by_label(names, "names"), _by_label(colors, "colors")
    if names is None:
        # An empty name in a file is no name: nibabel gives such a label none.
        found = {key: getattr(label, "label", "") for key, label in known.items()}
        given = {key: name for key, name in found.items() if name}
        given = given or {key: str(key) for key in keys - {0}}
    if 0 in keys:
        given = {0: "???", **given}
    nameless = sorted(keys - given.keys())
    if nameless:
        raise ValueError(
            f"save_labels: no name for the labels {nameless[:10]}: name every label that occurs"
        )
    table: Any = gii.GiftiLabelTable()
    for place, key in enumerate(sorted(given)):
        color = chosen.get(key)
        if color is None and key in known and None not in known[key].rgba[:3]:
            color = [1.0 if part is None else part for part in known[key].rgba]
        label: Any = gii.GiftiLabel(
            key, *_rgba(_color(place, key) if color is None else color, key)
        )
        label.label = xml_text(given[key], f"the name of label {key}", "save_labels")
        table.labels.append(label)
    return table


def _by_label(values: Mapping[int, Any] | None, what: str) -> dict[int, Any]:
    """Return what is given for each label, by plain whole numbers."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise TypeError(
            f"save_labels: {what} are given by label, such as {{1: ...}}, got a "
            f"{type(values).__name__}: pass dict(enumerate({what})) if their places are the labels"
        )
    try:
        return {index(key): value for key, value in values.items()}
    except TypeError as error:
        raise TypeError(
            f"save_labels: {what} are given by label, a whole number: {error}"
        ) from error


def _rgba(color: Sequence[float], key: int) -> tuple[float, ...]:
    try:
        rgba = tuple(float(part) for part in color)
    except (TypeError, ValueError):
        rgba = ()
    rgba += (1.0,) * (len(rgba) == 3)
    if len(rgba) != 4 or not all(0 <= part <= 1 for part in rgba):
        raise ValueError(
            f"save_labels: the colour of label {key} is {color}: expected red, green, blue (and "
            "opacity), each 0 to 1; divide those of an annotation, 0 to 255, by 255"
        )
    return rgba


def _color(place: int, key: int) -> tuple[float, ...]:
    """Step by the golden ratio round the circle of hues, where neighbours differ most."""
    if key == 0:
        return (0.0, 0.0, 0.0, 0.0)
    hue = place * 0.6180339887498949 % 1
    return tuple(round(part, 4) for part in colorsys.hsv_to_rgb(hue, 0.7, 0.9))
