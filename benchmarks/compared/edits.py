"""A catalogue of edits: a small program, what is edited, and whether that can change the result.

Each program has a module `steps` with a function `step(path)`; `NOTE` leaves a mark outside each
time that it runs. Files are texts or bytes by name; None removes one. `keep_stat` gives what is
written the time of modification that was there before.
"""

from __future__ import annotations

import gzip
import os
import struct
from dataclasses import dataclass
from pathlib import Path

Files = dict[str, "str | bytes | None"]
NOTE = 'with open(r"{log}", "a") as log:\n        log.write("x")\n'


@dataclass(frozen=True)
class Edit:
    """One edit of a project.

    Attributes
    ----------
    name, kind : str
        What is edited, and which kind of thing that is.
    before, after : dict
        The files of the project, and those that the edit writes.
    harmless : bool
        Whether the result cannot change, so that a run is needless.
    returns_path : bool
        Whether the step returns the path of a file that it wrote.
    keep_stat : bool
        Whether the edited files keep their time of modification.
    argument : str
        The file that the step is given.
    output : str or None
        What is done to the output that the first run returned: "delete" or "edit".
    """

    name: str
    kind: str
    before: Files
    after: Files
    harmless: bool = False
    returns_path: bool = False
    keep_stat: bool = False
    argument: str = "in.txt"
    output: str | None = None


def text(body: str, head: str = "", tail: str = "") -> str:
    """Write a module whose step reads its file and returns what `body` says."""
    return (
        f"{head}\n\ndef step(path):\n    import os\n    {NOTE}"
        f'    with open(getattr(path, "path", path), "rb") as file:\n'
        f'        text = file.read().decode("latin-1")\n{body}\n{tail}\n'
    )


def code(name: str, old: str, new: str, *, harmless: bool = False, **files: str) -> Edit:
    """Edit the module of the step."""
    before: Files = {"in.txt": "x", "steps.py": old, **{f"{k}.py": v for k, v in files.items()}}
    return Edit(name, "code", before, {"steps.py": new}, harmless)


def elsewhere(name: str, steps: str, old: Files, new: Files, *, harmless: bool = False) -> Edit:
    """Edit another module than that of the step."""
    return Edit(name, "code", {"in.txt": "x", "steps.py": steps, **old}, new, harmless)


def swap(
    name: str, template: str, old: str = "1", new: str = "2", *, harmless: bool = False
) -> Edit:
    return code(
        name, template.replace("VALUE", old), template.replace("VALUE", new), harmless=harmless
    )


RETURN = "    return text + str(value)"
CODE = [
    swap("the function's own body", text("    return text + 'VALUE'")),
    swap("a comment", text("    return text  # VALUE"), harmless=True),
    swap("a docstring of the module", text("    return text", head='"""VALUE"""'), harmless=True),
    swap("blank lines above the function", text("    return text", "VALUE"), "", "\n\n\n", harmless=True),
    swap("brackets and line breaks", text("    return VALUE"), "text + 'a'", "(\n        text\n        + 'a'\n    )", harmless=True),
    swap("a helper in the same file", text("    return text + helper()", "def helper():\n    return 'VALUE'")),
    swap("a helper that is not called", text("    return text", "def other():\n    return 'VALUE'"), harmless=True),
    swap("a helper's helper", text("    return text + a()", "def b():\n    return 'VALUE'\n\ndef a():\n    return b()")),
    swap("a global constant", text("    return text + str(NUMBERS)", "NUMBERS = VALUE")),
    swap("a global list", text("    return text + str(NUMBERS[0])", "NUMBERS = [VALUE]")),
    swap("a default of the function", text("    return text + str(helper())", "def helper(n=VALUE):\n    return n")),
    swap("the value in a closure", text("    return text + str(add())", "def make(n):\n    def add():\n        return n\n    return add\n\nadd = make(VALUE)")),
    swap("an argument of a partial", text("    return text + str(add())", "from functools import partial\n\ndef plus(n):\n    return n\n\nadd = partial(plus, VALUE)")),
    swap("a lambda in a table", text("    return text + str(TABLE['a']())", "TABLE = {'a': lambda: VALUE}")),
    swap("a method of a class", text("    return text + str(A().f())", "class A:\n    def f(self):\n        return VALUE")),
    swap("a method of a base class", text("    return text + str(B().f())", "class A:\n    def f(self):\n        return VALUE\n\nclass B(A):\n    pass")),
    swap("an attribute of a class", text("    return text + str(A.n)", "class A:\n    n = VALUE")),
    swap("a decorator of a helper", text("    return text + str(f())", "def plus(g):\n    return lambda: g() + VALUE\n\n@plus\ndef f():\n    return 1")),
    elsewhere("a helper in another module", text("    return text + other.f()", "import other"), {"other.py": "def f():\n    return '1'\n"}, {"other.py": "def f():\n    return '2'\n"}),
    elsewhere("a constant in another module", text("    return text + str(N)", "from other import N"), {"other.py": "N = 1\n"}, {"other.py": "N = 2\n"}),
    elsewhere("a module that is imported by another", text("    return text + other.f()", "import other"), {"other.py": "from third import f\n", "third.py": "def f():\n    return '1'\n"}, {"third.py": "def f():\n    return '2'\n"}),
    elsewhere("a module that is imported inside the function", text("    import other\n    return text + other.f()"), {"other.py": "def f():\n    return '1'\n"}, {"other.py": "def f():\n    return '2'\n"}),
    elsewhere("a script that the function starts", text("    import subprocess, sys\n    return text + subprocess.check_output([sys.executable, os.path.join(r'{here}', 'tool.py')], text=True)"), {"tool.py": "print(1)\n"}, {"tool.py": "print(2)\n"}),
]  # fmt: skip
PLAIN = text("    return text + '!'")
SIZE = text(
    "    return str(len(gzip.decompress(open(getattr(path, 'path', path), 'rb').read())))",
    "import gzip",
)
NIFTI = text(
    "    import gzip\n    raw = gzip.decompress(open(getattr(path, 'path', path), 'rb').read())\n    return str(sum(raw[352:]))"
)
PAIR = text("    return text[:0] + open(str(getattr(path, 'path', path))[:-3] + 'img').read()")


def nifti(*, time: int = 0, value: int = 1) -> bytes:
    """Write a small NIfTI image, compressed, with a time in the header of gzip."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 2, 2, 2, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<2f", header, 108, 352, 1)
    header[344:348] = b"n+1\0"
    return gzip.compress(bytes(header) + bytes([value] * 8), mtime=time)


def pair(value: str) -> Files:
    """Write the header and the data of an image in two files; the header stays."""
    header = bytearray(gzip.decompress(nifti())[:348])
    header[344:348] = b"ni1\0"
    return {"image.hdr": bytes(header), "image.img": value}


def data(name: str, steps: str, old: Files, new: Files, **how: object) -> Edit:
    """Edit data."""
    return Edit(name, "files", {"in.txt": "x", "steps.py": steps, **old}, new, **how)  # type: ignore[arg-type]


READS = text("    return text + open(os.path.join(r'{here}', 'settings.txt')).read()")
LOOKS = text("    return text + str(os.path.exists(os.path.join(r'{here}', 'flag')))")
LISTS = text(
    "    return text + str(sorted(each for each in os.listdir(os.path.join(r'{here}', 'many'))))"
)
WRITES = text(
    "    target = os.path.join(r'{here}', 'out.txt')\n    with open(target, 'w') as file:\n        file.write(text + '!')\n    return target"
)
FILES = [
    data("the input file", PLAIN, {}, {"in.txt": "y"}),
    data("the input file, same size and time", PLAIN, {}, {"in.txt": "y"}, keep_stat=True),
    data("the input file, its time alone", PLAIN, {}, {"in.txt": "x"}, harmless=True),
    data("an image, compressed again", NIFTI, {"in.nii.gz": nifti()}, {"in.nii.gz": nifti(time=1)}, harmless=True, argument="in.nii.gz"),
    data("a voxel of an image", NIFTI, {"in.nii.gz": nifti()}, {"in.nii.gz": nifti(value=2)}, argument="in.nii.gz"),
    data("the .img beside the .hdr that is given", PAIR, pair("a"), {"image.img": "b"}, argument="image.hdr"),
    data("a file that the function reads by itself", READS, {"settings.txt": "1"}, {"settings.txt": "2"}),
    data("a file that the function looks for", LOOKS, {}, {"flag": ""}),
    data("a folder that the function lists", LISTS, {"many/a": ""}, {"many/b": ""}),
    data("a file beside those that are read", READS, {"settings.txt": "1"}, {"notes.txt": "2"}, harmless=True),
    data("the output, deleted", WRITES, {}, {}, returns_path=True, output="delete"),
    data("the output, edited", WRITES, {}, {}, returns_path=True, output="edit"),
]  # fmt: skip
EDITS = CODE + FILES


def write(folder: Path, files: Files, log: Path, *, keep_stat: bool = False) -> None:
    """Write files of a project."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat() if path.exists() else None
        if content is None:
            path.unlink()
            continue
        if isinstance(content, str):
            content = content.replace("{log}", str(log)).replace("{here}", str(folder)).encode()
        path.write_bytes(content)
        if before is not None:
            kept = before.st_mtime_ns if keep_stat else before.st_mtime_ns + 5_000_000_000
            os.utime(path, ns=(kept, kept))
