"""A stage remembers what it ran, and shows what it did."""

from __future__ import annotations

import functools
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memori
from memori import Pipeline, RecordError, Results, Stage, StageError, workdir


class Calls(list[Any]):
    """Counts calls; an own class, so that its content is no part of the code."""


def counted(calls: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that each call leaves a line in a file outside of the inputs."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return function(*args, **kwargs)

    return wrapper


def add(x: int, y: int, z: int = 3) -> int:
    return x + y + z


def test_a_stage_runs_once_for_the_same_arguments(tmp_path: Path) -> None:
    """The second run comes back from memory, with the same results."""
    stage = Stage(add, stage_outputs=["total"], hash_output=tmp_path)
    assert {"total": 6} == stage.run(1, 2)
    assert stage.state is True
    assert {"total": 6} == stage.run(1, y=2)
    assert stage.state is False


def test_a_stage_run_twice_with_other_arguments_gives_other_results(tmp_path: Path) -> None:
    """Nothing of one run leaks into the next."""
    stage = Stage(add, hash_output=tmp_path)
    assert {"output": 6} == stage.run(1, 2)
    assert {"output": 60} == stage.run(10, 20, z=30)
    assert {"x": 10, "y": 20, "z": 30} == stage.input_args
    assert {"output": 33} == stage.run(10, 20)
    assert {"x": 10, "y": 20, "z": 3} == stage.input_args


def test_going_back_to_earlier_parameters_is_a_hit(tmp_path: Path) -> None:
    """k=1, 2, 1 runs twice."""
    stage = Stage(add, hash_output=tmp_path)
    states = [(stage.run(k, 0), stage.state)[1] for k in (1, 2, 1)]
    assert [True, True, False] == states


def test_static_values_win_over_run_time_values() -> None:
    """A value given at construction cannot be overridden by a run."""
    stage = Stage(add, x=10)
    assert {"output": 15} == stage.run(1, 2)
    assert {"output": 15} == stage.run(x=1, y=2)
    assert {"x": 10} == stage.args


def test_results_are_passed_on_by_name() -> None:
    """**results and a single Results both fill the parameters of the next stage."""
    first = Stage(lambda a, b, c: (a + b, c), stage_outputs=["x", "y"])
    second = Stage(lambda x, y: x * y, "z")
    assert {"z": 9} == second.run(**first.run(1, 2, 3))
    assert {"z": 9} == second.run(first.run(1, 2, 3))


def test_names_that_the_next_stage_does_not_take_are_left_out_of_results() -> None:
    """A single Results may offer more than is taken; keywords may not."""
    first = Stage(lambda: (1, 2), ["x", "unused"])
    second = Stage(lambda x: x, "z")
    assert {"z": 1} == second.run(first.run())
    with pytest.raises(TypeError, match="unused"):
        second.run(**first.run())


def test_a_wrong_name_is_an_error_with_the_nearest_spelling() -> None:
    """A typing mistake is found at once, at construction as at a run."""

    def smooth(image: str, fwhm: float = 6.0) -> str:
        return image

    with pytest.raises(TypeError, match="stage 'smooth' takes no 'fhwm'; did you mean 'fwhm'"):
        Stage(smooth, fhwm=4)
    with pytest.raises(TypeError, match=r"parameters: image, fwhm"):
        Stage(smooth).run("a", sigma=4)
    with pytest.raises(TypeError, match="did you mean 'hash_output'"):
        Stage(smooth, hash_ouput="work")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hash_output": 3}, "hash_output=3; expected a folder"),
        ({"hash_output": b"work"}, "hash_output=b'work'; expected a folder"),
        ({"hash_output": ["work", None]}, "expected a folder"),
        ({"aliases": ["a"]}, r"aliases are {output: further name}, got \['a'\]"),
    ],
)
def test_an_option_of_another_kind_is_told_with_what_was_expected(
    wrong: dict[str, Any], said: str
) -> None:
    """The error names the stage and the option, not what memori did with it."""
    with pytest.raises(TypeError, match=f"stage 'len': .*{said}"):
        Stage(len, **wrong)


def test_a_missing_argument_is_named_before_anything_runs() -> None:
    """The error says which parameters nothing fills."""
    with pytest.raises(TypeError, match="stage 'add' needs 'y'"):
        Stage(add).run(1)
    with pytest.raises(TypeError, match="takes 3 positional arguments, got 4"):
        Stage(add).run(1, 2, 3, 4)
    with pytest.raises(TypeError, match="'x' by position and by name"):
        Stage(add).run(1, x=2)


def test_both_spellings_of_stage_outputs_work() -> None:
    """stage_output and a plain string are accepted."""
    assert {"a": 6} == Stage(add, stage_output="a").run(1, 2)
    assert {"a": 6} == Stage(add, stage_output=["a"]).run(1, 2)
    assert {"output": 6} == Stage(add).run(1, 2)
    with pytest.raises(TypeError, match="give one"):
        Stage(add, stage_outputs="a", stage_output="b")


def test_one_name_takes_the_value_whole_and_several_take_exactly_as_many() -> None:
    """A list stays a list under one name; a wrong count is an error with both counts."""
    assert {"a": [1, 2]} == Stage(lambda: (1, 2), "a").run()
    assert {"a": 1, "b": 2} == Stage(lambda: [1, 2], ["a", "b"]).run()
    with pytest.raises(StageError, match=r"declares 3 outputs \(a, b, c\) and returned 2 values"):
        Stage(lambda: (1, 2), ["a", "b", "c"]).run()
    with pytest.raises(StageError, match="declares 2 outputs"):
        Stage(lambda: "ab", ["a", "b"]).run()
    assert {} == Stage(lambda: None, []).run()


def test_the_first_run_returns_just_what_a_hit_returns(tmp_path: Path) -> None:
    """Tuples, paths and numpy scalars become JSON on the first run already."""

    def values() -> Any:
        return {"t": (1, (2,)), "p": Path("a/b"), "n": np.float64(0.1), "nan": float("nan")}

    stage = Stage(values, hash_output=tmp_path)
    first = stage.run()
    again = stage.run()
    assert repr({"output": {"t": [1, [2]], "p": "a/b", "n": 0.1, "nan": float("nan")}}) == repr(
        dict(first)
    )
    assert repr(first) == repr(again)


def test_the_callable_is_given_json_as_on_every_run() -> None:
    """A Path arrives as str and a tuple as list, whether it comes from a user or a stage."""
    seen = Stage(lambda p, t: [type(p).__name__, type(t).__name__]).run(Path("x"), (1, 2))
    assert {"output": ["str", "list"]} == seen


def test_a_callable_that_changes_its_arguments_changes_nothing_else(tmp_path: Path) -> None:
    """Inputs are recorded as they were passed, and the caller's list is left alone."""

    def consume(items: list[int]) -> int:
        total = sum(items)
        items.clear()
        return total

    mine = [1, 2]
    stage = Stage(consume, hash_output=tmp_path, stage_name="consume")
    assert {"output": 3} == stage.run(mine)
    assert [1, 2] == mine
    assert {"items": [1, 2]} == stage.input_args
    assert {"output": 3} == stage.run([1, 2])
    assert stage.state is False


def test_changing_results_does_not_change_what_comes_back_next(tmp_path: Path) -> None:
    """Recorded values are copied out of memory."""
    stage = Stage(lambda: [1, 2], hash_output=tmp_path, stage_name="s")
    stage.run()["output"].append(3)
    stage.run()["output"].append(4)
    assert {"output": [1, 2]} == stage.run()


def test_the_properties_of_a_stage_show_its_last_run(tmp_path: Path) -> None:
    """inputs, outputs, args, input_args, results, state and hash_output can be read."""
    stage = Stage(add, ["total"], tmp_path, "sum", {"total": "sum"}, z=1)
    assert ["x", "y", "z"] == stage.inputs
    assert ["total"] == stage.outputs
    assert {"z": 1} == stage.args
    assert {} == stage.results
    assert stage.state is False
    stage.run(1, 2)
    assert {"x": 1, "y": 2, "z": 1} == stage.input_args
    assert {"total": 4, "sum": 4} == stage.results
    assert str(tmp_path) == stage.hash_output
    for name in ("inputs", "outputs", "args", "input_args", "results", "state"):
        with pytest.raises(AttributeError):
            setattr(stage, name, None)


def test_an_alias_offers_an_output_under_another_name(tmp_path: Path) -> None:
    """aliases={"a": "b"} also offers output a as b, on the first run as on a hit."""
    stage = Stage(add, "a", tmp_path, aliases={"a": "b"})
    assert {"a": 6, "b": 6} == stage.run(1, 2)
    assert {"a": 6, "b": 6} == stage.run(1, 2)
    with pytest.raises(ValueError, match="alias of 'q' names no output"):
        Stage(add, "a", aliases={"q": "b"})


def test_three_files_describe_the_latest_run(tmp_path: Path) -> None:
    """NAME.inputs, NAME.outputs and NAME.stage are indented JSON of the latest run."""
    image = tmp_path / "a.txt"
    image.write_text("data")
    stage = Stage(lambda file, k: [file, k], hash_output=tmp_path / "w", stage_name="pick")
    for k in (1, 2, 1):  # the last one is a hit, and is shown all the same
        stage.run(str(image), k)
    inputs = json.loads((tmp_path / "w" / "pick.inputs").read_text())
    outputs = json.loads((tmp_path / "w" / "pick.outputs").read_text())
    record = json.loads((tmp_path / "w" / "pick.stage").read_text())
    expected = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    assert {"file": "../a.txt", "hash": expected} == inputs["file"]
    assert 1 == inputs["k"]
    assert expected == outputs["output"][0]["hash"]
    assert "pick" == record["stage"]
    assert (tmp_path / "w" / record["entry"]).is_file()
    assert "\n  " in (tmp_path / "w" / "pick.stage").read_text()


def test_a_hit_writes_nothing(tmp_path: Path) -> None:
    """A hit changes no file, no time stamp, and makes no new one."""

    def make(k: int) -> str:
        path = workdir() / "out.txt"
        path.write_text(str(k))
        return str(path)

    stage = Stage(make, hash_output=tmp_path)
    stage.run(1)

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(p): (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns)
            for p in [tmp_path, *tmp_path.rglob("*")]
        }

    before = state()
    stage.run(1)
    assert stage.state is False
    assert before == state()


def test_force_run_stage_runs_and_replaces_the_entry(tmp_path: Path) -> None:
    """A forced run is the one that is remembered from then on."""
    numbers = tmp_path / "n"
    numbers.write_text("1")

    def read() -> int:
        return int(numbers.read_text())

    stage = Stage(read, hash_output=tmp_path / "w", code_version="1", watch=False)
    assert {"output": 1} == stage.run()
    numbers.write_text("2")
    assert {"output": 1} == stage.run()
    assert {"output": 2} == stage.run(force_run_stage=True)
    assert stage.state is True
    assert {"output": 2} == stage.run()
    assert stage.state is False


def test_force_skip_stage_returns_the_latest_outputs_unchecked(tmp_path: Path) -> None:
    """Whatever the arguments, the latest recorded outputs come back."""
    stage = Stage(add, hash_output=tmp_path)
    with pytest.raises(StageError, match="there are none"):
        stage.run(1, 2, force_skip_stage=True)
    stage.run(1, 2)
    stage.run(1, 3)
    assert {"output": 7} == stage.run(5, 5, force_skip_stage=True)
    assert stage.state is False
    stage.run(1, 2)
    assert {"output": 6} == stage.run(5, 5, force_skip_stage=True)
    with pytest.raises(ValueError, match="not both"):
        stage.run(1, 2, force_skip_stage=True, force_run_stage=True)
    with pytest.raises(StageError, match="there are none"):
        Stage(add).run(1, 2, force_skip_stage=True)


def test_two_callables_under_one_name_do_not_hit_each_others_entries(tmp_path: Path) -> None:
    """The code is part of the key, not only the name."""
    plus = Stage(lambda x: x + 1, hash_output=tmp_path, stage_name="s")
    minus = Stage(lambda x: x - 1, hash_output=tmp_path, stage_name="s")
    assert [{"output": 2}, {"output": 0}] == [plus.run(1), minus.run(1)]
    assert [{"output": 2}, {"output": 0}] == [plus.run(1), minus.run(1)]
    assert [False, False] == [plus.state, minus.state]


def test_declaring_other_outputs_reruns(tmp_path: Path) -> None:
    """The number of declared names decides how a value is taken, so it counts."""
    assert {"a": [1, 2]} == Stage(lambda: (1, 2), "a", tmp_path, "s").run()
    assert {"a": 1, "b": 2} == Stage(lambda: (1, 2), ["a", "b"], tmp_path, "s").run()


def test_explain_says_what_would_change_without_running(tmp_path: Path) -> None:
    """The decision names each difference with old and new value."""
    stage = Stage(add, hash_output=tmp_path)
    assert "first run" == stage.explain(1, 2).changes[0].kind
    stage.run(1, 2)
    assert stage.explain(1, 2).hit
    decision = stage.explain(1, 5)
    assert not decision.hit
    assert [("input", "input y", "2", "5")] == [
        (c.kind, c.subject, c.old, c.new) for c in decision.changes
    ]
    assert "input y: 2 -> 5" in str(decision)
    assert "no hash_output" in str(Stage(add).explain(1, 2))


def test_hash_output_can_hold_fields(tmp_path: Path) -> None:
    """A folder such as "work/{subject}" is filled from the inputs, so subjects lie apart."""
    stage = Stage(lambda subject, k=1: subject, hash_output=f"{tmp_path}/{{subject}}/w")
    stage.run("sub-01")
    assert (tmp_path / "sub-01" / "w" / ".memori").is_dir()
    for bad in ("a/b", "", "..", None, ["x"]):
        with pytest.raises(ValueError, match=r"field \{subject\}"):
            stage.run(bad)
    with pytest.raises(ValueError, match="no name of an input"):
        stage.hash_output = "{}"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("sub-{subject}/ses-{session}", "sub-01"),
        ("sub-{subject}_ses-{session}", "sub-01"),
        ("ses-{session}_sub-{subject}", "sub-01"),
        ("sub-{subject}/ses-{session}_run-{run}/x", "sub-01/x"),
        ("a_/sub-{subject}/ses-{session}", "a_/sub-01"),
    ],
)
def test_a_subject_without_sessions_has_a_folder_too(tmp_path: Path, place, expected) -> None:
    """An entity of the folder's name is left out where its value is None."""
    stage = Stage(lambda x: x, hash_output=f"{tmp_path}/work/{place}")
    given = {"subject": "01", "session": None, "run": None}
    stage.run(x=1, **{k: v for k, v in given.items() if k in place})

    assert (tmp_path / "work" / expected / ".memori").is_dir()


def test_a_folder_of_nothing_but_none_is_an_error(tmp_path: Path, monkeypatch) -> None:
    """Rather than the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="nothing is left"):
        Stage(lambda x: x, hash_output="ses-{session}").run(x=1, session=None)


def test_a_field_that_is_no_parameter_only_says_where(tmp_path: Path) -> None:
    """A step that does not take the subject can still remember each subject apart."""
    stage = Stage(add, hash_output=f"{tmp_path}/{{subject}}", z=0)
    assert {"output": 3} == stage.run(1, 2, subject="sub-01")
    assert {"output": 3} == stage.run(1, 2, subject="sub-02")
    assert stage.state is True
    assert ["x", "y", "subject"] == stage.required
    assert ["sub-01", "sub-02"] == sorted(os.listdir(tmp_path))
    with pytest.raises(TypeError, match="needs 'subject'"):
        stage.run(1, 2)
    pipeline = Pipeline([("start", stage), (stage, Stage(lambda output: output, "o"))])
    assert {"output": 3, "o": 3} == pipeline.run(1, 2, subject="sub-01")
    static = Stage(add, hash_output=f"{tmp_path}/{{subject}}", subject="sub-02", z=0)
    static.run(1, 2)
    assert static.state is False


def test_hash_output_can_be_set_later(tmp_path: Path) -> None:
    """A stage moved to another folder has the memory of that folder."""
    stage = Stage(add, hash_output=tmp_path / "a")
    stage.run(1, 2)
    stage.hash_output = tmp_path / "b"
    stage.run(1, 2)
    assert stage.state is True
    stage.hash_output = tmp_path / "a"
    stage.run(1, 2)
    assert stage.state is False


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return self.factor * x

    def method(self, x: int) -> int:
        return self.factor + x

    @classmethod
    def build(cls, x: int) -> int:
        return x

    @staticmethod
    def static(x: int) -> int:
        return -x


def keyword_only(x: int, *, y: int = 2) -> int:
    return x * y


def gather(first: int, *rest: int, **named: int) -> list[Any]:
    return [first, list(rest), named]


def positional_only(x: int, /, y: int = 1) -> int:
    return x - y


def numbered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Pass an argument that the caller does not, as decorators that try again do."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, attempt=1, **kwargs)

    return wrapper


@numbered
def tried(x: int, attempt: int = 0, log: str | None = None) -> list[Any]:
    return [x, attempt, log]


CALLABLES: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = [
    (lambda x: x, (1,), {}, 1),
    (functools.partial(add, 1, z=0), (2,), {}, 3),
    (Scale(3), (2,), {}, 6),
    (Scale(3).method, (2,), {}, 5),
    (Scale.build, (2,), {}, 2),
    (Scale.static, (2,), {}, -2),
    (keyword_only, (3,), {}, 6),
    (keyword_only, (3,), {"y": 5}, 15),
    (gather, (1, 2, 3), {"a": 4}, [1, [2, 3], {"a": 4}]),
    (gather, (1,), {}, [1, [], {}]),
    (positional_only, (5,), {"y": 2}, 3),
    (functools.lru_cache(add), (1, 2), {}, 6),
    (counted(Calls(), add), (1, 2), {}, 6),
    (tried, (3,), {}, [3, 1, None]),
    (tried, (3,), {"log": "a"}, [3, 1, "a"]),
    (max, (1, 7), {}, 7),
    (len, ([1, 2],), {}, 2),
]


@pytest.mark.parametrize(("function", "args", "kwargs", "expected"), CALLABLES)
def test_every_kind_of_callable_is_remembered(
    tmp_path: Path, function: Any, args: Any, kwargs: Any, expected: Any
) -> None:
    """Functions, lambdas, partials, methods, objects and builtins with all kinds of parameters."""
    stage = Stage(function, hash_output=tmp_path)
    assert {"output": expected} == stage.run(*args, **kwargs)
    assert {"output": expected} == stage.run(*args, **kwargs)
    assert stage.state is False


def scaled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate with a default of its own."""

    @functools.wraps(function)
    def wrapper(x: int, factor: int = 10, offset: int = 0) -> Any:
        return function(x, factor=factor, offset=offset)

    return wrapper


@scaled
def multiplied(x: int, factor: int = 3, *, offset: int) -> int:
    return x * factor + offset


def test_a_default_of_a_decorators_own_comes_before_that_of_what_it_decorates() -> None:
    """As Python does: what is passed is passed, and what is not is the decorator's."""
    stage = Stage(multiplied, "y")
    assert [10, 3] == [stage.run(1)["y"], stage.run(1, factor=3)["y"]]
    assert [10, 3] == [multiplied(1), multiplied(1, factor=3)]


def test_an_unhashed_call_with_extra_arguments_differs_from_one_without(tmp_path: Path) -> None:
    """Extra positional and keyword arguments are inputs."""
    stage = Stage(gather, hash_output=tmp_path)
    calls: list[tuple[tuple[int, ...], dict[str, int]]] = [
        ((1,), {}),
        ((1, 2), {}),
        ((1,), {"a": 2}),
        ((1,), {"b": 2}),
    ]
    for args, kwargs in calls:
        stage.run(*args, **kwargs)
        assert stage.state is True


def generate(n: int) -> Any:
    yield from range(n)


async def wait_for(n: int) -> int:
    return n


class Generating:
    def __call__(self, n: int) -> Any:
        yield n


@pytest.mark.parametrize(
    "function", [generate, wait_for, functools.partial(generate, 3), Generating(), 3]
)
def test_what_returns_before_its_work_is_done_is_a_clear_error(function: Any) -> None:
    """Generator and coroutine functions, and things that cannot be called, are a TypeError."""
    with pytest.raises(TypeError, match=r"generator|coroutine|callable"):
        Stage(function)


def test_values_that_json_cannot_hold_name_stage_and_argument() -> None:
    """The error says where the value is, and nothing has run."""
    with pytest.raises(TypeError, match=r"stage 'add', argument 'x'\['a'\]\[0\]: got builtins.set"):
        Stage(add).run({"a": [{1}]}, 2)
    with pytest.raises(TypeError, match=r"stage 's', output 'b'\[1\].*save_array"):
        Stage(lambda: (1, [2, np.zeros(3)]), ["a", "b"], stage_name="s").run()
    with pytest.raises(TypeError, match="stage 'add', argument 'x'"):
        Stage(add, x=object())


def test_an_exception_is_the_users_own_with_a_note(tmp_path: Path) -> None:
    """It leaves no entry, keeps the earlier ones, and says which stage and inputs."""

    def divide(a: int, b: int) -> float:
        return a / b

    stage = Stage(divide, hash_output=tmp_path)
    stage.run(4, 2)
    with pytest.raises(ZeroDivisionError) as error:
        stage.run(4, 0)
    assert ["memori: raised in stage 'divide' with a=4, b=0"] == error.value.__notes__
    assert "divide" == error.traceback[-1].name
    assert {} == stage.results
    assert not stage.explain(4, 0).hit
    assert stage.explain(4, 2).hit
    assert 1 == len(list((tmp_path / ".memori" / "stages" / "divide").glob("??/*.json")))


def test_a_run_inside_itself_with_the_same_inputs_is_an_error_not_a_deadlock(
    tmp_path: Path,
) -> None:
    """A stage that asks for its own result would wait for ever."""
    stages: list[Stage] = []

    def loop(n: int) -> int:
        return int(stages[0].run(n)["output"])

    stages.append(Stage(loop, hash_output=tmp_path, code_version="1"))
    with pytest.raises(StageError, match="from inside itself"):
        stages[0].run(1)


def test_stages_can_run_inside_stages(tmp_path: Path) -> None:
    """Each has its own folder, and the outer one has its own again afterwards."""
    inner = Stage(lambda: str(workdir()), "path", stage_name="inner", code_version="1")

    def outer() -> list[str]:
        before = str(workdir())
        inside = inner.run()["path"]
        return [before, inside, str(workdir())]

    before, inside, after = Stage(outer, hash_output=tmp_path, code_version="1").run()["output"]
    assert before == after
    assert before != inside


def test_without_hash_output_a_stage_always_runs_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory unless it is asked for."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(add)
    assert [True, True] == [(stage.run(1, 2), stage.state)[1] for _ in range(2)]
    assert [] == os.listdir(tmp_path)


def test_workdir_outside_of_a_stage_is_an_error() -> None:
    """It says to call it inside a stage."""
    with pytest.raises(StageError, match="no stage is running"):
        workdir()


def test_a_stage_and_its_errors_can_be_pickled(tmp_path: Path) -> None:
    """Stages travel to worker processes, and their errors travel back."""
    stage = pickle.loads(pickle.dumps(Stage(add, "a", tmp_path, z=1)))
    assert {"a": 4} == stage.run(1, 2)
    assert {"a": 4} == pickle.loads(pickle.dumps(stage.run(1, 2)))
    error = pickle.loads(pickle.dumps(RecordError("no room", Results(a=1))))
    assert ("no room", {"a": 1}) == (str(error), error.results)


def test_the_order_of_results_is_that_of_the_declaration(tmp_path: Path) -> None:
    """Results are a dict, ordered as declared, also after a hit."""
    stage = Stage(lambda: (1, 2, 3), ["z", "a", "m"], tmp_path, "s")
    assert [["z", "a", "m"]] * 2 == [list(stage.run()), list(stage.run())]
    assert isinstance(stage.run(), Results)


def test_logging_tells_each_decision(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """INFO has one line for each decision, with its reason."""
    stage = Stage(add, hash_output=tmp_path)
    with caplog.at_level("INFO", logger="memori"):
        stage.run(1, 2)
        stage.run(1, 2)
        stage.run(1, 3)
    text = [record.message for record in caplog.records]
    assert "no run with these inputs" in text[0]
    assert "stage 'add': hit" == text[1]
    assert "input y: 2 -> 3" in text[2]


def test_odd_names_of_stages_become_file_names(tmp_path: Path) -> None:
    """A name with separators, dots or any length stays inside the folder."""
    for name in ("../up", "a/b", "<lambda>", ".hidden", "é" * 300, "a b", "latest"):
        stage = Stage(add, hash_output=tmp_path / "w", stage_name=name)
        stage.run(1, 2)
        stage.run(1, 2)
        assert stage.state is False
    assert ["w"] == os.listdir(tmp_path)


def test_the_package_offers_what_it_lists() -> None:
    """memori/__init__.py is a table of contents that holds."""
    assert [] == [name for name in memori.__all__ if not hasattr(memori, name)]


def test_defaults_arrive_as_json_and_never_carry_anything_over(tmp_path: Path) -> None:
    """A default is an input like any other, and a mutable one starts afresh at each run."""

    def collect(a: int, found: list[int] = [], place: Any = Path("x"), pair: Any = (1, 2)) -> Any:  # noqa: B006
        found.append(a)
        return [found, type(place).__name__, type(pair).__name__]

    stage = Stage(collect, hash_output=tmp_path)
    assert {"output": [[1], "str", "list"]} == stage.run(1)
    assert {"output": [[2], "str", "list"]} == stage.run(2)
    assert {"output": [[1], "str", "list"]} == stage.run(1, [], "x", [1, 2])
    assert stage.state is False


def test_defaults_that_are_replaced_or_changed_are_seen(tmp_path: Path) -> None:
    """The defaults of a plain function count as they are at the call."""

    def scale(x: int, factors: list[int] = [2]) -> int:  # noqa: B006
        return x * factors[0]

    stage = Stage(scale, hash_output=tmp_path)
    assert {"output": 6} == stage.run(3)
    scale.__defaults__[0][0] = 5  # type: ignore[index]
    assert {"output": 15} == stage.run(3)
    scale.__defaults__ = ([7],)
    assert {"output": 21} == stage.run(3)


def test_files_bound_by_a_partial_count(tmp_path: Path) -> None:
    """What a partial binds is an input to its user."""
    file = tmp_path / "cfg.json"
    file.write_text("1")
    read = functools.partial(lambda path, k: [Path(path).read_text(), k], str(file))
    stage = Stage(read, hash_output=tmp_path / "w", stage_name="s")
    assert {"output": ["1", 2]} == stage.run(k=2)
    file.write_text("2")
    assert {"output": ["2", 2]} == stage.run(k=2)


def test_results_stand_alone_as_a_positional_argument() -> None:
    """A Results beside other positional arguments is a mistake that is told."""
    with pytest.raises(TypeError, match="Results stand alone"):
        Stage(add).run(Results(x=1), 2)


def test_an_unbound_method_of_a_builtin_type_is_remembered(tmp_path: Path) -> None:
    """str.upper is a callable like any other."""
    stage = Stage(str.upper, hash_output=tmp_path)
    assert [{"output": "A"}, {"output": "A"}] == [stage.run("a"), stage.run("a")]
    assert stage.state is False


def test_an_integer_too_long_for_json_keeps_the_results(tmp_path: Path) -> None:
    """What cannot be recorded comes back with the exception."""
    stage = Stage(lambda: 10**5000, hash_output=tmp_path, stage_name="s")
    with pytest.raises(RecordError) as error:
        stage.run()
    assert {"output": 10**5000} == error.value.results
