"""A small pipeline of hostile names and values, whose report the tests look at."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from memori import Pipeline, Stage, workdir
from memori.neuro import ShellStage, save_image, save_surface

MARKUP = "<img src=x onerror=document.title=`pwned`>"
WORK = "work/sub-{subject}"


def mean(bold, subject):
    image = nib.load(bold)
    return save_image(image.get_fdata().mean(-1).astype("f4"), affine=image.affine)


def brain(image):
    picture = nib.load(image)
    return save_image((picture.get_fdata() > 150).astype("u1"), affine=picture.affine)


def check(image, subject):
    if subject == "02":
        raise ValueError(f"</script>{MARKUP} is not fine")
    return f"<b>{subject}</b>"


def count(output, mask):
    return len(output)


def named(subject):
    path = workdir() / f"{MARKUP}.tsv"
    path.write_text(f"{MARKUP}\tb\n1\t2\n2\tn/a\n3\t5\n")
    return str(path)


def sphere(subject):
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], "f4")
    triangles = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5]], "i4")
    return save_surface(points, triangles)


def pipeline() -> Pipeline:
    first, inside = Stage(mean, "image", WORK), Stage(brain, "mask", WORK)
    checked = Stage(check, hash_output=WORK)
    tool = ShellStage(
        "sh -c 'echo seen; echo no such atlas >&2; exit {code}' {image}",
        outputs="x.txt", stage_name="tool", code=3, hash_output=WORK,
    )  # fmt: skip
    others = (
        ("start", Stage(each, name, WORK)) for each, name in ((named, "table"), (sphere, "mesh"))
    )
    return Pipeline(
        [
            ("start", first),
            (first, inside),
            (first, checked),
            ((checked, inside), Stage(count, "n", WORK)),
            *others,
            (first, tool),
        ]
    )


def run(subjects=("01", "02")) -> None:
    """Run it below the current folder."""
    cases = []
    for number, subject in enumerate(subjects):
        path = Path(f"raw/{number}_bold.nii.gz")
        path.parent.mkdir(exist_ok=True)
        volumes = np.random.default_rng(number).normal(100, 10, (16, 20, 12, 10)).astype("f4")
        volumes[4:12, 5:15, 3:9] += 100
        nib.save(nib.Nifti1Image(volumes, np.diag([3, 3, 4, 1])), path)
        cases.append({"subject": subject, "bold": str(path)})
    pipeline().map(cases)


def many(count: int) -> None:
    """Copy what is remembered of one case, as if there were many."""
    for number in range(count):
        place = Path(f"work/sub-m{number:04d}/.memori")
        shutil.copytree("work/sub-01/.memori/stages", place / "stages")
