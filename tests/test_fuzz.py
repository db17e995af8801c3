"""Whatever text comes in from outside, there is an answer or a documented error, in bounded time.

Headers of images are edited at random in tests/neuro/formats/test_hostile.py, records of a memory
in tests/store/test_hostile.py.
"""

import json
import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memori import MemoriError
from memori.cli.prune import age, size
from memori.neuro.bids.content import read_json
from memori.neuro.bids.dataset import Dataset
from memori.neuro.bids.entities import BIDSFile, label_of, split_name
from memori.neuro.filenames import spellings, split, stem
from memori.watch.commands.trace import Trace
from memori.watch.commands.words import files_of

LINES = [
    '7 execve("/usr/bin/cat", ["cat", "a b.txt"], 0x7ffe /* 9 vars */) = 0',
    '7 openat(AT_FDCWD</study>, "in.txt", O_RDONLY|O_CLOEXEC) = 3</study/in.txt>',
    '7 openat(AT_FDCWD</study>, "out.txt", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 4</study/out.txt>',
    "7 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 8",
    '8 chdir("sub") = 0',
    '8 newfstatat(AT_FDCWD</study>, "x", {st_mode=S_IFREG|0644, st_size=6, ...}, 0) = 0',
    '8 getdents64(3</study>, [{d_ino=1, d_off=1, d_reclen=24, d_type=DT_REG, d_name="a"}], 9) = 24',
    '8 readlink("/proc/self/exe", "/usr/bin/python3.11", 4096) = 19',
    '8 rename("a", "b") = 0',
    '8 unlinkat(AT_FDCWD</study>, "b", 0) = -1 ENOENT (No such file or directory)',
    '8 openat(AT_FDCWD</study>, "c" <unfinished ...>',
    "8 <... openat resumed>, O_RDONLY) = 5</study/c>",
    "8 +++ exited with 0 +++",
    "7 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=8} ---",
    "7 +++ killed by SIGKILL +++",
]
SIGNS = st.sampled_from([*'"\\,()[]{}<>=@:;-_./*?~$%', "\0", "\n", " ", "é", "\udcff", "9" * 30])
TEXTS = st.lists(SIGNS | st.text(max_size=3), max_size=12).map("".join)


@st.composite
def edited(draw, texts):
    """One of some texts, of which pieces are changed, moved or lost."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(SIGNS | st.just("")) + text[at + draw(st.integers(0, 9)) :]
    return text


@settings(max_examples=40)
@given(st.lists(edited(LINES), max_size=15))
def test_whatever_strace_writes_is_read(lines):
    """Lines of a strace that is newer, killed, or beside a program that writes into its log."""
    trace = Trace("/study")
    trace.reads([f"{line}\n" for line in lines])
    trace.ends()
    assert all(isinstance(path, str) for path in trace.files.touched)


@settings(max_examples=40)
@given(
    TEXTS | edited(["--in=/x/a.nii.gz,b", "@list.txt", "a:b;c", "-o out", "'q uote'", "x[0..2]"])
)
def test_whatever_word_a_command_has_names_files_or_none(tmp_path_factory, word):
    """Words are looked at for names; none is an error, and none takes long."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "list.txt").write_bytes(b"\xff\0a.txt\n" + word.encode("utf-8", "replace"))
    files_of(word, str(folder), "cat")
    files_of("@list.txt", str(folder), "3dcalc")


@settings(max_examples=40)
@given(edited(["sub-01_ses-2_task-rest_run-2_bold.nii.gz", "sub-01", "x.json", "_", "-."]) | TEXTS)
def test_whatever_a_file_is_called_it_has_a_name(name):
    """Names that are none of BIDS have no entities."""
    entities, suffix, extension = split_name(name)
    assert all(isinstance(each, str) for each in (*entities.values(), suffix, extension))
    assert isinstance(BIDSFile(name).entities, dict)
    assert name.rstrip("/").endswith("".join(split(name))) or "/" in name
    assert isinstance(stem(name), str)
    assert all(isinstance(each, str) for each in spellings(name))


@settings(max_examples=40)
@given(st.sampled_from(["run", "desc", "sub", "nonsense"]), TEXTS | st.integers())
def test_whatever_label_is_asked_for_it_is_one_or_a_value_error(name, value):
    """The error says which rule BIDS has."""
    try:
        label = label_of(name, value)
    except ValueError as error:
        label = str(error)
    assert name in label or re.fullmatch("[0-9a-zA-Z+]+", label)  # as the schema of BIDS has it


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(
    JSON.map(json.dumps).map(str.encode)
    | st.binary(max_size=40)
    | st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0"])
)
def test_whatever_a_sidecar_holds_it_is_an_object_or_an_error_that_names_it(
    tmp_path_factory, content
):
    """A dataset of a thousand subjects has one broken file, and the user is told which."""
    root = tmp_path_factory.getbasetemp() / "ds"
    func = root / "sub-01" / "func"
    func.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    (func / "sub-01_task-rest_bold.nii.gz").write_bytes(b"x")
    sidecar = func / "sub-01_task-rest_bold.json"
    sidecar.write_bytes(content)
    try:
        found = read_json(str(sidecar))
    except MemoriError as error:
        found = {} if sidecar.name in str(error) else error
    assert isinstance(found, dict)


@settings(max_examples=40)
@given(JSON.map(json.dumps).map(str.encode) | st.sampled_from([b"[" * 100_000, b"", b"\xff"]))
def test_whatever_describes_a_dataset_its_files_are_listed_or_an_error_says_why(
    tmp_path_factory, content
):
    """A description by another program, or by hand."""
    root = tmp_path_factory.getbasetemp() / "described"
    (root / "sub-01" / "anat").mkdir(parents=True, exist_ok=True)
    (root / "sub-01" / "anat" / "sub-01_T1w.nii.gz").write_bytes(b"x")
    (root / "dataset_description.json").write_bytes(content)
    try:
        found = [Path(each).name for each in Dataset(str(root)).files()]
    except MemoriError as error:
        found = [str(error)]
    assert found == ["sub-01_T1w.nii.gz"] or "dataset_description.json" in found[0]


@settings(max_examples=40)
@given(TEXTS)
@pytest.mark.parametrize("convert", [age, size])
def test_whatever_is_written_for_an_age_or_a_size_it_is_one_or_none(convert, text):
    """The command line tells it in one line."""
    try:
        found = convert(text)
    except ArgumentTypeError as error:
        found = str(error).count(repr(text))
    assert found >= 0
