"""A small dataset without images, and an app of two functions over it."""

import json

from memori import Pipeline, Stage

FILES = {
    "sub-01": ["anat/T1w", "func/task-rest_run-01_bold", "func/task-rest_run-02_bold"],
    "sub-02/ses-pre": ["anat/T1w", "func/task-rest_bold", "func/task-nback_acq-fast_bold"],
    "sub-02/ses-post": ["func/task-rest_bold"],
    "sub-03": ["anat/T1w"],
}


def describe(folder, **more):
    """Write a dataset_description.json."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"Name": "study", "BIDSVersion": "1.10.0", "License": "CC0", **more}
    (folder / "dataset_description.json").write_text(json.dumps(said))


def length(bold, scale):
    """Measure a file; one that is empty is an error."""
    with open(bold, encoding="ascii") as stream:
        text = stream.read()
    if not text:
        raise ValueError(f"{bold} is empty\nand more of it")
    return {"length": scale * len(text)}


def total(length, subject):
    """Add what all participants made."""
    return {"total": sum(each["length"] for each in length), "of": subject}


def pipeline(scale: int = 1):
    """Wire the one stage."""
    return Pipeline(
        [("start", Stage(length, "length", scale=scale, hash_output="sub-{subject}/ses-{session}"))]
    )


GROUP = Stage(total, "total", hash_output="group")
