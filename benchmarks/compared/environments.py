"""A virtual environment for each peer, made once in a folder; memori's is of this checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from peers import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
TOO = {"memori": ["joblib"], "nipype.caching": [], "floor": ["isal"]}


def python_of(peer: str, folder: Path) -> Path | None:
    """Return the Python of a peer's environment; None, and why on stderr, if it cannot be made."""
    package = PACKAGES[peer]
    name = re.split(r"[>=<]", package)[0]
    place = folder / name
    python = place / "bin" / "python"
    if (place / "made").exists():
        return python
    what = str(ROOT) if peer == "memori" else package
    uv = shutil.which("uv")
    if uv:
        commands = [
            [uv, "venv", "-q", "--clear", "--python", sys.executable, place],
            [uv, "pip", "install", "-q", "--python", python, what, "numpy", *TOO.get(peer, [])],
        ]
    else:
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        commands = [
            [sys.executable, "-m", "venv", "--clear", place],
            [*pip, what, "numpy", *TOO.get(peer, [])],
        ]
    for command in commands:
        done = subprocess.run([*map(str, command)], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{peer} cannot be installed: {done.stderr.strip()[-500:]}", file=sys.stderr)
            return None
    (place / "made").touch()
    return python


def version_of(peer: str, python: Path) -> str:
    """Return which release of a peer is in its environment."""
    name = re.split(r"[>=<]", PACKAGES[peer])[0]
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=clean())
    return done.stdout.strip() or "?"


def clean() -> dict[str, str]:
    """Return the variables of a run: as little as there may be of who runs this."""
    left_out = ("PYTHON", "MEMORI", "VIRTUAL_ENV")
    kept = {name: each for name, each in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "NO_ET": "1"}
