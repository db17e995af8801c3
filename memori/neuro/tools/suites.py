"""The suites of the field: which commands they hold, and how to ask for their version.

A suite answers for its commands only where it is installed: a program called ``bet`` that lies
outside any FSL is not FSL's, whatever its name, and is known by its content instead
(`memori.neuro.tools.identity`). What is asked is one program or one file, named by `Suite.sources`;
the answer stands as long as these files do, and as long as none appears that would be asked first.

Not promised: that two builds of one version give equal results.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from memori.neuro.tools import names


@dataclass(frozen=True)
class Suite:
    """A family of commands that share a version.

    Attributes
    ----------
    name : str
        As people write it.
    commands : frozenset of str
        Names of its commands; one of these is the suite's wherever it lies.
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
    patterns : tuple of str
        What further commands of it are called; such a name is the suite's where it is installed.
    """

    name: str
    commands: frozenset[str]
    sources: Callable[[str], list[str]]
    question: tuple[str, ...]
    answer: str
    variables: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    commands_with_threads: tuple[str, ...] = ("*",)
    provided_by: str = ""
    patterns: tuple[str, ...] = ()

    def holds(self, command: str) -> bool:
        """Tell whether a command of this name may be the suite's."""
        return command in self.commands or any(
            fnmatchcase(command, pattern) for pattern in self.patterns
        )

    def source(self, path: str) -> tuple[str | None, list[str]]:
        """Return the file that tells the version of a program, and all that were looked for.

        Parameters
        ----------
        path : str
            The program.
        """
        looked = []
        for folder in dict.fromkeys(map(os.path.dirname, (path, os.path.realpath(path)))):
            for source in self.sources(folder):
                looked.append(source)
                if os.path.isfile(source):
                    return source, looked
        return None, looked

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


_MRTRIX_WITHOUT = ("for_each", "notfound", "mrtrix_cleanup", "convert_bruker", "gen_scheme")

SUITES = (
    Suite(
        "MRtrix3",
        names.MRTRIX,
        _beside("mrinfo"),
        ("-version",),
        r"== \S+ (\S+) ==",
        variables=("MRTRIX_RNG_SEED", "MRTRIX_CONFIGFILE", "MRTRIX_PRESERVE_PHILIPS_ISO"),
        settings=(".mrtrix.conf",),
        threads=("-nthreads", "N"),
        commands_with_threads=tuple(names.MRTRIX.difference(_MRTRIX_WITHOUT)),
        provided_by="apt-get install mrtrix3, or https://www.mrtrix.org",
    ),
    Suite(
        "Connectome Workbench",
        frozenset({"wb_command", "wb_shortcuts"}),
        _beside("wb_command"),
        ("-version",),
        r"^Version: (\S+)(?:(?s:.*?)^Commit: (?!unknown)(\S+))?",
        provided_by="apt-get install connectome-workbench, or https://humanconnectome.org",
    ),
    Suite(
        "dcm2niix",
        frozenset({"dcm2niix", "dcm2niibatch"}),
        _beside("dcm2niix"),
        ("--version",),
        r"^(v[\d.]+)",
        settings=(".dcm2nii.ini",),
        provided_by="apt-get install dcm2niix, or pip install dcm2niix",
    ),
    Suite(
        "niimath",
        frozenset({"niimath"}),
        _beside("niimath"),
        ("--version",),
        r"^(v[\d.]+)",
        variables=("FSLOUTPUTTYPE",),
        provided_by="pip install niimath",
    ),
    Suite(
        "FSL",
        names.FSL,
        _above("etc", "fslversion"),
        (),
        r"^(\S+)",
        variables=("FSLOUTPUTTYPE", "FSLMULTIFILEQUIT", "FSL_*_SEED"),
        threads=("--nthr=N",),
        commands_with_threads=("eddy", "eddy_cpu", "eddy_openmp"),
        provided_by="the module 'fsl' of a cluster, or https://fsl.fmrib.ox.ac.uk",
        patterns=("fsl*", "eddy_*", "bedpostx_*", "xfibres*", "probtrackx*", "tbss_*", "feat2*",
                  "siena_*", "sienax*", "asl_*", "mist_*", "xtract_*"),
    ),
    Suite(
        "AFNI",
        names.AFNI,
        _beside("AFNI_version.txt", "afni"),
        ("-ver",),
        r"(AFNI_\d[\w.]*)",
        variables=("AFNI_*",),
        settings=(".afnirc", ".sumarc"),
        provided_by="the module 'afni' of a cluster, or https://afni.nimh.nih.gov",
        patterns=("3d*", "1d*", "@*", "afni_*", "fat_proc_*", "Surf*", "SUMA_*"),
    ),
    Suite(
        "ANTs",
        names.ANTS,
        _beside("antsRegistration"),
        ("--version",),
        r"ANTs Version: *(\S+)",
        variables=(
            "ANTS_RANDOM_SEED",
            "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
            "ITK_GLOBAL_DEFAULT_THREADER",
        ),
        provided_by="the module 'ants' of a cluster, or https://github.com/ANTsX/ANTs/releases",
        patterns=("ants*.sh", "antsMotionCorr*", "antsApplyTransforms*", "antsRegistration*",
                  "ExtractRegion*", "PermuteFlipImage*"),
    ),
    Suite(
        "FreeSurfer",
        names.FREESURFER,
        _above("build-stamp.txt"),
        (),
        r"^(\S+)",
        variables=("SUBJECTS_DIR", "FS_V8_XOPTS", "FS_ALLOW_DEEP", "FREESURFER_SEED"),
        threads=("-openmp", "N"),
        commands_with_threads=("recon-all",),
        provided_by="the module 'freesurfer' of a cluster, or https://surfer.nmr.mgh.harvard.edu",
        patterns=("mri_*", "mris_*", "dmri_*", "samseg*", "run_samseg*", "trac-*", "segment[A-Z]*"),
    ),
)  # fmt: skip
