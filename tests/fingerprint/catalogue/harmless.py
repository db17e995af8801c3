"""Edits that cannot change a result."""

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep

_FILE = '''"""Module."""
import math
from typing import TYPE_CHECKING, Optional

RATE = 1000
def helper(a: int, b: "float" = 2.0) -> float:
    """Add."""
    # a comment
    total: float = a + b
    if total > 3:
        pass
    return total * RATE

def other(y):
    return math.floor(y)

class Thing:
    """A thing."""
    size: int = 3
    def area(self, by: int = 1) -> int:
        """Multiply."""
        return self.size * by

def run(x):
    """Run."""
    label = 'it' "s"
    values = [helper(i) for i in range(x)]
    def inner(n: int) -> int:
        """Inner."""
        return n + 1
    return label, values, other(2.5), Thing().area(), inner(x), f"{x}"
'''
_BLACK = '''"""Module."""

import math
from typing import TYPE_CHECKING, Optional

RATE = 1000


def helper(
    a: int,
    b: "float" = 2.0,
) -> float:
    """Add."""
    # a comment
    total: float = a + b
    if total > 3:
        pass
    return total * RATE


def other(y):
    return math.floor(y)


class Thing:
    """A thing."""

    size: int = 3

    def area(self, by: int = 1) -> int:
        """Multiply."""
        return self.size * by


def run(x):
    """Run."""
    label = "it" "s"
    values = [
        helper(i)
        for i in range(x)
    ]

    def inner(n: int) -> int:
        """Inner."""
        return n + 1

    return (
        label,
        values,
        other(2.5),
        Thing().area(),
        inner(x),
        f"{x}",
    )
'''
_SPLIT = {
    "main.py": "from tools import helper\ndef run(x):\n    return helper(x)\n",
    "tools.py": "def helper(x):\n    return x + 1\ndef spare(x):\n    return 0\n",
    "others.py": "",
}
_TYPES = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from collections.abc import Sequence
def run(x: int) -> int:
    return x
"""

EDITS: list[Edit] = [
    keep("comment", _FILE, "# a comment", "# another comment\n    # on two lines"),
    keep("comment added", _FILE, "return total * RATE", "return total * RATE  # scaled"),
    keep("docstring of the function", _FILE, '"""Run."""', '"""Run it.\n\n    At length."""'),
    keep("docstring of a helper", _FILE, '"""Add."""', '"""Sum."""'),
    keep("docstring removed", _FILE, '    """Add."""\n', ""),
    keep("docstring added", _FILE, "def other(y):\n", 'def other(y):\n    """Floor."""\n'),
    keep("docstring of a method", _FILE, '"""Multiply."""', '"""Scale."""'),
    keep("docstring of a class", _FILE, '"""A thing."""', '"""Some thing."""'),
    keep("docstring of the module", _FILE, '"""Module."""', '"""Another."""'),
    keep("docstring of a nested function", _FILE, '"""Inner."""', '"""Deep."""'),
    keep("blank lines", _FILE, "RATE = 1000\n", "RATE = 1000\n\n\n\n"),
    keep("formatter", _FILE, {"main.py": _BLACK}),
    keep("formatter, back", _BLACK, {"main.py": _FILE}),
    keep("parentheses", _FILE, "a + b\n", "(a + (b))\n"),
    keep("quotes", _FILE, "'it'", '"it"'),
    keep("text prefix", _FILE, "'it'", "u'it'"),
    keep("raw prefix", _FILE, "'it'", "r'it'"),
    keep("empty f-string", _FILE, "'it'", "f'it'"),
    keep("joined text", _FILE, "'it' \"s\"", "'its'"),
    keep("number spelling", _FILE, "RATE = 1000", "RATE = 1_000"),
    keep("number base", _FILE, "RATE = 1000", "RATE = 0x3E8"),
    keep("number in the body", _FILE, "total > 3", "total > 0b11"),
    keep("float spelling", _FILE, "2.5", "25e-1"),
    keep("pass removed", _FILE, "        pass\n", "        ...\n"),
    keep("pass added", _FILE, "    return math.floor(y)", "    pass\n    return math.floor(y)"),
    keep("line moved", _FILE, "def run", "\n\n\n\ndef run"),
    keep(
        "function moved to the end",
        _FILE,
        {
            "main.py": _FILE.replace("def other(y):\n    return math.floor(y)\n\n", "")
            + "def other(y):\n    return math.floor(y)\n"
        },
    ),
    keep("unrelated function", _FILE, "def other", "def extra():\n    return 1\ndef other"),
    keep("unrelated global", _FILE, "RATE = 1000\n", "RATE = 1000\nSPARE = [1]\n"),
    keep("unrelated import", _FILE, "import math\n", "import math\nimport string\n"),
    keep("unrelated class", _FILE, "class Thing:", "class Spare:\n    k = 1\nclass Thing:"),
    keep("logging import", _FILE, "import math\n", "import logging\nimport math\n"),
    keep("parameter annotation", _FILE, "a: int", "a: object"),
    keep("parameter annotation removed", _FILE, "a: int", "a"),
    keep("return annotation", _FILE, "-> float", "-> object"),
    keep("local annotation", _FILE, "total: float = a", "total = a"),
    keep("local annotation's type", _FILE, "total: float", "total: int"),
    keep("attribute annotation", _FILE, "size: int = 3", "size: float = 3"),
    keep("attribute annotation removed", _FILE, "size: int = 3", "size = 3"),
    keep("method annotation", _FILE, "by: int = 1) -> int", "by=1)"),
    keep("nested annotation", _FILE, "n: int) -> int", "n: float) -> object"),
    keep("unused import renamed", _FILE, "Optional", "Optional as Opt"),
    keep("type-only import", _TYPES, "Sequence", "Mapping, Sequence"),
    keep(
        "future import", _FILE, "import math\n", "from __future__ import annotations\nimport math\n"
    ),
    keep("helper not reached", _SPLIT, "tools.py", "return 0", "return 1"),
    keep("another module", _SPLIT, {"others.py": "X = 1\n"}),
    keep("local variable renamed", _FILE, "values", "numbers"),
    keep(
        "helper moved to another module",
        _SPLIT,
        {
            "main.py": "from others import helper\ndef run(x):\n    return helper(x)\n",
            "others.py": "def helper(x):\n    return x + 1\n",
        },
    ),
    keep("type alias", _FILE, "RATE = 1000\n", "RATE = 1000\nVector = list[float]\n"),
    keep(
        "type variable",
        _FILE,
        "RATE = 1000\n",
        "from typing import TypeVar\nT = TypeVar('T')\nRATE = 1000\n",
    ),
    keep("semicolon", _FILE, "label = 'it' \"s\"\n", "label = 'it' \"s\";\n"),
    keep("backslash", _FILE, "a + b\n", "a + \\\n        b\n"),
    keep("trailing comma", _FILE, "range(x)]", "range(x,)]"),
    keep("class parentheses", _FILE, "class Thing:", "class Thing():"),
    keep("global annotation", _FILE, "RATE = 1000", "RATE: int = 1000"),
    keep(
        "overload",
        _FILE,
        "def other(y):",
        "from typing import overload\n@overload\ndef other(y: int) -> int: ...\n"
        "@overload\ndef other(y: float) -> int: ...\ndef other(y):",
    ),
    keep(
        "main block",
        _FILE,
        {"main.py": _FILE + '\nif __name__ == "__main__":\n    print(run(3))\n'},
    ),
]
