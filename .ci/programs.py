"""Run programs of other people under `memori nipype`, and compare with runs without memori.

    python .ci/programs.py FOLDER [NAME ...]

Each program gets an environment of its own in FOLDER (pip, PyPI) and two small subjects that are
made here. It runs without memori, with it, again with other working and output folders, after the
data of one subject changed, and with arguments that make it fail. All files that it leaves are
compared, but for what Nipype writes for itself. The table that is printed stands in docs/nipype.md.
Not a part of CI: it needs ten minutes, PyPI, and MRtrix3 for trampolino.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUBJECTS = ("01", "02")
ALWAYS = {"datasink"}  # what Nipype always runs
NIPYPES_OWN = re.compile(
    r"\.pklz$|/_report/|/_0x\w+\.json$|/(d3\.js|graph1?\.json|index\.html|graph\.(dot|png))$"
    r"|/command\.txt$|/_unfinished\.json$"
)

NEUROPYCON = """
import os, sys
import mne, numpy as np
folder, subject, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(seed)
times = np.arange(250 * 40) / 250
waves = np.sin(2 * np.pi * 10 * times + rng.random((8, 1)) * 6)
info = mne.create_info([f"MEG {n:03}" for n in range(8)], 250.0, "mag")
os.makedirs(f"{folder}/sub-{subject}", exist_ok=True)
raw = mne.io.RawArray(1e-12 * (rng.standard_normal(waves.shape) + waves), info, verbose="error")
raw.save(f"{folder}/sub-{subject}/sub-{subject}_raw.fif", overwrite=True, verbose="error")
"""
TRAMPOLINO = """
import os, sys
import nibabel as nib, numpy as np
folder, subject, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(seed)
shape = (18, 18, 18)
center = np.array(shape).reshape(3, 1, 1, 1) / 2 - 0.5
radius = np.sqrt(((np.indices(shape) - center) ** 2).sum(0))
b = np.r_[np.zeros(6), np.full(16, 1000.0), np.full(30, 2500.0)]
axes = rng.standard_normal((46, 3))
axes = np.r_[np.zeros((6, 3)), axes / np.linalg.norm(axes, axis=1, keepdims=True)]
white = 500 * np.exp(-b * (0.2e-3 + 1.5e-3 * axes[:, 0] ** 2))
grey, fluid = 700 * np.exp(-b * 0.8e-3), 1500 * np.exp(-b * 3e-3)
image = np.zeros((*shape, b.size))
for inner, outer, signal in ((0, 2, fluid), (2, 4.5, white), (4.5, 6.5, grey), (6.5, 7.5, fluid)):
    image[(radius >= inner) & (radius < outer)] = signal
image = np.abs(image + rng.normal(0, 8, image.shape)).astype("f4")
os.makedirs(folder, exist_ok=True)
nib.Nifti1Image(image, np.diag([2, 2, 2, 1])).to_filename(f"{folder}/sub-{subject}_dwi.nii.gz")
np.savetxt(f"{folder}/sub-{subject}_dwi.bvec", axes.T, fmt="%.6f")
np.savetxt(f"{folder}/sub-{subject}_dwi.bval", b[None], fmt="%d")
"""


def neuropycon(data: str, out: str, *, fails: bool = False) -> list[list[str]]:
    """Filter, epoch and connectivity of all subjects, who are iterables of one workflow."""
    files = [f"{data}/sub-{s}/sub-{s}_raw.fif" for s in SUBJECTS]
    length = "1000" if fails else "2"
    return [["neuropycon", "-p", "MultiProc", "-n", "2", "-s", out, "-w", "run", "preproc",
             "-l", "1", "-h", "40", "-d", "100", "epoch", "-l", length, "ep2npy",
             "conn", "-b", "8", "12", "-b", "13", "30", "-m", "coh", "-m", "plv", "-s", "100",
             "input", *files]]  # fmt: skip


def trampolino(data: str, out: str, *, fails: bool = False) -> list[list[str]]:
    """Responses, fibre orientations and tractograms, each subject by itself."""
    words = []
    for subject in SUBJECTS:
        where, file = f"{out}/sub-{subject}", f"{data}/sub-{subject}_dwi"
        os.makedirs(where, exist_ok=True)
        bval = f"{file}.bvec" if fails else f"{file}.bval"
        words.append(["trampolino", "-w", where, "-r", "results", "recon", "-i", f"{file}.nii.gz",
                      "-v", f"{file}.bvec", "-b", bval, "mrtrix_msmt_csd",
                      "track", "--opt", "nos:50", "--angle", "30,45", "--algorithm", "iFOD2",
                      "--min_length", "4", "mrtrix_tckgen"])  # fmt: skip
    return words


@dataclass(frozen=True)
class Program:
    """A program of somebody else.

    Attributes
    ----------
    packages : list of str
        What pip installs.
    data : str
        Source that makes the data of a subject, given a folder, a label and a seed.
    commands : callable
        Returns the command lines, given the folders of data and of results.
    environment : dict
        What it needs besides.
    """

    packages: list[str]
    data: str
    commands: Callable[..., list[list[str]]]
    environment: dict[str, str] = field(default_factory=dict)


PROGRAMS = {
    "neuropycon": Program(["ephypype==0.7", "setuptools<81"], NEUROPYCON, neuropycon),
    "trampolino": Program(
        ["trampolino==0.1.9", "click<8", "traits<7", "setuptools<81"], TRAMPOLINO, trampolino,
        {"MRTRIX_RNG_SEED": "1", "MRTRIX_NTHREADS": "0"},  # else its tracts are random
    ),
}  # fmt: skip


class Trial:
    """A program in its own environment and folder."""

    def __init__(self, program: Program, home: Path) -> None:
        self.program = program
        self.home = home
        self.python = home / "env/bin/python"

    def install(self) -> None:
        """Make the environment, unless it is there."""
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", self.home / "env"], check=True)
            words = ["-m", "pip", "install", "-q", "-e", str(ROOT), *self.program.packages]
            subprocess.run([self.python, *words], check=True)

    def make(self, subject: str, seed: int) -> None:
        """Make the data of a subject."""
        words = ["-c", self.program.data, str(self.home / "data"), subject, str(seed)]
        subprocess.run([self.python, *words], check=True)

    def run(self, name: str, *, remembers: bool, fails: bool = False) -> tuple[list[int], str]:
        """Run all command lines; return exit codes and what they said."""
        out = self.home / name
        out.mkdir()
        path = os.pathsep.join([str(self.python.parent), os.environ["PATH"]])
        env = {**os.environ, **self.program.environment, "PATH": path}
        before = ["memori", "nipype", "-d", str(self.home / "memory"), "--"] if remembers else []
        codes, said = [], ""
        for words in self.program.commands(str(self.home / "data"), str(out), fails=fails):
            done = subprocess.run(
                [*before, *words], cwd=out, env=env, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, check=False,
            )  # fmt: skip
            codes.append(done.returncode)
            said += done.stdout
        (self.home / f"{name}.log").write_text(said)
        return codes, said

    def files(self, name: str) -> dict[str, str]:
        """Return the digest of each file that a run left, by its path."""
        root = self.home / name
        found = {}
        for path in sorted(each for each in root.rglob("*") if each.is_file()):
            short = f"/{path.relative_to(root)}"
            if not NIPYPES_OWN.search(short):
                found[short] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def differing(self, one: str, other: str) -> list[str]:
        """Return the files that differ between two runs, but for what headers say of the run."""
        first, second = self.files(one), self.files(other)
        names = sorted(n for n in {*first, *second} if first.get(n) != second.get(n))
        return [name for name in names if not self._is_alike(name, one, other)]

    def _is_alike(self, name: str, one: str, other: str) -> bool:
        paths = [f"{self.home / each}{name}" for each in (one, other)]
        if not all(map(os.path.exists, paths)):
            return False
        asked = (
            "import sys; from memori.digest.files import file_digest; "
            "a, b = (file_digest(path).identity for path in sys.argv[1:]); sys.exit(a != b)"
        )
        return subprocess.run([self.python, "-c", asked, *paths], check=False).returncode == 0


def ran(said: str) -> Counter[str]:
    """Return how often each node ran, by its name."""
    return Counter(re.findall(r'] Finished "([^"]+)"', said))


def counted(said: str) -> str:
    """Tell which nodes ran."""
    names = " ".join(f"{name} x{count}" for name, count in sorted(ran(said).items()))
    return f"{ran(said).total()} nodes ran ({names})"


def try_out(name: str, home: Path) -> bool:
    """Run a program in all ways and print what came of it; tell whether all is as it should be."""
    trial = Trial(PROGRAMS[name], home)
    home.mkdir(parents=True, exist_ok=True)
    trial.install()
    for seed, subject in enumerate(SUBJECTS):
        trial.make(subject, seed)
    print(f"{name}: {', '.join(trial.program.packages)}")
    plain, _ = trial.run("plain", remembers=False)
    ways = [("first", plain), ("again", plain)]
    is_good = plain == [0] * len(plain)
    for way, codes in ways:
        found, said = trial.run(way, remembers=True)
        differ = trial.differing("plain", way)
        is_good &= found == codes and not differ and (way == "first" or set(ran(said)) <= ALWAYS)
        print(f"  {way}: {counted(said)}; of {len(trial.files(way))} files differ {differ or 0}")
    trial.make("02", 100)
    changed, _ = trial.run("plain-changed", remembers=False)
    found, said = trial.run("changed", remembers=True)
    differ = trial.differing("plain-changed", "changed")
    is_good &= found == changed and not differ
    print(f"  one subject changed: {counted(said)}; differ {differ or 0}")
    failed, _ = trial.run("plain-failed", remembers=False, fails=True)
    found, said = trial.run("failed", remembers=True, fails=True)
    crashes = [len(list((home / each).rglob("crash*"))) for each in ("plain-failed", "failed")]
    is_good &= found == failed and 0 not in failed and crashes[0] == crashes[1] > 0
    print(f"  failing: exit codes {failed} and {found}, crash files {crashes}; {counted(said)}")
    return is_good


def main() -> int:
    """Try the programs that are named, or all."""
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    names = sys.argv[2:] or list(PROGRAMS)
    results = [try_out(name, Path(sys.argv[1]).resolve() / name) for name in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
