"""What it costs to open a large BIDS dataset, beside pybids and bids2table.

Run ``python benchmarks/bench_bids.py [--subjects 1000] [--rounds 3]``. The dataset has two
sessions for each subject, of empty images. Each measure is a process of its own, import included,
that lists all BOLD runs: the first time, and again (with a database for pybids). Times are medians.
Aims, for 1,000 subjects: below 5 s the first time, below 1 s again; joining all runs with their T1w
below 5 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = {
    "anat": ["T1w.nii.gz", "T1w.json"],
    "func": [f"task-rest_run-{n}_{end}" for n in (1, 2) for end in ("bold.nii.gz", "bold.json")],
    "dwi": ["dwi.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json"],
}
OURS = "from memori.neuro import Dataset\nbids = Dataset({root!r})\n"
WAYS = {
    "memori, files": OURS + "found = bids.files(suffix='bold')",
    "memori, cases": OURS + "found = bids.cases(bold=dict(suffix='bold'), t1w=dict(suffix='T1w'))",
    "bids2table": "import bids2table\nrows = bids2table.index_dataset({root!r}).to_pylist()\n"
    "found = [r for r in rows if r['suffix'] == 'bold' and r['ext'] == '.nii.gz']",
    "pybids": "from bids import BIDSLayout\n"
    "layout = BIDSLayout({root!r}, validate=False, database_path={root!r} + '.db')\n"
    "found = layout.get(suffix='bold', extension='.nii.gz', return_type='file')",
}


def make(root: Path, subjects: int) -> int:
    """Make the dataset; return how many BOLD runs it has."""
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    for number in range(subjects):
        for session in "12":
            for datatype, names in KINDS.items():
                folder = root / f"sub-{number:04}/ses-{session}/{datatype}"
                folder.mkdir(parents=True)
                for name in names:
                    path = folder / f"sub-{number:04}_ses-{session}_{name}"
                    path.write_text("{}" if name.endswith("json") else "")
    return subjects * 4


def seconds(code: str, expected: int) -> float | None:
    """Run some code in a process of its own; None if it cannot be run."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(len(found))"],
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    return took if done.stdout.strip().endswith(str(expected)) else None


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ds"
        expected = make(root, arguments.subjects)
        print(f"{arguments.subjects} subjects, {expected} BOLD runs; seconds, import included")
        for name, code in WAYS.items():
            text = code.replace("{root!r}", repr(str(root)))
            first = seconds(text, expected)
            again = [seconds(text, expected) for _ in range(arguments.rounds if first else 0)]
            known = [each for each in again if each is not None]
            told = (
                f"{first:7.2f} first {statistics.median(known):7.2f} again" if first else "absent"
            )
            print(f"  {name:14} {told}")


if __name__ == "__main__":
    main()
