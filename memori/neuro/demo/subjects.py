"""A small BIDS dataset, made from real images that installed packages carry.

Each subject has a T1-weighted image and a resting run of 20 volumes. The T1w is the MNI152 template
of nilearn at 2 mm, in a head of another size. The run is the echo-planar image of nibabel's tests
(`example4d.nii.gz`) at 4 x 4 x 2.2 mm: its course over time is that of a real one
(`functional.nii`, 20 volumes of 2 s), to which the subject adds movement and noise.

What differs between subjects follows from their labels alone: the same dataset comes out every
time. The images are read where the packages installed them and not copied into memori.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from memori.neuro.data.images import save_image

nib: Any = nibabel  # only half of it is typed
TR = 2.0
_NOISE = 0.03  # of the mean signal
_TEMPLATE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
Floats = npt.NDArray[np.floating[Any]]


def make_subject(subject: str, bids: str) -> tuple[str, str]:
    """Write a subject's T1w and BOLD into the dataset `bids`; return the two paths."""
    random = np.random.default_rng(int(subject))
    name = os.path.join(bids, f"sub-{subject}", "{0}", f"sub-{subject}_{{1}}")
    for datatype in ("anat", "func"):
        os.makedirs(os.path.dirname(name.format(datatype, "")), exist_ok=True)
    with open(name.format("func", "task-rest_bold.json"), "w", encoding="utf-8") as stream:
        json.dump({"RepetitionTime": TR, "TaskName": "rest"}, stream, indent=2)
    head, affine = _head(random)
    t1w = save_image(head, name.format("anat", "T1w.nii.gz"), affine=affine)
    volumes, affine = _volumes(random)
    bold = save_image(volumes, name.format("func", "task-rest_bold.nii.gz"), affine=affine, tr=TR)
    return t1w, bold


def _head(random: np.random.Generator) -> tuple[npt.NDArray[np.int16], Floats]:
    """Resample the template to 2 mm (x, y, z), up to 6 % larger or smaller along each axis."""
    from scipy.ndimage import affine_transform  # slow to import, and not needed for a hit

    template = _carried_by("nilearn", _TEMPLATE)
    steps = 2 / random.uniform(0.94, 1.06, 3)  # in voxels of the template, which are of 1 mm
    shape = np.array(template.shape) // 2
    offset = (np.array(template.shape) - 1 - steps * (shape - 1)) / 2
    values = template.get_fdata(dtype=np.float32)
    head = affine_transform(values, steps, offset, output_shape=tuple(shape), order=1)
    affine = template.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    return _whole(head * (1000 / head.max())), affine


def _volumes(random: np.random.Generator) -> tuple[npt.NDArray[np.int16], Floats]:
    """Return a run (x, y, z, t): one brain that moves, with a real course over time and noise."""
    image = _carried_by("nibabel", "tests/data/example4d.nii.gz")
    fine = np.asarray(image.dataobj, dtype=np.float32)[..., 0]
    brain = fine.reshape(64, 2, 48, 2, 24).mean(axis=(1, 3))
    affine = image.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    affine[:3, 3] += image.affine[:3, :2].sum(axis=1) / 2  # the middle of the 2 x 2 voxels
    course = _real_course()
    poses = _movement(random, len(course))
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    moved = [_moved(brain, zooms, pose) * gain for pose, gain in zip(poses, course, strict=True)]
    volumes = np.stack(moved, axis=-1)
    volumes += random.normal(0, _NOISE * brain[brain > 0].mean(), volumes.shape)
    return _whole(volumes), affine


def _real_course() -> Floats:
    """Return how the mean of functional.nii goes over time (t,), around 1."""
    values = _carried_by("nibabel", "tests/data/functional.nii").get_fdata(dtype=np.float32)
    mean = values[values.mean(axis=-1) > values.mean()].mean(axis=0)
    course: Floats = mean / mean.mean()
    return course


def _movement(random: np.random.Generator, volumes: int) -> Floats:
    """Return poses (t, 6), in degrees and mm: a slow drift that starts at rest, and one jerk."""
    drift = random.normal(0, 0.06, (volumes, 6)).cumsum(axis=0)
    drift[random.integers(volumes // 2, volumes) :] += random.normal(0, 0.4, 6)
    start: Floats = drift[0]
    return drift - start


def _moved(brain: Floats, zooms: Floats, pose: Floats) -> Floats:
    """Turn and shift a brain (x, y, z) about the middle of its grid."""
    from scipy.ndimage import affine_transform
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", pose[:3], degrees=True).as_matrix()
    matrix = turn * zooms[None, :] / zooms[:, None]
    centre = (np.array(brain.shape) - 1) / 2
    offset = centre - matrix @ centre + pose[3:] / zooms
    moved: Floats = affine_transform(brain, matrix, offset, order=3, mode="nearest")
    return moved


def _whole(values: Floats) -> npt.NDArray[np.int16]:
    whole: npt.NDArray[np.int16] = np.rint(values.clip(min=0)).astype(np.int16)
    return whole


def _carried_by(package: str, name: str) -> Any:
    """Open an image that lies in an installed package, without importing the package."""
    spec = find_spec(package)
    folders = None if spec is None else spec.submodule_search_locations
    for folder in folders or []:
        path = os.path.join(folder, *name.split("/"))
        if os.path.exists(path):
            return nib.load(path)
    raise FileNotFoundError(
        f"the demo reads {name} of the package {package}, which is not there; "
        "install memori with its extra: pip install '.[demo]'"
    )
