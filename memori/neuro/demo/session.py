"""One session of the demo: make the dataset, preprocess it, and say what ran and what hit.

What runs and saves is the participant level of a BIDS App, as of `memori.neuro.app`. Everything
lies in one folder: `bids` (the raw dataset), `work` (what memori remembers) and
`derivatives/demo` (the results, as BIDS has them).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from memori import Pipeline, Results, Stage
from memori.errors import MemoriError
from memori.neuro import Dataset, Derivatives
from memori.neuro.bids_app.levels import Level
from memori.version import __version__

_Pair = tuple[Mapping[str, Any], object]
SUBJECTS = ("01", "02", "03")
PARAMETERS: dict[str, float] = {"fwhm": 6.0, "threshold": 30.0, "detrend": 2}
"""What can be changed: smoothing in mm, brain threshold in %, order of the trend."""

_DESCRIPTION = {
    "Name": "memori demo",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "MIT",
    "Authors": ["The nibabel developers", "The nilearn developers", "The memori developers"],
    "GeneratedBy": [{"Name": "memori demo", "Version": __version__}],
    "SourceDatasets": [{"URL": "https://github.com/nipy/nibabel"}],
}
_README = """The dataset of memori's demo: three made subjects with a T1w and a resting run each.

The images are computed from real ones that nibabel (its tests' echo-planar images) and nilearn (the
MNI152 template) carry; movement, noise and head size are made up. Nothing here is a person.
"""
_CHANGED: dict[str, float] = {"fwhm": 8.0, "threshold": 40.0, "detrend": 1}


def changed(wish: str) -> tuple[str, float]:
    """Return the parameter and value of `NAME` or `NAME=VALUE`.

    Raises
    ------
    ValueError
        If there is no such parameter, or the value is no number.

    Examples
    --------
    >>> changed("fwhm"), changed("fwhm=5")
    (('fwhm', 8.0), ('fwhm', 5.0))
    """
    name, _, value = wish.partition("=")
    if name not in PARAMETERS:
        from difflib import get_close_matches

        near = get_close_matches(name, PARAMETERS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"the demo has no parameter {name!r}{meant} (parameters: {', '.join(PARAMETERS)})"
        )
    try:
        number = float(value) if value else _CHANGED[name]
    except ValueError:
        raise ValueError(f"{wish}: {name} is a number, such as {name}={_CHANGED[name]:g}") from None
    return name, type(PARAMETERS[name])(number)


def run_session(out: str, changes: Mapping[str, float], n_jobs: int) -> bool:
    """Run the demo in the folder `out`, print what happened, and tell whether all went well."""
    began = time.time()
    _find_tools()
    print(f"memori {__version__}: the resting runs of {len(SUBJECTS)} subjects, in {out}/")
    for name, default in PARAMETERS.items():
        value = changes.get(name, default)
        print(
            f"  {name:9} {value:g}" + (f"  (changed from {default:g})" if name in changes else "")
        )
    work = os.path.join(out, "work", "sub-{subject}")
    raw = _dataset(out, work)
    subjects = [{"subject": subject} for subject in SUBJECTS]
    made = raw.map(subjects, n_jobs=n_jobs, progress=True)
    for failure in made.failures:
        raise MemoriError(f"the demo's dataset cannot be made: {failure!r}") from failure.error
    from memori.neuro.demo.preprocessing import preprocessing

    pipeline = preprocessing(work, **{**PARAMETERS, **changes})  # type: ignore[arg-type]
    bids = Dataset(os.path.join(out, "bids"))
    cases = bids.cases(bold={"suffix": "bold"}, t1w={"suffix": "T1w"}, by=("subject",))
    derivatives = Derivatives(
        os.path.join(out, "derivatives", "demo"),
        name="memori demo",
        version=__version__,
        SkullStripped=True,
    )
    done = Level(pipeline, _outputs, "bold", derivatives).run(cases, n_jobs)
    ran, hit = _report([(raw, made), (pipeline, [(each.case, each.result) for each in done])])
    print(f"{ran + hit} stages: {ran} ran, {hit} hit, in {time.time() - began:.1f} s")
    failed = [each for each in done if each.problem]
    for each in failed:
        told = each.failure.traceback if each.failure else ""
        print(f"sub-{each.case['subject']}: {each.problem}", told, sep="\n", file=sys.stderr)
    if not failed:
        pictures = [each.saved["picture"] for each in done]
        _say_where(out, pictures, first=ran > 0 and not changes)
    return not failed


def _find_tools() -> None:
    """Let the tools be found that pip installed beside this Python, in a venv not activated too."""
    beside = os.path.dirname(sys.executable)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if beside not in folders:
        os.environ["PATH"] = os.pathsep.join([*folders, beside])


def _dataset(out: str, work: str) -> Pipeline:
    """Wire what makes the raw dataset: each subject is a case of a pipeline of one stage."""
    from memori.neuro.demo.subjects import make_subject

    bids = os.path.join(out, "bids")
    os.makedirs(bids, exist_ok=True)
    for name, text in {
        "README": _README,
        "dataset_description.json": json.dumps(_DESCRIPTION, indent=2),
    }.items():
        path = os.path.join(bids, name)
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
    make = Stage(make_subject, ["t1w", "bold"], hash_output=work, stage_name="make", bids=bids)
    return Pipeline([("start", make)])


def _outputs(case: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Say under which names the results of a case are saved."""
    in_t1w = {"space": "T1w", "SpatialReference": case["t1w"]}
    return {
        "smooth": {"desc": "smooth"},
        "mask": {"desc": "brain", "suffix": "mask"},
        "confounds": {"desc": "confounds", "suffix": "timeseries"},
        "tsnr_t1w": {"desc": "tsnr", "suffix": "boldref", **in_t1w},
        "picture": {"desc": "tsnr", "datatype": "figures"},
    }


def _stages(pipeline: Pipeline) -> list[Stage]:
    return [stage for stage in pipeline.stages if isinstance(stage, Stage)]


def _report(outcomes: Sequence[tuple[Pipeline, Iterable[_Pair]]]) -> tuple[int, int]:
    """Print what ran and what hit for each subject; return how many of each."""
    counts = {"ran": 0, "hit": 0}
    for subject in SUBJECTS:
        listed: dict[str, list[str]] = {"ran": [], "hit": []}
        for pipeline, cases in outcomes:
            for case, result in cases:
                if case["subject"] == subject and isinstance(result, Results):
                    for stage in _stages(pipeline):
                        verb = "ran" if stage.stage_name in result.ran else "hit"
                        listed[verb].append(stage.stage_name)
        for verb, names in listed.items():
            counts[verb] += len(names)
            if names:
                print(f"  sub-{subject}  {verb}: {' '.join(names)}")
    return counts["ran"], counts["hit"]


def _say_where(out: str, pictures: list[str], *, first: bool) -> None:
    print("pictures:", *pictures, sep="\n  ")
    if first:
        again = "memori demo" + ("" if out == "memori-demo" else f" --out {out}")
        print(f"next:\n  {again}                 nothing runs again")
        print(f"  {again} --change fwhm   only what depends on the smoothing does")
