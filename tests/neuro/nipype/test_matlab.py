"""MATLAB's and SPM's interfaces, with Octave in MATLAB's place: scripts, startup.m, toolboxes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from nipype.interfaces import spm
from nipype.interfaces.base import (
    BaseInterface,
    BaseInterfaceInputSpec,
    Directory,
    File,
    TraitedSpec,
)
from nipype.interfaces.matlab import MatlabCommand
from nipype.pipeline.engine import Node, Workflow

from memori.neuro import NipypeStage, remember_workflow
from memori.neuro.nipype.what_counts import facts_of
from memori.watch.commands.strace import _why_unusable

pytestmark = [
    pytest.mark.skipif(shutil.which("octave-cli") is None, reason="Octave is not installed"),
    pytest.mark.skipif(
        bool(_why_unusable(shutil.which("strace") or "")), reason="commands cannot be watched here"
    ),
]
MATLAB = """#!/bin/sh
# MATLAB as far as Nipype calls it: runs startup.m of the search path, then what -r says.
echo matlab >> $RAN
while [ "$1" != -r ]; do shift; done
exec octave-cli --quiet --no-history --path "$MATLABPATH" \\
    --eval "if exist('startup', 'file'), startup; end; $2"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """MATLAB's search path, with a startup.m that adds a toolbox; and MATLAB itself."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "matlab").write_text(MATLAB)
    (tmp_path / "bin" / "matlab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name in ("home", "toolbox", "given"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MATLABPATH", str(tmp_path / "home"))
    # MATLAB has it, Octave has not
    (tmp_path / "home" / "ismcc.m").write_text("function t = ismcc()\n t = false;\nend\n")
    write(tmp_path, startup="one", toolbox="one", given="one")
    return tmp_path


def write(folder, **texts):
    """Write startup.m, and a function of the toolbox and of the folder given as `paths`."""
    if "startup" in texts:
        path = folder / "home" / "startup.m"
        path.write_text(f"addpath('{folder}/toolbox'); global s; s = '{texts.pop('startup')}';\n")
    for name, text in texts.items():
        (folder / name / f"from_{name}.m").write_text(
            f"function t = from_{name}()\n t = '{text}';\nend\n"
        )


SCRIPT = """global s; f = fopen('out.txt', 'w');
fprintf(f, '%s %s %s', s, from_toolbox(), from_given()); fclose(f);"""


class WrittenOutputs(TraitedSpec):
    out_file = File(exists=True)


class Written(MatlabCommand):
    output_spec = WrittenOutputs

    def _list_outputs(self):
        return {"out_file": os.path.abspath("out.txt")}


class InsideInputs(BaseInterfaceInputSpec):
    given = Directory(exists=True)


class Inside(BaseInterface):
    """Runs MATLAB inside, as SPM's interfaces do."""

    input_spec = InsideInputs
    output_spec = WrittenOutputs

    def _run_interface(self, runtime):
        MatlabCommand(script=SCRIPT, mfile=True, paths=[self.inputs.given]).run(cwd=runtime.cwd)
        return runtime

    def _list_outputs(self):
        return {"out_file": os.path.abspath("out.txt")}


CHANGES = [
    ({}, "one one one", 1),
    ({}, "one one one", 0),
    ({"startup": "two"}, "two one one", 1),
    ({"toolbox": "two"}, "two two one", 1),
    ({"given": "two"}, "two two two", 1),
    ({}, "two two two", 0),
    ({"startup": "one", "toolbox": "one", "given": "one"}, "one one one", 0),
]


def interfaces(folder):
    yield Written(script=SCRIPT, mfile=True, paths=[str(folder / "given")])
    yield Inside(given=str(folder / "given"))


@pytest.mark.parametrize("which", [0, 1], ids=["a command", "a Python interface"])
def test_startup_and_toolboxes_count(home, log, which):
    """A node or stage runs again after startup.m, a toolbox or a folder of paths was edited."""
    for change, expected, times in CHANGES:
        write(home, **change)
        node = Node(list(interfaces(home))[which], "n")
        workflow = Workflow("w", base_dir=str(home / "base"))
        workflow.add_nodes([node])
        (found,) = remember_workflow(workflow, home / "memory").run().nodes()
        assert expected == Path(found.result.outputs.out_file).read_text()
        assert ({"matlab": times} if times else {}) == log()
    stage = NipypeStage(list(interfaces(home))[which], home / "stage")
    for change, expected, times in CHANGES[:4]:
        write(home, **change)
        assert expected == Path(stage.run()["out_file"]).read_text()
        assert ({"matlab": times} if times else {}) == log()


def test_spm_counts_matlab_and_its_paths(home):
    """An interface of SPM depends on the MATLAB that it would call, and on the paths it is told."""
    smooth = spm.Smooth(matlab_cmd=str(home / "bin" / "matlab"), paths=str(home / "given"))
    found = facts_of(smooth, {}, root=str(home), memo=None)
    assert ["given"] == found["MATLAB's paths"]
    (program,) = [name for name in found if name.startswith("tool ")]
    (home / "bin" / "matlab").write_text(MATLAB + "\n# another release\n")
    assert found[program] != facts_of(smooth, {}, root=str(home), memo=None)[program]
