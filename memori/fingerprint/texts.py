"""The source of what counts as code, by component: what a person is shown of an edit.

A text is named by the digest that the component's own text ends with or begins with: that of its
syntax, or of the statements of a module that nobody had imported. Texts of one name say the same in
all that counts; what does not count (comments, formatting) is left out when two are compared.

Not promised: a text of code whose source cannot be proved (`memori.fingerprint.sources`).
"""

from __future__ import annotations

import re

from memori.fingerprint.sources import source_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from memori.fingerprint.graph import Node

_NAME = re.compile(r"(?:\w+ )?syntax ([0-9a-f]{12})\b.*|([0-9a-f]{12})")
_MOST = 200_000  # characters; a text that is larger is nothing that a person reads


def names_of(components: Mapping[str, str]) -> dict[str, str]:
    """Return what the text of each component that may have one is called, by label.

    Examples
    --------
    >>> names_of({"helper f": "syntax 0123456789ab, bytecode 3.11 ba9876543210", "global N": "3"})
    {'helper f': '0123456789ab'}
    """
    found = ((label, _NAME.fullmatch(told)) for label, told in components.items())
    return {label: match[1] or match[2] for label, match in found if match}


def text_of(node: Node) -> str | None:
    """Return the source of a component as it was written, or None."""
    if node.piece is not None:
        text: str | None = node.piece.written()
    elif node.code is not None:
        text = _written(node)
    else:
        return None
    return text if text is None or len(text) <= _MOST else None


def _written(node: Node) -> str | None:
    assert node.code is not None
    for text in texts_of(node.code, getattr(node.origin, "__globals__", {})):
        source = source_of(text)
        function = None if source is None else source.function(node.code)
        if source is not None and function is not None:
            return source.written(function)
    return None


def difference(old: str, new: str, subject: str) -> list[str]:
    """Return the lines of a unified diff of two texts, by what counts of them; none if nothing."""
    import difflib

    then, now = _canonical(old).splitlines(), _canonical(new).splitlines()
    if then == now:  # the names that it reaches lead elsewhere, say
        return []
    return list(
        difflib.unified_diff(then, now, f"{subject} (as it ran)", f"{subject} (now)", lineterm="")
    )


def _canonical(text: str) -> str:
    """Return a text without comments, docstrings and formatting, if it is whole statements."""
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return text
    for node in ast.walk(tree):
        body: Any = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = list(_without_remarks(body)) or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _without_remarks(body: list[Any]) -> Iterator[Any]:
    import ast

    for each in body:
        value = each.value if isinstance(each, ast.Expr) else None
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            yield each
