"""Run the tests on the lowest and on the newest releases of what memori needs at run time.

    python .ci/versions.py                     both, all tests
    python .ci/versions.py lowest tests/digest one of them, and what to give to pytest

The bounds stand in pyproject.toml. Each set gets a virtual environment of its own: "lowest" the
release that each bound names, on the lowest Python that is admitted if it is found (old releases
have no wheels for new ones); "newest" what pip finds, on the Python that runs this. The tests' own
tools are the newest that fit. What could not be had as asked is printed: a lowest release that
does not install makes the set fail, a newest that something else holds back does not. The exit
code is the number of sets that failed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETS = ("lowest", "newest")


def project() -> dict[str, object]:
    """Return what pyproject.toml says of the project."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, object] = told["project"]
    return found


def bound(requirement: object) -> tuple[str, str]:
    """Return the name and the lower bound that a requirement says."""
    match = re.fullmatch(r"([\w.-]*)>=([\w.]+)", str(requirement))
    if match is None:
        raise SystemExit(f"pyproject.toml: expected name>=version, got {requirement!r}")
    return match[1], match[2]


def environment(which: str, folder: Path) -> Path:
    """Make a virtual environment and return its Python."""
    lowest = f"python{bound(project()['requires-python'])[1]}"
    for python in (*([lowest] if which == "lowest" else []), sys.executable):
        try:
            made = subprocess.run([python, "-m", "venv", "--clear", folder], capture_output=True)
        except OSError:
            continue
        if made.returncode == 0:
            break
        print(f"{which}: {python} makes no environment: {made.stdout.decode().strip()}")
    python = folder / "bin" / "python"
    print(f"{which}:", subprocess.check_output([python, "--version"], text=True).strip())
    return python


def packages(python: Path, *options: str) -> dict[str, dict[str, str]]:
    """Return what pip lists of an environment, by name as the index spells it."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"]
    spoken = {**os.environ, "PIP_QUIET": "0"}  # asked to be quiet, pip does not even list
    told = json.loads(subprocess.check_output([*command, *options], text=True, env=spoken))
    return {re.sub(r"[-_.]+", "-", each["name"]).lower(): each for each in told}


def installed(which: str, python: Path) -> bool:
    """Install one set and say what it is; return whether it could be had."""
    wanted = dict(map(bound, project()["dependencies"]))  # type: ignore[call-overload]
    pins = [f"{name}=={version}" for name, version in wanted.items()] if which == "lowest" else []
    constraints = python.parents[1] / "constraints.txt"
    constraints.write_text("\n".join(pins))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command = [*pip, "-c", constraints, "-e", f"{ROOT}[test]"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{which}: pip could not install {' '.join(pins) or 'memori'}: {done.stderr[-2000:]}")
        return False
    found = packages(python)
    newer = packages(python, "--outdated") if which == "newest" else {}
    for name, version in wanted.items():
        note = f", held back from {newer[name]['latest_version']}" if name in newer else ""
        print(f"{which}: {name} {found[name]['version']} (admitted from {version}{note})")
    return True


def passes(which: str, tests: list[str]) -> bool:
    """Install one set and run tests on it."""
    with tempfile.TemporaryDirectory(prefix="memori-versions-") as folder:
        python = environment(which, Path(folder))
        if not installed(which, python):
            return False
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        return subprocess.run(command, cwd=ROOT).returncode == 0


def main(arguments: list[str]) -> int:
    """Run the set that is named, or both."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    chosen = arguments[:1] if arguments[:1] and arguments[0] in SETS else list(SETS)
    tests = arguments[1:] if len(chosen) == 1 else arguments
    failed = [which for which in chosen if not passes(which, tests)]
    for which in chosen:
        print(f"{which}: {'FAILED' if which in failed else 'passed'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
