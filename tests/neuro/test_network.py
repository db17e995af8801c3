"""Nothing that memori does needs a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAR = """
import os, sys

def hear(event, arguments):
    is_ask = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
    if is_ask or event == "socket.connect" and isinstance(arguments[1], tuple):
        with open(os.environ["HEARD"], "a") as file:
            print(event, arguments, file=file)

sys.addaudithook(hear)
"""
SCRIPT = """
from memori import Pipeline, Stage
from memori.cli import main as memori
from memori.neuro import Dataset, Derivatives, NipypeStage, ShellStage, remember_workflow
from nipype import Function, Node, Workflow
from nipype.interfaces.base import CommandLine

def double(x):
    return 2 * x

def made(path):
    return f"{path}!"

def main():
    Stage(double, hash_output="work").run(2)
    ShellStage("true {x}", hash_output="work").run(x=1)
    NipypeStage(CommandLine("true"), hash_output="work").run()
    flow = Workflow("flow", base_dir="base")
    flow.add_nodes([Node(Function(["x"], ["y"], double), "double")])
    flow.get_node("double").inputs.x = 1
    remember_workflow(flow, "work").run()
    for source in Dataset("bids").files(suffix="T1w"):
        Derivatives("derivatives/copy").save(source, source=source, suffix="copy")
    Pipeline([("start", Stage(double, hash_output="work"))]).map([{"x": 1}, {"x": 2}], n_jobs=2)
    memori(["report", "work", "-o", "report.html"])
    memori(["provenance", "work", "--format", "prov-json", "-o", "prov.json"])

if __name__ == "__main__":
    main()
"""


def test_no_server_is_asked_for_anything(tmp_path: Path) -> None:
    """Neither by memori nor by Nipype, which asks for its latest release by itself."""
    anat = tmp_path / "bids/sub-01/anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_T1w.nii.gz").write_text("x")
    description = '{"Name": "n", "BIDSVersion": "1.9.0"}'
    (tmp_path / "bids/dataset_description.json").write_text(description)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "sitecustomize.py").write_text(HEAR)  # in every process of Python
    path, heard = f"{tmp_path}{os.pathsep}{ROOT}", tmp_path / "heard"
    environment = {**os.environ, "PYTHONPATH": path, "HEARD": str(heard)}
    for name in ("NO_ET", "NIPYPE_NO_ET"):
        environment.pop(name, None)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    assert not heard.exists(), heard.read_text()
    asks = [sys.executable, "-c", "import socket; socket.getaddrinfo('localhost', 1)"]
    subprocess.run(asks, cwd=tmp_path, env=environment, check=True)
    assert heard.exists(), "what would have been asked was not heard"
