"""Let the tests that go by chance go on for long: python .ci/long.py MINUTES [SEED].

The model (tests/test_model.py) and the rewritten memories (tests/store/test_hostile.py) take turns,
each time from another seed. The first fault ends it: exit code 1, and what led there on stdout.
"""

import importlib.util
import random
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

ROOT = Path(__file__).parents[1]


def module(path: str):
    """Import a file of tests."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def main(minutes: float, first: int) -> None:
    """Go on until the time is over, and say how far that was."""
    sys.path.insert(0, str(ROOT))
    model, hostile = module("tests/test_model.py"), module("tests/store/test_hostile.py")
    ends, number = time.monotonic() + minutes * 60, first
    chosen = settings(
        model.TestModel.settings,
        max_examples=40,
        stateful_step_count=30,
        phases=[Phase.generate],
        print_blob=False,
    )
    while time.monotonic() < ends:
        print(f"seed {number}", flush=True)
        run_state_machine_as_test(seed(number)(model.Model), settings=chosen)
        for _ in range(5):
            with tempfile.TemporaryDirectory() as folder:
                hostile.attack_at_random(Path(folder), random.Random(number))
            number += 1


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30))
