"""Functions of pandas, nilearn, matplotlib, scikit-learn and pybids as users write them.

Each script is run by a process of its own, three times: the second and the third time nothing runs,
whatever it logs, lists, caches or writes. Then something that it read is edited, and it runs.
"""

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

SETUP = """
import json, sys
from pathlib import Path
import nibabel as nib, numpy as np

def image(path, shape, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).normal(100, 10, shape).astype("f4")
    nib.Nifti1Image(values, np.diag([4, 4, 4, 1])).to_filename(path)

for sub in ("01", "02"):
    stem = f"sub-{sub}_task-rest"
    func = Path(f"ds/sub-{sub}/func")
    image(func / f"{stem}_bold.nii.gz", (6, 6, 6, 20), int(sub))
    (func / f"{stem}_bold.json").write_text('{"RepetitionTime": 2.0, "TaskName": "rest"}')
    rows = [f"{t}\\t2\\t{'ab'[t % 8 == 0]}" for t in range(0, 40, 4)]
    rows = ["onset\\tduration\\ttrial_type", *rows]
    (func / f"{stem}_events.tsv").write_text("\\n".join(rows))
    (func / f"{stem}_confounds.tsv").write_text("x\\ty\\n" + "1\\t2\\n" * 10 + "2\\t1\\n" * 10)
Path("ds/dataset_description.json").write_text('{"Name": "demo", "BIDSVersion": "1.8.0"}')
Path("ds/participants.tsv").write_text("participant_id\\tage\\nsub-01\\t20\\nsub-02\\t30\\n")
image(Path("mask.nii.gz"), (6, 6, 6))
nib.Nifti1Image(np.ones((6, 6, 6), "u1"), np.diag([4, 4, 4, 1])).to_filename("mask.nii.gz")
labels = np.zeros((6, 6, 6), "i4")
labels[:3], labels[3:] = 1, 2
nib.Nifti1Image(labels, np.diag([4, 4, 4, 1])).to_filename("atlas.nii.gz")
"""

HEAD = """
import os, sys
from pathlib import Path
from memori import Stage, workdir
"""

SCRIPTS = {
    "pandas": (
        """
        import pandas as pd

        def main(sub):
            people = pd.read_csv("ds/participants.tsv", sep="\\t", index_col="participant_id")
            paths = sorted(Path("ds").rglob("*_events.tsv"))
            events = pd.concat(pd.read_csv(path, sep="\\t") for path in paths)
            table = events.groupby("trial_type").onset.agg(["mean", "count"])
            table["age"] = people.loc[f"sub-{sub}", "age"]
            table.to_csv("summary.csv")
            table.to_pickle(workdir() / "table.pkl")
            with open("pandas.log", "a") as log:
                print(sub, len(table), file=log)
            return float(table["mean"].sum())
        """,
        "ds/sub-02/func/sub-02_task-rest_events.tsv",
    ),
    "nilearn masker and cleaning": (
        """
        from nilearn.maskers import NiftiLabelsMasker
        import pandas as pd, numpy as np

        def main(sub):
            bold = f"ds/sub-{sub}/func/sub-{sub}_task-rest_bold.nii.gz"
            confounds = pd.read_csv(bold.replace("_bold.nii.gz", "_confounds.tsv"), sep="\\t")
            masker = NiftiLabelsMasker("atlas.nii.gz", standardize="zscore_sample", t_r=2.0,
                                       memory=str(workdir() / "cache"), memory_level=1, verbose=0)
            series = masker.fit_transform(bold, confounds=confounds)
            np.savetxt(f"series-{sub}.txt", series)
            return str(workdir() / "cache")
        """,
        "atlas.nii.gz",
    ),
    "nilearn first level and a cache that is shared": (
        """
        from joblib import Memory
        from nilearn.glm.first_level import FirstLevelModel
        import pandas as pd

        def main(sub):
            func = Path(f"ds/sub-{sub}/func")
            model = FirstLevelModel(t_r=2.0, mask_img="mask.nii.gz", hrf_model="spm",
                                    memory=Memory("nilearn_cache", verbose=0), minimize_memory=True)
            events = pd.read_csv(func / f"sub-{sub}_task-rest_events.tsv", sep="\\t")
            model.fit(str(func / f"sub-{sub}_task-rest_bold.nii.gz"), events=events)
            target = workdir() / "z.nii.gz"
            model.compute_contrast("a - b").to_filename(target)
            return str(target)
        """,
        "mask.nii.gz",
    ),
    "nilearn data and plotting": (
        """
        import matplotlib
        matplotlib.use("Agg")
        from nilearn import datasets, image, plotting

        def main(sub):
            template = datasets.load_mni152_template(resolution=8)
            bold = f"ds/sub-{sub}/func/sub-{sub}_task-rest_bold.nii.gz"
            mean = image.mean_img(bold, copy_header=True)
            options = {"force_resample": True, "copy_header": True}
            mean = image.smooth_img(image.resample_to_img(mean, template, **options), 8)
            figures = Path("figures")
            figures.mkdir(exist_ok=True)
            display = plotting.plot_stat_map(mean, bg_img=template, display_mode="z", cut_coords=2)
            display.savefig(figures / f"sub-{sub}.png")
            display.close()
            return str(figures / f"sub-{sub}.png")
        """,
        "ds/sub-01/func/sub-01_task-rest_bold.nii.gz",
    ),
    "matplotlib": (
        """
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt, numpy as np

        def main(sub):
            plt.style.use("ggplot")
            x = np.loadtxt(f"ds/sub-{sub}/func/sub-{sub}_task-rest_confounds.tsv", skiprows=1)
            figure, axes = plt.subplots(figsize=(3, 2))
            axes.plot(x, label="confounds")
            axes.set_title("sub-" + sub + r" $\\alpha$", fontfamily="DejaVu Serif")
            axes.legend()
            for kind in ("png", "pdf", "svg"):
                figure.savefig(f"plot.{kind}", metadata={"Date": None} if kind == "svg" else None)
            plt.close(figure)
            return str(x.sum())
        """,
        "ds/sub-01/func/sub-01_task-rest_confounds.tsv",
    ),
    "scikit-learn in processes": (
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        import joblib, numpy as np

        def main(sub):
            x = np.loadtxt(f"ds/sub-{sub}/func/sub-{sub}_task-rest_confounds.tsv", skiprows=1)
            y = np.arange(len(x)) >= len(x) // 2
            model = make_pipeline(StandardScaler(), LogisticRegression(), memory="sklearn_cache")
            with joblib.parallel_backend("loky", n_jobs=2):
                scores = cross_val_score(model, x, y, cv=2)
            joblib.dump(model.fit(x, y), f"model-{sub}.joblib")
            again = joblib.load(f"model-{sub}.joblib")
            return [float(scores.mean()), int(again.predict(x).sum())]
        """,
        "ds/sub-01/func/sub-01_task-rest_confounds.tsv",
    ),
    "pybids": (
        """
        from bids import BIDSLayout

        def main(sub):
            layout = BIDSLayout("ds", validate=False)
            bold = layout.get(subject=sub, suffix="bold", extension=".nii.gz")[0]
            return [bold.get_metadata()["RepetitionTime"], len(layout.get(suffix="events"))]
        """,
        "ds/sub-01/func/sub-01_task-rest_bold.json",
    ),
}


def python(folder, script):
    """Run a script in a folder as a user does, with a home of its own."""
    (folder / "home").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script],
        cwd=folder,
        env={**os.environ, "HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.split()


def edit(path):
    """Change what a file says; of an image a voxel."""
    if path.suffix == ".gz":
        import nibabel as nib
        import numpy as np

        image = nib.load(path)
        values = np.asanyarray(image.dataobj).copy()
        values[(2,) * values.ndim] = 2
        nib.Nifti1Image(values, image.affine).to_filename(path)
    else:
        path.write_text(path.read_text().replace("2", "3", 1))


SLOW = {
    "nilearn data and plotting",
    "scikit-learn in processes",
    "nilearn first level and a cache that is shared",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=[pytest.mark.slow] if each in SLOW else []) for each in SCRIPTS],
)
def test_an_unchanged_script_hits_and_one_whose_reads_changed_does_not(name, tmp_path):
    """Whatever packages of the field do on the way."""
    if name == "pybids" and find_spec("bids") is None:
        pytest.skip("needs pybids: pip install pybids")
    body, read = SCRIPTS[name]
    script = HEAD + textwrap.dedent(body)
    script += 'stage = Stage(main, "out", "work")\nstage.run("01")\nprint(stage.state)\n'
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "setup.py").write_text(SETUP)
    python(tmp_path, "setup.py")

    assert ["True"] == python(tmp_path, "script.py")
    for _ in ("second", "third"):
        ran = python(tmp_path, "script.py")
        assert ["False"] == ran, (tmp_path / "work" / "main.stage").read_text()
    edit(tmp_path / read)
    assert ["True"] == python(tmp_path, "script.py")
