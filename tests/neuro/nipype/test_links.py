"""A link to a folder that a node leaves: what it leads to is watched, and never copied."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.pipeline.engine import Node, Workflow

from memori import Stage, workdir
from memori.neuro import remember_workflow


def link(src):
    import os

    os.makedirs("subjects", exist_ok=True)
    os.symlink(src, "subjects/fsaverage")
    os.symlink("subjects/fsaverage", "inside")
    os.symlink(src, "subject")
    return os.path.abspath("subject"), os.path.abspath("subjects")


def use(in_dir):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("use\n")
    with open(in_dir + "/T1.txt") as file:
        return file.read()


def make(text):
    import os

    os.makedirs("big", exist_ok=True)
    with open("big/T1.txt", "w") as file:
        file.write(text)
    return os.path.abspath("big")


def linking(base, src=None, text=None):
    """A node that links to a folder of the user's, or to one that an earlier node made."""
    first = Node(niu.Function(["src"], ["folder", "subjects"], link), "first")
    second = Node(niu.Function(["in_dir"], ["out"], use), "second")
    workflow = Workflow("w", base_dir=str(base))
    workflow.config["execution"] = {"remove_unnecessary_outputs": "false"}
    workflow.connect(first, "folder", second, "in_dir")
    if src is not None:
        first.inputs.src = str(src)
    else:
        node = Node(niu.Function(["text"], ["folder"], make), "zero")
        node.inputs.text = text
        workflow.connect(node, "folder", first, "src")
    return workflow


def outputs(workflow, memory):
    graph = remember_workflow(workflow, memory).run()
    return {node.name: node.result.outputs for node in graph.nodes()}


def test_link_comes_back_as_a_link(tmp_path, log):
    """A link is a link in every base folder, shows what is there now, and takes no room."""
    memory, shared = tmp_path / "memory", tmp_path / "shared"
    shared.mkdir()
    (shared / "big").write_bytes(bytes(1_000_000))
    for text, base, ran in (
        ("v1", "a", {"use": 1}),
        ("v1", "b", {}),
        ("v2", "b", {"use": 1}),
        ("v2", "a", {}),
        ("v1", "c", {}),
    ):
        (shared / "T1.txt").write_text(text)
        found = outputs(linking(tmp_path / base, shared), memory)
        assert text == found["second"].out
        assert ran == log()
        assert str(shared) == os.readlink(found["first"].folder)
        assert str(shared) == os.readlink(Path(found["first"].subjects) / "fsaverage")
        assert "subjects/fsaverage" == os.readlink(tmp_path / base / "w" / "first" / "inside")
    assert 100_000 > sum(path.lstat().st_size for path in memory.rglob("*"))


def test_link_to_what_an_earlier_node_made_follows_it(tmp_path, log):
    """A link into the folder of an earlier node leads to that of the new base folder."""
    memory = tmp_path / "memory"
    outputs(linking(tmp_path / "a", text="x"), memory)
    assert {"use": 1} == log()
    shutil.rmtree(tmp_path / "a")
    found = outputs(linking(tmp_path / "b", text="x"), memory)
    assert {} == log()
    assert str(tmp_path / "b" / "w" / "zero" / "big") == os.readlink(found["first"].folder)
    assert "x" == outputs(linking(tmp_path / "b", text="x"), memory)["second"].out


def leave(src):
    path = workdir() / "link"
    path.symlink_to(src)
    return path


def test_link_of_a_stage_is_no_content(tmp_path):
    """A stage that returns a link in its folder is no miss after what it leads to changed."""
    shared = tmp_path / "shared"
    shared.mkdir()
    stage = Stage(leave, hash_output=tmp_path / "work")
    assert stage.run(str(shared)).ran
    (shared / "new.txt").write_text("x")
    assert not stage.run(str(shared)).ran


def dangle(kind, absolute):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("dangle\n")
    os.makedirs("folder", exist_ok=True)
    with open("folder/there.txt", "w") as file:
        file.write("text")
    os.symlink(absolute if kind == "absolute" else "gone.txt", "folder/link")
    return os.path.abspath("folder")


def followed(folder):
    import os

    return os.readlink(f"{folder}/link"), open(f"{folder}/there.txt").read()


@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_link_to_nothing_comes_back_as_it_was(tmp_path, log, kind):
    """A folder with a link that leads nowhere is remembered, and the link leads there still."""
    target = tmp_path / "gone.txt"
    for base, ran in (("a", {"dangle": 1}), ("b", {}), ("b", {})):
        first = Node(niu.Function(["kind", "absolute"], ["folder"], dangle), "first")
        first.inputs.trait_set(kind=kind, absolute=str(target))
        second = Node(niu.Function(["folder"], ["out"], followed), "second")
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.connect(first, "folder", second, "folder")
        found = outputs(workflow, tmp_path / "memory")["second"].out
        assert (str(target) if kind == "absolute" else "gone.txt", "text") == tuple(found)
        assert ran == log()
    assert os.path.islink(tmp_path / "b/w/first/folder/link")
    target.write_text("there after all")
    outputs(workflow, tmp_path / "memory")
    assert os.path.islink(tmp_path / "b/w/first/folder/link")


def link_files(in_file):
    import os

    with open("lh.pial.T1", "w") as file:
        file.write("surface")
    os.symlink("lh.pial.T1", "lh.pial")
    os.symlink(in_file, "raw.txt")
    return os.path.abspath("lh.pial"), os.path.abspath("raw.txt")


def resolved(paths):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("resolved\n")
    return [os.path.basename(os.path.realpath(path)) for path in paths]


def test_link_to_a_file_is_seen_by_who_follows_it(tmp_path, log):
    """A link to a file of the node's, or to an input, is one again after the base was deleted."""
    memory, raw = tmp_path / "memory", tmp_path / "sub-01_T1w.txt"
    raw.write_text("raw")
    for base, ran in (("a", {"resolved": 1}), ("b", {}), ("b", {})):
        first = Node(niu.Function(["in_file"], ["surface", "raw"], link_files), "first")
        first.inputs.in_file = str(raw)
        second = Node(niu.Merge(2), "second")
        third = Node(niu.Function(["paths"], ["out"], resolved), "third")
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.config["execution"] = {"remove_unnecessary_outputs": "false"}
        workflow.connect([(first, second, [("surface", "in1"), ("raw", "in2")])])
        workflow.connect(second, "out", third, "paths")
        found = outputs(workflow, memory)
        assert ["lh.pial.T1", "sub-01_T1w.txt"] == found["third"].out
        assert ran == log()
        assert "lh.pial.T1" == os.readlink(found["first"].surface)
        assert str(raw) == os.readlink(found["first"].raw)
    assert not any(path.is_symlink() for path in memory.rglob("*"))
