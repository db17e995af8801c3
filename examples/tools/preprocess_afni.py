"""Mean, smoothing, mask and mean value of a BOLD run, with AFNI.

    python examples/tools/preprocess_afni.py sub-01_task-rest_bold.nii.gz

The datasets are AFNI's own (``mean+orig.HEAD``): memori finds the view that AFNI adds.
"""

import sys

from memori import Pipeline
from memori.neuro import ShellStage, Stdout

mean = ShellStage(
    "3dTstat -mean -prefix {mean} {bold}",
    outputs={"mean": "{bold.stem}_mean"},
    stage_name="mean",
    hash_output="work/afni",
)
smooth = ShellStage(
    "3dmerge -1blur_sigma {sigma: float = 2} -doall -prefix {smooth} {mean}",
    outputs={"smooth": "{mean.stem}_smooth"},
    stage_name="smooth",
    hash_output="work/afni",
)
mask = ShellStage(
    "3dAutomask -prefix {mask} {smooth}",
    outputs={"mask": "{smooth.stem}_mask"},
    stage_name="mask",
    hash_output="work/afni",
)
value = ShellStage(
    "3dmaskave -quiet -mask {mask} {smooth}",
    outputs={"value": Stdout(float)},
    stage_name="value",
    hash_output="work/afni",
)

pipeline = Pipeline(
    [("start", mean), (mean, smooth), (smooth, mask), ((smooth, mask), value)],
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    results = pipeline.run(bold=sys.argv[1])
    for stage in pipeline.stages:
        print(f"{stage.stage_name:8} {'ran' if stage.state else 'remembered'}")
    print(f"mean value inside the mask: {results['value']:.2f}")
