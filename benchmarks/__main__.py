"""memori beside its peers, or the benchmarks that are named.

    python benchmarks                   everything; the table on stdout
    python benchmarks --short           a part, some minutes
    python benchmarks --write           everything, into docs/benchmarks.md and its picture
    python benchmarks core digest ...   scripts of this folder, which ask more of memori alone

Each peer gets the newest release in a virtual environment of its own (`--keep FOLDER`: there, and
not made anew the next time). Needs a network for that, 3 GB of disk and, for the picture,
matplotlib; ten minutes where nothing else runs, and more to install the peers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
PICTURE = HERE.parent / "docs" / "images" / "benchmarks.png"
MARK = "<!-- what follows is written by python benchmarks --write -->\n"


def named(names: list[str]) -> int:
    """Run scripts one after the other, each in a process of its own."""
    found = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(found)}", file=sys.stderr)
        return 2
    return max(subprocess.run([sys.executable, found[name]]).returncode for name in names)


def compare(*, short: bool, write: bool, keep: Path | None, answers: Path | None) -> None:
    """Ask everybody; print the table, and write it where that is asked for."""
    sys.path.insert(0, str(HERE / "compared"))
    import run
    import show

    with tempfile.TemporaryDirectory() as folder:
        found = run.compared(keep or Path(folder), short=short)
    if answers is not None:
        answers.write_text(json.dumps(found, indent=1))
    print(show.page(found))
    if write:
        head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
        PAGE.write_text(f"{head}{MARK}\n{show.page(found)}\n", encoding="utf-8")
        show.picture(found, PICTURE)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="scripts of this folder, without bench_")
    parser.add_argument("--short", action="store_true", help="a part, in some minutes")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--keep", type=Path, help="where the environments are kept")
    parser.add_argument("--answers", type=Path, help="a file for all answers, as JSON")
    given = parser.parse_args()
    if given.names:
        return named(given.names)
    compare(short=given.short, write=given.write, keep=given.keep, answers=given.answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
