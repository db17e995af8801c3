"""Mean, smoothing, mask and mean value of a BOLD run, with MRtrix3.

python examples/tools/preprocess_mrtrix.py sub-01_task-rest_bold.nii.gz
"""

import sys

from memori import Pipeline
from memori.neuro import ShellStage, Stdout

mean = ShellStage(
    "mrmath {bold} mean {mean} -axis 3 -quiet",
    outputs={"mean": "{bold.stem}_mean.nii.gz"},
    stage_name="mean",
    hash_output="work/mrtrix",
)
smooth = ShellStage(
    "mrfilter {mean} smooth {smooth} -stdev {sigma: float = 2} -quiet",
    outputs={"smooth": "{mean.stem}_smooth.nii.gz"},
    stage_name="smooth",
    hash_output="work/mrtrix",
)
mask = ShellStage(
    "mrthreshold {smooth} {mask} [-abs {threshold}] -quiet",  # without a threshold, an optimal one
    outputs={"mask": "{smooth.stem}_mask.nii.gz"},
    stage_name="mask",
    hash_output="work/mrtrix",
)
value = ShellStage(
    "mrstats {smooth} -mask {mask} -output mean -quiet",
    outputs={"value": Stdout(float)},
    stage_name="value",
    hash_output="work/mrtrix",
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
