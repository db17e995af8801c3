"""Where a link leads counts for code that follows it; another name or mode changes nothing."""

import os
import pathlib
import shutil
import subprocess

import pytest

from memori import Stage
from memori.watch import Sieve, watching

FOLLOWED = {
    "os.readlink": lambda: os.readlink("current"),
    "Path.readlink": lambda: str(pathlib.Path("current").readlink()),
    "realpath": lambda: os.path.basename(os.path.realpath("current")),
    "resolve": lambda: pathlib.Path("current").resolve().name,
    "below a link": lambda: (pathlib.Path("current").resolve() / "labels.txt").read_text(),
    "absolute": lambda: os.path.realpath(os.path.abspath("current")).rpartition("/")[2],
    "after another question": lambda: [os.path.isdir("current"), os.path.realpath("current")[-2:]],
    "before another question": lambda: [os.path.realpath("current")[-2:], os.path.isdir("current")],
}


@pytest.fixture(autouse=True)
def _versions(tmp_path, monkeypatch):
    """Make two versions of an atlas, and a link to the current one."""
    monkeypatch.chdir(tmp_path)
    for version in ("v1", "v2"):
        os.mkdir(version)
        pathlib.Path(version, "labels.txt").write_text(version)
    os.symlink("v1", "current")


@pytest.mark.parametrize("way", FOLLOWED)
def test_a_link_that_is_made_to_lead_elsewhere_runs_the_stage(way):
    """The version that is current is often a link."""
    stage = Stage(FOLLOWED[way], stage_outputs=["y"], hash_output="work")
    first = stage.run()["y"]
    stage.run()
    assert not stage.state
    os.remove("current")
    os.symlink("v2", "current")

    assert stage.run()["y"] != first
    assert stage.state


def test_what_a_followed_link_leads_to_counts_too():
    """A link and the question whether something is there are two facts."""
    stage = Stage(FOLLOWED["after another question"], stage_outputs=["y"], hash_output="work")
    stage.run()
    shutil.rmtree("v1")

    assert stage.run()["y"] == [False, "v1"]


OF_AN_INPUT = {
    "os.readlink": (lambda file: os.readlink(file), "labels.txt"),
    "realpath": (lambda file: os.path.realpath(file)[-13:], "labels.txt"),
    "beside it": (
        lambda file: str(pathlib.Path(file).resolve().parent.stat().st_ino),
        "labels.txt",
    ),
    "of a listed folder": (lambda d: [os.listdir(d), pathlib.Path(d).resolve().name], "current"),
}


@pytest.mark.parametrize("way", OF_AN_INPUT)
def test_where_an_input_leads_counts_beside_its_content(way):
    """A stage is given a link and follows it; the files behind it are equal."""
    for version in ("v1", "v2"):
        pathlib.Path(version, "labels.txt").write_text("same")
    os.symlink("v1/labels.txt", "labels.txt")
    function, given = OF_AN_INPUT[way]
    stage = Stage(function, stage_outputs=["y"], hash_output="work")
    first = stage.run(given)["y"]
    assert (first, False) == (stage.run(given)["y"], stage.state)
    for link, target in (("labels.txt", "v2/labels.txt"), ("current", "v2")):
        os.remove(link)
        os.symlink(target, link)

    assert (function(given), True) == (stage.run(given)["y"], stage.state)
    assert first != stage.run(given)["y"]
    assert not stage.state


def test_a_link_of_which_nobody_asks_counts_by_what_it_leads_to():
    """Only code that follows the link itself could tell the two apart."""
    for version in ("v1", "v2"):
        pathlib.Path(version, "labels.txt").write_text("same")
    os.symlink("v1/labels.txt", "labels.txt")
    stage = Stage(lambda file: pathlib.Path(file).read_text(), hash_output="work")
    stage.run("labels.txt")
    os.remove("labels.txt")
    os.symlink("v2/labels.txt", "labels.txt")
    stage.run("labels.txt")

    assert not stage.state


@pytest.mark.parametrize(("asked", "is_hit"), [("getsize", False), ("exists", True)])
def test_the_size_of_an_input_counts_where_it_is_asked_and_its_bytes_do_not(asked, is_hit):
    """Two spellings of the same JSON are one input, but not one number of bytes."""
    ask = getattr(os.path, asked)
    pathlib.Path("a.json").write_text('{"a":1}')
    stage = Stage(lambda file: ask(file), stage_outputs="y", hash_output="work")
    stage.run("a.json")
    stage.run("a.json")
    assert not stage.state
    pathlib.Path("a.json").write_text('{ "a": 1 }')

    assert (ask("a.json"), not is_hit) == (stage.run("a.json")["y"], stage.state)


def leads():
    """Return where a path leads, as code does that takes links and files."""
    try:
        return os.readlink("v1/labels.txt")
    except OSError:
        return "no link"


def test_a_file_that_is_asked_where_it_leads_counts_by_being_no_link():
    """It hits until it is a link, whatever that leads to."""
    stage = Stage(leads, stage_outputs=["y"], hash_output="work")
    assert ["no link", "no link"] == [stage.run()["y"], stage.run()["y"]]
    assert not stage.state
    os.rename("v1/labels.txt", "v1/moved.txt")
    os.symlink("moved.txt", "v1/labels.txt")

    assert ("moved.txt", True) == (stage.run()["y"], stage.state)


def test_a_file_that_may_not_be_used_as_asked_counts_by_being_there():
    """`os.access` says no of a file that is no program, today as tomorrow."""
    stage = Stage(lambda: os.access("v1/labels.txt", os.X_OK), ["y"], "work")
    assert [False, False] == [stage.run()["y"], stage.run()["y"]]
    assert not stage.state
    os.remove("v1/labels.txt")

    stage.run()
    assert stage.state


MARKS = {
    "os.link": lambda: os.link("v1/labels.txt", "name.txt"),
    "os.chmod": lambda: os.chmod("v1/labels.txt", 0o640),
    "os.utime": lambda: os.utime("v1/labels.txt", (1, 1)),
    "ln": lambda: subprocess.run(["ln", "v1/labels.txt", "name.txt"], check=True),
    "chmod": lambda: subprocess.run(["chmod", "640", "v1/labels.txt"], check=True),
}


@pytest.mark.parametrize("way", MARKS)
def test_a_file_that_a_run_gives_another_name_or_mode_is_as_it_was(way):
    """Its time of change is another one afterwards, and its content is what was read."""
    with watching() as seen:
        pathlib.Path("v1/labels.txt").read_text()
        MARKS[way]()
    facts = Sieve(seen, None).facts()

    assert [os.path.abspath("v1/labels.txt")] == [fact.path for fact in facts.read]
    assert ([], []) == (facts.unvouched, facts.edited)


@pytest.mark.parametrize("way", ["os.chmod", "chmod"])
def test_an_edit_beside_another_mode_is_seen(way):
    """What somebody else writes meanwhile makes the run one that is not remembered."""
    with watching() as seen:
        pathlib.Path("v1/labels.txt").read_text()
        MARKS[way]()
    pathlib.Path("v1/labels.txt").write_text("another")
    facts = Sieve(seen, None).facts()

    assert [] == facts.read
    assert [os.path.abspath("v1/labels.txt")] == facts.unvouched + [f.path for f in facts.edited]


def test_nothing_is_amiss_where_the_current_folder_is_gone(tmp_path, monkeypatch):
    """No relative path leads anywhere then; what is read by an absolute one counts."""
    (tmp_path / "old.txt").write_text("old\n")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    with watching() as seen:
        (tmp_path / "gone").rmdir()
        with pytest.raises(FileNotFoundError):
            open("x.txt")
        assert not os.path.exists("x.txt")
        assert "old\n" == (tmp_path / "old.txt").read_text()
    assert ("read", []) == (seen.how(str(tmp_path / "old.txt")), seen.faults)


def opened(path):
    """Take what is fetched, and go on without what is not."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return "not fetched"


def opened_by_a_program(path):
    """Let a program do so."""
    command = ["cat", path]
    return subprocess.run(command, capture_output=True, text=True).stdout or "not fetched"


@pytest.mark.parametrize("way", [opened, opened_by_a_program])
@pytest.mark.parametrize("is_asked", [False, True])
def test_a_link_that_leads_nowhere_is_as_good_as_no_file(way, is_asked, tmp_path, monkeypatch):
    """As those of git-annex before `datalad get`: an unchanged dataset runs nothing again."""
    monkeypatch.chdir(tmp_path)
    os.symlink(".git/annex/objects/key", "image")

    def f():
        return [way("image"), os.path.islink("image") if is_asked else None]

    stage = Stage(f, "y", "work")

    def run():
        return stage.run()["y"][0], stage.state

    assert [("not fetched", True), ("not fetched", False)] == [run(), run()]
    os.makedirs(".git/annex/objects")
    with open(".git/annex/objects/key", "w") as file:
        file.write("fetched")
    assert [("fetched", True), ("fetched", False)] == [run(), run()]
    os.unlink(".git/annex/objects/key")
    assert ("not fetched", False) == run()
    os.unlink("image")
    with open("image", "w") as file:
        file.write("unlocked")
    assert [("unlocked", True), ("unlocked", False)] == [run(), run()]
