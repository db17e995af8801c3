"""Static values win, and whoever contradicts one hears of it."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest

from memori import Pipeline, Results, Stage
from memori.neuro import NipypeStage, ShellStage
from memori.results import came_from_results


def smooth(path: str, sigma: float = 1.0) -> str:
    return f"{path} {sigma}"


def told(stage: Stage, *args: object, **kwargs: object) -> list[str]:
    """Run; what was warned of, from this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stage.run(*args, **kwargs)
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(("args", "kwargs"), [((), {"path": "x", "sigma": 4}), (("x", 4), {})])
def test_a_contradicted_static_value_wins_and_is_told(
    tmp_path: Path, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    """By keyword or by position; warning and explanation name both values."""
    stage = Stage(smooth, hash_output=tmp_path, sigma=2)
    for _ in range(2):  # a run and a hit
        (warning,) = told(stage, *args, **kwargs)
        assert "sigma=4" in warning
        assert "sigma=2" in warning
        assert "x 2" == stage.results["output"]
    assert (warning,) == stage.explain(*args, **kwargs).overruled
    assert f"  overruled: {warning}" in str(stage.explain(*args, **kwargs))


def test_an_equal_value_is_no_contradiction(tmp_path: Path) -> None:
    """Nor is the same path, or the same number, in another type."""
    stage = Stage(smooth, path="in.txt", sigma=2)
    assert [] == told(stage, path=Path("in.txt"), sigma=2.0)
    assert [] == told(stage)
    assert () == stage.explain().overruled


def test_what_another_stage_returned_is_no_contradiction(tmp_path: Path) -> None:
    """It is passed on with all its names, and nobody meant this one."""
    first = Stage(lambda: ("made", 4), ["path", "sigma"], stage_name="first")
    stage = Stage(smooth, sigma=2)
    results = first.run()
    sent = pickle.loads(pickle.dumps(results))
    assert [] == told(stage, results)
    assert [] == told(stage, **results)
    assert [] == told(stage, **sent)
    assert [] == told(stage, **{**results, "path": "other"})
    assert 1 == len(told(stage, results, sigma=3))
    assert 1 == len(told(stage, **{**results, "sigma": 3}))


def test_values_of_results_are_known_while_somebody_holds_them() -> None:
    """By name and identity; of many results that are gone nothing is kept."""
    values = [[number] for number in range(2000)]
    kept = Results(sigma=values[0])
    for value in values:
        Results(sigma=value)
    assert not came_from_results("sigma", values[1])
    assert not came_from_results("sigma", [0])
    late = Results(sigma=values[2])
    assert came_from_results("sigma", late["sigma"])
    assert not came_from_results("fwhm", late["sigma"])
    assert came_from_results("sigma", kept["sigma"])


def test_kinds_of_stages_tell_it_alike(tmp_path: Path) -> None:
    """Fields of a template and traits of an interface."""
    from nipype.interfaces.utility import Merge

    assert 1 == len(told(ShellStage("echo {x} {sigma}", sigma=2), x=1, sigma=4))
    assert 1 == len(told(NipypeStage(Merge(2), in2=3), in1=1, in2=4))


# Sweeps


def test_a_stage_with_another_static_value(tmp_path: Path) -> None:
    """Each remembers its own; the first stays as it was."""
    stage = Stage(smooth, "smoothed", tmp_path, "smooth", sigma=2)
    sweep = {sigma: stage.replace(sigma=sigma) for sigma in (2, 3, 4)}
    assert ["x 2", "x 3", "x 4"] == [each.run("x")["smoothed"] for each in sweep.values()]
    assert [True] * 3 == [each.state for each in sweep.values()]
    assert [2, 3, 4] == [each.args["sigma"] for each in sweep.values()]
    assert {"sigma": 2} == stage.args
    assert {} == stage.results
    stage.run("x")
    assert not stage.state
    assert [] == told(stage.replace(sigma=5), "x")


def test_options_stay_as_they_were(tmp_path: Path) -> None:
    """Also those that were given by `with_options`, before or after."""
    stage = Stage(smooth, sigma=2).with_options(hash_output=tmp_path, stage_name="s")
    again = stage.replace(sigma=3).with_options(stage_name="t")
    assert (str(tmp_path), "t", {"sigma": 3}) == (again.hash_output, again.stage_name, again.args)
    assert "s" == stage.replace(sigma=3).stage_name


def test_commands_and_interfaces_can_be_swept(tmp_path: Path) -> None:
    """`replace` is there for all kinds."""
    from nipype.interfaces.utility import Merge

    echo = ShellStage("echo {x} {sigma=1}", hash_output=tmp_path, sigma=2).replace(sigma=3, x="a")
    assert {"output": "a 3"} == echo.run()
    merge = NipypeStage(Merge(2), hash_output=tmp_path, in1=1, in2=2).replace(in2=5)
    assert {"out": [1, 5]} == merge.run()


def test_a_value_of_no_parameter_is_refused() -> None:
    """With the nearest spelling."""
    with pytest.raises(TypeError, match="takes no 'sigm'; did you mean 'sigma'"):
        Stage(smooth).replace(sigm=3)


# Pipelines


def pipeline(sigma: int | None = None) -> Pipeline:
    static = {} if sigma is None else {"sigma": sigma}
    first = Stage(lambda path: path, "path", stage_name="first")
    second = Stage(smooth, "smoothed", **static)  # type: ignore[arg-type]
    third = Stage(lambda smoothed, sigma=9: smoothed, "last", stage_name="third", sigma=3)
    return Pipeline([("start", first), (first, second), (second, third)])


@pytest.mark.parametrize("way", ["run", "map", "nested"])
def test_a_keyword_that_reaches_no_stage_is_told(way: str) -> None:
    """Each stage that would have taken it says why it does not."""
    given = {"path": "x", "sigma": 4}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if way == "run":
            pipeline(sigma=2).run(**given)
        elif way == "map":
            pipeline(sigma=2).map([given])
        else:
            Pipeline([("start", pipeline(sigma=2))]).run(**given)
    said = [str(warning.message) for warning in caught]
    assert {__file__} == {warning.filename for warning in caught}
    assert [True, True] == [
        text in each for text, each in zip(["sigma=2", "sigma=3"], said, strict=True)
    ]
    assert all("sigma=4" in each for each in said)


def test_a_keyword_that_reaches_one_stage_has_its_effect() -> None:
    """Whatever it is to others; so has one that comes from results."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "x 4" == pipeline().run(path="x", sigma=4)["last"]
        results = Stage(lambda: ("x", 4), ["path", "sigma"], stage_name="s").run()
        assert "x 2" == pipeline(sigma=2).run(**results)["last"]


def test_a_keyword_that_an_edge_fills_everywhere_is_told() -> None:
    """The stage before gives the value."""
    add = Stage(lambda x: x + 1, "total", stage_name="add")
    double = Stage(lambda total: 2 * total, "doubled", stage_name="double")
    with pytest.warns(match="given total=5.*stage 'double' takes 'total' from a stage before it"):
        assert 4 == Pipeline([("start", add), (add, double)]).run(x=1, total=5)["doubled"]


def test_a_pipeline_knows_why_its_stages_ran(tmp_path: Path) -> None:
    """Each by its name; those that were remembered have no reason."""
    add = Stage(lambda x, y=1: x + y, "total", tmp_path, "add")
    double = Stage(lambda total: 2 * total, "doubled", tmp_path, "double")
    both = Pipeline([("start", add), (add, double)])
    assert ["add", "double"] == list(both.run(x=2).reasons)
    assert {"add": "input x: 2 -> 1; input y: 1 -> 2"} == both.run(x=1, y=2).reasons
    assert {} == both.run(x=1, y=2).reasons
