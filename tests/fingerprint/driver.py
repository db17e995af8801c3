"""Fingerprint and run projects, each in a process forked from one that has only memori loaded.

Reads lines of JSON ``{"folder": ..., "main": how}`` and writes for each a line with the digests and
what the project's `run` returned. `how` is "import", "script", "sender" (a script that pickles its
`run` by value) or "worker" (which has nothing but what the sender pickled).
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import traceback

from memori.fingerprint import bytecode, fingerprint

try:
    import cloudpickle
except ImportError:  # an interpreter that only the standard library belongs to
    pass
for name in ("numpy", "pandas", "scipy.stats", "sklearn.pipeline", "numba", "pydantic"):
    try:  # loaded once, and not in each of the processes
        importlib.import_module(name)
    except ImportError:
        pass


def judge(folder: str, how: str) -> dict[str, object]:
    """Return the digests of the project's `run`, and what it returns."""
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    pickled = os.path.join(folder, "run.pickle")
    if how in ("script", "sender"):
        run = runpy.run_path(os.path.join(folder, "main.py"), run_name="__main__")["run"]
        if how == "sender":
            with open(pickled, "wb") as file:
                cloudpickle.dump(run, file)
    elif how == "worker":
        with open(pickled, "rb") as file:
            run = cloudpickle.load(file)
    else:
        import main  # type: ignore[import-not-found]

        run = main.run
    code = fingerprint(run)
    found: dict[str, object] = {
        "fast": code.fast,
        "canonical": code.canonical(),
        "components": code.components(),
        "unresolved": code.unresolved,
    }
    try:
        found["result"] = repr(run(3))
    except Exception as error:
        found["result"] = f"{type(error).__name__}: {error}"
    code.settle()
    again = fingerprint(run)
    found["settled"] = again.fast == code.fast
    return found


def main() -> None:
    """Judge each project that standard input names."""
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os.dup2(2, 1)
            try:
                if asked.get("version") == "unknown":
                    bytecode._KINDS = None
                found = judge(asked["folder"], asked.get("main", "import"))
            except BaseException:
                found = {"error": traceback.format_exc()}
            with os.fdopen(writing, "w") as stream:
                json.dump(found, stream)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            told = stream.read()
        _, status = os.waitpid(child, 0)
        print(told or json.dumps({"error": f"died with status {status}"}))


if __name__ == "__main__":
    main()
