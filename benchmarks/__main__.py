"""Run every benchmark, or those that are named: ``python benchmarks [core digest ...]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the scripts one after the other, each in a process of its own."""
    folder = Path(__file__).parent
    found = {path.stem.removeprefix("bench_"): path for path in sorted(folder.glob("bench_*.py"))}
    unknown = [name for name in sys.argv[1:] if name not in found]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(found)}", file=sys.stderr)
        return 2
    codes = [
        subprocess.run([sys.executable, str(found[name])], check=False).returncode
        for name in sys.argv[1:] or found
    ]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
