"""What a tool is: its version, asked once, or its content."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memori.neuro.filenames import AmbiguousFileError
from memori.neuro.tools.identity import (
    ToolError,
    _known,
    facts,
    find,
    identity,
    require,
    surroundings,
)
from memori.neuro.tools.suites import SUITES, suite_of

APT = {"mrconvert": "mrtrix3", "wb_command": "connectome-workbench", "dcm2niix": "dcm2niix"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _known.clear()
    yield
    _known.clear()


def program(path: Path, text: str, *, old: bool = True) -> str:
    """Write an executable script, as if it had been there for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def needs(command: str) -> str:
    """Return the path of an installed tool, or skip with the command that installs it."""
    path = find(command, os.environ)
    if path is None:
        how = f"apt-get install {APT[command]}" if command in APT else f"pip install {command}"
        pytest.skip(f"{command} is not installed: {how}")
    return path


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("mrconvert", "MRtrix3 3."),
        ("dwi2response", "MRtrix3 3."),
        ("wb_command", "Connectome Workbench 1."),
        ("dcm2niix", "dcm2niix v1."),
        ("niimath", "niimath v1."),
    ],
)
def test_installed_tools_tell_their_version(command: str, pattern: str) -> None:
    """Asked of the real program."""
    path = needs("mrconvert" if command == "dwi2response" else command)
    path = os.path.join(os.path.dirname(path), command)
    assert identity(command, path).startswith(pattern)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as old, though their ctime cannot be set back."""
    monkeypatch.setattr("memori.neuro.tools.identity._YOUNG", -1000)


@pytest.mark.usefixtures("settled")
def test_a_version_is_asked_once_and_again_when_the_program_changes(tmp_path: Path) -> None:
    """Not at every hit, nor in every process; a replaced program is asked anew."""
    count = tmp_path / "count"
    path = program(tmp_path / "bin/niimath", f"echo x >> {count}; echo v1.0.1")
    past = time.time() - 100
    os.utime(path, (past, past))
    assert "niimath v1.0.1" == identity("niimath", path)
    _known.clear()  # a new process
    assert "niimath v1.0.1" == identity("niimath", path)
    assert "niimath v1.0.1" == identity("niimath", path)
    assert 1 == len(count.read_text().split())
    program(Path(path), f"echo x >> {count}; echo v2.0.0")
    assert "niimath v2.0.0" == identity("niimath", path)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    ("command", "name", "versions", "expected"),
    [
        ("3dcalc", "bin/AFNI_version.txt", ("AFNI_24.0.04", "AFNI_25.1.00"), "AFNI AFNI_"),
        ("recon-all", "build-stamp.txt", ("freesurfer-7.4.1", "freesurfer-8.0.0"), "FreeSurfer "),
        ("bet", "etc/fslversion", ("6.0.5", "6.0.7"), "FSL 6.0."),
    ],
)
def test_a_version_is_asked_again_when_a_file_beside_it_comes_changes_or_goes(
    tmp_path: Path, command: str, name: str, versions: tuple[str, str], expected: str
) -> None:
    """An update of a suite that leaves this program as it was is another version all the same."""
    path = program(tmp_path / "bin" / command, "exit 1")
    program(tmp_path / "bin/afni", "echo Version AFNI_23.0.00")  # asked where no file tells
    stamp = tmp_path / name
    stamp.parent.mkdir(exist_ok=True)
    seen = [identity(command, path)]
    for version in versions:
        stamp.write_text(version)
        seen.append(identity(command, path))
        assert seen[-1].startswith(expected)
        _known.clear()  # a new process
        assert seen[-1] == identity(command, path)
    stamp.unlink()
    assert seen[0] == identity(command, path)
    assert 3 == len(set(seen))


@pytest.mark.usefixtures("settled")
def test_a_launcher_is_asked_again_when_its_distribution_is_upgraded_in_place(
    tmp_path: Path,
) -> None:
    """Its own text stays the same."""
    libraries = tmp_path / "env/lib/python3.11/site-packages"
    path = Path(program(tmp_path / "env/bin/mytool", ""))
    path.write_text("#!/env/bin/python\nimport sys\nfrom mytool import main\nmain()\n")
    for version in ("1.0", "2.0"):
        installed = libraries / f"mytool-{version}.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: mytool\nVersion: {version}\n"
        )
        (installed / "entry_points.txt").write_text("[console_scripts]\nmytool = mytool:main\n")
        assert f"mytool {version}" == identity("mytool", str(path))
        for each in installed.iterdir():
            each.unlink()
        installed.rmdir()


def test_a_program_that_was_just_written_is_asked_every_time(tmp_path: Path) -> None:
    """Its stat cannot vouch for it yet: a second write may leave the same one."""
    path = program(tmp_path / "bin/niimath", "echo v1.0.1")
    assert "niimath v1.0.1" == identity("niimath", path)
    path = program(tmp_path / "bin/niimath", "echo v1.0.2")
    assert "niimath v1.0.2" == identity("niimath", path)


@pytest.mark.parametrize(
    ("command", "files", "expected"),
    [
        ("bet", {"etc/fslversion": "6.0.7.12\n"}, "FSL 6.0.7.12"),
        ("3dSkullStrip", {"bin/AFNI_version.txt": "AFNI_24.0.04\n\nlinux\n"}, "AFNI AFNI_24.0.04"),
        ("recon-all", {"build-stamp.txt": "freesurfer-linux-7.4.1-20230613\n"},
         "FreeSurfer freesurfer-linux-7.4.1-20230613"),
    ],
)  # fmt: skip
def test_suites_that_keep_their_version_in_a_file(
    tmp_path: Path, command: str, files: dict[str, str], expected: str
) -> None:
    """FSL, AFNI and FreeSurfer, laid out as they install."""
    path = program(tmp_path / "suite/bin" / command, "exit 1")
    for name, text in files.items():
        (tmp_path / "suite" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "suite" / name).write_text(text)
    assert expected == identity(command, path)
    link = tmp_path / "links" / command
    link.parent.mkdir()
    link.symlink_to(path)
    assert expected == identity(command, str(link))


@pytest.mark.parametrize(
    ("command", "teller", "printed", "expected"),
    [
        ("N4BiasFieldCorrection", "antsRegistration",
         "ANTs Version: v2.5.1.post3-g12ab\nCompiled: x", "ANTs v2.5.1.post3-g12ab"),
        ("1dplot.py", "afni", "Precompiled binary linux: Feb 12 2024 (Version AFNI_24.0.04 'C')",
         "AFNI AFNI_24.0.04"),
        ("mrthreshold", "mrinfo", "== mrinfo 3.0.4-12-gabc ==\n64 bit", "MRtrix3 3.0.4-12-gabc"),
    ],
)  # fmt: skip
def test_suites_that_tell_their_version(
    tmp_path: Path, command: str, teller: str, printed: str, expected: str
) -> None:
    """One program of the suite answers for all."""
    path = program(tmp_path / "bin" / command, "exit 1")
    program(tmp_path / "bin" / teller, f'cat <<"E"\n{printed}\nE')
    assert expected == identity(command, path)


def test_a_program_outside_its_suite_is_known_by_its_content(tmp_path: Path) -> None:
    """A user's own script called bet is not FSL's, whatever FSLDIR says."""
    path = Path(program(tmp_path / "bin/bet", "echo mine"))
    first = identity("bet", str(path))
    assert first.startswith("sha256 ")
    program(path, "echo yours")
    assert first != identity("bet", str(path))


OTHERS = ["segment_lesions.sh", "long_run.py", "vol2png.sh", "dicom_sort.py", "2d_slices.py"]
"""Names that anybody would give, though suites have some like them."""

LOOKALIKES = ["mri_pipeline.sh", "3d_render.py", "1d_smooth.py", "fsl_preproc.sh", "asl_fit.py"]
"""Names that begin as a suite's do."""


@pytest.mark.parametrize("command", OTHERS)
def test_a_users_name_is_no_suites(command: str) -> None:
    """Only what a suite really has is taken for its."""
    assert suite_of(command) is None


@pytest.mark.parametrize("command", LOOKALIKES)
def test_a_name_like_a_suites_is_the_suites_where_it_is_installed(
    tmp_path: Path, command: str
) -> None:
    """Elsewhere it is the user's: its content counts, and no variable of the suite."""
    suite = suite_of(command)
    assert suite is not None
    search = {"PATH": str(tmp_path / "bin"), "SUBJECTS_DIR": "/s", "AFNI_ORIENT": "RAI",
              "FSLOUTPUTTYPE": "NIFTI"}  # fmt: skip
    path = program(tmp_path / "bin" / command, "echo mine")
    assert [f"tool {command}"] == list(facts(command, search))
    assert str(facts(command, search)[f"tool {command}"]).startswith("sha256 ")
    for name, text in (("bin/AFNI_version.txt", "AFNI_1"), ("etc/fslversion", "6.0"),
                       ("build-stamp.txt", "freesurfer-8")):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    first = facts(command, search)
    assert {f"tool {command}", {"FreeSurfer": "env SUBJECTS_DIR", "AFNI": "env AFNI_ORIENT",
            "FSL": "env FSLOUTPUTTYPE"}[suite.name]} == set(first)  # fmt: skip
    assert str(first[f"tool {command}"]).startswith(suite.name)
    program(Path(path), "echo yours")  # put among the suite's programs, it is a script all the same
    assert first != facts(command, search)


def test_a_missing_program_of_a_name_like_a_suites_says_so() -> None:
    """What is not known for certain is not claimed."""
    with pytest.raises(ToolError, match="it may be part of FreeSurfer"):
        require("mri_pipeline.sh", {"PATH": "/nowhere"})
    with pytest.raises(ToolError, match="it is part of FreeSurfer"):
        require("mri_convert", {"PATH": "/nowhere"})


def test_errors_travel_between_processes() -> None:
    """With their facts, from a worker to whoever waits for it."""
    for error in (ToolError("it is missing", "bet", "FSL"), AmbiguousFileError("a", ["b", "c"])):
        again = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error), vars(error)) == (type(again), str(again), vars(again))


def test_a_tool_that_tells_no_version_is_known_by_its_content(tmp_path: Path) -> None:
    """An answer that is none falls back; so does a teller that hangs or fails."""
    path = program(tmp_path / "bin/niimath", "echo usage: niimath; exit 1")
    assert identity("niimath", path).startswith("sha256 ")


def test_a_program_that_may_be_run_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size and time must do."""
    path = program(tmp_path / "bin/tool", "echo one")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # root may read all
    first = identity("tool", path)
    assert first.startswith("unreadable, ")
    program(Path(path), "echo other")
    assert first != identity("tool", path)


def test_a_launcher_that_pip_wrote_is_known_by_its_distribution() -> None:
    """Its text stays the same when the distribution is upgraded."""
    path = os.path.join(os.path.dirname(sys.executable), "nib-ls")
    if not os.path.exists(path):
        pytest.skip("nibabel's programs are not beside this Python: pip install nibabel")
    import nibabel

    assert f"nibabel {nibabel.__version__}" == identity("nib-ls", path)


def test_a_launcher_of_an_editable_install_counts_by_its_sources(tmp_path: Path) -> None:
    """Its version stays the same while its code is edited."""
    project, libraries = tmp_path / "my project", tmp_path / "env/lib/python3.11/site-packages"
    installed = libraries / "mytool-1.0.dist-info"
    for folder in (project / "mytool", project / ".git", installed):
        folder.mkdir(parents=True)
    (project / "mytool/__init__.py").write_text("def main(): pass\n")
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mytool\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[console_scripts]\nmytool = mytool:main\n")
    program(tmp_path / "env/bin/mytool", "")
    path = tmp_path / "env/bin/mytool"
    path.write_text("#!/env/bin/python\nimport sys\nfrom mytool import main\nmain()\n")
    assert "mytool 1.0" == identity("mytool", str(path))
    url = json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}})
    (installed / "direct_url.json").write_text(url)
    seen = [identity("mytool", str(path))]
    (project / "mytool/__init__.py").write_text("def main(): return 1\n")
    seen.append(identity("mytool", str(path)))
    (project / "mytool/more.py").write_text("")
    seen.append(identity("mytool", str(path)))
    (project / ".git/x.py").write_text("")
    assert 3 == len(set(seen))
    assert seen[-1] == identity("mytool", str(path))
    assert all(each.startswith("mytool 1.0, sources ") for each in seen)


def test_what_counts_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By suite: variables by name or pattern, FSLDIR by its version, settings by content."""
    (tmp_path / "fsl/etc").mkdir(parents=True)
    (tmp_path / "fsl/etc/fslversion").write_text("6.0.5")
    (tmp_path / ".afnirc").write_text("***ENVIRONMENT\n AFNI_COMPRESSOR = GZIP\n")
    environment = {
        "FSLDIR": str(tmp_path / "fsl"),
        "FSLOUTPUTTYPE": "NIFTI",
        "AFNI_ORIENT": "RAI",
        "ANTS_RANDOM_SEED": "1",
        "OMP_NUM_THREADS": "4",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "4",
        "HOME": str(tmp_path),
        "SECRET": "x",
    }
    counted = {
        command: set(surroundings(command, environment))
        for command in ("bet", "3dvolreg", "antsRegistration", "mrconvert", "grep")
    }
    assert {
        "bet": {"env FSLOUTPUTTYPE", "FSLDIR"},
        "3dvolreg": {"env AFNI_ORIENT", "file ~/.afnirc"},
        "antsRegistration": {"env ANTS_RANDOM_SEED", "env ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"},
        "mrconvert": set(),
        "grep": set(),
    } == counted
    assert "FSL 6.0.5" == surroundings("bet", environment)["FSLDIR"]


def test_programs_are_looked_for_in_absolute_folders_only(tmp_path: Path) -> None:
    """A file in the current folder is none, unless the command runs there; nor is a plain file."""
    path = program(tmp_path / "bin/tool", "")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/tool").write_text("not executable")
    search = {"PATH": f"{tmp_path / 'other'}:{tmp_path / 'bin'}"}
    assert path == find("tool", search)
    assert find("tool", {"PATH": "bin::."}) is None
    assert path == find("tool", {"PATH": "other:bin"}, str(tmp_path))
    assert find("bin", {"PATH": str(tmp_path)}) is None
    assert sys.executable == find(os.path.basename(sys.executable), {"PATH": "/nowhere"})


def test_the_cache_of_versions_may_be_lost_or_broken(tmp_path: Path) -> None:
    """It costs time only."""
    path = needs("mrconvert")
    expected = identity("mrconvert", path)
    kept = list((tmp_path / "cache/memori/tools").iterdir())
    assert 1 == len(kept)
    for text in ("", "{}", "[1]", '{"path": 5}', "x"):
        kept[0].write_text(text)
        _known.clear()
        assert expected == identity("mrconvert", path)


def test_each_suite_says_where_to_get_it() -> None:
    """And each name belongs to the suite that people expect."""
    assert all(suite.provided_by for suite in SUITES)
    expected = {
        "fslmaths": "FSL", "mcflirt": "FSL", "eddy_cuda10.2": "FSL", "tbss_1_preproc": "FSL",
        "3dDespike": "AFNI", "@SSwarper": "AFNI", "1d_tool.py": "AFNI", "afni_proc.py": "AFNI",
        "antsBrainExtraction.sh": "ANTs", "Atropos": "ANTs", "mri_synthstrip": "FreeSurfer",
        "recon-all": "FreeSurfer", "mris_convert": "FreeSurfer", "5ttgen": "MRtrix3",
        "dwifslpreproc": "MRtrix3", "wb_command": "Connectome Workbench", "dcm2niix": "dcm2niix",
    }  # fmt: skip
    assert expected == {name: getattr(suite_of(name), "name", None) for name in expected}
    assert [None] * 4 == [suite_of(name) for name in ("grep", "python", "cp", "make")]


def test_a_command_line_in_one_word_is_told_as_such() -> None:
    """`memori run -- "bet a b"` is a program of a strange name; the error says how it is meant."""
    with pytest.raises(ToolError, match="words of their own, such as"):
        require("bet a b", os.environ)
