"""The pipeline that .ci/faults.py kills: python .ci/faulted.py WORK, in a folder with its inputs.

Functions in worker processes, one of which writes where its caller says; a command, traced;
derivatives of a BIDS dataset; and a workflow of Nipype with a function and a program. The last
line is RESULT and what was made, as JSON: the beginning of each content, its length and digest.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from memori import Pipeline, Stage, workdir
from memori.neuro import Derivatives, ShellStage, Stdout, remember_workflow


def split(in_file: str, subject: str) -> str:
    """Write word by word, so that there is a half file for long."""
    target = workdir() / "part.txt"
    with open(target, "w") as file:
        for word in Path(in_file).read_text().split():
            file.write(word + subject)
            file.flush()
            time.sleep(0.002)
    return str(target)


def count(part: str, out: str) -> str:
    """Write to a place outside the run's folder, in two steps."""
    text = Path(part).read_text()
    with open(out, "w") as file:
        file.write(f"{len(text)} ")
        file.flush()
        time.sleep(0.02)
        file.write(text)
    return out


def arguments(tool: str, path: str) -> str:
    """Return the words of a command, as a function of Nipype."""
    return f"{tool} {path}"


def workflow(base: Path) -> object:
    """Connect a function to a program that prints what it is given."""
    from nipype import Function, Node, Workflow
    from nipype.interfaces.base import CommandLine

    flow = Workflow("flow", base_dir=str(base))
    first = Node(Function(["tool", "path"], ["out"], arguments), "first")
    second = Node(CommandLine("sh", terminal_output="file_split"), "second")
    first.inputs.tool = str(Path("tool.sh").absolute())
    first.inputs.path = str(Path("bids/words").absolute())
    flow.connect(first, "out", second, "args")
    return flow


def main(work: Path) -> dict[str, str]:
    """Run everything, and read what was made."""
    made = {}
    subjects = ["01", "02", "03", "04"]
    sources = {each: f"bids/sub-{each}/anat/sub-{each}_T1w.nii.gz" for each in subjects}
    (work / "out").mkdir(parents=True, exist_ok=True)
    each = f"{work}/{{subject}}"
    first, second = (Stage(split, "part", hash_output=each), Stage(count, "out", hash_output=each))
    cases = [
        {"subject": each, "in_file": sources[each], "out": f"{work}/out/{each}.txt"}
        for each in subjects
    ]
    shell = ShellStage(
        "sh {tool} {part}",
        outputs={"said": Stdout()},
        stage_name="shell",
        hash_output=work / "shell",
    )
    derivatives = Derivatives(work / "derivatives" / "counted")
    for case, result in Pipeline([("start", first), (first, second)]).map(cases, n_jobs=2):
        subject = case["subject"]
        made[f"count {subject}"] = Path(result["out"]).read_text()
        made[f"shell {subject}"] = shell.run(tool="tool.sh", part=result["out"])["said"]
        saved = derivatives.save(result["out"], source=case["in_file"], suffix="count")
        made[f"derivative {subject}"] = Path(saved).read_text()
    ran = remember_workflow(workflow(work / "nipype"), work / "flow").run()
    (last,) = (node for node in ran.nodes() if node.name == "second")
    made["workflow"] = last.result.runtime.stdout
    return {name: short(text) for name, text in made.items()}


def short(text: str) -> str:
    """Say in a few words which text it is."""
    return f"{text[:10]}... {len(text)} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


if __name__ == "__main__":
    print("RESULT", json.dumps(main(Path(sys.argv[1])), sort_keys=True))
