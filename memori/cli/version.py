"""`memori version`: which memori this is, in which Python, beside which packages of the field."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import metadata
from typing import Any

from memori.cli import told
from memori.store import SCHEMA
from memori.version import __version__

_BESIDE = ("nipype", "nibabel", "numpy", "pandas", "nilearn", "niimath", "loky", "joblib")


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "version",
        help="say which memori this is, and beside what",
        description="Say which memori this is, in which Python, beside which packages: what a "
        "report of a fault wants.",
    )
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the versions and return 0."""
    system = os.uname()
    found = {
        "memori": __version__,
        "schema": SCHEMA,
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "system": f"{system.sysname} {system.release} {system.machine}",
        "packages": {name: version for name in _BESIDE if (version := _version_of(name))},
    }
    if arguments.json:
        told.print_json(found)
        return 0
    print(f"memori {__version__} (writes schema {SCHEMA})")
    print(f"Python {found['python']} at {sys.executable}, {found['system']}")
    print(", ".join(f"{name} {version}" for name, version in found["packages"].items()))  # type: ignore[attr-defined]
    return 0


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
