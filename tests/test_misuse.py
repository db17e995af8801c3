"""What is said to who uses a stage or a pipeline in a wrong way, before anything runs."""

import functools
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Results, Stage, remembered
from memori.neuro import (
    Dataset,
    Derivatives,
    NipypeStage,
    ShellStage,
    app,
    as_stage,
    remember_workflow,
    save_gifti,
    save_image,
)


def scale(values: list[float], factor: float = 2) -> list[float]:
    return [factor * value for value in values]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: Stage(scale, stage_name=3), "stage 'scale': stage_name=3; expected a text"),
        (lambda: Stage(scale, stage_name=Path("a")), "expected a text, or None"),
        (lambda: Stage(scale, stage_outputs="a, b"), r"give a list: \['a', 'b'\]"),
        (lambda: Stage(scale([1])), "the function itself and not what it returns"),
        (lambda: Stage(scale, hash_output="work/{values"), "brace without its other half"),
        (lambda: Stage(scale, ignore=3), "stage 'scale', ignore: expected a text or a list"),
        (lambda: Stage(scale, ignore_reads=3), "stage 'scale', ignore_reads: expected a text"),
        (lambda: Stage(scale, ignore_reads=[3]), "stage 'scale', ignore_reads: expected a text"),
        (lambda: Stage(scale, remember="no"), "stage 'scale': remember='no'; it is True or False"),
        (lambda: Stage(scale, code_version=3), "stage 'scale': code_version=3; it is a text"),
        (lambda: Stage(scale, timeout=0), "stage 'scale': timeout is 0"),
        (lambda: ShellStage("ls", stage_outputs=["a"]), "outputs={'mask': 'mask.nii.gz'}"),
        (lambda: ShellStage("ls", env="A=1"), "env='A=1'; it is a mapping"),
        (lambda: ShellStage("ls", stage_name=3), "stage 'ls': stage_name=3"),
        (lambda: app(scale, inputs="bold", outputs={}), "inputs='bold'; expected what a case"),
        (lambda: save_gifti([1.0]), "save_gifti: expected a nibabel GiftiImage, got list"),
        (lambda: save_image([[[1.0]]], like=[1]), "save_image: like=list; expected an image"),
    ],
)
def test_a_wrong_option_is_refused_with_what_was_expected(
    wrong: Callable[[], Any], told: str
) -> None:
    """The error names the stage and the option, what was given and what is expected."""
    with pytest.raises((TypeError, ValueError), match=told):
        wrong()


def test_a_nipype_stage_tells_of_nodes_and_of_outputs() -> None:
    """What is meant for a node, a workflow or a stage of a function has its own spelling."""
    from nipype import Node, Workflow
    from nipype.interfaces.utility import Rename

    for wrong, instead in (
        (Node(Rename(), name="x"), "NipypeStage\\(node.interface\\)"),
        (Workflow("x"), "as_stage\\(workflow\\)"),
    ):
        with pytest.raises(TypeError, match=instead):
            NipypeStage(wrong)
    with pytest.raises(TypeError, match="the outputs of an interface are its own"):
        NipypeStage(Rename(), stage_outputs=["a"])


def test_a_workflow_is_refused_before_its_nodes_run(tmp_path: Path) -> None:
    """Fields without names, and a memory that is no folder."""
    from nipype import Workflow

    (tmp_path / "file").write_text("")
    with pytest.raises(TypeError, match=r"inputs=\['a.in_file'\]; expected names"):
        as_stage(Workflow("x"), ["a.in_file"], {})  # type: ignore[arg-type]
    with pytest.raises(NotADirectoryError, match=r"hash_output=.* is no folder"):
        remember_workflow(Workflow("x"), tmp_path / "file")


def test_a_dataset_is_asked_for_a_suffix_alone(tmp_path: Path) -> None:
    """What stands behind the dot is the extension; outputs of derivatives have names."""
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    image = tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image.write_text("")

    with pytest.raises(ValueError, match=r"write suffix='T1w', extension='.nii.gz'"):
        Dataset(tmp_path).files(suffix="T1w.nii.gz")
    with pytest.raises(TypeError, match="expected the name of each output"):
        Derivatives(tmp_path / "out").map(
            Pipeline([("start", Stage(scale))]), [{"values": str(image)}], ["x"], source="values"
        )  # type: ignore[call-overload]


def test_one_pattern_to_ignore_needs_no_list(tmp_path: Path) -> None:
    """A text is one pattern, not one for each of its letters: what it does not name counts."""
    setting = tmp_path / "setting.txt"
    setting.write_text("2")
    stage = Stage(
        lambda x: x * int(setting.read_text()),
        hash_output=tmp_path / "work",
        ignore_reads="*.log",
        stage_name="times",
    )
    assert {"output": 6} == stage.run(3)

    setting.write_text("5")

    assert {"output": 15} == stage.run(3)


def test_a_misspelt_output_names_the_nearest() -> None:
    """It stays a KeyError with the key; the note says what there is."""
    results = Results({"mean": 1.5, "count": 3})

    with pytest.raises(KeyError) as caught:
        results["maen"]
    assert ("maen",) == caught.value.args
    assert "did you mean 'mean'? (outputs: mean, count)" in caught.value.__notes__[0]
    with pytest.raises(AttributeError, match=r"write results\['mean'\]"):
        _ = results.mean
    assert None is results.get("maen")


def test_an_error_that_does_not_say_which_stage_is_noted(tmp_path: Path) -> None:
    """What a command cannot spell is told with the name of its stage."""
    stage = ShellStage("echo {a}", hash_output=tmp_path)

    with pytest.raises(Exception, match="which has no spelling") as caught:
        stage.run(a=None)
    assert ["memori: in stage 'echo'"] == caught.value.__notes__


def test_a_field_that_is_not_given_is_told_as_a_field(tmp_path: Path) -> None:
    """Who reads it need not look for a parameter of that name."""
    stage = Stage(scale, hash_output=tmp_path / "{subject}")

    with pytest.raises(TypeError, match=r"needs 'subject' \(for \{subject\} in hash_output\)"):
        stage.run([1.0])


def test_a_pipeline_says_how_it_is_meant(tmp_path: Path) -> None:
    """A line the wrong way round, a case by position, a stage's own option, a case for cases."""
    stage = Stage(scale, "scaled")
    add = Stage(lambda scaled, values: [*scaled, *values], "all", stage_name="add")
    pipeline = Pipeline([("start", stage), (("start", stage), add)])

    with pytest.raises(TypeError, match="'start' stands first"):
        Pipeline([(stage, "start")])
    with pytest.raises(TypeError, match=r"passed by name: run\(\*\*case\)"):
        pipeline.run({"values": [1.0]})
    with pytest.raises(TypeError, match=r"given to one stage, stage.run\(..., force_run_stage"):
        pipeline.run(values=[1.0], force_run_stage=True)
    with pytest.raises(TypeError, match=r"of one case give \[case\]"):
        pipeline.map({"values": [1.0]})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has no method decided"):
        pipeline.map([{"values": [1.0]}], observer=print)  # type: ignore[call-overload]


def test_the_place_of_an_output_is_no_input(tmp_path: Path) -> None:
    """A command's output lies in the run's folder, and the error says so."""
    stage = ShellStage("cp {a} {copy}", outputs={"copy": "copy.txt"}, hash_output=tmp_path)

    with pytest.raises(TypeError, match=r"takes no 'copy': it is an output, .* returns its path"):
        stage.run(a=__file__, copy="mine.txt")
    with pytest.raises(TypeError, match=r"takes no 'b' \(parameters: a\)"):
        stage.run(a=__file__, b=1)


class Model:
    """A model with a method that is remembered."""

    def __init__(self, slope: int) -> None:
        self.slope = slope

    def fit(self, value: int) -> int:
        """Return a value of the model."""
        return self.slope * value


def test_a_method_is_taken_from_its_object(tmp_path: Path) -> None:
    """The error says so, and then the object counts."""
    model = Model(3)

    with pytest.raises(TypeError, match=r"remembered\(...\)\(model.fit\)\.$"):
        remembered(tmp_path)(Model.fit)(model, 2)
    with pytest.raises(TypeError, match=r"Stage\(model.fit, ...\)"):
        Stage(Model.fit, "value", tmp_path).run(model, 2)

    assert 6 == remembered(tmp_path)(model.fit)(2)
    model.slope = 4
    assert 8 == remembered(tmp_path)(model.fit)(2)


def test_a_class_method_is_taken_from_its_class(tmp_path: Path) -> None:
    """Remembered below `@classmethod`, the error names the method that counts with its class."""

    class Model:
        @classmethod
        @remembered(tmp_path)
        def fit(cls, x: int) -> int:
            return x

    with pytest.raises(TypeError, match=r"got builtins.type.*take the bound method") as error:
        Model.fit(1)
    assert "annotations" not in str(error.value)


def test_a_function_is_bound_and_not_passed(tmp_path: Path) -> None:
    """A function as an argument is refused with the line that makes it count as code."""

    def apply(x: int, rule: Callable[[int], int]) -> int:
        return rule(x)

    with pytest.raises(TypeError, match=r"argument 'rule'.*functools.partial"):
        Stage(apply, "y", tmp_path).run(3, rule=abs)
    assert Stage(functools.partial(apply, rule=abs), "y", tmp_path).run(-3) == {"y": 3}


def test_a_reduction_says_what_the_cases_have() -> None:
    """A parameter that nothing is called like is met before the stage runs."""
    cases = Pipeline([("start", Stage(scale, "scaled"))]).map([{"values": [1.0]}])

    with pytest.raises(TypeError, match=r"needs 'scales', and no case .* they have scaled, values"):
        cases.reduce(Stage(lambda scales: scales, stage_name="mean"))


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (iter([1]), "Pass list(value)"),
        (range(3), "Pass list(value)"),
        ({}.keys(), "Pass list(value)"),
        (Decimal("1.5"), "Pass str(value)"),
        (date(2020, 1, 1), "Pass str(value)"),
        (StringIO("text"), "Pass the path of the file"),
        ({1: 2}, "the key 1 is not a string (write '1')"),
    ],
)
def test_what_is_no_json_has_its_own_remedy(value: object, remedy: str) -> None:
    """The error says how this very kind of value is passed."""
    with pytest.raises(TypeError, match=re.escape(remedy)):
        Stage(scale).run(value)


def test_a_step_is_not_explained_by_another_one_of_the_same_name(tmp_path: Path) -> None:
    """Two steps of one tool bear its name; the second one's first run has no changes."""
    add = Stage(lambda x: x + 1, "y", tmp_path, "step")
    double = Stage(lambda y: 2 * y, "z", tmp_path, "step")
    add.run(x=1)

    assert {"step": "no run with these inputs is recorded"} == double.run(y=2).reasons
    assert {"step": "input y: 2 -> 3"} == double.run(y=3).reasons
    assert {"step": "input x: 1 -> 2"} == add.run(x=2).reasons
