"""Whose code is it: installed distributions, editable installs, extensions, Python itself."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN = """
import lib, json, single, spaced.part
def run(x):
    return lib.go(x), json.dumps(x), single.go(x), spaced.part.go(x)
"""


def install(
    site: Path, name: str, version: str, files: dict[str, str], record: bool = True
) -> None:
    """Put a distribution into a folder as an installer would."""
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    described = site / f"{name}-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    lines = "".join(f"{path},sha256=x,1\n" for path in files) if record else ""
    (described / "RECORD").write_text(lines)


def project(root: Path, version: str = "1.0", **changes: str) -> Path:
    """Make a project with a site-packages folder inside it, as a virtual environment may be."""
    site = root / ".venv" / "lib" / "site-packages"
    body = changes.get("lib", "def go(x):\n    return inner(x)\ndef inner(x):\n    return 1\n")
    install(site, "lib", version, {"lib/__init__.py": body})
    install(
        site, "Other_Name", changes.get("other", "2.0"), {"single.py": "def go(x):\n    return 1\n"}
    )
    install(site, "spaced_part", "3.0", {"spaced/part/__init__.py": "def go(x):\n    return 1\n"})
    (root / "main.py").write_text(changes.get("main", MAIN))
    return site


def look(root: Path, *paths: Path, call: str = "main.run") -> tuple[str, dict[str, str]]:
    """Fingerprint the project's function in a new process."""
    script = f"""
        import sys, json
        sys.path[:0] = {[str(root), *map(str, paths), str(ROOT)]}
        sys.dont_write_bytecode = True
        import main
        from memori.fingerprint import fingerprint
        code = fingerprint({call})
        print(json.dumps([code.fast, code.components()]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )
    import json

    fast, components = json.loads(done.stdout)
    return fast, components


def test_distributions_are_found_beside_their_modules(tmp_path: Path) -> None:
    """Names that differ from the package's, and parts of a namespace, are found by RECORD."""
    site = project(tmp_path)

    _, components = look(tmp_path, site)

    found = {label: text for label, text in components.items() if "distribution" in label}
    assert {
        "distribution lib": "1.0",
        "distribution Other-Name": "2.0",
        "distribution spaced-part": "3.0",
    } == found
    assert {"function main.run", *found} == set(components)


def test_an_object_that_has_every_attribute_counts_by_its_name(tmp_path: Path) -> None:
    """`pl.col` makes an expression of any, neither true nor false; others raise what they like."""
    library = """
        import functools
        class Maker:
            __slots__ = ()
            def __getattr__(self, name):
                return functools.partial(str, name)
        class Expr:
            def __init__(self, name):
                self.name = name
            def __getattr__(self, name):
                return Expr(name)
            def __ne__(self, other):
                return self
            __eq__ = __ne__
            __hash__ = None
            def __bool__(self):
                raise TypeError("the truth value of an Expr is ambiguous")
            def __call__(self, name):
                return Expr(name)
        class Config(dict):
            __getattr__ = dict.__getitem__
        class Proxy:
            def __getattribute__(self, name):
                raise RuntimeError("working outside of a context")
        col, other, E = Expr("col"), Expr("other"), Maker()
        config, proxy = Config(a=1), Proxy()
        class Patched:
            col, made = col, E
    """
    main = """
import lib
def run(x):
    return lib.{}(x), lib.E.a(), lib.config.a, lib.Patched.made.b()
"""
    found = []
    for name in ("col", "col", "other"):
        root = tmp_path / f"{name}{len(found)}"
        root.mkdir()
        site = project(root, lib=textwrap.dedent(library), main=main.format(name))
        found.append(look(root, site)[0])

    assert found[0] == found[1]
    assert found[0] != found[2]


def test_an_installed_distribution_counts_by_its_version(tmp_path: Path) -> None:
    """Another version is another fingerprint; a file edited in place is not."""
    found = []
    for name, version, text in (
        ("one", "1.0", "def go(x):\n    return 1\n"),
        ("two", "1.0", "def go(x):\n    return 2\n"),
        ("three", "1.1", "def go(x):\n    return 1\n"),
    ):
        root = tmp_path / name
        root.mkdir()
        found.append(look(root, project(root, version, lib=text))[0])

    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_distribution_installed_from_a_folder_counts_by_its_record(tmp_path: Path) -> None:
    """It may change under the same version; its RECORD tells."""
    site = project(tmp_path)
    described = site / "lib-1.0.dist-info"
    (described / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {}}')
    before, components = look(tmp_path, site)
    assert components["distribution lib"].startswith("1.0 (")

    (described / "RECORD").write_text("lib/__init__.py,sha256=y,1\nlib-1.0.dist-info/RECORD,,\n")

    assert before != look(tmp_path, site)[0]


def test_an_editable_install_is_walked(tmp_path: Path) -> None:
    """A development checkout is the user's code, wherever its metadata lies."""
    site, source = project(tmp_path), tmp_path / "checkout"
    os.rename(site / "lib", source.parent / "checked_out")
    source.mkdir()
    os.rename(source.parent / "checked_out", source / "lib")
    (site / "__editable__.lib.pth").write_text(str(source))
    before, components = look(tmp_path, site, source)
    assert "helper lib.inner" in components

    (source / "lib" / "__init__.py").write_text(
        "def go(x):\n    return inner(x)\ndef inner(x):\n    return 2\n"
    )

    assert before != look(tmp_path, site, source)[0]


def test_a_module_without_a_distribution_is_walked(tmp_path: Path) -> None:
    """A file dropped into site-packages belongs to nobody, so it is the user's."""
    site = project(tmp_path, main="import dropped\ndef run(x):\n    return dropped.go(x)\n")
    (site / "dropped.py").write_text("def go(x):\n    return 1\n")

    _, components = look(tmp_path, site)

    assert "helper dropped.go" in components


def test_a_module_named_like_a_library_of_python_is_walked(tmp_path: Path) -> None:
    """The user's own `statistics.py` is not the standard library's."""
    project(tmp_path, main="import statistics\ndef run(x):\n    return statistics.mean(x)\n")
    (tmp_path / "statistics.py").write_text("def mean(x):\n    return 1\n")

    _, components = look(tmp_path)

    assert "helper statistics.mean" in components


@pytest.mark.skipif(sys.platform == "win32", reason="needs a C compiler")
def test_a_compiled_extension_of_the_project_counts_by_its_file(tmp_path: Path) -> None:
    """The project's own extension counts by the digest of its file, imported early or late."""
    import _json
    import shutil

    path = getattr(_json, "__file__", None)
    if path is None:
        pytest.skip("no extension module to copy")
    name = Path(path).name
    early = "import _json as e\ndef run(x):\n    return e.scanstring('\"a\"', 1)\n"
    late = "def run(x):\n    import _json as e\n    return e.scanstring('\"a\"', 1)\n"
    for text in (early, late):
        folder = tmp_path / str(len(text))
        folder.mkdir()
        project(folder, main=text)
        shutil.copy(path, folder / name)
        before, components = look(folder)
        if "extension _json" not in components:
            pytest.skip("the module is loaded from elsewhere")
        with open(folder / name, "ab") as stream:
            stream.write(b"\0")
        assert before != look(folder)[0]
