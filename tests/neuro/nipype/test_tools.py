"""Interfaces of real tools: the stage gives what Nipype gives, and hits.

docs/nipype.md lists them. A tool that is not installed is skipped.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import nibabel as nib
import nipype.algorithms.confounds as conf
import nipype.algorithms.icc as icc
import nipype.algorithms.metrics as metrics
import nipype.algorithms.misc as misc
import nipype.algorithms.rapidart as rapidart
import nipype.algorithms.stats as stats
import numpy as np
import pytest
from nibabel import gifti
from nipype.interfaces import fsl, image
from nipype.interfaces import mrtrix3 as mrt
from nipype.interfaces import workbench as wb
from nipype.interfaces.base import isdefined
from nipype.interfaces.dcm2nii import Dcm2niix

from memori.neuro import NipypeStage

maths = fsl.maths


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    """Where the files of the tests lie."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)

    def save(name, array):
        nib.Nifti1Image(array, np.diag([2, 2, 2, 1])).to_filename(folder / f"{name}.nii.gz")

    save("bold", (rng.random((8, 8, 8, 20)) * 100).astype("f4"))
    save("volume", (rng.random((8, 8, 8)) * 100).astype("f4"))
    save("other", (rng.random((8, 8, 8)) * 100).astype("f4"))
    save("mask", np.pad(np.ones((6, 6, 6), "u1"), 1))
    save("dwi", (rng.random((8, 8, 8, 12)) * 500 + 100).astype("f4"))
    directions = rng.normal(size=(3, 12))
    np.savetxt(folder / "bvec", directions / np.linalg.norm(directions, axis=0))
    np.savetxt(folder / "bval", np.array([[0] + [1000] * 11]), fmt="%d")
    np.savetxt(folder / "motion.par", rng.normal(size=(20, 6)) * 0.01)
    _save_surface(folder)
    (folder / "dicom").mkdir()
    slices = Path(nib.__file__).parent / "nicom" / "tests" / "data" / "0.dcm"
    shutil.copy(slices, folder / "dicom")
    (folder / "bin").mkdir()
    niimath = os.path.join(sysconfig.get_path("scripts"), "niimath")
    (folder / "bin" / "fslmaths").symlink_to(niimath)
    return folder


def _save_surface(folder):
    """An octahedron, which is a sphere to the workbench, and a metric on it."""
    corners = 5 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    sides = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4]])
    sides = np.concatenate([sides, [[2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]])
    about = gifti.GiftiMetaData(
        {"AnatomicalStructurePrimary": "CortexLeft", "GeometricType": "Spherical"}
    )
    arrays = [
        gifti.GiftiDataArray(corners.astype("f4"), "NIFTI_INTENT_POINTSET", meta=about),
        gifti.GiftiDataArray(sides.astype("i4"), "NIFTI_INTENT_TRIANGLE"),
    ]
    gifti.GiftiImage(darrays=arrays).to_filename(folder / "sphere.surf.gii")
    values = gifti.GiftiDataArray(np.arange(6, dtype="f4"), "NIFTI_INTENT_NORMAL")
    gifti.GiftiImage(darrays=[values], meta=about).to_filename(folder / "values.func.gii")


GRADIENTS = {"grad_fsl": ("{bvec}", "{bval}")}
CASES = [
    (maths.MeanImage, {"in_file": "{bold}", "dimension": "T"}),
    (maths.StdImage, {"in_file": "{bold}", "dimension": "T"}),
    (maths.MaxImage, {"in_file": "{bold}"}),
    (maths.MinImage, {"in_file": "{bold}"}),
    (maths.MedianImage, {"in_file": "{bold}"}),
    (maths.MaxnImage, {"in_file": "{bold}"}),
    (maths.PercentileImage, {"in_file": "{bold}", "perc": 50}),
    (maths.AR1Image, {"in_file": "{bold}"}),
    (maths.ChangeDataType, {"in_file": "{volume}", "output_datatype": "short"}),
    (maths.Threshold, {"in_file": "{volume}", "thresh": 50.0}),
    (maths.IsotropicSmooth, {"in_file": "{volume}", "fwhm": 4.0}),
    (maths.ApplyMask, {"in_file": "{bold}", "mask_file": "{mask}"}),
    (maths.DilateImage, {"in_file": "{mask}", "operation": "max"}),
    (maths.ErodeImage, {"in_file": "{mask}"}),
    (maths.SpatialFilter, {"in_file": "{volume}", "operation": "median"}),
    (maths.UnaryMaths, {"in_file": "{volume}", "operation": "sqrt"}),
    (maths.BinaryMaths, {"in_file": "{volume}", "operation": "mul", "operand_file": "{other}"}),
    (
        maths.MultiImageMaths,
        {
            "in_file": "{volume}",
            "op_string": "-add %s -mul %s",
            "operand_files": ["{volume}", "{other}"],
        },
    ),
    (maths.TemporalFilter, {"in_file": "{bold}", "highpass_sigma": 5.0}),
    (fsl.ImageMaths, {"in_file": "{volume}", "op_string": "-bin", "suffix": "_b"}),
    (mrt.MRConvert, {"in_file": "{dwi}", "out_file": "dwi.mif", **GRADIENTS}),
    (mrt.DWIDenoise, {"in_file": "{dwi}", "out_file": "denoised.nii.gz"}),
    (mrt.BrainMask, {"in_file": "{dwi}", "out_file": "brain.nii.gz", **GRADIENTS}),
    (mrt.FitTensor, {"in_file": "{dwi}", "out_file": "tensor.nii.gz", **GRADIENTS}),
    (mrt.DWIExtract, {"in_file": "{dwi}", "bzero": True, "out_file": "b0.nii.gz", **GRADIENTS}),
    (mrt.MRMath, {"in_file": "{dwi}", "operation": "mean", "axis": 3, "out_file": "m.nii.gz"}),
    (mrt.ResponseSD, {"in_file": "{dwi}", "algorithm": "tournier", "wm_file": "w", **GRADIENTS}),
    (
        wb.MetricResample,
        {
            "in_file": "{values.func.gii}",
            "method": "BARYCENTRIC",
            "current_sphere": "{sphere.surf.gii}",
            "new_sphere": "{sphere.surf.gii}",
            "out_file": "resampled.func.gii",
        },
    ),
    (Dcm2niix, {"source_dir": "{dicom}"}),
    (conf.TSNR, {"in_file": "{bold}", "regress_poly": 1}),
    (conf.FramewiseDisplacement, {"in_file": "{motion.par}", "parameter_source": "FSL"}),
    (
        conf.ACompCor,
        {
            "realigned_file": "{bold}",
            "mask_files": ["{mask}"],
            "repetition_time": 2.0,
            "num_components": 2,
        },
    ),
    (
        conf.TCompCor,
        {
            "realigned_file": "{bold}",
            "mask_files": ["{mask}"],
            "repetition_time": 2.0,
            "num_components": 2,
            "percentile_threshold": 0.2,
        },
    ),
    (conf.NonSteadyStateDetector, {"in_file": "{bold}"}),
    (misc.Gunzip, {"in_file": "{volume}"}),
    (
        misc.NormalizeProbabilityMapSet,
        {"in_files": ["{volume}", "{other}"], "in_mask": "{mask}"},
    ),
    (misc.SplitROIs, {"in_file": "{bold}", "in_mask": "{mask}"}),
    (misc.CalculateMedian, {"in_files": ["{bold}"]}),
    (stats.ActivationCount, {"in_files": ["{volume}", "{other}"], "threshold": 50.0}),
    (metrics.FuzzyOverlap, {"in_ref": ["{volume}"], "in_tst": ["{other}"], "in_mask": "{mask}"}),
    (metrics.Overlap, {"volume1": "{mask}", "volume2": "{mask}"}),
    (
        icc.ICC,
        {
            "subjects_sessions": [["{volume}", "{other}"], ["{other}", "{volume}"]],
            "mask": "{mask}",
        },
    ),
    (
        rapidart.ArtifactDetect,
        {
            "parameter_source": "FSL",
            "use_norm": True,
            "norm_threshold": 1.0,
            "zintensity_threshold": 3.0,
            "mask_type": "file",
            "mask_file": "{mask}",
            "realigned_files": "{bold}",
            "realignment_parameters": "{motion.par}",
        },
    ),
    (image.Rescale, {"in_file": "{volume}", "ref_file": "{other}"}),
    (image.Reorient, {"in_file": "{volume}", "orientation": "LPS"}),
]


def filled(value, folder):
    """Put paths for names in braces."""
    if isinstance(value, str) and value.startswith("{"):
        name = value.strip("{}")
        found = folder / name
        return str(found if found.exists() else folder / f"{name}.nii.gz")
    if isinstance(value, (list, tuple)):
        return type(value)(filled(part, folder) for part in value)
    return value


def assert_same_content(expected, actual):
    """Two outputs say the same: values by value, files by name and content."""
    if isinstance(expected, (list, tuple)):
        assert len(expected) == len(actual)
        for one, other in zip(expected, actual, strict=True):
            assert_same_content(one, other)
    elif isinstance(expected, str) and os.path.isfile(expected):
        assert os.path.basename(expected) == os.path.basename(actual)
        if expected.endswith((".nii", ".nii.gz")):
            one, other = (np.asarray(nib.load(path).dataobj) for path in (expected, actual))
            np.testing.assert_array_equal(one, other)
    else:
        assert expected == actual


@pytest.mark.parametrize(("kind", "inputs"), CASES, ids=lambda each: getattr(each, "__name__", ""))
def test_same_as_nipype(at, tmp_path, monkeypatch, kind, inputs):
    """The stage's outputs are those of the interface's own run, and come back on a hit."""
    monkeypatch.setenv("PATH", f"{at / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI_GZ")
    program = getattr(kind, "_cmd", None)
    if program and not shutil.which(program.split()[0]):
        pytest.skip(f"{program} is not installed")
    values = {name: filled(value, at) for name, value in inputs.items()}
    (tmp_path / "nipype").mkdir()
    monkeypatch.chdir(tmp_path / "nipype")
    outputs = kind(**values).run().outputs
    expected = {
        name: getattr(outputs, name)
        for name in outputs.copyable_trait_names()
        if isdefined(getattr(outputs, name))
    }
    stage = NipypeStage(kind(), tmp_path / "work")
    actual = stage.run(**values)
    assert set(expected) == set(actual)
    for name in expected:
        assert_same_content(expected[name], actual[name])
    assert actual == stage.run(**values)
    assert not stage.state
