"""`memori provenance`: who made the files of a folder, from what, and how.

Printed, or with ``-o`` written: `prov-json` into a file, `bids-prov` into the folder `prov` of a
dataset, `ro-crate` as `ro-crate-metadata.json` of the folder.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from memori.cli import told
from memori.digest.values import finite
from memori.errors import MemoriError

FORMATS = ("text", "prov-json", "bids-prov", "ro-crate")


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "provenance",
        help="tell who made the files of a folder, for people or as PROV, BIDS-Prov or RO-Crate",
        description="Tell which runs made the files of a folder (or one file), from which files, "
        "with which code, command, tool and container, when, how long and on which machine.",
    )
    parser.add_argument("what", nargs="?", default=".", metavar="DIR|FILE", help="(default: here)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: %(default)s)")
    parser.add_argument(
        "-d",
        dest="memories",
        metavar="DIR",
        action="append",
        default=[],
        help="where runs are remembered, besides in the folder itself: the work folder of an app",
    )
    parser.add_argument(
        "-o", dest="output", metavar="PATH", help="write it there: a file, or for bids-prov and "
        "ro-crate the folder that it tells of"
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the lineage and return 0."""
    from memori.neuro.provenance.lineage import Lineage

    for path in (arguments.what, *arguments.memories):
        if not os.path.lexists(path):
            raise MemoriError(f"{path}: there is no such file or folder")
    lineage = Lineage(arguments.what, arguments.memories)
    if not lineage.asked:
        raise MemoriError(
            f"nothing that is remembered tells who made {arguments.what}; say by -d where the runs "
            "are remembered, such as the work folder of an app"
        )
    written = _TELL[arguments.format](lineage, arguments.output)
    for path in written:
        print(told.path(path))
    return 0


def _text(lineage: Any, output: str | None) -> list[str]:
    from memori.neuro.provenance.text import lines

    text = "\n".join(lines(lineage))
    return _print(text, output)


def _prov_json(lineage: Any, output: str | None) -> list[str]:
    from memori.neuro.provenance.prov_json import document

    return _print(json.dumps(document(lineage), indent=2), output)


def _folder(name: str) -> Callable[[Any, str | None], list[str]]:
    def tell(lineage: Any, output: str | None) -> list[str]:
        module = import_module(f"memori.neuro.provenance.{name}")
        if output is None:
            return _print(json.dumps(finite(module.document(lineage)), indent=2), None)
        if not os.path.isdir(output):
            from memori.neuro.provenance.names import folder_of

            told_of = told.path(folder_of(lineage))
            raise MemoriError(
                f"-o {output} is no folder; give the one that is told of: -o {told_of}"
            )
        written: list[str] = module.write(lineage, output)
        return written

    return tell


def _print(text: str, output: str | None) -> list[str]:
    if output is None:
        print(text)
        return []
    from memori.files import atomic_write

    atomic_write(output, f"{text}\n".encode("utf-8", "surrogateescape"))
    return [output]


_TELL = {
    "text": _text,
    "prov-json": _prov_json,
    "bids-prov": _folder("bids_prov"),
    "ro-crate": _folder("ro_crate"),
}
