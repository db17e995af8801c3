"""The architecture: imports go down the layers, and `import memori` stays light.

The layers are those of docs/architecture.md. A module imports from its own layer and from those
above it in the table, never from below, and nothing imports in a circle. Imports inside functions
and for type checkers count as well.
"""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "memori"

LAYERS = [
    {"version", "aside", "errors", "original", "helpers"},
    {"files"},
    {"processes"},
    {"digest"},
    {"fingerprint"},
    {"layout", "place"},
    {"artifacts", "keep", "key"},
    {"watch"},
    {"store"},
    {"notebook", "results", "kind"},
    {"calls"},
    {"plan", "signature"},
    {"face", "accepting", "stage"},
    {"again"},
    {"node"},
    {"scheduling"},
    {"graph", "pipeline_run"},
    {"mapping", "pipeline"},
    {"neuro"},
    {"cli"},
]
WINGS = [
    {"filenames", "formats", "process", "tools"},
    {"data"},
    {"bids", "command"},
    {"nipype", "bids_app", "provenance"},
    {"report"},
    {"demo"},
]
CORE = set().union(*LAYERS[:-2])
HEAVY = {"nibabel", "nipype", "numpy", "pandas", "scipy"}
FOR_FEW = {
    "memori.calls.excerpts",
    "memori.calls.fault",
    "memori.calls.levels",
    "memori.digest.formats",
    "memori.digest.sources",
    "memori.fingerprint.versions",
    "memori.plan",
    "memori.store.failures",
    "memori.watch.check",
    "memori.watch.commands.named",
    "shlex",
    "shutil",
    "signal",
    "threading",
}
SLOW_TO_IMPORT = {
    "ast",
    "dataclasses",
    "dis",
    "filelock",
    "importlib.metadata",
    "inspect",
    "logging",
    "pathlib",
    "tempfile",
    "typing",
}


def modules():
    """Every module of memori by its dotted name."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, paths, strict=True)}


MODULES = modules()


def imported(nodes):
    """The dotted names that the import statements among some nodes name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module} in line {node.lineno}"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def tree(module):
    """The syntax tree of a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def room(module):
    """The part of a dotted name that the table of layers knows."""
    return module.split(".")[1] if "." in module else "__init__"


def layer(module):
    """The place of a module in the table; memori/__init__ stands below the core."""
    if module == "memori":
        return len(LAYERS) - 2.5
    return next(place for place, rooms in enumerate(LAYERS) if room(module) in rooms)


def test_every_module_has_its_layer():
    """A new module of the package is given a layer before it is merged."""
    rooms = {room(module) for module in MODULES} - {"__init__"}

    assert set() == rooms - set().union(*LAYERS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers(module):
    """A module imports only from its own layer and those that know less."""
    found = {name for name in imported(ast.walk(tree(module))) if name.split(".")[0] == "memori"}

    assert [] == sorted(name for name in found if layer(name) > layer(module))


def wing(module):
    """The place of a module of memori.neuro among its wings; the table of contents is above all."""
    names = module.split(".")[2:]
    found = [place for place, wings in enumerate(WINGS) if names and names[0] in wings]
    assert found or not names, f"give {module} a wing"
    return found[0] if found else len(WINGS)


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "neuro"])
def test_imports_go_down_the_wings(module):
    """A wing of memori.neuro imports only from itself and those that know less."""
    found = {name for name in imported(ast.walk(tree(module))) if room(name) == "neuro"}
    found -= {"memori.neuro"} if module.startswith("memori.neuro.demo") else set()  # as users do

    own = module.split(".")[2:3]
    others = {name for name in found if name.split(".")[2:3] != own}
    assert [] == sorted(name for name in others if wing(name) >= wing(module))


def test_nothing_imports_in_a_circle():
    """All modules can be ordered so that each imports only earlier ones."""
    core = set(MODULES) - {"memori", "memori.neuro"}

    # the top level only: what is imported in functions, or for type checkers, may be later
    TopologicalSorter({m: core.intersection(imported(tree(m).body)) - {m} for m in core}).prepare()


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in CORE])
def test_the_core_knows_nothing_of_images(module):
    """No module of the core imports the packages of the field, at any time."""
    assert set() == {name.split(".")[0] for name in imported(ast.walk(tree(module)))} & HEAVY


def loaded_by(statement):
    """The modules that a fresh Python loads for a statement, beyond those of a bare one."""
    command = "import json, sys; before = set(sys.modules)\n" + statement
    command += "\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_import_memori_is_light():
    """`import memori` loads neither what is heavy nor what is slow to import."""
    loaded = loaded_by("import memori")

    assert set() == loaded & SLOW_TO_IMPORT
    assert set() == {name.split(".")[0] for name in loaded} & HEAVY
    assert set() == {name for name in loaded if name.startswith("memori.neuro")}


def test_a_first_run_loads_what_it_needs_alone(tmp_path):
    """What explains, fails, or reads files is loaded where it is needed."""
    define = "from memori import Stage\ndef plain(x):\n    return x + 1\n"
    define += f"stage = Stage(plain, hash_output={str(tmp_path)!r})\n"

    loaded = loaded_by(define)
    assert set() == {name for name in loaded if name.startswith("memori.watch")}
    assert set() == loaded & FOR_FEW
    assert set() == loaded_by(f"{define}assert stage.run(1) and stage.state") & FOR_FEW
    assert set() == loaded_by(f"{define}assert stage.run(1) and not stage.state") & FOR_FEW


def test_memori_neuro_is_a_lazy_table_of_contents():
    """`import memori.neuro` loads no other module of it, and naming one thing only its own."""
    assert {"memori.neuro"} == neuro(loaded_by("import memori.neuro"))
    names = "cases companions content dataset description entities expressions ignored inheritance"
    names = [f".bids.{name}" for name in f"{names} query schema tree".split()]
    assert {f"memori.neuro{name}" for name in ("", ".bids", *names)} == neuro(
        loaded_by("from memori.neuro import Dataset")
    )


def test_memori_neuro_offers_what_it_lists():
    """Each name of the table of contents can be imported, and is defined under that very name."""
    import memori.neuro

    found = {name: getattr(memori.neuro, name) for name in memori.neuro.__all__}

    assert {name: name for name in found} == {n: value.__name__ for n, value in found.items()}
    assert set(memori.neuro.__all__) == set(memori.neuro._WHERE)


def neuro(loaded):
    """The modules of memori.neuro among those loaded."""
    return {name for name in loaded if name.startswith("memori.neuro")}
