"""The demo's pipeline, written as a user of memori would write it.

A resting run is corrected for motion, masked, smoothed and registered to the subject's own T1w; a
map of its temporal signal-to-noise ratio (tSNR) is drawn there. Tools of three kinds take part: the
command line (niimath, which does what fslmaths does), a Nipype interface and plain functions.
"""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np

from memori import Pipeline, Stage, workdir
from memori.neuro import NipypeStage, ShellStage, save_table

nib: Any = nibabel  # only half of it is typed
HEAD_RADIUS = 50.0  # mm; turns a rotation into a distance (Power et al. 2012)


def preprocessing(work: str, fwhm: float, threshold: float, detrend: int) -> Pipeline:
    """Wire the stages; each subject's results are remembered in a folder of its own.

    Parameters
    ----------
    work : str
        Where runs are remembered; the field `{subject}` makes it one folder per subject.
    fwhm : float
        Width of the smoothing kernel in mm.
    threshold : float
        Voxels darker than this percentage of the robust range are not brain.
    detrend : int
        Order of the polynomial that is taken out before the tSNR.
    """
    from nipype.algorithms.confounds import TSNR

    motion = ShellStage(
        "niimath {bold} -moco -1Dfile {motion} {moved}",
        outputs={"moved": "moved.nii.gz", "motion": "motion.1D"},
        stage_name="motion",
        threads=1,
        hash_output=work,
    )
    mean = ShellStage(
        "niimath {moved} -Tmean {boldref}",
        outputs={"boldref": "boldref.nii.gz"},
        stage_name="mean",
        hash_output=work,
    )
    mask = ShellStage(
        "niimath {boldref} -thrp {threshold} -bin -fillh {mask} -odt char",
        outputs={"mask": "mask.nii.gz"},
        stage_name="mask",
        threshold=threshold,
        hash_output=work,
    )
    smooth = ShellStage(
        "niimath {moved} -s {sigma} -mas {mask} {smooth}",
        outputs={"smooth": "smooth.nii.gz"},
        stage_name="smooth",
        aliases={"smooth": "in_file"},
        sigma=round(fwhm / np.sqrt(8 * np.log(2)), 4),
        hash_output=work,
    )
    tsnr = NipypeStage(TSNR(regress_poly=detrend), stage_name="tsnr", hash_output=work)
    register = ShellStage(
        "niimath {boldref} -allineate {t1w} -cmass -savemat {to_t1w} {registered}",
        outputs={"to_t1w": "to_t1w.json", "registered": "registered.nii.gz"},
        stage_name="register",
        threads=1,
        hash_output=work,
    )
    resample = ShellStage(
        "niimath {tsnr_file} -allineate {t1w} -applymat {to_t1w} {tsnr_t1w}",
        outputs={"tsnr_t1w": "tsnr_t1w.nii.gz"},
        stage_name="resample",
        hash_output=work,
    )
    noise = Stage(confounds, ["confounds", "mean_displacement"], hash_output=work)
    figure = Stage(picture, "picture", hash_output=work)
    return Pipeline(
        [
            ("start", motion),
            (motion, mean),
            (mean, mask),
            ((motion, mask), smooth),
            (smooth, tsnr),
            (mean, register),
            ((tsnr, register), resample),
            ((motion, mask), noise),
            ((resample, noise), figure),
        ]
    )


def confounds(moved: str, mask: str, motion: str) -> tuple[str, float]:
    """Tabulate motion, framewise displacement (mm) and the brain's mean signal, a row a volume."""
    inside = np.asarray(nib.load(mask).dataobj) > 0
    signal = nib.load(moved).get_fdata(dtype=np.float32)[inside].mean(axis=0)
    poses = np.loadtxt(motion)  # (t, 6): three rotations in degrees, three shifts in mm
    steps = np.abs(np.diff(poses, axis=0, prepend=poses[:1]))
    displacement = HEAD_RADIUS * np.deg2rad(steps[:, :3]).sum(axis=1) + steps[:, 3:].sum(axis=1)
    names = ["roll", "pitch", "yaw", "superior", "left", "posterior"]
    table = dict(zip(names, poses.T, strict=True))
    table |= {"framewise_displacement": displacement, "global_signal": signal}
    return save_table(table), float(displacement.mean())


def picture(t1w: str, tsnr_t1w: str, confounds: str, subject: str) -> str:
    """Draw the tSNR over the T1w in three planes, and the confounds below."""
    from matplotlib.figure import Figure

    head = nib.load(t1w).get_fdata(dtype=np.float32)
    tsnr = nib.load(tsnr_t1w).get_fdata(dtype=np.float32)
    table = np.genfromtxt(confounds, names=True)
    figure: Any = Figure(figsize=(9, 5), facecolor="white", layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[2, 1])
    axes = above.subplots(1, 3)
    x, y, z = np.median(np.argwhere(tsnr > 0), axis=0).astype(int)
    top = np.percentile(tsnr[tsnr > 0], 98)
    planes = [np.s_[x, :, :], np.s_[:, y, :], np.s_[:, :, z]]
    for axis, plane in zip(axes, planes, strict=True):
        axis.imshow(head[plane].T, cmap="gray", origin="lower")
        over = np.ma.masked_less_equal(tsnr[plane].T, 0)
        drawn = axis.imshow(over, cmap="inferno", origin="lower", alpha=0.8, vmin=0, vmax=top)
        axis.set_axis_off()
    above.colorbar(drawn, ax=axes, label="tSNR", shrink=0.8)
    left, right = below.subplots(1, 2)
    left.plot(table["framewise_displacement"])
    left.set(xlabel="volume", ylabel="displacement (mm)", ylim=(0, None))
    right.plot(100 * (table["global_signal"] / table["global_signal"].mean() - 1))
    right.set(xlabel="volume", ylabel="brain signal (%)")
    for axis in (left, right):
        axis.set_xticks(range(0, len(table), 5))
    figure.suptitle(f"sub-{subject}")
    path = workdir() / "picture.png"
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return str(path)
