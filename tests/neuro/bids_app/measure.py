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


CASES = ["sub-01_task-rest_run-01", "sub-01_task-rest_run-02", "sub-02_ses-pre_task-nback_acq-fast",
         "sub-02_ses-pre_task-rest", "sub-02_ses-post_task-rest"]  # fmt: skip


def saved(folder):
    """The derivatives of a folder, by name."""
    found = folder.rglob("*_desc-length_stat.json")
    return sorted(path.name.partition("_desc-")[0] for path in found if ".memori" not in path.parts)


def everything(folder):
    """All files below a folder with what they hold."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SCRIPT = """
import sys, time
from memori import Pipeline, Stage
from memori.neuro import app


def length(bold):
    time.sleep(0.2)
    with open(bold) as stream:
        return {"length": len(stream.read())}

if __name__ == "__main__":
    pipeline = Pipeline([("start", Stage(length, "length", hash_output="sub-{subject}"))])
    app(pipeline, {"bold": {"suffix": "bold"}}, {"length": {"desc": "length", "suffix": "stat"}})
"""
