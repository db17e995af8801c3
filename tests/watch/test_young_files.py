"""Files that were made right before a run are inputs like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from memori import Stage


@pytest.mark.parametrize("count", [1, 40, 300])
def test_what_was_written_a_moment_ago_is_remembered(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Also behind many old files, after which a run looks at files no more before it reads them."""
    monkeypatch.chdir(tmp_path)
    old = sorted(Path(pytest.__file__).parent.rglob("*.py"))[:40]
    wait = 0.1 if count == 40 else 0

    def total(count: int, wait: float) -> int:
        import time

        time.sleep(wait)
        for path in old:
            path.read_bytes()
        return sum(int(Path(f"{number}.txt").read_text()) for number in range(count))

    stage = Stage(total, "x", "work")
    for number in range(count):
        Path(f"{number}.txt").write_text("2")
    assert [{"x": 2 * count}, {"x": 2 * count}] == [stage.run(count, wait), stage.run(count, wait)]
    assert not stage.state
    assert [] == [str(each.message) for each in recwarn]
    Path("0.txt").write_text("5")
    assert {"x": 2 * count + 3} == stage.run(count, wait)


def test_what_changes_after_it_was_glanced_at_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody else edits while the run goes on makes a run that is not remembered."""
    monkeypatch.chdir(tmp_path)
    old = sorted(Path(pytest.__file__).parent.rglob("*.py"))[:40]
    Path("scan.txt").write_text("1")

    def reads_and_waits(path: str) -> str:
        import subprocess  # of which nobody is told below: like another host
        import time

        from memori.aside import aside

        time.sleep(0.1)
        for each in old:
            each.read_bytes()
        found = Path("scan.txt").read_text()
        with aside():
            subprocess.run(["/bin/sh", "-c", "echo 2 > scan.txt"], check=True)
        return found

    stage = Stage(reads_and_waits, "x", "work")
    with pytest.warns(UserWarning, match="changed while the stage ran"):
        assert {"x": "1"} == stage.run("a")
    assert stage.explain("a").hit is False
