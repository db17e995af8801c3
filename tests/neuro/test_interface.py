"""A Nipype interface as a stage: what it takes and returns, and when it runs again."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest
from nipype.algorithms.confounds import TSNR

from memori.neuro import NipypeStage


@pytest.fixture
def bold(tmp_path):
    path = tmp_path / "bold.nii.gz"
    voxels = np.random.default_rng(0).random((4, 4, 4, 10), dtype=np.float32)
    nib.Nifti1Image(voxels, np.eye(4)).to_filename(path)
    return str(path)


def test_runs_once_and_then_hits(tmp_path, bold):
    """An interface runs in its own folder, and the same inputs are a hit."""
    stage = NipypeStage(TSNR(), hash_output=tmp_path / "work", regress_poly=1)
    first = stage.run(in_file=bold)
    assert stage.state
    assert str(tmp_path / "work" / "TSNR") == os.path.dirname(os.path.dirname(first["tsnr_file"]))
    assert first == stage.run(in_file=bold)
    assert not stage.state


def test_caller_stays_in_its_folder(tmp_path, bold, monkeypatch):
    """A run does not change the current folder of the process."""
    monkeypatch.chdir(tmp_path)
    NipypeStage(TSNR()).run(in_file="bold.nii.gz")
    assert str(tmp_path) == os.getcwd()
