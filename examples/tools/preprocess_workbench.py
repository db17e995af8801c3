"""Mean, smoothing, mask and mean value of a BOLD run, with Connectome Workbench.

python examples/tools/preprocess_workbench.py sub-01_task-rest_bold.nii.gz
"""

import sys

from memori import Pipeline
from memori.neuro import ShellStage, Stdout

mean = ShellStage(
    "wb_command -volume-reduce {bold} MEAN {mean}",
    outputs={"mean": "{bold.stem}_mean.nii.gz"},
    stage_name="mean",
    hash_output="work/workbench",
)
smooth = ShellStage(
    "wb_command -volume-smoothing {mean} {sigma: float = 2} {smooth}",
    outputs={"smooth": "{mean.stem}_smooth.nii.gz"},
    stage_name="smooth",
    hash_output="work/workbench",
)
mask = ShellStage(
    "wb_command -volume-math 'x > {threshold: float}' {mask} -var x {smooth}",
    outputs={"mask": "{smooth.stem}_mask.nii.gz"},
    stage_name="mask",
    hash_output="work/workbench",
)
value = ShellStage(
    "wb_command -volume-stats {smooth} -reduce MEAN -roi {mask}",
    outputs={"value": Stdout(float)},
    stage_name="value",
    hash_output="work/workbench",
)

pipeline = Pipeline(
    [("start", mean), (mean, smooth), (smooth, mask), ((smooth, mask), value)],
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    results = pipeline.run(bold=sys.argv[1], threshold=20)
    for stage in pipeline.stages:
        print(f"{stage.stage_name:8} {'ran' if stage.state else 'remembered'}")
    print(f"mean value inside the mask: {results['value']:.2f}")
