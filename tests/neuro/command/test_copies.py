"""Inputs in the run's folder: whatever a tool does there, the user's files stay as they are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import memori
from memori.errors import MemoriWarning
from memori.neuro import CommandError, Copy, Glob, Optional, ShellStage, Stdout, TemplateError
from memori.neuro.command.copies import Copies, private_copy


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    memori.neuro.tools.identity._known.clear()


@pytest.fixture
def raw() -> Iterator[Path]:
    """A file of raw data, which must be as it was when the test is over."""
    folder = Path("raw")
    folder.mkdir()
    path = folder / "img.txt"
    path.write_text("raw\n")
    before = path.stat()
    yield path
    assert "raw\n" == path.read_text()
    assert (before.st_mtime_ns, before.st_ino) == (path.stat().st_mtime_ns, path.stat().st_ino)
    assert ["img.txt"] == os.listdir(folder)


# What tools do to what they find


def test_an_output_named_like_the_input_is_a_file_of_its_own(raw: Path) -> None:
    """The tool reads the one and writes the other, though both have one name."""
    stage = ShellStage(
        "sh -c 'tr a-z A-Z < $0 > $1; echo beside > $1.log' {in_file} {out}",
        outputs={"out": "{in_file.name}", "log": "{in_file.name}.log"},
        link_inputs=True,
        hash_output="work",
    )
    results = stage.run(raw)
    assert ("RAW\n", "beside\n") == (
        Path(results["out"]).read_text(),
        Path(results["log"]).read_text(),
    )
    stage.run(raw)
    assert not stage.state


def test_an_image_tool_may_keep_the_name(tmp_path: Path) -> None:
    """A real tool, told one name for what it reads and what it writes."""
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), "T1w.nii.gz")
    before = Path("T1w.nii.gz").read_bytes()
    for name in ("{in_file.name}", "{in_file.stem}", "T1w.nii"):
        stage = ShellStage(
            "niimath {in_file} -mul 3 {out}",
            outputs={"out": name},
            env={"FSLOUTPUTTYPE": "NIFTI_GZ"},
            link_inputs=True,
        )
        found = nib.load(stage.run("T1w.nii.gz")["out"])
        assert 3 == found.get_fdata().mean()
        assert before == Path("T1w.nii.gz").read_bytes()


@pytest.mark.parametrize(
    "change",
    ["echo more >> $0", "echo new > $0", "printf RAW | dd of=$0 conv=notrunc", "sed -i s/r/R/ $0",
     "truncate -s 2 $0", "rm $0; echo x > $0", "chmod 777 $0; echo x > $0"],
)  # fmt: skip
def test_a_tool_that_changes_its_input_changes_a_copy(raw: Path, change: str) -> None:
    """The changed copy is the output of the input's name; in a pattern, too."""
    stage = ShellStage(
        f"sh -c '{change}' {{in_file}}",
        outputs={"out": "{in_file.name}", "all": Glob("*.txt")},
        link_inputs=True,
        hash_output="work",
    )
    results = stage.run(raw)
    assert "raw\n" != Path(results["out"]).read_text()
    assert [results["out"]] == results["all"]
    assert not os.path.islink(results["out"])


def test_a_copy_that_the_tool_left_alone_is_no_output(raw: Path) -> None:
    """Nor does it stay: the folder holds what the tool made."""
    stage = ShellStage("true {in_file}", {"out": "{in_file.name}"}, "work", link_inputs=True)
    with pytest.raises(CommandError, match=r"'out' is missing.*copy of an input.*Copy\(\.\.\.\)"):
        stage.run(raw)
    optional = ShellStage(
        "sh -c 'echo x > x.log' {in_file}",
        outputs={"out": Optional("{in_file.name}"), "log": "x.log"},
        link_inputs=True,
        hash_output="work",
    )
    results = optional.run(raw)
    assert results["out"] is None
    left = os.listdir(os.path.dirname(results["log"]))
    assert ["stderr.txt", "stdout.txt", "x.log"] == sorted(left)


@pytest.mark.parametrize("name", ["stdout.txt", "stderr.txt", "failure.txt"])
def test_an_input_may_have_the_name_of_what_memori_writes(name: str) -> None:
    """What a tool prints, and the note of its failure, go elsewhere."""
    Path(name).write_text("mine")
    stage = ShellStage("sh -c 'cat $0; echo printed; exit 3' {x}", link_inputs=True, exit_codes=[3])
    assert "mineprinted" == stage.run(name)["output"]
    with pytest.raises(CommandError):
        ShellStage("sh -c 'cat $0; echo printed; exit 3' {x}", link_inputs=True).run(name)
    assert "mine" == Path(name).read_text()


def test_what_is_printed_may_be_kept_under_the_name_of_the_input(raw: Path) -> None:
    """A text is a new file, also where the tool left a link to raw data in its place."""
    stage = ShellStage(
        "sh -c 'tr a-z A-Z < $0' {in_file}",
        outputs=Stdout(file="{in_file.name}"),
        link_inputs=True,
    )
    assert "RAW\n" == Path(stage.run(raw)["output"]).read_text()
    stage = ShellStage("sh -c 'echo x; ln -s $0 o' {in_file}", outputs=Stdout(file="o"))
    assert "x\n" == Path(stage.run(raw)["output"]).read_text()


def test_a_failure_is_noted_over_no_link(raw: Path) -> None:
    """A link that the tool left in the place of the note is not followed."""
    stage = ShellStage("sh -c 'ln -s $0 failure.txt; exit 1' {in_file}", hash_output="work")
    with pytest.raises(CommandError) as caught:
        stage.run(raw)
    assert "exited with code 1" in Path(caught.value.folder, "failure.txt").read_text()


def test_a_relative_link_of_datalad_is_copied_by_content() -> None:
    """Its object is read-only and stays so; the copy can be written."""
    Path("annex").mkdir()
    Path("ds").mkdir()
    Path("annex/key").write_text("object")
    Path("annex/key").chmod(0o444)
    Path("ds/img.txt").symlink_to("../annex/key")
    stage = ShellStage("sh -c 'echo x >> $0' {f}", {"out": "{f.name}"}, link_inputs=True)
    assert "objectx\n" == Path(stage.run("ds/img.txt")["out"]).read_text()
    assert ("object", "../annex/key") == (
        Path("annex/key").read_text(),
        os.readlink("ds/img.txt"),
    )


def test_an_image_in_two_files_is_copied_whole() -> None:
    """Header and data lie side by side, and neither original changes."""
    nib.save(nib.Nifti1Pair(np.ones((3, 3, 3), np.float32), np.eye(4)), "a.hdr")
    before = Path("a.hdr").read_bytes(), Path("a.img").read_bytes()
    stage = ShellStage(
        "sh -c 'ls $(dirname $0) | grep -c ^a; echo >> ${{0%.hdr}}.img; echo >> $0' {x}",
        outputs={"n": Stdout(int), "all": Glob("a.*")},
        link_inputs=True,
    )
    results = stage.run("a.hdr")
    assert (2, ["a.hdr", "a.img"]) == (
        results["n"],
        [os.path.basename(each) for each in results["all"]],
    )
    assert before == (Path("a.hdr").read_bytes(), Path("a.img").read_bytes())
    both = ShellStage("sh -c 'echo $0 $1' {files}", link_inputs=True).run(files=["a.hdr", "a.img"])
    assert 1 == len({os.path.dirname(each) for each in both["output"].split()})


@pytest.mark.parametrize("name", ["img.txt", "img.json", "img.bval", "inputs", "inputs-2", "1"])
def test_any_name_may_be_an_inputs_and_an_outputs(name: str) -> None:
    """Several inputs of one name, and an output of that name, are all told apart."""
    for number in range(3):
        Path(f"d{number}").mkdir()
        Path(f"d{number}", name).write_text(f"{number}")
    stage = ShellStage(
        "sh -c 'cat $0 $1 $2 > $3; for i in $0 $1 $2; do echo x > $i; done' {files} {out}",
        outputs={"out": name},
        link_inputs=True,
    )
    assert "012" == Path(stage.run(files=[f"d{n}/{name}" for n in range(3)])["out"]).read_text()
    assert ["0", "1", "2"] == [Path(f"d{number}", name).read_text() for number in range(3)]


# Folders


def test_a_folder_is_copied_with_all_it_holds() -> None:
    """What a tool writes into it, or changes in it, stays in the run's folder."""
    Path("elsewhere").mkdir()
    Path("elsewhere/c").write_text("c")
    Path("dicoms/deep").mkdir(parents=True)
    Path("dicoms/a").write_text("a")
    Path("dicoms/deep/b").symlink_to("../a")
    Path("dicoms/c").symlink_to("../elsewhere")
    Path("dicoms/around").symlink_to(".")
    Path("dicoms/nothing").symlink_to("nowhere")
    os.mkfifo("dicoms/pipe")
    stage = ShellStage(
        "sh -c 'cat $0/a $0/deep/b $0/c/c; for i in $(find $0 -type f); do echo x >> $i; done;"
        " echo new > $0/new' {dicoms}",
        outputs={"text": Stdout(), "new": "dicoms/new", "all": "dicoms/"},
        link_inputs=True,
    )
    results = stage.run("dicoms")
    assert "aac" == results["text"]
    assert {"a", "deep", "c", "new"} == set(os.listdir(results["all"]))
    assert "ax\n" == Path(results["all"], "a").read_text()
    assert ("a", "c") == (Path("dicoms/a").read_text(), Path("elsewhere/c").read_text())
    assert not Path("dicoms/new").exists()


def test_a_folder_that_the_tool_left_alone_does_not_stay() -> None:
    """Also where it is large; an output in it does."""
    Path("data/deep").mkdir(parents=True)
    Path("data/deep/a").write_text("a")
    stage = ShellStage(
        "sh -c 'echo x > $0/deep/new; echo y > y' {folder}",
        outputs={"y": "y", "new": "data/deep/new"},
        link_inputs=True,
    )
    folder = Path(stage.run("data")["y"]).parent
    assert ["new"] == os.listdir(folder / "data/deep")


def test_a_folder_around_the_run_is_not_copied_into_it(tmp_path: Path) -> None:
    """A project's own folder holds the work that is going on."""
    stage = ShellStage("sh -c 'ls -d $0/work' {x}", link_inputs=True, hash_output="work")
    assert f"{tmp_path}/work" == stage.run(x=str(tmp_path))["output"]


def test_an_output_that_is_a_link_to_the_input_can_be_read(raw: Path) -> None:
    """Some tools link what they need not change; the copy that they link to stays."""
    stage = ShellStage("sh -c 'ln -s $0 o' {in_file}", {"o": "o"}, link_inputs=True)
    found = stage.run(raw)["o"]
    assert "raw\n" == Path(found).read_text()
    assert os.path.dirname(found) == os.path.dirname(os.path.realpath(found))


def test_a_link_in_a_folder_of_outputs_can_be_read(raw: Path) -> None:
    """It leads to a copy, which stays, and not to the raw file."""
    stage = ShellStage("sh -c 'ln -s $0 d/x' {in_file}", {"d": "d/"}, link_inputs=True)
    found = Path(stage.run(raw)["d"], "x")
    assert "raw\n" == found.read_text()
    assert not os.path.samefile(found, raw)


def test_a_name_that_a_suite_completes_is_free() -> None:
    """A tool that is told `brain` makes brain.nii.gz of it, which its input may be called."""
    Path("brain.nii.gz").write_bytes(b"raw")
    for name in ("brain", "brain.nii", "brain.hdr"):
        stage = ShellStage(
            "sh -c 'to=$(dirname $1)/brain.nii.gz; ! test -e $to && cp $0 $to' {x} {o}",
            outputs={"o": name},
            link_inputs=True,
        )
        assert "brain.nii.gz" == os.path.basename(stage.run("brain.nii.gz")["o"])


# Copies as outputs


def test_a_list_of_files_is_copied_each() -> None:
    """`Copy` of a list is a list, also of files of one name."""
    for number in range(3):
        Path(f"d{number}").mkdir()
        Path(f"d{number}/a.txt").write_text(f"{number}")
    files = [f"d{number}/a.txt" for number in range(3)]
    stage = ShellStage(
        "sh -c 'for i; do echo x >> $i; done' sh {out}", {"out": Copy("files")}, "work"
    )
    found = stage.run(files=files)["out"]
    assert ["0x\n", "1x\n", "2x\n"] == [Path(each).read_text() for each in found]
    assert ["0", "1", "2"] == [Path(each).read_text() for each in files]
    stage.run(files=files)
    assert not stage.state
    assert [] == ShellStage("true {out}", {"out": Copy("files")}).run(files=[])["out"]


def test_two_copies_of_one_name_are_refused() -> None:
    """The second would silently be the first."""
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "img.txt").write_text(name)
    stage = ShellStage("true {one} {two}", {"one": Copy("x"), "two": Copy("y")})
    with pytest.raises(TemplateError, match=r"another output of the name 'img\.txt'"):
        stage.run(x="a/img.txt", y="b/img.txt")


def test_both_files_of_a_pair_may_be_copied() -> None:
    """Each brings the other along, which is no conflict."""
    nib.save(nib.Nifti1Pair(np.ones((3, 3, 3), np.float32), np.eye(4)), "a.hdr")
    stage = ShellStage("true {one} {two}", {"one": Copy("x"), "two": Copy("y")})
    assert ["a.hdr", "a.img"] == [
        os.path.basename(each) for each in stage.run(x="a.hdr", y="a.img").values()
    ]


# What is said of a tool that changes its input all the same


@pytest.mark.parametrize("hash_output", ["work", None])
def test_a_changed_input_is_reported(hash_output: str | None) -> None:
    """A tool that is given the path of the file itself can change it; that is not silent."""
    Path("in.txt").write_text("raw")
    stage = ShellStage("sh -c 'echo x >> $0' {x}", hash_output=hash_output)
    with pytest.warns(MemoriWarning, match=r"in\.txt.* changed while") as caught:
        stage.run("in.txt")
    assert 1 == len(caught)


@pytest.mark.parametrize("hash_output", ["work", None])
@pytest.mark.parametrize("change", ["echo x > $0/new", "echo x >> $0/deep/a", "rm $0/deep/a"])
def test_a_changed_folder_is_reported(hash_output: str | None, change: str) -> None:
    """As dcm2niix does, which writes its images beside the DICOMs; also when it fails."""
    Path("dicoms/deep").mkdir(parents=True)
    Path("dicoms/deep/a").write_text("a")
    for code in (0, 1):
        Path("dicoms/deep/a").write_text("a")
        Path("dicoms/new").unlink(missing_ok=True)
        stage = ShellStage(f"sh -c '{change}; exit {code}' {{x}}", hash_output=hash_output)
        outcome = pytest.raises(CommandError) if code else nullcontext()
        expected = pytest.warns(MemoriWarning, match=r"dicoms/(new|deep/a), of its inputs, changed")
        with expected, outcome:
            stage.run("dicoms")


def test_inputs_that_stay_as_they_are_are_not_reported(tmp_path: Path) -> None:
    """Nor is the work that goes on inside a folder that is an input."""
    Path("data").mkdir()
    Path("data/a").write_text("a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for hash_output in (None, "work"):
            stage = ShellStage("cat {x} {y}", Stdout(), hash_output)
            stage.run(["data/a"], "data/a")
            stage = ShellStage("ls {x}", Stdout(), hash_output)
            stage.run("data")
            stage.run(str(tmp_path), force_run_stage=True)


# The copies themselves


def test_a_copy_is_never_written_through_a_link(tmp_path: Path) -> None:
    """It is a new file, or an error."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "raw").write_text("raw")
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    with pytest.raises(FileExistsError):
        private_copy(str(tmp_path / "a"), str(tmp_path / "link"))
    assert "raw" == (tmp_path / "raw").read_text()


def test_copies_where_the_system_cannot_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file system, or one that stops half-way: the copy is whole."""
    content = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(content)
    real = os.copy_file_range

    def stops(old: int, new: int, size: int) -> int:
        if os.lseek(new, 0, os.SEEK_CUR):
            raise OSError("no more")
        return real(old, new, 1_000_001)

    monkeypatch.setattr(os, "copy_file_range", stops)
    private_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    monkeypatch.delattr(os, "copy_file_range")
    private_copy(str(tmp_path / "a"), str(tmp_path / "c"))
    assert content == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    private_copy("/proc/self/status", str(tmp_path / "d"))
    assert (tmp_path / "d").read_text().startswith("Name:")


def test_a_change_within_one_tick_of_the_clock_shows(tmp_path: Path) -> None:
    """Also of the same size, and of a file that is just written."""
    (tmp_path / "run").mkdir()
    (tmp_path / "a").write_text("one")
    copies = Copies(str(tmp_path / "run"))
    for _ in range(50):
        path = Path(copies.bring(str(tmp_path / "a")))
        assert frozenset({"a"}) == copies.untouched()
        path.write_text("two")
        assert frozenset() == copies.untouched()
        path.unlink()
        copies = Copies(str(tmp_path / "run"))


def test_a_script_among_the_inputs_can_be_run() -> None:
    """A copy is executable if the file is."""
    Path("tool.sh").write_text("#!/bin/sh\necho hello\n")
    Path("tool.sh").chmod(0o755)
    stage = ShellStage("sh -c 'exec $0' {script}", link_inputs=True)
    assert "hello" == stage.run("tool.sh")["output"]


def test_copies_are_as_old_as_what_was_copied() -> None:
    """So that make and its kin do not take them for new."""
    Path("a").write_text("a")
    os.utime("a", (1_000_000_000, 1_000_000_000))
    stage = ShellStage("stat -c %Y {x}", outputs=Stdout(int), link_inputs=True)
    assert 1_000_000_000 == stage.run("a")["output"]
