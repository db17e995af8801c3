"""Whether a file counts with its path or with its base name, by the code that sees it."""

from __future__ import annotations

import functools

import pytest
from nipype.interfaces import afni, ants, freesurfer, fsl, mrtrix3
from nipype.interfaces import utility as niu
from nipype.interfaces.base import CommandLine, CommandLineInputSpec, File, TraitedSpec

from memori.neuro.nipype.base_names import counts_by_name


class Inputs(CommandLineInputSpec):
    in_file = File(exists=True, argstr="%s")


class Outputs(TraitedSpec):
    out_file = File(exists=True)


class Plain(CommandLine):
    input_spec, output_spec, _cmd = Inputs, Outputs, "cp"


class Blind(Plain):
    def _list_outputs(self):
        return {"out_file": self._gen_filename("out_file")}

    def _gen_filename(self, name):
        return f"/there/{name}"


class Looking(Plain):
    def _list_outputs(self):
        return {"out_file": next(self.inputs.in_file for _ in range(1))}


class LookingBelow(Blind):
    def _gen_filename(self, name):
        return (lambda: self.inputs.in_file)()


class Formatting(Plain):
    def _format_arg(self, name, spec, value):
        return value.upper()


class HandedAny(Plain):
    _list_outputs = functools.wraps(Plain._list_outputs)(lambda *args: {"out_file": args})


class ByProperty(Plain):
    @property
    def cmd(self):
        return f"cp {self.inputs.in_file}"


class TellingInputs(Inputs):
    def _in_file_changed(self, new):
        self.args = new


class ToldOfChanges(Plain):
    input_spec = TellingInputs


@pytest.mark.parametrize(
    "interface",
    [
        *(afni.Unifize, ants.N4BiasFieldCorrection, freesurfer.MRIConvert, mrtrix3.DWIDenoise),
        *(fsl.BET, fsl.FLIRT, fsl.FAST, fsl.MCFLIRT, fsl.Slice, Plain, Blind),
        functools.partial(CommandLine, "cp"),
    ],
)
def test_base_name_counts_where_no_python_looks(interface):
    """Commands of Nipype's, and own ones whose code does not look at inputs."""
    assert counts_by_name(interface())


@pytest.mark.parametrize(
    "interface",
    [
        *(Looking, LookingBelow, Formatting, HandedAny, ByProperty, ToldOfChanges),
        *(fsl.VecReg, fsl.ProjThresh, niu.Rename, niu.Merge),
    ],
)
def test_path_counts_where_python_may_look(interface):
    """Code that is handed inputs or looks for them, and what leaves its outputs beside them."""
    assert not counts_by_name(interface())
