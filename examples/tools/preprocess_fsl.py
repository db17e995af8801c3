"""Mean, smoothing, mask and mean value of a BOLD run, with FSL.

    python examples/tools/preprocess_fsl.py sub-01_task-rest_bold.nii.gz

Where FSL is not installed, niimath (pip install niimath) stands in for fslmaths, and numpy for
fslstats; the script says so.
"""

import shutil
import sys

import nibabel as nib

from memori import Pipeline, Stage
from memori.neuro import ShellStage, Stdout

FSLMATHS = "fslmaths" if shutil.which("fslmaths") else "niimath"

mean = ShellStage(
    f"{FSLMATHS} {{bold}} -Tmean {{mean}}",
    outputs={"mean": "{bold.stem}_mean.nii.gz"},
    stage_name="mean",
    hash_output="work/fsl",
)
smooth = ShellStage(
    f"{FSLMATHS} {{mean}} -s {{sigma: float = 2}} {{smooth}}",
    outputs={"smooth": "{mean.stem}_smooth.nii.gz"},
    stage_name="smooth",
    hash_output="work/fsl",
)
mask = ShellStage(
    f"{FSLMATHS} {{smooth}} -thrp {{percent: float = 20}} -bin {{mask}}",
    outputs={"mask": "{smooth.stem}_mask.nii.gz"},
    stage_name="mask",
    hash_output="work/fsl",
)


def mean_inside(smooth, mask):
    """Do what `fslstats -M` does: average the voxels inside the mask that are not zero."""
    values = nib.load(smooth).get_fdata()[nib.load(mask).get_fdata() > 0]
    return values[values != 0].mean()


value = (
    ShellStage(
        "fslstats {smooth} -k {mask} -M", outputs={"value": Stdout(float)}, hash_output="work/fsl"
    )
    if FSLMATHS == "fslmaths"
    else Stage(mean_inside, "value", "work/fsl", stage_name="fslstats")
)

pipeline = Pipeline(
    [("start", mean), (mean, smooth), (smooth, mask), ((smooth, mask), value)],
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if FSLMATHS != "fslmaths":
        print("FSL is not installed: niimath stands in for fslmaths, numpy for fslstats")
    results = pipeline.run(bold=sys.argv[1])
    for stage in pipeline.stages:
        print(f"{stage.stage_name:8} {'ran' if stage.state else 'remembered'}")
    print(f"mean value inside the mask: {results['value']:.2f}")
