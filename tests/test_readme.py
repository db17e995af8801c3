"""Every Python block of README and docs runs, as it stands there.

The blocks of one page are one script: a later block may use what an earlier one made. The script
is run by a fresh Python in an empty folder, as a reader would.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def script(page):
    """The Python blocks of a page at the lines where they stand, so that errors say where."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        for place, line in enumerate(block[1].splitlines()):
            lines[first + place] = line
    return "\n".join(lines) + "\n"


PAGES = {
    str(page.relative_to(ROOT)): script(page)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}


MAKE_A_DATASET = ("docs/bids_app.md", "docs/provenance.md")


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if text.strip()])
def test_the_python_blocks_of_a_page_run(page, tmp_path):
    """What a page shows works, also for who goes back to it in the same folder."""
    path = tmp_path / "example.py"
    path.write_text(PAGES[page], encoding="utf-8")

    for _ in range(2 if page in MAKE_A_DATASET else 1):
        done = subprocess.run(
            [sys.executable, "-W", "error::SyntaxWarning", path],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert 0 == done.returncode, f"{page}:\n{done.stderr}"


def test_the_readme_run_twice_gives_no_surprise(tmp_path):
    """Who runs its blocks again, where they ran before, sees no error: all is remembered."""
    path = tmp_path / "example.py"
    path.write_text(PAGES["README.md"], encoding="utf-8")
    command = [sys.executable, path]
    told = {"cwd": tmp_path, "env": environment(), "capture_output": True, "text": True}

    first, second = (subprocess.run(command, check=False, **told) for _ in range(2))

    assert (0, 0) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert ("it ran" in first.stdout, "it was remembered" in second.stdout) == (True, True)


def environment():
    """The environment of a user whose shell finds the tools that pip installed."""
    import os

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def test_readme_has_blocks():
    """The pattern finds the blocks: a README without any would pass unnoticed."""
    assert PAGES["README.md"].strip()


def test_links_within_the_repository_lead_somewhere():
    """Every relative link of README, docs and CONTRIBUTING names a file that is there."""
    pages = [ROOT / name for name in PAGES] + [ROOT / "CONTRIBUTING.md"]
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert [] == broken


PAGES_FOR_USERS = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "architecture.md"),
    *sorted((ROOT / "examples").rglob("*.py")),
]


@pytest.mark.parametrize("page", PAGES_FOR_USERS, ids=lambda page: page.name)
def test_users_need_no_module_below_memori_neuro(page):
    """What a page or an example shows is imported from `memori.neuro` itself."""
    text = page.read_text(encoding="utf-8")
    modules = sorted(path.stem for path in (ROOT / "memori" / "neuro").iterdir())

    assert [] == re.findall(rf"memori\.neuro\.(?:{'|'.join(modules)})\b", text)


def test_readme_and_ci_run_the_same_commands():
    """The two commands of the README are the ones that .ci/run runs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert 1 == len(re.findall(r"^pip install '\.\[demo\]' && memori demo$", readme, re.MULTILINE))
    assert 1 == len(re.findall(r"^pip install -e '\.\[test\]' && pytest$", readme, re.MULTILINE))
