"""Workflows of fMRIPrep's family: built, remembered, and run as far as no licence is needed."""

from __future__ import annotations

import json
import pickle

import nibabel as nib
import numpy as np
import pytest
from nipype.pipeline.engine import MapNode, Node

from memori.neuro import remember_workflow

pytest.importorskip("niworkflows", reason="niworkflows is not installed")


@pytest.fixture
def bold(tmp_path):
    """A BIDS dataset of one run."""
    folder = tmp_path / "ds" / "sub-01" / "func"
    folder.mkdir(parents=True)
    (tmp_path / "ds" / "dataset_description.json").write_text(
        json.dumps({"Name": "one run", "BIDSVersion": "1.4.0"})
    )
    path = folder / "sub-01_task-rest_bold.nii.gz"
    voxels = np.random.default_rng(0).random((12, 12, 12, 4)).astype("f4") * 1000
    nib.Nifti1Image(voxels, np.diag([2, 2, 2, 1])).to_filename(path)
    (folder / "sub-01_task-rest_bold.json").write_text('{"RepetitionTime": 2.0}')
    return str(path)


def preprocessing(bold, base, out):
    """Fourteen nodes of niworkflows that need no other program."""
    from niworkflows.engine.workflows import LiterateWorkflow
    from niworkflows.interfaces.bids import BIDSInfo, DerivativesDataSink, ReadSidecarJSON
    from niworkflows.interfaces.header import ValidateImage
    from niworkflows.interfaces.images import Conform, RobustAverage, TemplateDimensions
    from niworkflows.interfaces.nibabel import (
        ApplyMask,
        Binarize,
        BinaryDilation,
        IntensityClip,
        MergeSeries,
        RegridToZooms,
        SplitSeries,
    )
    from niworkflows.interfaces.utility import KeySelect

    sidecar = ReadSidecarJSON(fields=["RepetitionTime"], bids_validate=False, in_file=bold)
    select = KeySelect(fields=["f"], keys=["a", "b"], key="b")
    select.inputs.f = [1, 2]
    sink = DerivativesDataSink(out_path_base="", base_directory=out, source_file=bold)
    sink.inputs.trait_set(desc="preproc", compress=True)
    sink.inputs.dismiss_entities = ()
    nodes = {
        "validate": ValidateImage(in_file=bold),
        "average": RobustAverage(mc_method=None),
        "clip": IntensityClip(),
        "binarize": Binarize(thresh_low=500.0),
        "dilate": BinaryDilation(radius=1),
        "split": SplitSeries(),
        "merge": MergeSeries(),
        "mask": ApplyMask(),
        "regrid": RegridToZooms(zooms=(4.0, 4.0, 4.0)),
        "dimensions": TemplateDimensions(),
        "bids": BIDSInfo(in_file=bold),
        "sidecar": sidecar,
        "select": select,
        "sink": sink,
    }
    made = {name: Node(interface, name) for name, interface in nodes.items()}
    made["clip_each"] = MapNode(IntensityClip(), "in_file", "clip_each")
    made["conform"] = MapNode(Conform(), "in_file", "conform")
    workflow = LiterateWorkflow(name="preprocessing", base_dir=base)
    workflow.add_nodes(list(made.values()))
    for source, output, target, field in [
        ("validate", "out_file", "average", "in_file"),
        ("average", "out_file", "clip", "in_file"),
        ("clip", "out_file", "binarize", "in_file"),
        ("binarize", "out_mask", "dilate", "in_file"),
        ("validate", "out_file", "split", "in_file"),
        ("split", "out_files", "clip_each", "in_file"),
        ("clip_each", "out_file", "merge", "in_files"),
        ("merge", "out_file", "mask", "in_file"),
        ("dilate", "out_file", "mask", "in_mask"),
        ("clip", "out_file", "regrid", "in_file"),
        ("clip", "out_file", "dimensions", "anat_list"),
        ("dimensions", "target_zooms", "conform", "target_zooms"),
        ("dimensions", "target_shape", "conform", "target_shape"),
        ("dimensions", "anat_valid_list", "conform", "in_file"),
        ("mask", "out_file", "sink", "in_file"),
    ]:
        workflow.connect(made[source], output, made[target], field)
    return workflow


def outputs_of(graph, base, out):
    """All outputs of all nodes, with the folders that may differ blotted out."""
    found = {}
    for node in graph.nodes():
        outputs = node.result.outputs
        listed = outputs.trait_get() if hasattr(outputs, "trait_get") else outputs.dictcopy()
        text = str(sorted(listed.items()))
        found[node.fullname] = text.replace(base, "BASE").replace(out, "OUT")
    return found


def test_nodes_run_and_are_remembered(tmp_path, bold):
    """The results are those without memori; then nothing runs, in another base folder too."""

    def run(name, out, *, remembers=True, **options):
        base, out = str(tmp_path / name), str(tmp_path / out)
        workflow = preprocessing(bold, base, out)
        if remembers:
            remember_workflow(workflow, tmp_path / "memory")
        return outputs_of(workflow.run(**options), base, out)

    expected = run("stock", "out", remembers=False)
    assert expected == run("first", "out1", plugin="Linear")
    entries = sorted((tmp_path / "memory").rglob("*.json"))
    assert expected == run("second", "out1", plugin="Memori")
    stages = tmp_path / "memory" / ".memori" / "stages"
    assert [e for e in entries if stages in e.parents] == sorted(stages.rglob("*.json"))


def test_workflows_of_niworkflows_are_built():
    """Whole workflows can be remembered, copied and pickled."""
    from niworkflows.anat.ants import init_atropos_wf, init_n4_only_wf

    for workflow in (init_n4_only_wf(), init_atropos_wf()):
        names = workflow.list_node_names()
        remember_workflow(workflow, "memory")
        assert names == pickle.loads(pickle.dumps(workflow)).list_node_names()
        assert names == workflow.clone("copy").list_node_names()


def test_workflow_of_smriprep_is_built(tmp_path):
    """The anatomical workflow of sMRIPrep, which has some 180 nodes, can be remembered."""
    anatomical = pytest.importorskip("smriprep.workflows.anatomical")
    from niworkflows.utils.spaces import Reference, SpatialReferences

    workflow = anatomical.init_anat_fit_wf(
        bids_root=str(tmp_path),
        output_dir=str(tmp_path),
        freesurfer=True,
        hires=False,
        longitudinal=False,
        msm_sulc=False,
        t1w=[str(tmp_path / "sub-01_T1w.nii.gz")],
        t2w=[],
        skull_strip_mode="skip",
        skull_strip_template=Reference("OASIS30ANTs"),
        spaces=SpatialReferences(),
        precomputed={},
        omp_nthreads=1,
    )
    names = workflow.list_node_names()
    assert len(names) > 100
    remember_workflow(workflow, tmp_path / "memory")
    flat = workflow._create_flat_graph()
    assert all(hasattr(node, "_memori") for node in flat.nodes())
    assert names == pickle.loads(pickle.dumps(workflow)).list_node_names()


def test_identity_of_a_niworkflows_interface(tmp_path, bold):
    """A sidecar that an interface reads beside its input counts."""
    from niworkflows.interfaces.bids import ReadSidecarJSON

    from memori.neuro import NipypeStage

    reads = ReadSidecarJSON(fields=["RepetitionTime"], bids_validate=False)
    stage = NipypeStage(reads, tmp_path / "work", always_run=False)
    assert 2.0 == stage.run(in_file=bold)["RepetitionTime"]
    stage.run(in_file=bold)
    assert not stage.state
    with open(bold.replace(".nii.gz", ".json"), "w") as file:
        file.write('{"RepetitionTime": 3.0}')
    assert 3.0 == stage.run(in_file=bold)["RepetitionTime"]
