"""The plain values that a statement reads of a global which holds more: `args.seed`.

A namespace of arguments or a table of settings counts by these values alone, so that what a script
was told besides (a subject, how loud to be) is no edit of the statement.

Not promised: properties, and tables of other classes than `dict`.
"""

from __future__ import annotations

import _ast as ast
from types import ModuleType

from memori.fingerprint.atoms import atom, own_attributes
from memori.fingerprint.writer import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from memori.fingerprint.imports.running import Frame

    Part = tuple[str, tuple[tuple[bool, object], ...]]  # global; whether an attribute, and which


def parts_read(nodes: list[ast.stmt], frame: Frame) -> dict[str, list[Part]]:
    """Return the parts that statements read, by the global, of those read in no other way.

    Parameters
    ----------
    nodes : list of ast.stmt
        The statements.
    frame : Frame
        Where they run.
    """
    found: dict[str, list[Part]] = {}
    for node in nodes:
        for part in _parts(node):
            found.setdefault(part[0], []).append(part)
    names = [each.id for node in nodes for each in inside(node) if isinstance(each, ast.Name)]
    return {
        name: parts
        for name, parts in found.items()
        if name not in frame.local
        and names.count(name) == len(parts)
        and all(atom(value_of(frame.space, part)) is not None for part in parts)
    }


def value_of(space: dict[str, object], part: Part) -> object:
    """Return what stands in a part of a global now; what is no plain value where there is none."""
    value: object = space.get(part[0], space)
    if isinstance(value, ModuleType):  # whose names are followed
        return space
    for is_attribute, name in part[1]:
        if is_attribute:
            value = own_attributes(value).get(str(name), space)
        else:
            value = value.get(name, space) if type(value) is dict else space
    return value


def _parts(node: ast.AST) -> Iterator[Part]:
    """Yield the parts that a node names: dotted, or by constants."""
    below: set[int] = set()
    for each in inside(node):
        if isinstance(each, (ast.Attribute, ast.Subscript)) and id(each) not in below:
            path: list[tuple[bool, object]] = []
            inner: ast.AST = each
            while isinstance(inner, (ast.Attribute, ast.Subscript)):
                if isinstance(inner, ast.Attribute):
                    path.append((True, inner.attr))
                elif isinstance(inner.slice, ast.Constant):
                    path.append((False, inner.slice.value))
                else:
                    break
                inner = inner.value
                below.add(id(inner))
            if isinstance(inner, ast.Name):
                yield inner.id, tuple(reversed(path))
