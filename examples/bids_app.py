"""A small BIDS App: motion correction, mask, smoothing, confounds, a carpet plot, a group mean.

    python examples/bids_app.py BIDS_DIR OUT_DIR participant --participant-label 01 02 --fwhm 8
    python examples/bids_app.py BIDS_DIR OUT_DIR group

Tools are niimath and functions. Run it again, or add a participant first: only what is new runs.
"""

from typing import Annotated

import nibabel as nib
import numpy as np

from memori import Pipeline, Stage, workdir
from memori.neuro import ShellStage, app, save_image, save_table

WORK = "sub-{subject}/ses-{session}"  # in the folder that -w gives; without sessions, sub-{subject}
RADIUS = 50  # of a head in mm: turns a rotation into a distance (Power et al. 2012)


def confounds(moved, mask, motion):
    """Tabulate motion, framewise displacement (mm) and the brain's mean signal, a row a volume."""
    signal = nib.load(moved).get_fdata(dtype=np.float32)[nib.load(mask).get_fdata() > 0]
    poses = np.loadtxt(motion, ndmin=2)  # (t, 6): three rotations in degrees, three shifts in mm
    steps = np.abs(np.diff(poses, axis=0, prepend=poses[:1]))
    steps[:, :3] = RADIUS * np.deg2rad(steps[:, :3])
    names = ["rot_x", "rot_y", "rot_z", "trans_x", "trans_y", "trans_z"]
    table = dict(zip(names, poses.T, strict=True))
    table["framewise_displacement"] = steps.sum(axis=1)
    return save_table({**table, "global_signal": signal.mean(axis=0)})


def carpet(moved, mask, table):
    """Draw the signal of the brain's voxels over time, below the displacement."""
    from matplotlib.figure import Figure

    signal = nib.load(moved).get_fdata(dtype=np.float32)[nib.load(mask).get_fdata() > 0]
    signal = 100 * (signal / signal.mean(axis=1, keepdims=True) - 1)
    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, 3], sharex=True)
    above.plot(np.genfromtxt(table, names=True)["framewise_displacement"])
    above.set(ylabel="displacement (mm)", ylim=(0, None))
    drawn = below.imshow(signal, cmap="gray", vmin=-3, vmax=3, aspect="auto", rasterized=True)
    below.set(xlabel="volume", ylabel="voxel")
    figure.colorbar(drawn, ax=below, label="signal change (%)")
    path = workdir() / "carpet.svg"
    figure.savefig(path, metadata={"Date": None})
    return str(path)


def group_mean(boldref):
    """Average the participants' mean images, each scaled to a mean of 100 where it is bright."""
    images = [nib.load(path) for path in boldref]
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"the images differ in shape: {[image.shape for image in images]}")
    scaled = [values / values[values > 0].mean() for values in (i.get_fdata() for i in images)]
    return save_image(np.float32(100 * np.mean(scaled, axis=0)), like=images[0])


def pipeline(
    fwhm: Annotated[float, "width of the smoothing kernel in mm"] = 6.0,
    threshold: Annotated[float, "brain is brighter than this percentage of the range"] = 30.0,
):
    """Wire the stages."""
    motion = ShellStage("niimath {bold} -moco -1Dfile {motion} {moved}",
                        outputs={"moved": "moved.nii.gz", "motion": "motion.1D"},
                        stage_name="motion", hash_output=WORK)  # fmt: skip
    mean = ShellStage("niimath {moved} -Tmean {boldref}", outputs={"boldref": "boldref.nii.gz"},
                      stage_name="mean", hash_output=WORK)  # fmt: skip
    mask = ShellStage("niimath {boldref} -thrp {threshold} -bin -fillh {mask} -odt char",
                      outputs={"mask": "mask.nii.gz"}, threshold=threshold,
                      stage_name="mask", hash_output=WORK)  # fmt: skip
    smooth = ShellStage("niimath {moved} -s {sigma} -mas {mask} {smooth}",
                        outputs={"smooth": "smooth.nii.gz"}, sigma=round(fwhm / 2.3548, 4),
                        stage_name="smooth", hash_output=WORK)  # fmt: skip
    table = Stage(confounds, "table", hash_output=WORK)
    picture = Stage(carpet, "carpet", hash_output=WORK)
    return Pipeline([("start", motion), (motion, mean), (mean, mask), ((motion, mask), smooth),
                     ((motion, mask), table), ((motion, mask, table), picture)])  # fmt: skip


if __name__ == "__main__":
    app(
        pipeline,
        inputs={"bold": {"suffix": "bold"}},
        outputs={
            "smooth": {"desc": "smooth", "SkullStripped": True},
            "mask": {"desc": "brain", "suffix": "mask"},
            "table": {"desc": "confounds", "suffix": "timeseries"},
            "carpet": {"desc": "carpet", "datatype": "figures"},
        },
        group=Stage(group_mean, "mean", hash_output="group"),
        group_outputs={"mean": {"desc": "mean", "suffix": "boldref", "SkullStripped": False}},
        version="1.0",
    )
