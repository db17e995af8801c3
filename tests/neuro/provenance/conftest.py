"""A small study: a dataset, two stages over it, and derivatives, in folders with odd names."""

import json
from pathlib import Path

import pytest

from memori import Pipeline, Stage, workdir
from memori.neuro import Dataset, Derivatives, ShellStage


def count(masked, bold, unit):
    """Count the bytes of a file."""
    return {"count": Path(masked).stat().st_size, "unit": unit}


def table(counted):
    path = workdir() / "all of it.tsv"
    path.write_text("".join(f"{each['count']}\n" for each in counted))
    return str(path)


class Study:
    """Where its parts lie, and what runs over them."""

    def __init__(self, folder):
        self.folder = folder
        self.bids = folder / "raw data"
        self.work = folder / "wörk"
        self.out = folder / "derivatives" / "counts"

    def run(self, unit="bytes"):
        """Run and save."""
        place = f"{self.work}/sub-{{subject}}"
        mask = ShellStage(
            "cp {bold} {masked}", outputs={"masked": "masked.nii.gz"}, stage_name="mask",
            hash_output=place,
        )  # fmt: skip
        counted = Stage(count, "counted", place, unit=unit)
        pipeline = Pipeline([("start", mask), (("start", mask), counted)])
        cases = Dataset(self.bids).cases(bold={"suffix": "bold"}, by=("subject",))
        derivatives = Derivatives(self.out, name="counts", version="1", SkullStripped=False)
        outputs = {"masked": {"desc": "masked"}, "counted": {"desc": "count", "suffix": "stat"}}
        done, saved = derivatives.map(pipeline, cases, outputs, source="bold")
        done.raise_failures()
        result = done.reduce(Stage(table, "table", self.work / "group"))
        leads = [case["bold"] for case in cases]
        derivatives.save(result["table"], source=leads, subject=None, desc="all", suffix="stat")
        return saved


@pytest.fixture
def study(tmp_path):
    """Three subjects, of whom two have the same run byte for byte."""
    study = Study(tmp_path / "my study")
    for subject, content in (("01", b"same"), ("02", b"same"), ("03", b"another")):
        path = study.bids / f"sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    said = {"Name": "raw", "BIDSVersion": "1.10.0", "License": "CC0"}
    (study.bids / "dataset_description.json").write_text(json.dumps(said))
    sidecar = {"TaskName": "rest", "RepetitionTime": 2.0}
    (study.bids / "task-rest_bold.json").write_text(json.dumps(sidecar))
    study.run()
    return study
