"""The shell script of docs/commands.md, run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DESCRIBE = 'echo "$1 has $(wc -c < "$1") bytes" | tee "$2"\n'


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Write the script, its dataset, and a `memori` of this checkout."""
    if shutil.which("bc") is None:
        pytest.skip("bc is not installed: apt-get install bc")
    if not (Path(sys.executable).parent / "niimath").exists() and not shutil.which("niimath"):
        pytest.skip("niimath is not installed: pip install niimath")
    page = (ROOT / "docs/commands.md").read_text()
    block = re.search(r"^```bash\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert block is not None
    path = tmp_path / "preprocess.sh"
    path.write_text(block[1])
    (tmp_path / "describe.sh").write_text(DESCRIBE)
    launcher = tmp_path / "bin/memori"
    launcher.parent.mkdir()
    launcher.write_text(
        f"#!{sys.executable}\nimport sys\nfrom memori.cli import main\nsys.exit(main())\n"
    )
    launcher.chmod(0o755)
    random = np.random.default_rng(0)
    for subject in ("01", "02"):
        folder = tmp_path / f"data set/sub-{subject}/func"
        folder.mkdir(parents=True)
        image = nib.Nifti1Image(random.random((12, 12, 12, 4), np.float32) + 1, np.eye(4) * 3)
        nib.save(image, folder / f"sub-{subject}_task-rest_bold.nii.gz")
    return path


def run(script: Path, *arguments: str) -> tuple[str, list[str]]:
    """Run the script; return what it prints and the stages that ran."""
    folder = script.parent
    before = _written(folder)
    done = subprocess.run(
        ["bash", script, "data set", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"),
             "PATH": os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent),
                                      os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    after = _written(folder)
    return done.stdout, sorted(path.name for path in after if after[path] != before.get(path))


def _written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*")}


@pytest.mark.slow
def test_the_script_of_the_page_can_be_restarted(script: Path) -> None:
    """Nothing runs twice; a changed image or parameter runs what depends on it."""
    told, wrote = run(script)
    assert 12 == len(wrote)
    assert 2 == told.count("bytes")
    assert (told, []) == run(script)
    _, wrote = run(script, "8")
    ends = ("_preproc.nii.gz", "_preproc.txt")
    assert 4 == len(wrote)
    assert all(name.endswith(ends) for name in wrote)
    (script.parent / "out/sub-02_task-rest_mean.nii.gz").unlink()
    _, wrote = run(script, "8")
    assert ["sub-02_task-rest_mean.nii.gz"] == wrote
    image = script.parent / "data set/sub-01/func/sub-01_task-rest_bold.nii.gz"
    nib.save(nib.Nifti1Image(nib.load(image).get_fdata() * 2, np.eye(4) * 3), image)
    _, wrote = run(script, "8")
    assert wrote
    assert all(name.startswith("sub-01") for name in wrote)
