"""The same function, remembered by each peer in its own words: `remember(PEER, function, folder)`.

This runs in the peer's own environment, so that each is imported where it is used. Where a peer
has words for files, they are used: `files` names the parameters that are paths.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def floor(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    """Keep each value in a JSON file that is named after the arguments; nothing is checked."""
    folder.mkdir(parents=True, exist_ok=True)

    def call(*args: Any) -> Any:
        path = folder / f"{'-'.join(map(str, args)).replace('/', '_')[-200:]}.json"
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            value = function(*args)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(value))
            partial.replace(path)
            return value

    return call


def memori(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    from memori import Stage

    stage = Stage(function, hash_output=folder)
    return lambda *args: stage.run(*args)["output"]


def joblib(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    from joblib import Memory

    return Memory(str(folder), verbose=0).cache(function)


def diskcache(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    from diskcache import Cache

    return Cache(str(folder)).memoize()(function)


def nipype(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    """Run a node of the same name each time, as a script does that is run again."""
    import logging

    from nipype import Function, Node
    from nipype.interfaces.base import File

    logging.getLogger("nipype.workflow").setLevel(logging.ERROR)
    names = list(inspect.signature(function).parameters)

    def call(*args: Any) -> Any:
        interface = Function(names, ["out"], function)
        for name in files:
            interface.inputs.remove_trait(name)
            interface.inputs.add_trait(name, File(exists=True))
        key = "n" + "".join(c if c.isalnum() else "_" for c in "_".join(map(str, args))[-60:])
        node = Node(interface, key, base_dir=str(folder))
        for name, value in zip(names, args, strict=False):
            setattr(node.inputs, name, value)
        return node.run().outputs.out

    return call


def nipype_caching(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    """Remember an interface that does nothing: Nipype's memory takes interfaces alone."""
    import logging

    from nipype.caching import Memory
    from nipype.interfaces.utility import Merge

    logging.getLogger("nipype.workflow").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    merge = Memory(str(folder)).cache(Merge)
    return lambda *args: merge(numinputs=2, in1=args[0], in2=args[-1]).outputs.out


def pydra(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    from fileformats.generic import File
    from pydra.compose import python

    names = list(inspect.signature(function).parameters)
    task = python.define(function, inputs=dict.fromkeys(files, File) if files else None)
    return lambda *args: task(**dict(zip(names, args, strict=False)))(cache_root=folder).out


def pipefunc(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    from pipefunc import Pipeline, pipefunc

    names = list(inspect.signature(function).parameters)
    step = pipefunc(output_name="out", cache=True)(function)
    kept = {"cache_dir": str(folder)}
    pipeline = Pipeline([step], cache_type="disk", cache_kwargs=kept)
    return lambda *args: pipeline("out", **dict(zip(names, args, strict=False)))


def redun(function: Call, folder: Path, files: tuple[str, ...]) -> Call:
    import logging

    from redun import File, Scheduler, task
    from redun.config import Config

    logging.getLogger("redun").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    scheduler = Scheduler(config=Config({"backend": {"db_uri": f"sqlite:///{folder}/redun.db"}}))
    scheduler.load()
    names = list(inspect.signature(function).parameters)
    step = task(name=function.__name__, namespace="compared")(function)

    def call(*args: Any) -> Any:
        given = dict(zip(names, args, strict=False))
        given.update({name: File(given[name]) for name in files if name in given})
        return scheduler.run(step(**given))

    return call


PEERS: dict[str, Callable[[Call, Path, tuple[str, ...]], Call]] = {
    "memori": memori,
    "joblib": joblib,
    "diskcache": diskcache,
    "nipype": nipype,
    "nipype.caching": nipype_caching,
    "pydra": pydra,
    "pipefunc": pipefunc,
    "redun": redun,
    "floor": floor,
}
PACKAGES = {
    "memori": "memori-neuro",
    "joblib": "joblib",
    "diskcache": "diskcache",
    "nipype": "nipype",
    "nipype.caching": "nipype",
    "pydra": "pydra>=1.0a12",
    "pipefunc": "pipefunc",
    "redun": "redun",
    "snakemake": "snakemake",
    "floor": "numpy",
}
"""What is installed in the environment of each; the newest that there is."""


def remember(peer: str, function: Call, folder: str | os.PathLike[str], *files: str) -> Call:
    """Return a function that remembers, by the words of a peer."""
    return PEERS[peer](function, Path(folder), files)
