"""Lines that may do something to a library: whether a source is worth to be read for that.

Not promised: that such a line does so, which `effects` tells.
"""

from __future__ import annotations

import re
from types import FunctionType, ModuleType

from memori.fingerprint.atoms import globals_of, is_a
from memori.fingerprint.origins import SCRIPTS, origin_of_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    Space = dict[str, object]

VERBS = frozenset(
    ["add", "append", "clear", "configure", "disable", "enable", "extend", "insert", "install",
     "override", "patch", "pop", "register", "remove", "seed", "set", "setdefault", "unregister",
     "update", "use"]
)  # fmt: skip
_LINE = re.compile(  # what may do so: it calls something of a library, or gives it another value
    rb"^([ \t]*)(?:@?([A-Za-z_]\w*)(?:\.\w+)*\.(\w+)[ \t]*([(=\[])"
    rb"|(?:\w*_)?(?:add|register|seed|set)\w*\()",
    re.MULTILINE,
)
_VERB = re.compile("|".join(VERBS).encode(), re.IGNORECASE)


def may_do_so(content: bytes, space: Space) -> bool:
    """Tell whether a line of a module may do something to a library."""
    if re.search(rb"seed\w*\(", content):
        return True
    for line in _LINE.finditer(content):
        indent, name, last, kind = line.groups()
        if not indent or name is None:
            return True
        if kind == b"(" and _VERB.search(last) is None:
            continue
        value = space.get(name.decode())
        if is_a(value, ModuleType) or callable(value):
            return True
        if value is None and re.search(rb"^[ \t]+(?:import|from)\b.*\b" + name, content, re.M):
            return True
    return False


def calls_what_may(space: Space) -> bool:
    """Tell whether a line of a module of the user's, from which a script imports, may do so."""
    if space.get("__name__") not in SCRIPTS:
        return False
    values = list(space.values())
    modules = [globals_of(each) for each in values if is_a(each, ModuleType)]
    modules += [each.__globals__ for each in values if is_a(each, FunctionType)]
    for each in {id(each): each for each in modules}.values():
        path = each.get("__file__")
        if each is not space and type(path) is str and origin_of_namespace(each).kind == "user":
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            if may_do_so(content, each):
                return True
    return False
