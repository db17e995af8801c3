"""The mean BOLD signal of the brain, for every run of a BIDS dataset.

    python examples/timeseries.py BIDS_FOLDER

Motion correction and mask with niimath, the signal with numpy, the results as BIDS derivatives.
Run it again, or add a subject first: only what is new runs.
"""

import sys

import nibabel as nib
import numpy as np

from memori import Pipeline, Stage
from memori.neuro import Dataset, Derivatives, ShellStage, save_array

motion = ShellStage(
    "niimath {in_file} -moco -1Dfile {motion} {moved}",
    outputs={"moved": "moved.nii.gz", "motion": "motion.1D"},
    stage_name="motion",
    hash_output="work/{subject}",
)
mask = ShellStage(
    "niimath {moved} -Tmean -thrp {threshold} -bin -fillh {mask}",
    outputs={"mask": "mask.nii.gz"},
    threshold=30,
    stage_name="mask",
    hash_output="work/{subject}",
)


def timeseries(moved, mask):
    """Average the BOLD signal (x, y, z, t) inside the mask (x, y, z); saved as (t,) float32."""
    inside = np.asarray(nib.load(mask).dataobj) > 0
    return save_array(nib.load(moved).get_fdata(dtype=np.float32)[inside].mean(axis=0))


pipeline = Pipeline(
    [
        ("start", motion),
        (motion, mask),
        ((motion, mask), Stage(timeseries, "series", hash_output="work/{subject}")),
    ]
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    bids = Dataset(sys.argv[1])
    cases = [{"subject": bold.subject, "in_file": bold} for bold in bids.files(suffix="bold")]
    done = pipeline.map(cases, n_jobs=2)
    for case, result in done:
        if result:
            derivatives = Derivatives("derivatives/timeseries")
            print(derivatives.save(result["series"], source=case["in_file"], suffix="timeseries"))
    print(done.summary())
