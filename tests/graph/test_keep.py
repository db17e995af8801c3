"""What a pipeline keeps on disk, and that nothing runs again for what it removed."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from memori import Each, MemoriWarning, Pipeline, Stage, workdir
from memori.errors import RemovedError
from memori.neuro import ShellStage
from tests.graph.keeping import aside, files, last, pipeline, second, stages


def test_all_that_was_made_stays_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    """By default nothing is removed."""
    pipeline(tmp_path, "all").run(text="a")

    names = {"first.txt", "first.json", "large.bin", "second.txt", "aside.txt", "last.txt"}
    assert names == files(tmp_path)


def test_outputs_stay_and_scratch_goes(tmp_path: Path) -> None:
    """With "outputs" what stages returned stays, with what is called like it."""
    pipeline(tmp_path, "outputs").run(text="a")

    names = {"first.txt", "first.json", "second.txt", "aside.txt", "last.txt"}
    assert names == files(tmp_path)
    assert pipeline(tmp_path, "outputs").run(text="a").ran == ()


def test_what_is_final_stays_and_all_hits(tmp_path: Path) -> None:
    """With "final" the outputs of the last stages stay, and an unchanged script runs nothing."""
    pipeline(tmp_path).run(text="a")

    assert {"aside.txt", "last.txt"} == files(tmp_path)
    again = pipeline(tmp_path)
    assert again.run(text="a").ran == ()
    assert all(each.hit for each in again.explain(text="a"))
    assert Path(again.results["last"]).read_text() == "a{}."


def test_outputs_can_be_named(tmp_path: Path) -> None:
    """A list says which outputs stay besides the final ones, whole with what they refer to."""
    pipeline(tmp_path, ["first"]).run(text="a")

    assert {"first.txt", "first.json", "aside.txt", "last.txt"} == files(tmp_path)


def test_a_policy_that_there_is_not_is_an_error(tmp_path: Path) -> None:
    """The choices are named, and the outputs."""
    with pytest.raises(ValueError, match="'all', 'outputs', 'final' or a list"):
        pipeline(tmp_path, "none")
    with pytest.raises(ValueError, match=r"'thrid', which is no output.*first, second"):
        pipeline(tmp_path, ["thrid"])


def test_what_was_there_before_the_policy_goes_with_it(tmp_path: Path) -> None:
    """A study that was finished is made smaller by running it again: nothing runs."""
    pipeline(tmp_path, "all").run(text="a")

    assert pipeline(tmp_path).run(text="a").ran == ()
    assert {"aside.txt", "last.txt"} == files(tmp_path)


def test_a_rerun_makes_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    """A changed last stage has those before it run again; what lies beside them stands."""
    pipeline(tmp_path).run(text="a")
    changed = pipeline(tmp_path, end="!")

    told = {each.stage_name: each for each in changed.explain(text="a")}
    assert {"first", "second", "last"} == {name for name, each in told.items() if not each.hit}
    assert "was removed by keep='final' and is needed again" in str(told["second"])
    result = changed.run(text="a")
    assert set(result.ran) == {"first", "second", "last"}
    assert Path(result["last"]).read_text() == "a{}!"
    assert {"aside.txt", "last.txt"} == files(tmp_path)
    assert changed.run(text="a").ran == ()
    assert pipeline(tmp_path).run(text="a").ran == ()  # going back is a hit, too


def test_a_named_output_is_enough_to_go_on_from(tmp_path: Path) -> None:
    """Where what a rerun needs was kept, nothing before it runs."""
    pipeline(tmp_path, ["second"]).run(text="a")

    assert pipeline(tmp_path, ["second"], end="!").run(text="a").ran == ("last",)


def test_a_person_who_runs_a_stage_gets_its_files(tmp_path: Path) -> None:
    """Digests do for the pipeline alone; with keep="all", too, everything is there again."""
    pipeline(tmp_path).run(text="a")
    a, _b, _, _ = stages(tmp_path)

    assert Path(a.run("a")["first"]).read_text() == "a"
    assert a.state
    pipeline(tmp_path).run(text="a")
    result = pipeline(tmp_path, "all").run(text="a")
    assert all(map(os.path.exists, result.values()))
    assert "aside" not in result.ran
    assert "last" not in result.ran


def test_a_stage_that_is_given_what_was_removed_hits_or_says_what_to_do(tmp_path: Path) -> None:
    """By hand nothing can make it again, and the error names the file, the policy and the way."""
    result = pipeline(tmp_path).run(text="a")
    _, _b, _, _ = stages(tmp_path)

    other = Stage(second, "second", tmp_path, stage_name="other")
    with pytest.raises(RemovedError, match=r"stage 'other' is to run.*first.txt.*keep='final'"):
        other.run(result["first"])
    with pytest.raises(RemovedError):
        Stage(second, "second").run(result["first"])


def test_a_file_that_a_person_deletes_is_missing_as_ever(tmp_path: Path) -> None:
    """Only what memori removed itself counts by its digest."""
    result = pipeline(tmp_path).run(text="a")
    os.unlink(result["last"])

    assert set(pipeline(tmp_path).run(text="a").ran) == {"first", "second", "last"}


def test_a_case_that_failed_keeps_what_its_next_try_needs(tmp_path: Path) -> None:
    """Nothing is made twice because of a failure further down."""
    a, b, _, _ = stages(tmp_path)
    fail = Stage(lambda second: 1 / 0, "last", tmp_path, stage_name="fail")
    failing = Pipeline([("start", a), (a, b), (b, fail)], keep="final")

    assert len(failing.map([{"text": "a"}]).failures) == 1
    assert {"first.txt", "second.txt"} <= files(tmp_path)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_what_cases_share_goes_when_the_last_of_them_is_over(
    tmp_path: Path, n_jobs: int | None
) -> None:
    """A run that two cases have in common runs once."""
    a, b, _, _c = stages(tmp_path)
    sessions = Stage(last, "last", tmp_path)
    kept = Pipeline([("start", a), (a, b), ((b, "start"), sessions)], keep="final")
    cases = [{"text": text, "end": end} for text in "ab" for end in "!?"]

    found = kept.map(cases, n_jobs=n_jobs)
    ran = [name for _, result in found for name in result.ran]
    assert sorted(ran) == ["first"] * 2 + ["last"] * 4 + ["second"] * 2
    assert {"last.txt"} == files(tmp_path)
    again = kept.map(cases, n_jobs=n_jobs)
    assert all(result.ran == () for _, result in again)


def test_side_by_side_stages_that_need_the_same_removed_file_make_it_once(tmp_path: Path) -> None:
    """Workers that miss the same file wait for the one that makes it."""
    a, b, _other, _c = stages(tmp_path)
    cases = [{"text": text} for text in "abcd"]
    pipeline(tmp_path).map(cases, n_jobs=2)
    wide = Stage(aside, "aside", tmp_path, code_version="2")
    changed = Pipeline(
        [("start", a), (a, b), (a, wide), (b, Stage(last, "last", tmp_path, end="!"))], keep="final"
    )

    found = changed.map(cases, n_jobs=2)
    for case, result in found:
        assert Path(result["last"]).read_text() == case["text"] + "{}!"
        assert Path(result["aside"]).read_text() == case["text"].upper()
        assert list(result.ran).count("first") == 1
    assert all(result.ran == () for _, result in changed.map(cases, n_jobs=2))


def test_what_another_pipeline_was_given_stays(tmp_path: Path) -> None:
    """What a run of another stage in the same folder was made from is needed."""
    a, _b, _, _ = stages(tmp_path)
    count = Stage(lambda first: len(Path(first).read_text()), "n", tmp_path, stage_name="count")
    Pipeline([("start", a), (a, count)]).run(text="a")

    pipeline(tmp_path).run(text="a")
    assert "first.txt" in files(tmp_path)
    assert "second.txt" not in files(tmp_path)
    assert Pipeline([("start", a), (a, count)]).run(text="a").ran == ()


def test_a_stage_that_always_runs_finds_its_files(tmp_path: Path) -> None:
    """What is taken by a stage without a memory is needed each time, and stays."""
    a, _, _, _ = stages(tmp_path)
    show = Stage(lambda first: Path(first).read_text(), "shown", stage_name="show")
    kept = Pipeline([("start", a), (a, show)], keep="final")

    kept.run(text="a")
    assert kept.run(text="a").ran == ("show",)


def test_pipelines_in_a_pipeline_and_elements_of_a_list(tmp_path: Path) -> None:
    """The policy of the outermost pipeline counts for everything in it."""
    a, b, _, _c = stages(tmp_path)
    inner = Pipeline([("start", a), (a, b)])
    join = Stage(lambda last: "".join(Path(each).read_text() for each in last), "all", tmp_path)
    study = Pipeline([("start", Each(inner, text="texts"))], keep="final")
    study.run(texts=["a", "b"])
    assert study.run(texts=["a", "b"]).ran == ()

    def whole(end: str) -> Pipeline:
        inner = Pipeline([("start", a), (a, b), (b, Stage(last, "last", tmp_path, end=end))])
        each = Each(inner, text="texts")
        return Pipeline([("start", each), (each, join)], keep="final")

    assert whole(".").run(texts=["a", "b"])["all"] == "a{}.b{}."
    assert set() == files(tmp_path)
    assert whole(".").run(texts=["a", "b"]).ran == ()
    result = whole("!").run(texts=["a", "b"])
    assert result["all"] == "a{}!b{}!"
    assert sorted(set(result.ran)) == ["<lambda>", "first", "last", "second"]


def test_equal_runs_in_several_folders(tmp_path: Path) -> None:
    """A run in the folder of each subject that takes no subject is copied, or made again."""
    kept = pipeline(tmp_path / "{subject}")
    cases = [{"subject": subject, "text": "a"} for subject in "123"]

    found = kept.map(cases, n_jobs=2)
    assert {Path(result["last"]).read_text() for _, result in found} == {"a{}."}
    assert all(result.ran == () for _, result in kept.map(cases, n_jobs=2))
    changed = pipeline(tmp_path / "{subject}", end="!").map(cases, n_jobs=2)
    assert {Path(result["last"]).read_text() for _, result in changed} == {"a{}!"}
    assert {"aside.txt", "last.txt"} == files(tmp_path)


def test_commands_are_stages_like_any_other(tmp_path: Path) -> None:
    """A command whose input was removed hits, and has it made again when it runs."""

    def study(end: str) -> Pipeline:
        copy = ShellStage("cp {source} {copied}", {"copied": "copy.txt"}, stage_name="copy")
        copy.hash_output = str(tmp_path / "work")
        sort = ShellStage("sort {copied} -o {sorted} " + end, {"sorted": "sorted.txt"})
        sort.hash_output = str(tmp_path / "work")
        return Pipeline([("start", copy), (copy, sort)], keep="final")

    source = tmp_path / "source.txt"
    source.write_text("b\na\n")
    study("").run(source=str(source))
    assert "copy.txt" not in files(tmp_path / "work")
    assert study("").run(source=str(source)).ran == ()
    result = study("-r").run(source=str(source))
    assert Path(result["sorted"]).read_text() == "b\na\n"
    assert len(result.ran) == 2


def test_no_warning_is_given(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Nothing is amiss when files go by policy."""
    pipeline(tmp_path).run(text="a")
    pipeline(tmp_path, end="!").run(text="a")

    assert [] == [each for each in recwarn if issubclass(each.category, MemoriWarning)]


def test_a_file_that_is_passed_through_is_made_again_by_whoever_made_it(tmp_path: Path) -> None:
    """A stage in between that hands a file on owns nothing of it (nipype issue 55)."""

    def study(end: str) -> Pipeline:
        a, _, _, _ = stages(tmp_path)
        passed = Stage(lambda first: first, "second", tmp_path, stage_name="passed")
        return Pipeline(
            [("start", a), (a, passed), (passed, Stage(last, "last", tmp_path, end=end))],
            keep="final",
        )

    assert Path(study(".").run(text="a")["last"]).read_text() == "a."
    assert study(".").run(text="a").ran == ()
    assert Path(study("!").run(text="a")["last"]).read_text() == "a!"
    assert {"last.txt"} == files(tmp_path)


def test_asking_removes_nothing(tmp_path: Path) -> None:
    """A look ahead leaves everything where it is (snakemake issue 1542)."""
    pipeline(tmp_path, "all").run(text="a")
    before = files(tmp_path)
    kept = pipeline(tmp_path)

    kept.explain(text="a")
    kept.plan([{"text": "a"}])
    assert before == files(tmp_path)


def test_files_of_one_name_stay_together(tmp_path: Path) -> None:
    """A header that is kept keeps its data, whatever they end in (nipype issue 1612)."""

    def scan(text: str) -> str:
        for end in ("hv", "v", "log"):
            (workdir() / f"pet.{end}").write_text(text)
        (workdir() / "other.v").write_text(text)
        return str(workdir() / "pet.hv")

    result = Pipeline([("start", Stage(scan, "pet", tmp_path))], keep="outputs").run(text="a")
    assert {"pet.hv", "pet.v", "pet.log"} == set(os.listdir(os.path.dirname(result["pet"])))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_stage_that_is_not_reproducible_leaves_results_of_one_piece(
    tmp_path: Path, n_jobs: int | None
) -> None:
    """What it makes anew differs: a warning says so, and what was made of the first runs again."""

    def noisy(text: str) -> str:
        path = workdir() / "noise.txt"
        path.write_text(os.urandom(8).hex())
        return str(path)

    def study(end: str) -> Pipeline:
        a = Stage(noisy, "second", tmp_path)
        return Pipeline(
            [
                ("start", a),
                (a, Stage(last, "other", tmp_path, stage_name="other")),
                (a, Stage(last, "last", tmp_path, end=end)),
            ],
            keep="final",
        )

    study(".").map([{"text": "a"}], n_jobs=n_jobs)
    told = "'noisy' made something else than what was removed"
    with pytest.warns(MemoriWarning, match=told) if n_jobs is None else nullcontext():
        ((_, result),) = study("!").map([{"text": "a"}], n_jobs=n_jobs)
    assert set(result.ran) == {"noisy", "other", "last"}
    whole = Path(result["last"]).read_text()
    assert whole.rstrip("!") == Path(result["other"]).read_text().rstrip(".")
    ((_, again),) = study("!").map([{"text": "a"}], n_jobs=n_jobs)
    assert again.ran == ()
