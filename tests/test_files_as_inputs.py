"""Files among inputs and outputs stand for their content, and are never taken on trust."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from memori import Folder, MemoriWarning, Stage, workdir


def read(file: str) -> str:
    return Path(file).read_text()


def write(text: str) -> str:
    path = workdir() / "out.txt"
    path.write_text(text)
    return str(path)


def rewrite_unseen(path: Path, text: str) -> None:
    """Edit a file, keeping size and mtime."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def ran(stage: Stage, *args: object, **kwargs: object) -> bool:
    stage.run(*args, **kwargs)
    return stage.state


@pytest.fixture(params=["young", "old"])
def pause(request: pytest.FixtureRequest) -> float:
    """Edit at once, when the stat cannot be trusted, and later, when it is."""
    return 0.0 if request.param == "young" else 0.05


def test_a_changed_input_file_reruns(tmp_path: Path, pause: float) -> None:
    """Same path, same size, same mtime even: the content decides."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    stage = Stage(read, hash_output=tmp_path / "w")
    time.sleep(pause)
    assert [True, False] == [ran(stage, str(file)), ran(stage, str(file))]
    time.sleep(pause)
    rewrite_unseen(file, "two")
    assert {"output": "two"} == stage.run(str(file))
    assert stage.state is True


def test_a_touched_or_replaced_input_with_the_same_content_is_a_hit(tmp_path: Path) -> None:
    """Times and inodes are no content."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    stage = Stage(read, hash_output=tmp_path / "w")
    stage.run(str(file))
    file.touch()
    assert ran(stage, str(file)) is False
    file.unlink()
    file.write_text("one")
    assert ran(stage, str(file)) is False


def test_files_inside_lists_and_dicts_count(tmp_path: Path) -> None:
    """However deep a path is nested, its content is looked at."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    stage = Stage(lambda d: read(d["x"][0]["y"]), hash_output=tmp_path / "w", stage_name="s")
    value = {"x": [{"y": str(file)}]}
    stage.run(value)
    file.write_text("two")
    assert {"output": "two"} == stage.run(value)


@pytest.mark.parametrize("fault", ["deleted", "edited", "truncated", "a folder", "unseen"])
def test_a_damaged_output_file_reruns(tmp_path: Path, fault: str, pause: float) -> None:
    """An output that is not as it was left is made again."""
    stage = Stage(write, hash_output=tmp_path)
    path = Path(stage.run("hello")["output"])
    time.sleep(pause)
    if fault in ("deleted", "a folder"):
        path.unlink()
    if fault == "a folder":
        path.mkdir()
    if fault == "edited":
        path.write_text("hellO")
    if fault == "truncated":
        path.write_text("")
    if fault == "unseen":
        rewrite_unseen(path, "HELLO")
    assert not stage.explain("hello").hit
    assert "hello" == read(stage.run("hello")["output"])
    assert stage.state is True
    assert ran(stage, "hello") is False


def test_outputs_in_workdir_never_overwrite_each_other(tmp_path: Path) -> None:
    """k=1, 2, 1 runs twice, and both outputs stay."""
    stage = Stage(write, hash_output=tmp_path)
    first = stage.run("1")["output"]
    second = stage.run("2")["output"]
    assert ["1", "2"] == [read(first), read(second)]
    assert {"output": first} == stage.run("1")
    assert stage.state is False
    assert Path(first).parent.name == os.readlink(tmp_path / "write" / "latest")


def test_outputs_that_a_later_run_overwrote_rerun(tmp_path: Path) -> None:
    """Going back is no hit where the first run's file is gone."""
    target = tmp_path / "out.txt"

    def save(text: str) -> str:
        target.write_text(text)
        return str(target)

    stage = Stage(save, hash_output=tmp_path / "w", code_version="1")
    assert [True, True, True, False] == [ran(stage, k) for k in ("1", "2", "1", "1")]
    assert "1" == target.read_text()


def test_an_output_named_by_an_argument_is_no_reason_to_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that the stage itself made at the given path is its output, not its input."""
    monkeypatch.chdir(tmp_path)

    def save(out: str, text: str) -> None:
        Path(out).write_text(text)

    stage = Stage(save, [], "w", "save")
    for out in ("relative.txt", str(tmp_path / "absolute.txt")):
        assert [True, False] == [ran(stage, out, "1"), ran(stage, out, "1")]
        assert [True, False] == [ran(stage, out, "2"), ran(stage, out, "2")]
        assert "2" == read(out)
        assert [True, False] == [ran(stage, out, "1"), ran(stage, out, "1")]
        assert "1" == read(out)
        os.unlink(out)
        assert [True, False] == [ran(stage, out, "1"), ran(stage, out, "1")]
        Path(out).write_text("edited by hand")
        assert [True, False] == [ran(stage, out, "1"), ran(stage, out, "1")]
        assert "1" == read(out)


def test_a_file_that_stood_where_a_stage_writes_is_replaced_and_remembered(tmp_path: Path) -> None:
    """What a stage overwrites unread is its output, though it stood there before and differs."""
    out = tmp_path / "out.txt"
    out.write_text("of another program")

    def draw(out: str, fail: bool) -> None:
        Path(out).write_text(os.urandom(8).hex())

    stage = Stage(draw, [], tmp_path / "w", "draw")
    assert [True, False] == [ran(stage, str(out), False), ran(stage, str(out), False)]
    kept = out.read_text()
    assert [True, False] == [ran(stage, str(out), True), ran(stage, str(out), True)]
    assert kept != out.read_text()


@pytest.mark.parametrize("made_by_the_stage", [False, True])
def test_a_file_that_somebody_rewrites_while_a_stage_reads_it_is_not_vouched_for(
    tmp_path: Path, made_by_the_stage: bool
) -> None:
    """The result of the old content is never filed under the new one, whoever made the old."""
    file = tmp_path / "b.txt"
    file.write_text("old")
    asked, done = threading.Event(), threading.Event()

    def rewrite() -> None:
        asked.wait(60)
        file.write_text("new")
        done.set()

    def copy(path: str, write: bool) -> str:
        if write:
            Path(path).write_text("old")
            return "written"
        text = read(path)
        if not done.is_set():
            asked.set()
            done.wait(60)
        return text

    stage = Stage(copy, hash_output=tmp_path / "w", code_version="1")
    if made_by_the_stage:
        assert {"output": "written"} == stage.run(str(file), True)
    somebody = threading.Thread(target=rewrite)
    somebody.start()
    with pytest.warns(MemoriWarning, match="changed while the stage ran"):
        assert {"output": "old"} == stage.run(str(file), False)
    somebody.join()
    assert {"output": "new"} == stage.run(str(file), False)
    assert stage.state is True


def test_an_input_that_the_stage_changes_in_place_is_not_remembered(tmp_path: Path) -> None:
    """Running such a stage again would change the file again, so it is never a hit."""
    file = tmp_path / "count"
    file.write_text("1")

    def count(path: str) -> int:
        number = int(read(path)) + 1
        Path(path).write_text(str(number))
        return number

    stage = Stage(count, hash_output=tmp_path / "w", code_version="1")
    for expected in (2, 3, 4):
        with pytest.warns(MemoriWarning, match="the input ../count changed while the stage ran"):
            assert {"output": expected} == stage.run(str(file))


def test_a_project_folder_moved_as_a_whole_still_hits(tmp_path: Path) -> None:
    """Inputs and outputs are recorded relative to hash_output, and come back where they are."""
    project = tmp_path / "before"
    project.mkdir()
    (project / "in.txt").write_text("data")

    def copy(file: str, folder: str) -> str:
        path = workdir() / "copy.txt"
        path.write_text(read(file))
        return str(path)

    def run(project: Path) -> tuple[str, bool]:
        stage = Stage(copy, hash_output=project / "work", code_version="1")
        return stage.run(project / "in.txt", str(project / "x"))["output"], stage.state

    _, state = run(project)
    assert state is True
    project.rename(tmp_path / "after")
    second, state = run(tmp_path / "after")
    assert state is False
    assert str(tmp_path / "after") == os.path.commonpath([second, tmp_path / "after"])
    assert "data" == read(second)
    shutil.copytree(tmp_path / "after", tmp_path / "copied", symlinks=True)
    assert run(tmp_path / "copied")[1] is False


def test_relative_and_absolute_spellings_of_a_file_are_one_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path counts relative to hash_output, however it was written."""
    (tmp_path / "a.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    stage = Stage(read, hash_output="w")
    assert [True, False, False, False] == [
        ran(stage, spelling)
        for spelling in ("a.txt", "./a.txt", tmp_path / "a.txt", tmp_path / "w" / ".." / "a.txt")
    ]


def test_equal_files_under_two_names_are_two_inputs(tmp_path: Path) -> None:
    """Functions derive output names from the names of inputs."""
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("one")
    stage = Stage(read, hash_output=tmp_path / "w")
    assert [True, True] == [ran(stage, tmp_path / name) for name in ("a.txt", "b.txt")]


def test_a_text_and_a_path_of_the_same_letters_are_two_inputs(tmp_path: Path) -> None:
    """An absolute path counts relative to hash_output, but never like a text that looks so."""
    stage = Stage(lambda text: text, hash_output=tmp_path, stage_name="s")
    assert {"output": "x/y"} == stage.run("x/y")
    assert {"output": str(tmp_path / "x/y")} == stage.run(str(tmp_path / "x/y"))
    assert stage.state is True


def test_a_stage_downstream_of_an_equal_rerun_is_a_hit(tmp_path: Path) -> None:
    """What counts of a run's own folder is its stage and the file, not the key of the run."""
    down = Stage(read, hash_output=tmp_path)
    first = Stage(write, hash_output=tmp_path, stage_name="make", code_version="1").run("x")
    down.run(first["output"])
    second = Stage(write, hash_output=tmp_path, stage_name="make", code_version="2").run("x")
    assert first["output"] != second["output"]
    assert ran(down, second["output"]) is False


def test_a_file_passed_through_is_verified(tmp_path: Path) -> None:
    """An output that is an input file comes back, and reruns when it changed."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    stage = Stage(lambda f: f, hash_output=tmp_path / "w", stage_name="s")
    assert {"output": str(file)} == stage.run(str(file))
    assert ran(stage, str(file)) is False
    file.write_text("two")
    assert ran(stage, str(file)) is True


def test_a_declared_folder_counts_with_its_content(tmp_path: Path) -> None:
    """Folder(path) reruns when anything in it changes; a plain string of a folder does not."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a").write_text("one")
    stage = Stage(lambda f: sorted(os.listdir(f)), hash_output=tmp_path / "w", stage_name="s")
    assert [True, False] == [ran(stage, Folder(folder)), ran(stage, Folder(folder))]
    (folder / "a").write_text("two")
    assert ran(stage, Folder(folder)) is True
    (folder / "b").write_text("new")
    assert ran(stage, Folder(folder)) is True
    assert [True, False] == [ran(stage, str(folder)), ran(stage, str(folder))]
    (folder / "b").write_text("newer")
    assert ran(stage, str(folder)) is False


def test_a_folder_returned_from_workdir_is_verified(tmp_path: Path) -> None:
    """What lies in a run's own folder belongs to the entry."""

    def make() -> str:
        folder = workdir() / "subject"
        folder.mkdir()
        (folder / "a").write_text("one")
        return str(folder)

    stage = Stage(make, hash_output=tmp_path)
    path = Path(stage.run()["output"])
    assert ran(stage) is False
    (path / "a").write_text("two")
    assert ran(stage) is True
    (Path(stage.results["output"]) / "a").unlink()
    assert ran(stage) is True


def test_names_that_are_no_regular_files_are_plain_strings(tmp_path: Path) -> None:
    """Devices, pipes and impossible names are never read."""
    os.mkfifo(tmp_path / "pipe")
    stage = Stage(lambda text: len(text), hash_output=tmp_path / "w", stage_name="s")
    for text in (str(tmp_path / "pipe"), "/dev/zero", "a\0b", "x" * 100_000, "", "/" * 5000):
        assert [True, False] == [ran(stage, text), ran(stage, text)]


@pytest.mark.parametrize("name", ["a b.txt", "a\nb", "é\u0301.txt", "{x}", "a'b\";$(ls)", "-rf"])
def test_odd_file_names_work(tmp_path: Path, name: str) -> None:
    """Spaces, newlines, quotes and accents are part of a name like any other letter."""
    file = tmp_path / name
    file.write_text("one")
    stage = Stage(lambda f: [f, read(f)], hash_output=tmp_path / "w", stage_name="s")
    assert {"output": [str(file), "one"]} == stage.run(str(file))
    assert {"output": [str(file), "one"]} == stage.run(str(file))
    assert stage.state is False


def test_a_file_name_that_is_not_utf8_works(tmp_path: Path) -> None:
    """Names are bytes on disk; memori does not mind which."""
    file = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    Path(file).write_text("one")
    stage = Stage(lambda f: [f, read(f)], hash_output=tmp_path / "w", stage_name="s")
    assert [True, False] == [ran(stage, file), ran(stage, file)]
    Path(file).write_text("two")
    assert ran(stage, file) is True


def test_an_input_that_cannot_be_read_is_the_systems_own_error(tmp_path: Path) -> None:
    """Nothing runs on an input that cannot be identified."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything; run the tests as another user")
    file = tmp_path / "a.txt"
    file.write_text("one")
    file.chmod(0)
    with pytest.raises(PermissionError):
        Stage(read, hash_output=tmp_path / "w").run(str(file))


def test_a_link_counts_by_what_it_leads_to(tmp_path: Path) -> None:
    """An annexed file is a link: its name stays, its content is the target's."""
    (tmp_path / "one").write_text("one")
    (tmp_path / "two").write_text("two")
    link = tmp_path / "link"
    link.symlink_to("one")
    stage = Stage(read, hash_output=tmp_path / "w")
    assert {"output": "one"} == stage.run(str(link))
    link.unlink()
    link.symlink_to("two")
    assert {"output": "two"} == stage.run(str(link))
    link.unlink()
    link.symlink_to("gone")
    with pytest.raises(FileNotFoundError):
        stage.run(str(link))


def test_the_memo_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MEMORI_VERIFY=content still hits where nothing changed."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    monkeypatch.setenv("MEMORI_VERIFY", "content")
    stage = Stage(read, hash_output=tmp_path / "w")
    assert [True, False] == [ran(stage, str(file)), ran(stage, str(file))]


@pytest.mark.parametrize("text", ["/abc/", "//abc", "/x/../abc", "/abc", "a/../b", "/regex/"])
def test_texts_that_look_like_paths_stay_as_they_are(tmp_path: Path, text: str) -> None:
    """What a function sees and returns is what was written, on a hit and after a move."""
    before, after = tmp_path / "before", tmp_path / "after"
    others = ["/abc", "/abc/", "//abc", "b", "/regex"]

    def run(root: Path, text: str) -> tuple[object, bool]:
        stage = Stage(lambda t: [t, len(t)], hash_output=root, stage_name="s", code_version="1")
        return stage.run(text)["output"], stage.state

    for other in others:
        run(before, other)
    assert [text, len(text)] == run(before, text)[0]
    before.rename(after)
    assert [text, len(text)] == run(after, text)[0]


def test_a_path_behind_a_link_is_the_one_that_the_system_finds(tmp_path: Path) -> None:
    """Behind a link, .. is the parent of the link's target."""
    (tmp_path / "far" / "inner").mkdir(parents=True)
    (tmp_path / "far" / "x.txt").write_text("far")
    (tmp_path / "x.txt").write_text("near")
    (tmp_path / "link").symlink_to("far/inner")
    spelled = f"{tmp_path}/link/../x.txt"
    stage = Stage(lambda p: [p, read(p)], hash_output=tmp_path / "w", stage_name="s")
    for _ in range(2):
        path, text = stage.run(spelled)["output"]
        assert ("far", "far") == (read(path), text)


def test_a_folder_of_the_users_that_looks_like_a_key_counts(tmp_path: Path) -> None:
    """A date is no key: only folders that memori made count without theirs."""
    Stage(lambda: 1, hash_output=tmp_path, stage_name="convert").run()
    for date in ("20230101", "20230215"):
        (tmp_path / "convert" / date).mkdir(parents=True)
        (tmp_path / "convert" / date / "x.json").write_text("{}")
    stage = Stage(lambda p: Path(p).parent.name, hash_output=tmp_path, stage_name="s")
    for date in ("20230101", "20230215"):
        assert {"output": date} == stage.run(tmp_path / "convert" / date / "x.json")


def test_a_linked_header_counts_with_its_own_image(tmp_path: Path) -> None:
    """Two names of one header can belong to two images."""
    import nibabel as nib
    import numpy as np

    for name, value in (("a", 1), ("b", 2)):
        data = np.full((2, 2, 2), value, np.int16)
        nib.Nifti1Pair(data, np.eye(4)).to_filename(tmp_path / f"{name}.hdr")
    (tmp_path / "b.hdr").unlink()
    (tmp_path / "b.hdr").symlink_to("a.hdr")
    stage = Stage(
        lambda p: Path(p).with_suffix(".img").read_bytes().hex(),
        hash_output=tmp_path / "w",
        stage_name="s",
    )
    time.sleep(0.05)
    stage.run(tmp_path / "a.hdr")
    first = stage.run(tmp_path / "b.hdr")
    image = tmp_path / "b.img"
    image.write_bytes(image.read_bytes()[:-2] + b"\x09\x00")
    assert first != stage.run(tmp_path / "b.hdr")


def test_folders_named_relative_to_here_are_those_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same relative name in another working folder is another folder."""
    stage = Stage(lambda f: os.listdir(f), hash_output=tmp_path / "w", stage_name="s")
    for place in ("A", "B"):
        (tmp_path / place / "in" / place).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / place)
        assert {"output": [place]} == stage.run("in")


def test_a_memo_of_another_memori_or_a_forged_one_is_not_trusted(tmp_path: Path) -> None:
    """A digest on disk that does not carry its own digest is read again from the file."""
    from memori.digest import files

    file = tmp_path / "a.txt"
    file.write_text("one")
    time.sleep(0.05)
    stage = Stage(read, hash_output=tmp_path / "w")
    stage.run(file)
    old = files.file_digest(str(file)).hash
    file.write_text("two")
    time.sleep(0.05)
    new = files.file_digest(str(file), str(tmp_path / "w" / ".memori" / "files")).hash
    for memo in (tmp_path / "w" / ".memori" / "files").iterdir():
        memo.write_text(memo.read_text().replace(new, old))
    files._remembered.clear()
    assert {"output": "two"} == stage.run(file)
