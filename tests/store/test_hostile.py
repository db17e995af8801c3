"""A memory that somebody else wrote, on purpose: nothing is executed, and all stays inside.

An entry carries the digest of its own text, which anybody can make again; the other files below
``.memori`` carry none. So these are rewritten, sealed and put to use by all that reads them.
"""

import contextlib
import io
import json
import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memori import Stage, workdir
from memori.cli import main
from memori.files import sealed, unsealed
from memori.store import replaced
from memori.watch.commands.tools import tool_differences

COMMANDS = (
    ["ls"],
    ["ls", "--entries"],
    ["show"],
    ["show", "--accepted"],
    ["show", "write"],
    ["why"],
    ["why", "write"],
    ["log"],
    ["verify"],
    ["prune", "--failed"],
    ["prune", "--older", "0", "--idle", "0", "--failed", "--delete"],
)
GARBAGE: list[Any] = [
    *[None, True, -1, 0, 10**30, 1e308, float("nan"), "", "x", "..", "/", "\0", "\ud800", "é"],
    *["../../../precious", "../precious/file", "write/../../precious", "/dev/zero", "/etc/passwd"],
    *[[], {}, [[]], [None], {"": ""}, ["a", "b"], [["..", ["precious"]]], {"at": "now"}],
]


def write(n: int, source: str) -> str:
    """Read a file that no argument names in full, and write one."""
    folder = os.path.dirname(source)
    texts = [Path(folder, name).read_text() for name in sorted(os.listdir(folder))]
    path = Path(workdir()) / "out.txt"
    path.write_text(f"{n} {texts}")
    return str(path)


def fail(n: int) -> None:
    Path(workdir(), "evidence").write_text("x")
    raise ValueError(n)


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the memory, in which nothing may change."""
    folder = tmp_path / "precious"
    (folder / "0123abcd").mkdir(parents=True)
    for name in ("file", "file.json", "file.unfinished", "0123abcd/file", ".x.partial"):
        (folder / name).write_text("precious")
        os.utime(folder / name, (1000, 1000))
    before = everything_in(folder)
    yield folder
    assert before == everything_in(folder)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def made(tmp_path: Path) -> tuple[Path, Stage, Stage]:
    """A memory of two runs and a failure."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    root = tmp_path / "work"
    writer, failing = (
        Stage(function, hash_output=root, stage_name=name)
        for function, name in ((write, "write"), (fail, "fail"))
    )
    use(writer, failing, tmp_path)
    return root, writer, failing


def use(writer: Stage, failing: Stage, tmp_path: Path) -> None:
    """Call what is remembered there as a script does; what it returns may be what was planted."""
    source = str(tmp_path / "in" / "a.txt")
    for n in (1, 2):
        writer.run(n, source)
    writer.explain(1, source)
    writer.explain(3, source)
    with contextlib.suppress(ValueError):  # a record may say that it did not fail
        failing.run(1)


def ask(root: Path) -> None:
    """Use each command; an error is one line, never a traceback."""
    for command in COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            where = [] if command[0] == "show" and command[1:2] == ["write"] else [str(root)]
            rest = ["-d", str(root)] if not where else []
            main([*command[:1], *where, *command[1:], *rest])


def hidden(root: Path) -> list[Path]:
    return sorted(each for each in (root / ".memori").rglob("*") if each.is_file())


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each part of a JSON value sits."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        yield (*above, name)
        if isinstance(part, (dict, list)):
            yield from places(part, (*above, name))


def spoiled(content: bytes, chance: random.Random) -> bytes:
    """A record in which a part is something else, sealed anew where it was sealed."""
    try:
        text, seal = unsealed(content), sealed
    except ValueError:
        text, seal = content.splitlines()[0] if content else b"{}", bytes
    try:
        record = json.loads(text)
        where = chance.choice(list(places(record)))
    except (ValueError, IndexError, TypeError, RecursionError):
        return chance.choice([b"", b"\0" * 99, b"[" * 99999, chance.randbytes(500), b"{}\n[]\n"])
    holder = record
    for name in where[:-1]:
        holder = holder[name]
    if chance.random() < 0.1:
        del holder[where[-1]]
    else:
        holder[where[-1]] = chance.choice(GARBAGE)
    ending = (
        b"" if seal is sealed else b"\n" + json.dumps({"failed": chance.choice(GARBAGE)}).encode()
    )
    return seal(json.dumps(record).encode()) + ending


def attack(tmp_path: Path, change: Callable[[Path], object], stages: Any, *, again: bool) -> None:
    root, writer, failing = stages
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in hidden(root):
            change(path)
        if again:
            use(writer, failing, tmp_path)
        ask(root)
        use(writer, failing, tmp_path)


def attack_at_random(tmp_path: Path, chance: random.Random) -> None:
    """Rewrite most of a memory three times, and use it each time."""
    stages = made(tmp_path)

    def change(path: Path) -> None:
        if chance.random() < 0.7:
            path.write_bytes(spoiled(path.read_bytes(), chance))

    for _ in range(3):
        attack(tmp_path, change, stages, again=chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_memory_says_calls_and_commands_go_on(
    tmp_path: Path, precious: Path, seed: int
) -> None:
    """A record of a wrong type, or one that names what is elsewhere, costs a run at most."""
    attack_at_random(tmp_path, random.Random(seed))


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe", "zero"])
@pytest.mark.parametrize("again", [True, False])
def test_nothing_is_written_or_read_through_what_stands_in_a_file_s_place(
    tmp_path: Path, precious: Path, kind: str, again: bool
) -> None:
    """A link, another name of a file, a device or a pipe leads nobody out of the memory."""
    stages = made(tmp_path)
    views = [stages[0] / f"write.{suffix}" for suffix in ("inputs", "outputs", "stage")]

    def change(path: Path) -> None:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "hard link":
            path.hardlink_to(precious / "file")
        else:
            target = {"link": precious / "file", "zero": Path("/dev/zero")}
            path.symlink_to(target.get(kind, precious / "new"))

    for path in views:
        change(path)
    attack(tmp_path, change, stages, again=again)
    assert not (precious / "new").exists()


def test_no_run_s_folder_is_removed_through_a_link(tmp_path: Path, precious: Path) -> None:
    """A link where the runs' folders lie leads to what is somebody else's."""
    root, *_ = stages = made(tmp_path)
    (root / "write").rename(root / "moved")
    (root / "write").symlink_to(precious)
    for path in hidden(root):
        key = next((root / "moved").iterdir()).name.encode()
        path.write_bytes(path.read_bytes().replace(key, b"0123abcd"))
        if "folders" in path.parts:
            path.rename(path.with_name("0123abcd.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ask(stages[0])


def test_only_stages_of_the_folder_itself_are_looked_at(tmp_path: Path) -> None:
    """A link to another project's memory does not make it a part of this one."""
    root, *_ = made(tmp_path)
    before = everything_in(root)
    other = tmp_path / "other" / ".memori" / "stages"
    other.mkdir(parents=True)
    (other / "write").symlink_to(root / ".memori" / "stages" / "write")
    ask(tmp_path / "other")
    assert before == everything_in(root)


def test_deep_and_huge_records_are_none(tmp_path: Path, precious: Path) -> None:
    """They are refused before anybody walks through them, in little memory."""
    stages = made(tmp_path)
    for deep in (200, 990, 30_000, 3_000_000):

        def change(path: Path, deep: int = deep) -> None:
            path.write_bytes(sealed(b'{"schema": 2, "key": ' + b"[" * deep + b"]" * deep + b"}"))

        attack(tmp_path, change, stages, again=True)

    def grow(path: Path) -> None:
        os.truncate(path, 1 << 38)

    attack(tmp_path, grow, stages, again=False)


def test_a_program_that_only_a_record_names_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tools are asked for their version by starting them; a record does not say which."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # knows no program of that path
    program, proof = tmp_path / "niimath", tmp_path / "proof"
    program.write_text(f"#!/bin/sh\ntouch {proof}\necho v1.0.1\n")
    program.chmod(0o755)
    told = {str(program): {f"tool {program}": "niimath v1.0.1"}}
    assert [("tool", str(program))] == [each[:2] for each in tool_differences(told)]
    assert not proof.exists()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert [] == list(tool_differences(told))
    assert proof.exists()


def test_a_hit_puts_nothing_back_elsewhere(tmp_path: Path, precious: Path) -> None:
    """A record may say that a run left any file, and that another one wrote over it."""
    root = tmp_path / "project" / "work"
    for path, is_place in {
        tmp_path / "project" / "summary.txt": True,
        tmp_path / "project" / "results" / "summary.txt": True,
        tmp_path / "project" / ".bashrc": False,
        tmp_path / "project" / ".ssh" / "config": False,
        precious / "file": False,
        tmp_path / "project" / "link" / "file": False,
    }.items():
        (tmp_path / "project").mkdir(exist_ok=True)
        (tmp_path / "project" / "link").unlink(missing_ok=True)
        (tmp_path / "project" / "link").symlink_to(precious)
        assert is_place == replaced.is_place(str(root), str(path))
    outside = os.path.relpath(precious / "file", root / ".memori" / "replaced").rjust(64, "/")
    assert not replaced.is_kept(str(root), outside)
    assert not replaced.is_kept(str(root), str(precious / "file").rjust(64, "/"))
