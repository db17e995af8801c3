"""The validator before a run: what stops it, and what does not."""

import pytest

from memori import Pipeline, Stage
from memori.neuro.bids_app.validation import validator

pytestmark = pytest.mark.skipif(
    validator() is None, reason="no validator: pip install bids-validator-deno"
)


@pytest.fixture
def valid(bids):
    """The dataset with images that are some."""
    np = pytest.importorskip("numpy")
    from memori.neuro import save_image

    for path in bids.rglob("*.nii.gz"):
        shape = (4, 4, 4, 5) if "bold" in path.name else (4, 4, 4)
        tr = 2.0 if "bold" in path.name else None
        save_image(np.ones(shape, np.int16), path, affine=np.eye(4), tr=tr)
    for task in ("rest", "nback"):
        said = f'{{"TaskName": "{task}", "RepetitionTime": 2.0}}'
        (bids / f"task-{task}_bold.json").write_text(said)
    return bids


def measured(bold):
    return {"bytes": len(bold)}


def test_a_fault_of_the_dataset_stops_the_app_unless_it_is_told_to_go_on(run, valid):
    """Of the participants that are to be run, and of none else; the first errors are told."""
    made = {"made": Pipeline([("start", Stage(measured, "length", hash_output="m"))])}
    assert 0 == run("--participant-label", "02", validate=True, **made).code
    (valid / "sub-01/func/sub-01_tsk-rest_bold.nii.gz").write_bytes(b"x")

    refused = run("--participant-label", "01", validate=True, **made)
    other = run("--participant-label", "02", validate=True, **made)
    skipped = run("--participant-label", "01", **made)

    assert 1 == refused.code
    assert 1 == len(refused.err.splitlines())
    assert "is not valid BIDS" in refused.err
    assert "sub-01_tsk-rest_bold" in refused.err
    assert "--skip-bids-validation" in refused.err
    assert 0 == other.code, other
    assert "sub-01_task-rest_run-01: " in skipped.out
