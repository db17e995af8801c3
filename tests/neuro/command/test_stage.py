"""Command-line tools as stages: what runs, what hits, and what is said when it fails."""

from __future__ import annotations

import inspect
import json
import logging
import os
import pickle
import stat
import threading
import time
import warnings
from pathlib import Path

import pytest

import memori
from memori import Stage, TimeLimitError
from memori.errors import StageError
from memori.neuro.command.fields import TemplateError
from memori.neuro.command.stage import CommandError, Copy, Glob, Optional, ShellStage, Stdout
from memori.neuro.command.stdout_parsers import numbers, pairs, table
from memori.neuro.process.run import end_all
from memori.neuro.tools.identity import ToolError
from memori.store.failures import KEPT

pytestmark = pytest.mark.usefixtures("own_place")


def program(name: str, text: str, folder: str = "bin") -> Path:
    """Write an executable script on the PATH."""
    path = Path(folder, name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def runs(stage: ShellStage, **inputs: object) -> bool:
    """Run a stage and tell whether the command was executed."""
    stage.run(**inputs)
    return stage.state


# The one line


def test_a_tool_in_one_line() -> None:
    """A template and a name make a stage that hits the second time."""
    Path("in.txt").write_text("hello")
    stage = ShellStage("cp {in_file} {out}", outputs={"out": "copy.txt"}, hash_output="work")
    first = stage.run("in.txt")
    assert ("hello", True) == (Path(first["out"]).read_text(), stage.state)
    assert (first, False) == (stage.run(in_file="in.txt"), stage.state)
    assert "cp" == stage.stage_name


def test_the_signature_is_real() -> None:
    """Fields, defaults and kinds are what inspect and errors show."""
    stage = ShellStage(
        "bet {in_file: Path} {out} -f {frac: float = 0.5} -g {g=0} [-m {mask}] [-R] {z}",
        outputs={"out": "b.nii.gz", "log": "{subject}.log"},
    )
    signature = inspect.signature(stage.command)
    assert ["in_file", "z", "subject", "frac", "g", "mask", "R"] == list(signature.parameters)
    assert list(signature.parameters) == stage.inputs
    assert 0.5 == signature.parameters["frac"].default
    assert float is signature.parameters["frac"].annotation
    assert int is signature.parameters["g"].annotation
    assert (None, False) == tuple(signature.parameters[n].default for n in ("mask", "R"))
    with pytest.raises(TypeError, match="did you mean 'frac'"):
        ShellStage("bet {frac=0.5}", frak=0.4)


def test_a_function_says_what_a_template_cannot() -> None:
    """The same class, with the function's own signature less the outputs."""

    def cut(in_file: str, out: str, fields: list[int], upper: bool = False) -> list[object]:
        program = ["tr", "a-z", "A-Z"] if upper else ["cut", "-d,", "-f", *fields]
        return ["sh", "-c", '"$@" < "$0" > "$OUT"', in_file, *program]

    cut.__name__ = "cut"
    Path("in.txt").write_text("a,b,c\n")
    stage = ShellStage(cut, outputs={"out": "o.txt"}, env={"OUT": "{out}"}, hash_output="work")
    assert ["in_file", "fields", "upper"] == stage.inputs
    assert "b\n" == Path(stage.run("in.txt", fields=[2])["out"]).read_text()
    assert "A,B,C\n" == Path(stage.run("in.txt", fields=[2], upper=True)["out"]).read_text()
    assert not runs(stage, in_file="in.txt", fields=[2])


def test_an_edited_argument_function_reruns() -> None:
    """Its code counts like that of any stage."""

    def made(word: str) -> ShellStage:
        namespace: dict[str, object] = {}
        exec(f"def say(x):\n    return ['echo', {word!r}, x]", namespace)
        return ShellStage(namespace["say"], hash_output="work")  # type: ignore[arg-type]

    assert "one 1" == made("one").run(x=1)["output"]
    assert "two 1" == made("two").run(x=1)["output"]
    assert not runs(made("one"), x=1)


@pytest.mark.parametrize("made", ["echo x", 5, None, [None], [{"a": 1}], [True], [], [""]])
def test_an_argument_function_returns_a_list(made: object) -> None:
    """Anything else is an error before the command runs; a str is not split."""
    stage = ShellStage(lambda: made, stage_name="odd")  # type: ignore[arg-type,return-value]
    with pytest.raises(TemplateError):
        stage.run()


def test_fields_of_hash_output_are_inputs() -> None:
    """A folder for each subject needs no subject on the command line."""
    stage = ShellStage("echo {x}", hash_output="work/{subject}")
    assert "1" == stage.run(x=1, subject="sub-01")["output"]
    assert Path("work/sub-01/echo.outputs").exists()


def test_a_label_is_text_where_a_folder_has_its_name() -> None:
    """In the root of a BIDS dataset, sub-01 is a subject; ./sub-01 is its folder."""
    Path("sub-01").mkdir()
    stage = ShellStage("echo {subject}")
    assert "sub-01" == stage.run("sub-01")["output"]
    assert os.path.abspath("sub-01") == stage.run("./sub-01")["output"]


@pytest.mark.parametrize(
    ("template", "options"),
    [
        ("cat {f=notes.txt}", {}),
        ("cat {f: Path = notes.txt}", {}),
        ("cat {f=('notes.txt', 'notes.txt')}", {}),
        ("sh -c 'cat ${{0#--in=}}' --in={f=notes.txt}", {}),
        ("sh -c 'cat $FILE'", {"env": {"FILE": "{f=notes.txt}"}}),
        ("cat [{f}]", {"f": "notes.txt"}),
        ("sh -c 'cat $(echo $0 | tr , \" \")' {f:,}", {"f": ["notes.txt", "notes.txt"]}),
    ],
)
def test_a_default_that_names_a_file_is_a_path(template: str, options: dict[str, object]) -> None:
    """The command finds it from its own folder, and its content counts."""
    Path("notes.txt").write_text("one\n")
    stage = ShellStage(template, hash_output="work", **options)  # type: ignore[arg-type]
    assert {"one"} == set(stage.run()["output"].split())
    assert not runs(stage)
    Path("notes.txt").write_text("two\n")
    assert {"two"} == set(stage.run()["output"].split())


@pytest.mark.parametrize("kind", ["str", "int", "float"])
def test_a_field_of_these_kinds_is_never_a_file(kind: str) -> None:
    """It reaches the command as it is, and a file or folder of that name does not count."""
    stage = ShellStage(f"echo {{x: {kind}}} --y={{x}}", hash_output="work")
    Path("5").write_text("one")
    assert "5 --y=5" == stage.run(x="5")["output"]
    Path("5").write_text("two")
    assert not runs(stage, x="5")
    Path("5").unlink()
    Path("5").mkdir()
    Path("5/inside").touch()
    assert not runs(stage, x="5")
    given = os.path.abspath("5")
    if kind == "str":
        assert runs(stage, x=given)
        Path("5/more").touch()
        assert not runs(stage, x=given)


def test_a_number_is_never_a_file() -> None:
    """Where a file happens to be called so."""
    Path("5").write_text("one")
    stage = ShellStage("echo {x} {shape:x}", hash_output="work")
    assert "5 5x5" == stage.run(x=5, shape=[5, 5])["output"]
    Path("5").write_text("two")
    assert not runs(stage, x=5, shape=[5, 5])


# Names that would break a shell


@pytest.mark.parametrize(
    "name",
    [
        "with blank", "a;b", "$(touch pwned)", "`touch pwned`", "quote'\"s", "star*?[x]",
        "new\nline", "{braces}", "-dash", "tab\there", "ünïcode", "&&", "| x", "~", "x" * 250,
        os.fsdecode(b"not-utf8-\xff\xfe"), "%s%n", "\\back\\slash", "#hash", "!bang", "\x01control",
    ],
)  # fmt: skip
def test_every_file_name_is_one_argument(name: str) -> None:
    """The command gets the file, whatever its name, and nothing else happens."""
    Path(name).write_bytes(b"content")
    named = "{in_file.stem}.out" if len(name) < 200 else "o"
    stage = ShellStage("cp {in_file} {out}", outputs={"out": named}, hash_output="work")
    given = os.path.abspath(name)
    assert b"content" == Path(stage.run(given)["out"]).read_bytes()
    assert not runs(stage, in_file=given)
    assert not Path("pwned").exists()


def test_a_path_of_four_thousand_characters() -> None:
    """The system's own limit is the only one."""
    folder = Path.cwd()
    while len(str(folder)) < 3700:
        folder = folder / ("d" * 200)
    folder.mkdir(parents=True)
    path = folder / ("f" * (4000 - len(str(folder)) - 1))
    path.write_text("deep")
    stage = ShellStage("cat {in_file}", hash_output="work")
    assert "deep" == stage.run(path)["output"]
    assert not runs(stage, in_file=path)
    assert "y" * 4000 == ShellStage("echo {x}", hash_output="work").run(x="y" * 4000)["output"]


@pytest.mark.parametrize("value", ["-rf", "--help", "-", ["a", "-x"]])
def test_a_value_that_would_be_an_option_is_refused(value: object) -> None:
    """Nothing runs; the author can allow it, by kind or by name."""
    with pytest.raises(TemplateError, match="begins with '-'"):
        ShellStage("touch ran {x}").run(value)
    with pytest.raises(TemplateError, match="begins with '-'"):
        ShellStage(lambda x: ["touch", "ran", x], stage_name="touch").run(value)
    assert "-n" in ShellStage("printf %s {x: str}").run("-n")["output"]
    assert "-n" == ShellStage("printf %s {x}", allow_dash=["x"]).run("-n")["output"]


def test_no_argument_is_expanded() -> None:
    """Stars, tildes and variables reach the tool as they were given."""
    Path("a.txt").touch()
    text = "*.txt ~ $HOME `x` \\n"
    assert text == ShellStage("printf %s {x}").run(text)["output"]


def test_a_program_in_the_runs_folder_is_not_found(tmp_path: Path, monkeypatch: object) -> None:
    """A relative folder on the PATH would make a file among the outputs a program."""
    program("tool", "echo planted", folder="here")
    stage = ShellStage("tool", env={"PATH": "here:."})
    with pytest.raises(ToolError):
        stage.run()


# Identity


def test_inputs_count_by_name_and_content() -> None:
    """The same file in another folder is the same input; another name or content is not."""
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "in.txt").write_text("one")
    Path("a/other.txt").write_text("one")
    stage = ShellStage("cat {in_file}", hash_output="work")
    assert runs(stage, in_file="a/in.txt")
    assert not runs(stage, in_file="b/in.txt")
    assert not runs(stage, in_file=os.path.abspath("a/in.txt"))
    assert runs(stage, in_file="a/other.txt")
    Path("b/in.txt").write_text("two")
    assert runs(stage, in_file="b/in.txt")


def test_a_folder_among_the_inputs_counts_with_all_it_holds() -> None:
    """A command may read all of it (dcm2niix), so a changed file inside reruns."""
    Path("dicoms/deep").mkdir(parents=True)
    Path("dicoms/deep/1.dcm").write_text("one")
    stage = ShellStage("cat {folder}/deep/1.dcm", hash_output="work")
    assert "one" == stage.run("dicoms")["output"]
    assert not runs(stage, folder="dicoms")
    Path("dicoms/deep/1.dcm").write_text("two")
    assert "two" == stage.run("dicoms")["output"]
    assert "folder folder" in str(stage.explain("dicoms").key.surroundings)


def test_a_file_that_only_the_template_names_counts() -> None:
    """An atlas in the template is an input, too."""
    Path("atlas.txt").write_text("one")
    stage = ShellStage(f"cat {Path('atlas.txt').absolute()}", hash_output="work")
    assert "one" == stage.run()["output"]
    assert not runs(stage)
    Path("atlas.txt").write_text("two")
    assert "two" == stage.run()["output"]


def test_a_script_counts_by_content_and_is_found_from_here() -> None:
    """Run by itself or by its interpreter, the user's own script is code."""
    path = program("clean.sh", "echo one", folder="scripts")
    for template in ("scripts/clean.sh {x}", "sh scripts/clean.sh {x}", f"{path} {{x}}"):
        path.write_text("#!/bin/sh\necho one")
        stage = ShellStage(template, hash_output="work", stage_name=template.replace("/", "_"))
        assert "one" == stage.run(x=1)["output"]
        assert not runs(stage, x=1)
        path.write_text("#!/bin/sh\necho two")
        assert "two" == stage.run(x=1)["output"]
        assert "clean.sh" in str(stage.explain(x=1).key.surroundings)


@pytest.mark.parametrize(
    "options", ["-e", "-eu", "-euo pipefail", "-x --", "-o errexit -u", "--norc +x"]
)
def test_a_script_counts_whatever_the_options_of_its_interpreter(options: str) -> None:
    """Only what says that code follows (``-c``) means that no script does."""
    Path("clean.sh").write_text("echo one")
    stage = ShellStage(f"bash {options} clean.sh {{x}}", hash_output="work")
    assert "one" == stage.run(x=1)["output"]
    assert not runs(stage, x=1)
    Path("clean.sh").write_text("echo two")
    assert "two" == stage.run(x=1)["output"]


def test_the_program_behind_a_wrapper_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """``env`` and ``nice`` run another, with its own identity and its suite's variables."""
    inner = program("fslmaths", "echo one")
    stage = ShellStage("env A=1 nice -n 5 fslmaths {x}", hash_output="work")
    assert "one" == stage.run(x=1)["output"]
    assert not runs(stage, x=1)
    inner.write_text("#!/bin/sh\necho two")
    assert "two" == stage.run(x=1)["output"]
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI")
    assert runs(stage, x=1)


def test_what_a_script_reads_is_declared() -> None:
    """depends_on takes the files that a script sources."""
    program("tool", "cat library.txt")
    library = Path("library.txt").absolute()
    library.write_text("one")
    program("tool", f"cat {library}")
    stage = ShellStage("tool", hash_output="work", depends_on=[library])
    assert "one" == stage.run()["output"]
    assert not runs(stage)
    library.write_text("two")
    assert "two" == stage.run()["output"]


def test_programs_that_a_script_calls_are_declared() -> None:
    """Those of uses= count by their own identity, and must be there."""
    inner = program("inner", "echo one")
    program("outer", "inner")
    stage = ShellStage("outer", uses=["inner"], hash_output="work")
    assert "one" == stage.run()["output"]
    assert not runs(stage)
    inner.write_text("#!/bin/sh\necho two")
    assert "two" == stage.run()["output"]
    with pytest.raises(ToolError, match="'innest'"):
        ShellStage("outer", uses="innest").run()


def test_a_full_hit_needs_no_tool() -> None:
    """What was recorded stands when the tool is gone; a miss says what is missing."""
    tool = program("tool", "echo $1")
    stage = ShellStage("tool {x}", hash_output="work")
    stage.run(x=1)
    tool.unlink()
    assert not runs(stage, x=1)
    with pytest.raises(ToolError, match="'tool' is not installed"):
        stage.run(x=2)
    (log,) = Path("work").rglob("failure.txt")
    assert log.read_text().endswith("run this stage alone: its command was not started\n")


def test_a_missing_tool_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package or module is named, before anything runs."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    for command, where in {
        "mrconvert": "apt-get install mrtrix3",
        "wb_command": "connectome-workbench",
        "niimath": "pip install niimath",
        "bet": "module 'fsl'",
        "3dSkullStrip": "AFNI",
        "recon-all": "FreeSurfer",
        "antsRegistration": "ANTs",
    }.items():
        with pytest.raises(ToolError, match=where) as caught:
            ShellStage(f"{command} {{x}}").run(x=1)
        assert command == caught.value.command


def test_the_environment_counts_by_the_suites_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """FSLOUTPUTTYPE is shown by explain; a variable that is on no list changes nothing."""
    program("fslmaths", "echo $FSLOUTPUTTYPE > out.txt")
    stage = ShellStage("fslmaths {x}", outputs="out.txt", hash_output="work")
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI")
    monkeypatch.setenv("MY_SECRET", "hunter2")
    assert runs(stage, x=1)
    monkeypatch.setenv("MY_SECRET", "hunter3")
    assert not runs(stage, x=1)
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI_GZ")
    assert "env FSLOUTPUTTYPE: 'NIFTI' -> 'NIFTI_GZ'" in str(stage.explain(x=1))
    assert runs(stage, x=1)
    records = [path.read_text() for path in Path("work/.memori").rglob("*.json")]
    assert not any("hunter" in record for record in records)


def test_own_variables_count_but_are_not_recorded() -> None:
    """env= reaches the command; its values are recorded as digests."""
    made = [
        ShellStage("sh -c 'echo $TOKEN'", env={"TOKEN": text}, hash_output="work")
        for text in ("secret1", "secret2")
    ]
    assert ["secret1", "secret2"] == [stage.run()["output"] for stage in made]
    assert not runs(made[0])
    names = [path for path in Path("work").rglob("*") if path.is_file()]
    texts = "".join(path.read_text() for path in names if path.suffix in (".stage", ".inputs"))
    assert "secret" not in texts


def test_variables_are_filled_from_inputs() -> None:
    """A folder that a suite takes from the environment (SUBJECTS_DIR) is an input."""
    Path("subjects").mkdir()
    Path("subjects/a").write_text("one")
    stage = ShellStage(
        "sh -c 'cat $SUBJECTS_DIR/a'", env={"SUBJECTS_DIR": "{subjects}"}, hash_output="work"
    )
    assert ["subjects"] == stage.inputs
    assert "one" == stage.run("subjects")["output"]
    Path("subjects/a").write_text("two")
    assert "two" == stage.run("subjects")["output"]


def test_variables_are_filled_as_a_template_is() -> None:
    """With parts of names, defaults, kinds and joined lists."""
    Path("sub").mkdir()
    Path("sub/x.nii.gz").write_text("one")
    Path("text").write_text("a file")
    stage = ShellStage(
        "sh -c 'echo $STEM $TYPE $WORD; cat $FILE'",
        env={"STEM": "{in_file.stem}_b", "TYPE": "{type=NIFTI}", "WORD": "{word: str}:{list::}",
             "FILE": "{in_file}"},
        hash_output="work",
    )  # fmt: skip
    assert ["in_file", "word", "list", "type"] == stage.inputs
    said = stage.run("sub/x.nii.gz", word="text", list=["a", "b"])["output"]
    assert "x_b NIFTI text:a:b\none" == said


def test_a_project_that_moved_keeps_what_its_variables_name(tmp_path: Path) -> None:
    """A file among the variables counts by name and content, as everywhere."""
    Path("project/data").mkdir(parents=True)
    Path("project/data/x").write_text("one")
    os.chdir("project")
    options = {"env": {"FILE": "{in_file}"}, "hash_output": "work"}
    assert runs(ShellStage("sh -c 'cat $FILE'", **options), in_file="data/x")
    os.chdir("..")
    os.rename("project", "moved")
    os.chdir("moved")
    assert not runs(ShellStage("sh -c 'cat $FILE'", **options), in_file="data/x")
    os.chdir(tmp_path)


def test_threads_never_count() -> None:
    """The usual variables are set, {threads} is filled, and another number is a hit."""
    text = "sh -c 'echo $OMP_NUM_THREADS $ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS $MRTRIX_NTHREADS'"
    assert "3 3 3" == ShellStage(text, threads=3, hash_output="work").run()["output"]
    stage = ShellStage(text, threads=5, hash_output="work")
    assert "3 3 3" == stage.run()["output"]
    assert 5 == stage.resources.threads
    field = ShellStage("echo -n {threads} {x}", threads=4, hash_output="work")
    assert "4 1" == field.run(x=1)["output"]
    assert not runs(ShellStage("echo -n {threads} {x}", threads=2, hash_output="work"), x=1)


def test_threads_use_the_tools_own_option() -> None:
    """Where the suite has one, and only there."""
    program("tckgen", 'echo "$@"')
    program("flirt", 'echo "$@"')
    assert "a -nthreads 2" == ShellStage("tckgen a", threads=2).run()["output"]
    assert "a -nthreads 9" == ShellStage("tckgen a -nthreads 9", threads=2).run()["output"]
    assert "a" == ShellStage("flirt a", threads=2).run()["output"]


# Outputs


def test_names_made_of_inputs() -> None:
    """Stems are right for .nii.gz, and an output can be named after another."""
    Path("sub-01_T1w.nii.gz").write_text("x")
    stage = ShellStage(
        "sh -c 'touch $0 $1' {brain} {mask}",
        outputs={"brain": "{in_file.stem}_brain.nii.gz", "mask": "{brain.stem}_mask.nii.gz",
                 "copy": Optional("{in_file.stem}{in_file.suffix}")},
        hash_output="work",
    )  # fmt: skip
    results = stage.run(in_file="sub-01_T1w.nii.gz")
    names = [value and os.path.basename(value) for value in results.values()]
    assert ["sub-01_T1w_brain.nii.gz", "sub-01_T1w_brain_mask.nii.gz", None] == names


def test_several_by_pattern() -> None:
    """Sorted, at least one, and never memori's own files."""
    stage = ShellStage(
        "touch b.txt a.txt c.dat {prefix}1 {prefix}0",
        outputs={"texts": "*.txt", "all": Glob("**"), "prefix": Glob("mats/MAT_*", least=2)},
        hash_output="work",
    )
    results = stage.run()
    assert ["a.txt", "b.txt"] == [os.path.basename(path) for path in results["texts"]]
    assert ["MAT_0", "MAT_1"] == [os.path.basename(path) for path in results["prefix"]]
    assert 5 == len(results["all"])
    assert not runs(stage)
    os.unlink(results["texts"][0])
    assert runs(stage)


def test_a_pattern_with_an_input_in_it_is_taken_literally() -> None:
    """A star or bracket in a file name is no wildcard."""
    Path("x[1]*.nii").touch()
    stage = ShellStage("touch x[1]*_a x1_a", outputs={"o": "{in_file.stem}_*"})
    assert ["x[1]*_a"] == [os.path.basename(p) for p in stage.run("x[1]*.nii")["o"]]


def test_a_folder_is_made_and_counts_with_all_it_holds() -> None:
    """An edited file inside it is an edited output."""
    stage = ShellStage(
        "sh -c 'mkdir $0/deep; echo 1 > $0/deep/x' {out}", outputs={"out": "out/"}, hash_output="w"
    )
    out = stage.run()["out"]
    assert isinstance(out, memori.Folder)
    assert not runs(stage)
    Path(out, "deep/x").write_text("edited")
    assert runs(stage)


def test_a_folder_that_the_command_makes_itself() -> None:
    """A fixed name takes what is there, a file or a folder."""
    stage = ShellStage("mkdir {out}", outputs={"out": memori.Folder("x")})
    with pytest.raises(CommandError, match="File exists"):
        stage.run()
    stage = ShellStage("sh -c 'mkdir $0; touch $0/a' {out}", outputs={"out": "melodic.ica"})
    assert os.path.isdir(stage.run()["out"])


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        (Stdout(), "a\nb\n", "a\nb"),
        (Stdout(float), "1.5 \n", 1.5),
        (Stdout(int), "3\n", 3),
        (Stdout(numbers), "1 2.5,3\n", [1.0, 2.5, 3.0]),
        (Stdout(json.loads), '{"a": [1]}', {"a": [1]}),
        (Stdout(table), "#x y\n1 a\n2 b\n", [[1, "a"], [2, "b"]]),
        (Stdout(pairs), "Type:  Volume\nMaps = 3\nnoise\n", {"Type": "Volume", "Maps": 3}),
    ],
)
def test_what_is_printed_is_a_value(spec: Stdout, text: str, expected: object) -> None:
    """Text, numbers, JSON and tables, recorded like any value."""
    stage = ShellStage("printf %s {text: str}", outputs=spec, hash_output="work")
    assert expected == stage.run(text)["output"]
    assert expected == stage.run(text)["output"]
    assert not stage.state


def test_what_is_printed_can_be_a_file() -> None:
    """In place of a shell's > (3dmaskave)."""
    stage = ShellStage("echo 1 2 3", outputs={"series": Stdout(file="mean.1D")}, hash_output="work")
    path = stage.run()["series"]
    assert ("mean.1D", "1 2 3\n") == (os.path.basename(path), Path(path).read_text())


def test_what_is_printed_and_does_not_fit_is_an_error() -> None:
    """The text is shown."""
    with pytest.raises(CommandError, match="'not a number"):
        ShellStage("echo not a number", outputs=Stdout(float)).run()


def test_a_command_may_change_a_copy_of_its_input() -> None:
    """Tools that work in place (3drefit, fslcpgeom) leave the user's file alone."""
    source = Path("in.txt")
    source.write_text("one\n")
    source.chmod(0o444)
    stage = ShellStage(
        "sh -c 'echo two >> $0' {changed}", outputs={"changed": Copy("in_file")}, hash_output="work"
    )
    assert ["in_file"] == stage.inputs
    assert "one\ntwo\n" == Path(stage.run("in.txt")["changed"]).read_text()
    assert "one\n" == source.read_text()
    assert not runs(stage, in_file="in.txt")


def test_the_real_extension_is_found() -> None:
    """FSL writes what FSLOUTPUTTYPE says, AFNI adds its view."""
    Path("x").touch()
    stage = ShellStage("touch brain.nii s+orig.HEAD s+orig.BRIK", outputs={
        "brain": "brain.nii.gz", "bare": "brain", "s": "s"})  # fmt: skip
    names = [os.path.basename(path) for path in stage.run().values()]
    assert ["brain.nii", "brain.nii", "s+orig.HEAD"] == names


def test_a_missing_output_lists_what_is_there() -> None:
    """The error names output, expectation and the folder's content."""
    stage = ShellStage("touch other.nii", outputs={"brain": "brain.nii.gz"}, hash_output="work")
    with pytest.raises(CommandError, match=r"output 'brain' is missing.*'other.nii'"):
        stage.run()
    with pytest.raises(CommandError, match=r"at least 1 of \*.mat; the folder holds nothing"):
        ShellStage("true", outputs="*.mat").run()
    with pytest.raises(CommandError, match="with something in it"):
        ShellStage("true", outputs="empty/").run()


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../../x", ".", "stdout.txt", "./stderr.txt", "{x}", "failure.txt"]
)
def test_an_output_stays_in_the_runs_folder(name: str) -> None:
    """A name that leads out of it, or is memori's, is refused before anything runs."""
    static = {"x": "/tmp/x"} if "{" in name else {}
    stage = ShellStage("touch ran", outputs={"o": name}, **static)
    with pytest.raises(TemplateError, match=r"inside the run's folder|memori writes itself"):
        stage.run()


def test_unknown_kinds_of_outputs_are_refused() -> None:
    """At once, with what there is."""
    with pytest.raises(TypeError, match="Folder, Glob, Optional, Copy"):
        ShellStage("true", outputs={"x": 5})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="nothing to remember"):
        ShellStage("true", outputs={})


def test_outputs_belong_to_their_run() -> None:
    """Another run never overwrites them; a deleted one reruns."""
    stage = ShellStage("sh -c 'echo $0 > $1' {x} {o}", outputs={"o": "o.txt"}, hash_output="work")
    one, two = stage.run(x=1)["o"], stage.run(x=2)["o"]
    assert ("1\n", "2\n") == (Path(one).read_text(), Path(two).read_text())
    assert not runs(stage, x=1)
    os.unlink(one)
    assert runs(stage, x=1)


def test_inputs_can_be_links_in_the_runs_folder() -> None:
    """For tools that write beside their input; links are no outputs."""
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "img.txt").write_text(folder)
    stage = ShellStage(
        "sh -c 'cat $0 $1; echo beside > $0.log; pwd' {first} {second}",
        outputs={"log": "img.txt.log", "all": Glob("*.txt", least=0), "text": Stdout()},
        link_inputs=True,
        hash_output="work",
    )
    results = stage.run("a/img.txt", "b/img.txt")
    assert results["text"].startswith("ab")
    assert [] == results["all"]
    assert not Path("a/img.txt.log").exists()
    assert not runs(stage, first="a/img.txt", second="b/img.txt")


# Failures


def test_a_failure_is_understood_at_once() -> None:
    """Command, exit code, stage, last lines and log, in the text and as fields."""
    tool = program("bet", "echo fine; seq 1 30 >&2; echo '** ERROR: no header' >&2; exit 7")
    stage = ShellStage("bet {in_file} -f {frac=0.5}", hash_output="work", stage_name="brain")
    with pytest.raises(CommandError) as caught:
        stage.run("my T1.nii")
    error, text = caught.value, str(caught.value)
    assert tool.name == "bet"
    assert "bet exited with code 7 after" in text
    assert "(stage 'brain')" in text
    assert "$ bet 'my T1.nii' -f 0.5" in text
    assert "** ERROR: no header" in text
    assert "stderr: 12\n          13\n" in text
    assert (7, ["bet", "my T1.nii", "-f", "0.5"], "brain", False) == (
        error.code, error.argv, error.stage_name, error.timed_out)  # fmt: skip
    assert 20 == len(error.stderr.splitlines())
    assert "fine\n" == Path(error.folder, "stdout.txt").read_text()
    assert 31 == len(Path(error.log).read_text().splitlines())
    assert text in Path(error.folder, "failure.txt").read_text()
    again = pickle.loads(pickle.dumps(error))
    assert (text, 7, error.log) == (str(again), again.code, again.log)


def test_what_only_stdout_says_is_shown() -> None:
    """Some tools report their errors there."""
    with pytest.raises(CommandError, match="stdout: Image Exception"):
        ShellStage("sh -c 'echo Image Exception; exit 1'").run()


def test_a_killed_command_is_named_by_its_signal() -> None:
    """A crash is told from an error."""
    with pytest.raises(CommandError, match=r"killed by signal 11 \(SIGSEGV\)"):
        ShellStage("sh -c 'kill -SEGV $$'").run()


def test_exit_codes_that_mean_success() -> None:
    """Some tools end well with another code."""
    assert "x" == ShellStage("sh -c 'echo x; exit 3'", exit_codes=[0, 3]).run()["output"]


def test_what_was_accepted_under_another_rule_is_no_hit(caplog: pytest.LogCaptureFixture) -> None:
    """A run that ended with code 3 is not taken for good once 3 means that it failed."""
    loose = ShellStage("sh -c 'echo x; exit 3'", hash_output="work", exit_codes=[3, 0, 3])
    loose.run()
    again = ShellStage("sh -c 'echo x; exit 3'", hash_output="work", exit_codes=(0, 3))
    again.run()
    assert not again.state
    strict = ShellStage("sh -c 'echo x; exit 3'", hash_output="work")
    assert "exit codes" in str(strict.explain())
    with pytest.raises(CommandError, match="exited with code 3"):
        strict.run()
    loose.run()
    assert not loose.state


@pytest.mark.parametrize("option", [{"timeout": 9}, {"retries": 2}, {"allow_dash": ["x"]}])
def test_how_a_run_is_watched_does_not_count(option: dict[str, object]) -> None:
    """What succeeded within a time, after retries or in spite of a dash, succeeded."""
    ShellStage("echo {x}", hash_output="work").run("x")
    other = ShellStage("echo {x}", hash_output="work", **option)
    other.run("x")
    assert not other.state


def test_a_timeout_is_what_it_is_of_a_function() -> None:
    """The command is ended, its error is both, and what it had printed until then is kept."""
    end = os.path.abspath("end")
    stage = ShellStage(
        "sh -c 'echo half; echo way >&2; sleep 60; touch $0' {end}",
        hash_output="work",
        stage_name="slow",
        timeout="0.3 seconds",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TimeLimitError, match=r"longer than its timeout of 0\.3 s") as caught:
            stage.run(end)
    error = caught.value
    assert isinstance(error, CommandError)
    assert isinstance(error, TimeoutError)
    assert (True, "slow", 0.3) == (error.timed_out, error.stage, error.seconds)
    assert not os.path.exists(end)
    assert "half\n" == Path(error.folder, "stdout.txt").read_text()
    assert "stderr: way\n" in Path(error.folder, "failure.txt").read_text()
    again = pickle.loads(pickle.dumps(error))
    assert (str(error), 0.3, error.argv) == (str(again), again.seconds, again.argv)


def test_the_time_of_a_stage_around_a_command_is_that_stages() -> None:
    """It is no failure of the command to start."""
    inner = ShellStage("sleep 60", hash_output="work", stage_name="inner")
    with pytest.raises(TimeLimitError, match="'outer'") as caught:
        Stage(lambda: inner.run(), stage_name="outer", timeout=0.3).run()
    assert not isinstance(caught.value, CommandError)


def test_a_wrong_timeout_is_an_error_when_the_stage_is_made() -> None:
    """And not when the command has begun."""
    with pytest.raises(ValueError, match="stage 'true': timeout is 'soon'"):
        ShellStage("true", timeout="soon")


def test_retries_begin_in_an_empty_folder(caplog: pytest.LogCaptureFixture) -> None:
    """A tool that fails now and then is tried again, without what it left."""
    counter = Path("counter").absolute()
    program(
        "flaky",
        f"test -e half && exit 9; touch half; echo x >> {counter}; test $(wc -l < {counter}) -ge 3",
    )
    stage = ShellStage("flaky", outputs={"half": "half"}, retries=2, hash_output="work")
    with caplog.at_level(logging.WARNING):
        assert os.path.exists(stage.run()["half"])
    assert 2 == len([r for r in caplog.records if "tried again" in r.message])
    counter.unlink()
    with pytest.raises(CommandError, match="exited with code 1"):
        ShellStage("flaky", outputs={"half": "half"}, retries=1).run()


def test_an_interrupt_is_not_tried_again() -> None:
    """What the user ended stays ended."""
    stage = ShellStage("sh -c 'touch began; sleep 60'", retries=5, hash_output="work")
    errors: list[CommandError] = []

    def run() -> None:
        try:
            stage.run()
        except CommandError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not list(Path("work").glob("sh/*/began")):
        time.sleep(0.02)
    end_all()
    thread.join(10)
    assert [True] == [error.interrupted for error in errors]


def test_what_ends_well_when_it_is_interrupted_is_no_success() -> None:
    """A tool that heeds the signal and exits with 0 has not done what it was run for."""
    text = """#!/bin/sh
trap 'exit 0' TERM
touch "$1/began"; sleep 60 & wait
"""
    program("heeds", text)
    stage = ShellStage(f"heeds {Path.cwd()}", hash_output="work")
    errors: list[CommandError] = []

    def run() -> None:
        try:
            stage.run()
        except CommandError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not Path("began").exists():
        time.sleep(0.02)
    end_all()
    thread.join(10)
    assert [(True, 0)] == [(error.interrupted, error.code) for error in errors]
    assert not stage.is_remembered()


def test_an_interrupt_holds_for_what_is_about_to_run() -> None:
    """A thread that was still reading its inputs starts no command afterwards; a later run does."""
    asked = threading.Event()
    ended = threading.Event()

    def argv(x: int) -> list[str]:
        if threading.current_thread() is not threading.main_thread():
            asked.set()
            ended.wait(10)
        return ["touch", "ran"]

    stage = ShellStage(argv, outputs="ran", hash_output="work", stage_name="touch")
    errors: list[CommandError] = []

    def run() -> None:
        try:
            stage.run(x=1)
        except CommandError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert asked.wait(10)
    end_all()
    ended.set()
    thread.join(10)
    assert [True] == [error.interrupted for error in errors]
    assert os.path.exists(stage.run(x=1)["output"])


def test_a_failure_leaves_no_entry_and_is_replaced_by_the_next_try() -> None:
    """Its folder is evidence until then."""
    tool = program("tool", "touch evidence; exit 1")
    stage = ShellStage("tool {x}", outputs={"o": "o"}, hash_output="work", code_version="1")
    with pytest.raises(CommandError) as caught:
        stage.run(x=1)
    assert {"evidence", "failure.txt", "reproduce.py", "stderr.txt", "stdout.txt"} == set(
        os.listdir(caught.value.folder)
    )
    with pytest.raises(StageError):
        stage.run(x=1, force_skip_stage=True)
    tool.write_text("#!/bin/sh\ntouch o")
    assert os.path.exists(stage.run(x=1)["o"])
    assert not Path(os.path.dirname(stage.results["o"]), "evidence").exists()


def test_disk_use_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old failures go, large files of new ones too, and no run that ended well."""
    monkeypatch.setattr("memori.store.failures.ROOM", 10_000)
    program("tool", "head -c 50000 /dev/zero > big; echo x > small; test $1 = 0")
    stage = ShellStage("tool {x}", outputs={"o": "big"}, hash_output="work")
    good = stage.run(x=0)["o"]
    for x in range(1, KEPT + 4):
        with pytest.raises(CommandError) as caught:
            stage.run(x=x)
    failed = list(Path("work/tool").glob("*/failure.txt"))
    assert len(failed) == KEPT
    assert {"small", "failure.txt", "reproduce.py", "stderr.txt", "stdout.txt"} == set(
        os.listdir(caught.value.folder)
    )
    assert "removed to save room: big (50000 bytes)" in failed[0].read_text()
    assert 50000 == os.path.getsize(good)


def test_cleaning_follows_no_link() -> None:
    """A link that a failed command left to somewhere else is removed, not followed."""
    Path("precious").mkdir()
    Path("precious/data").write_text("x")
    target = Path("precious").absolute()
    program("tool", f"ln -s {target} link; ln -s {target}/data file; test -e {target}/go")
    stage = ShellStage("tool", outputs={"o": "link"}, hash_output="work", retries=1)
    for _ in range(2):
        with pytest.raises(CommandError):
            stage.run()
    assert "x" == Path("precious/data").read_text()
    with pytest.raises(CommandError, match="at least 1"):
        ShellStage("ln -s /etc link", outputs={"o": "link/*"}).run()


def test_a_failure_is_told_where_the_current_folder_is_gone(tmp_path: Path) -> None:
    """The path of its log is then given whole."""
    Path("gone").mkdir()
    os.chdir("gone")
    os.rmdir(tmp_path / "gone")
    error = CommandError("failed", argv=["x"], code=1, seconds=0.0, stage_name="x", folder="/f")
    os.chdir(tmp_path)
    assert "log: /f/stderr.txt" in str(error)


def test_the_run_can_be_followed_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG each line is there."""
    with caplog.at_level(logging.DEBUG, logger="memori"):
        ShellStage("sh -c 'echo one; echo two >&2'").run()
    assert {"stdout: one", "stderr: two"} <= set(caplog.messages)


def test_the_runs_folder_holds_the_streams() -> None:
    """Where a person would look for them."""
    ShellStage("sh -c 'echo one; echo two >&2'", hash_output="work", stage_name="say").run()
    assert "one\n" == Path("work/say/latest/stdout.txt").read_text()
    assert "two\n" == Path("work/say/latest/stderr.txt").read_text()


def test_a_stage_travels_to_other_processes() -> None:
    """For executors: plain pickle is enough for a template."""
    stage = pickle.loads(pickle.dumps(ShellStage("echo {x} [-v]", hash_output="work", x=3)))
    assert "3" == stage.run()["output"]


def test_permissions_of_the_tool_are_checked() -> None:
    """A file that is no program is an error before anything runs."""
    path = program("tool", "echo x", folder="own")
    path.chmod(stat.S_IRUSR)
    with pytest.raises(ToolError, match="is not executable"):
        ShellStage("own/tool").run()
