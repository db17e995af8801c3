"""Look at what a user installs: python .ci/supply.py [PYTHON ...], by default 3.11 to 3.14.

A wheel is built once. On each Python that is found it goes into an empty environment, alone, where

- what it brings with it must stay below 250 MB (without the bytecode that pip compiles of it);
- `import memori` may take 20 ms of the processor more than Python alone (the least of many starts,
  which is the one that other programs slowed least);
- the tests that need no checkout must pass, with nothing else installed but what runs tests.

On the first of them each extra is added, and what it brings is said. A Python that is not there is
said, and is no failure. The exit code is the number of checks that failed. `.ci/versions.py` tries
the lowest and the newest releases of what memori needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MOST = 250  # MB
BUDGET = 0.020  # s
TESTS = (
    "digest",
    "fingerprint/test_bytecode.py",
    "fingerprint/test_changes.py",
    "graph",
    "signature",
    "store/test_store.py",
    "store/test_made.py",
    "neuro/formats",
    "neuro/test_network.py",
    "test_pipeline.py",
    "test_stage.py",
)
OWN = ("test", "dev", "docs")  # extras for who works on memori


def found(version: str) -> str | None:
    """Return a Python of a version that can be started."""
    shims = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for each in (f"python{version}", *map(str, shims)):
        told = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run([each, "-c", told], capture_output=True, text=True)
        except OSError:
            continue
        if done.stdout.strip() == version:
            return each
    return None


def pip(python: Path, *words: str | Path) -> bool:
    """Install something; tell whether that could be done."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *words]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"  not installed: {' '.join(map(str, words))}: {done.stderr.strip()[-400:]}")
    return done.returncode == 0


def megabytes(folder: Path, *, compiled: bool = False) -> float:
    """Return how much room a folder takes."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sum(p.lstat().st_size for p in found if compiled or p.suffix != ".pyc") / 1e6


def cost(python: Path) -> float:
    """Return the processor time that `import memori` adds to a start of Python, in seconds."""
    least = {"pass": 9e9, "import memori": 9e9}
    for _ in range(41):
        for code in least:  # by turns, so that both meet what else the machine does
            before = getrusage(RUSAGE_CHILDREN)
            subprocess.run([python, "-c", code], check=True, env=clean())
            after = getrusage(RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            least[code] = min(least[code], spent)
    return least["import memori"] - least["pass"]


def clean() -> dict[str, str]:
    """Return the environment without what points at this checkout or keeps bytecode away."""
    return {name: each for name, each in os.environ.items() if not name.startswith("PYTHON")}


def check(version: str, wheel: Path, folder: Path, *, extras: list[str]) -> list[str]:
    """Install the wheel on one Python; return what is wrong."""
    python = found(version)
    if python is None:
        print(f"Python {version}: not tried, neither in PATH nor below ~/.pyenv/versions")
        return []
    environment = folder / version
    subprocess.run([python, "-m", "venv", environment], check=True)
    inside = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    before, before_all = megabytes(packages), megabytes(packages, compiled=True)
    print(f"Python {version}:")
    if not pip(inside, wheel):
        return [f"{version}: the wheel does not install"]
    wrong = []
    size = megabytes(packages) - before
    if size >= MOST:
        wrong.append(f"{version}: {size:.0f} MB installed")
    spent = cost(inside)
    if spent > BUDGET:
        wrong.append(f"{version}: import memori takes {1e3 * spent:.0f} ms, of {1e3 * BUDGET:.0f}")
    compiled = megabytes(packages, compiled=True) - before_all - size
    print(f"  {size:.0f} MB with all that it needs, and {compiled:.0f} MB of bytecode")
    print(f"  import memori: {1e3 * spent:.1f} ms")
    for extra in extras:
        before = megabytes(packages)
        if pip(inside, f"memori-neuro[{extra}] @ {wheel.as_uri()}"):
            print(f"  [{extra}] adds {megabytes(packages) - before:.0f} MB to all of the above")
    if not passes(inside, folder / f"tests-{version}"):
        wrong.append(f"{version}: tests fail without a checkout")
    return wrong


def passes(python: Path, folder: Path) -> bool:
    """Run the tests that need no checkout, from a copy that stands alone."""
    shutil.copytree(ROOT / "tests", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    if not pip(python, "pytest", "pytest-xdist", "hypothesis"):
        return False
    tests = [f"tests/{each}" for each in TESTS]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, env=clean()).returncode == 0


def main(versions: list[str]) -> int:
    """Check each Python; return how many things are wrong."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [each for each in told["project"]["optional-dependencies"] if each not in OWN]
    with tempfile.TemporaryDirectory(prefix="memori-supply-") as scratch:
        folder = Path(scratch)
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
        subprocess.run(command, check=True)
        (wheel,) = folder.glob("*.whl")
        wrong = []
        for number, version in enumerate(versions):
            wrong += check(version, wheel, folder, extras=[] if number else names)
    print(*(wrong or ["all as it should be"]), sep="\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PYTHONS)))
