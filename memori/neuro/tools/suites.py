"""The suites of the field: which commands they hold, and how to ask for their version.

A suite answers for its commands only where it is installed: a program called ``bet`` that lies
outside any FSL is not FSL's, whatever its name, and is known by its content instead
(`memori.neuro.tools.identity`). What is asked is one program or one file, named by `Suite.sources`;
the answer stands as long as these files do.

Not promised: that two builds of one version give equal results.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache


@dataclass(frozen=True)
class Suite:
    """A family of commands that share a version.

    Attributes
    ----------
    name : str
        As people write it.
    commands : tuple of str
        Names or patterns of its commands.
    sources : callable
        From the folder of a command to the files from which the version can be had, the likeliest
        first; the first that exists is asked.
    question : tuple of str
        Arguments that make such a program tell its version; empty for a file to read.
    answer : str
        A regular expression; its groups are the version.
    variables : tuple of str
        Environment variables that change results: names or patterns.
    settings : tuple of str
        Files in the user's home that do the same.
    threads : tuple of str
        The option for the number of threads, with ``N`` for the number.
    commands_with_threads : tuple of str
        Which commands have that option.
    provided_by : str
        Where to get it.
    """

    name: str
    commands: tuple[str, ...]
    sources: Callable[[str], list[str]]
    question: tuple[str, ...]
    answer: str
    variables: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    commands_with_threads: tuple[str, ...] = ("*",)
    provided_by: str = ""

    def holds(self, command: str) -> bool:
        """Tell whether a command of this name may be the suite's."""
        return any(fnmatchcase(command, pattern) for pattern in self.commands)

    def version_in(self, text: str) -> str | None:
        """Find the version in what a source says."""
        found = re.search(self.answer, text, re.MULTILINE)
        return " ".join(filter(None, found.groups())) if found else None

    def threads_option(self, command: str, number: int) -> list[str]:
        """Return the arguments that tell a command its number of threads, if there are any."""
        if not any(fnmatchcase(command, pattern) for pattern in self.commands_with_threads):
            return []
        return [part.replace("N", str(number)) if "N" in part else part for part in self.threads]


@lru_cache(maxsize=1024)
def suite_of(command: str) -> Suite | None:
    """Return the suite that has a command of this name.

    Examples
    --------
    >>> suite_of("3dSkullStrip").name, suite_of("tckgen").name, suite_of("grep")
    ('AFNI', 'MRtrix3', None)
    """
    return next((suite for suite in SUITES if suite.holds(command)), None)


def _above(*path: str) -> Callable[[str], list[str]]:
    """Name a file of a suite's root, for a command in its bin (or share/fsl/bin, or bin/linux)."""

    def sources(folder: str) -> list[str]:
        roots = [os.path.normpath(os.path.join(folder, *[".."] * up)) for up in (1, 2, 3)]
        return [os.path.join(root, *path) for root in roots]

    return sources


def _beside(*names: str) -> Callable[[str], list[str]]:
    """Name a program in the same folder as the command."""
    return lambda folder: [os.path.join(folder, name) for name in names]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FSL = _words("""
bet bet2 betsurf robustfov standard_space_roi flirt fnirt fnirtfileutils applyxfm4D applywarp
invwarp convertwarp convert_xfm aff2rigid avscale rmsdiff midtrans img2imgcoord img2stdcoord
std2imgcoord epi_reg mcflirt slicetimer susan fast first first_flirt run_first run_first_all topup
applytopup eddy eddy_* fugue prelude sigloss dtifit dtigen bedpostx bedpostx_* xfibres* probtrackx*
proj_thresh tbss_* vecreg randomise randomise_parallel melodic film_gls feat feat_model feat2*
flameo cluster fsl-cluster smoothest easythresh contrast_mgr ttologz ttoz ztop ptoz siena siena_*
sienax* overlay slicer slices slices_summary pngappend remove_ext imcp imglob imln immv imrm imtest
tmpnam distancemap oxford_asl asl_* basil verbena mist_* dual_regression fix swap_voxelwise
Text2Vest Vest2Text swe xtract xtract_* lesion_filling orientLAS truenet bianca make_bianca_mask
makerot mm msm newmsm pulse create_lut cutoffcalc estnoise filmbabe fdr fsl*
""")

_ANTS = _words("""
ants*.sh antsRegistration* antsApplyTransforms* antsAI antsMotionCorr* antsJointFusion
antsJointTensorFusion antsLandmarkBasedTransformInitializer antsAlignOrigin antsUtilitiesTesting
antsSurf antsVol antsTransformInfo antsSliceRegularizedRegistration antsAffineInitializer ANTS
Atropos N3BiasFieldCorrection N4BiasFieldCorrection DenoiseImage ImageMath ThresholdImage
ResampleImage ResampleImageBySpacing SmoothImage KellyKapowski KellySlater PrintHeader
ComposeMultiTransform WarpImageMultiTransform WarpTimeSeriesImageMultiTransform AverageImages
AverageAffineTransform AverageAffineTransformNoRigid CreateImage CreateJacobianDeterminantImage
CreateWarpedGridImage CopyImageHeaderInformation ConvertImage ConvertTransformFile ExtractRegion*
LabelClustersUniquely LabelGeometryMeasures LabelOverlapMeasures MeasureImageSimilarity
MeasureMinMaxMean MultiplyImages NonLocalSuperResolution PasteImageIntoImage PermuteFlipImage*
SetDirectionByMatrix SetOrigin SetSpacing SimulateDisplacementField StackSlices TileImages
TimeSCCAN sccan iMath
""")

_MRTRIX = _words("""
5tt2gmwmi 5tt2vis 5ttcheck 5ttedit 5ttgen afdconnectivity amp2response amp2sh connectome2tck
connectomeedit connectomestats dcmedit dcminfo dirflip dirgen dirmerge dirorder dirsplit dirstat
dwi2adc dwi2fod dwi2mask dwi2response dwi2tensor dwibiascorrect dwibiasnormmask dwicat dwidenoise
dwiextract dwifslpreproc dwigradcheck dwinormalise dwishellmath fixel2peaks fixel2sh fixel2tsf
fixel2voxel fixelcfestats fixelconnectivity fixelconvert fixelcorrespondence fixelcrop fixelfilter
fixelreorient fixeltransform fod2dec fod2fixel for_each label2colour label2mesh labelconvert
labelsgmfirst labelsgmfix labelstats mask2glass maskdump maskfilter mesh2voxel meshconvert
meshfilter mraverageheader mrcalc mrcat mrcentroid mrcheckerboardmask mrclusterstats mrcolour
mrconvert mrdegibbs mrdump mredit mrfilter mrgrid mrhistmatch mrhistogram mrinfo mrmath mrmetric
mrregister mrstats mrthreshold mrtransform mrtrix_cleanup mtnormalise notfound peaks2amp
peaks2fixel population_template responsemean sh2amp sh2peaks sh2power sh2response shbasis shconv
shview tck2connectome tck2fixel tckconvert tckdfc tckedit tckgen tckglobal tckinfo tckmap
tckresample tcksample tcksift tcksift2 tckstats tcktransform tensor2metric transformcalc
transformcompose transformconvert tsfdivide tsfinfo tsfmult tsfsmooth tsfthreshold tsfvalidate
vectorstats voxel2fixel voxel2mesh warp2metric warpconvert warpcorrect warpinit warpinvert
convert_bruker gen_scheme
""")

_MRTRIX_WITHOUT = ("for_each", "notfound", "mrtrix_cleanup", "convert_bruker", "gen_scheme")

SUITES = (
    Suite(
        "MRtrix3",
        _MRTRIX,
        _beside("mrinfo"),
        ("-version",),
        r"== \S+ (\S+) ==",
        variables=("MRTRIX_RNG_SEED", "MRTRIX_CONFIGFILE", "MRTRIX_PRESERVE_PHILIPS_ISO"),
        settings=(".mrtrix.conf",),
        threads=("-nthreads", "N"),
        commands_with_threads=tuple(name for name in _MRTRIX if name not in _MRTRIX_WITHOUT),
        provided_by="apt-get install mrtrix3, or https://www.mrtrix.org",
    ),
    Suite(
        "Connectome Workbench",
        ("wb_command", "wb_shortcuts"),
        _beside("wb_command"),
        ("-version",),
        r"^Version: (\S+)(?:(?s:.*?)^Commit: (?!unknown)(\S+))?",
        provided_by="apt-get install connectome-workbench, or https://humanconnectome.org",
    ),
    Suite(
        "dcm2niix",
        ("dcm2niix", "dcm2niibatch"),
        _beside("dcm2niix"),
        ("--version",),
        r"^(v[\d.]+)",
        settings=(".dcm2nii.ini",),
        provided_by="apt-get install dcm2niix, or pip install dcm2niix",
    ),
    Suite(
        "niimath",
        ("niimath",),
        _beside("niimath"),
        ("--version",),
        r"^(v[\d.]+)",
        variables=("FSLOUTPUTTYPE",),
        provided_by="pip install niimath",
    ),
    Suite(
        "FSL",
        _FSL,
        _above("etc", "fslversion"),
        (),
        r"^(\S+)",
        variables=("FSLOUTPUTTYPE", "FSLMULTIFILEQUIT", "FSL_*_SEED"),
        threads=("--nthr=N",),
        commands_with_threads=("eddy", "eddy_cpu", "eddy_openmp"),
        provided_by="the module 'fsl' of a cluster, or https://fsl.fmrib.ox.ac.uk",
    ),
    Suite(
        "AFNI",
        (
            "3d*",
            "1d*",
            "@*",
            "afni",
            "afni_*",
            "align_epi_anat.py",
            "to3d",
            "whereami",
            "cat_matvec",
            "dicom_*",
            "float_scan",
            "nifti_tool",
            "cifti_tool",
            "gifti_tool",
            "Surf*",
            "SUMA_*",
            "ConvertDset",
            "ConvertSurface",
            "2d*",
            "4swap",
            "count",
            "ccalc",
            "fat_*",
            "timing_tool.py",
            "quickspec",
            "suma",
            "waver",
        ),
        _beside("AFNI_version.txt", "afni"),
        ("-ver",),
        r"(AFNI_\d[\w.]*)",
        variables=("AFNI_*",),
        settings=(".afnirc", ".sumarc"),
        provided_by="the module 'afni' of a cluster, or https://afni.nimh.nih.gov",
    ),
    Suite(
        "ANTs",
        _ANTS,
        _beside("antsRegistration"),
        ("--version",),
        r"ANTs Version: *(\S+)",
        variables=(
            "ANTS_RANDOM_SEED",
            "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
            "ITK_GLOBAL_DEFAULT_THREADER",
        ),
        provided_by="the module 'ants' of a cluster, or https://github.com/ANTsX/ANTs/releases",
    ),
    Suite(
        "FreeSurfer",
        (
            "recon-all",
            "mri_*",
            "mris_*",
            "bbregister",
            "tkregister2",
            "mkheadsurf",
            "samseg*",
            "run_samseg*",
            "segment*",
            "fslregister",
            "spmregister",
            "reg2subject",
            "asegstats2table",
            "aparcstats2table",
            "selxavg3-sess",
            "mkcontrast-sess",
            "preproc-sess",
            "trac-*",
            "dmri_*",
            "long_*",
            "mkbrainmask",
            "reconbatchjobs",
            "reg-feat2anat",
            "vol2*",
        ),
        _above("build-stamp.txt"),
        (),
        r"^(\S+)",
        variables=("SUBJECTS_DIR", "FS_V8_XOPTS", "FS_ALLOW_DEEP", "FREESURFER_SEED"),
        threads=("-openmp", "N"),
        commands_with_threads=("recon-all",),
        provided_by="the module 'freesurfer' of a cluster, or https://surfer.nmr.mgh.harvard.edu",
    ),
)
