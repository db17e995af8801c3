"""One session of the demo: make the dataset, preprocess it, and say what ran and what hit.

Everything lies in one folder: `bids` (the raw dataset), `work` (what memori remembers) and
`derivatives/demo` (the results, as BIDS has them).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping

from memori import Cases, Pipeline, Results, Stage
from memori.errors import MemoriError
from memori.neuro import Dataset, Derivatives
from memori.version import __version__

SUBJECTS = ("01", "02", "03")
PARAMETERS: dict[str, float] = {"fwhm": 6.0, "threshold": 30.0, "detrend": 2}
"""What can be changed: smoothing in mm, brain threshold in %, order of the trend."""

_CHANGED: dict[str, float] = {"fwhm": 8.0, "threshold": 40.0, "detrend": 1}
_SAVED: dict[str, dict[str, str]] = {
    "smooth": {"desc": "smooth"},
    "mask": {"desc": "brain", "suffix": "mask"},
    "confounds": {"desc": "confounds", "suffix": "timeseries"},
    "tsnr_t1w": {"space": "T1w", "desc": "tsnr", "suffix": "boldref"},
    "picture": {"desc": "tsnr", "datatype": "figures"},
}


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
        raise ValueError(f"the demo has no parameter {name!r}; it has {', '.join(PARAMETERS)}")
    number = float(value) if value else _CHANGED[name]
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
    made = raw.map([{"subject": s} for s in SUBJECTS], n_jobs=n_jobs)
    for failure in made.failures:
        raise MemoriError(f"the demo's dataset cannot be made: {failure!r}") from failure.error
    from memori.neuro.demo.preprocessing import preprocessing

    pipeline = preprocessing(work, **{**PARAMETERS, **changes})  # type: ignore[arg-type]
    bids = Dataset(os.path.join(out, "bids"))
    outcome = pipeline.map(_cases(bids), n_jobs=n_jobs)
    pictures = _save(outcome, Derivatives(os.path.join(out, "derivatives", "demo")))
    ran, hit = _report([(raw, made), (pipeline, outcome)])
    print(f"{ran + hit} stages: {ran} ran, {hit} hit, in {time.time() - began:.1f} s")
    if outcome.failures:
        print(outcome.summary(), outcome.failures[0].traceback, sep="\n", file=sys.stderr)
        return False
    _say_where(out, pictures, first=ran > 0 and not changes)
    return True


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
    description = {"Name": "memori demo", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    path = os.path.join(bids, "dataset_description.json")
    if not os.path.exists(path):
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(description, stream, indent=2)
    make = Stage(make_subject, ["t1w", "bold"], hash_output=work, stage_name="make", bids=bids)
    return Pipeline([("start", make)])


def _cases(bids: Dataset) -> list[dict[str, object]]:
    return [
        {"subject": bold.subject, "bold": bold, "t1w": t1w}
        for bold in bids.files(suffix="bold")
        for t1w in bids.files(subject=bold.subject, suffix="T1w")
    ]


def _save(outcome: Cases, derivatives: Derivatives) -> list[str]:
    """Save what was made of each case; return the paths of the pictures."""
    pictures = []
    for case, result in outcome:
        if result:
            for output, entities in _SAVED.items():
                saved = derivatives.save(result[output], source=str(case["bold"]), **entities)
            pictures.append(saved)
    return pictures


def _stages(pipeline: Pipeline) -> list[Stage]:
    return [stage for stage in pipeline.stages if isinstance(stage, Stage)]


def _report(outcomes: list[tuple[Pipeline, Cases]]) -> tuple[int, int]:
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
