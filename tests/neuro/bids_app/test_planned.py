"""`memori why` of an app: what each participant would run, before anything does."""

import json
import os
import subprocess
import sys

SCRIPT = """
from memori.neuro import app
from tests.neuro.bids_app.measure import GROUP, pipeline

app(
    pipeline,
    inputs={"bold": {"suffix": "bold"}},
    outputs={"length": {"desc": "length", "suffix": "stat"}},
    group=GROUP,
    group_outputs={"total": {"desc": "total", "suffix": "stat"}},
    name="measure",
)
"""


def test_an_app_is_told_participant_by_participant(bids, tmp_path):
    """It stops where it would save, and saves nothing."""
    (tmp_path / "measure_app.py").write_text(SCRIPT)
    words = [str(bids), "out", "participant", "-w", "work", "--skip-bids-validation"]
    memori = "import sys; from memori.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", memori, "why", "measure_app.py", "--json", "--", *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert {False} == {each["hit"] for each in told["calls"]}
    assert "is still to make" in told["stopped"]["why"]
    assert [] == list((tmp_path / "out").rglob("*stat*"))
