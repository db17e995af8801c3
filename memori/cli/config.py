"""`memori config`: what is set for all stages and commands here, and where.

From the weakest to the strongest place: ``[tool.memori]`` in the nearest ``pyproject.toml``,
``~/.config/memori.toml``, environment variables, arguments.
"""

from __future__ import annotations

import argparse
from typing import Any

from memori.cli import told
from memori.processes.settings import SETTINGS, where


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "config",
        help="print the settings that hold here, and where they are set",
        description="Print each setting with the place that sets it: [tool.memori] in the nearest "
        "pyproject.toml, ~/.config/memori.toml, which wins over it, or an environment variable, "
        "which wins over both.",
    )
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the settings and return 0."""
    found = {name: where(name) for name in SETTINGS}
    if arguments.json:
        told.print_json({name: {"value": v, "from": place} for name, (v, place) in found.items()})
        return 0
    rows = [(name, value, place) for name, (value, place) in found.items()]
    told.print_table(rows, ("SETTING", "VALUE", "FROM"))
    return 0
