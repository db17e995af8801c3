"""Names of outputs: filled from the inputs, and inside the run's folder.

Not promised: that a name is one which the file system takes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from memori.neuro.command.errors import STREAMS
from memori.neuro.command.fields import Argument, Field, TemplateError, texts_of
from memori.store import NOTE

RESERVED = frozenset({*STREAMS, NOTE})
WILD = re.compile(r"[*?]")


def names_in(name: Argument) -> tuple[str, ...]:
    """Return the inputs that a name is made of."""
    return tuple(piece.name for piece in name if isinstance(piece, Field))


def rendered(
    output: str,
    name: Argument,
    values: Mapping[str, Any],
    escape: Callable[[str], str] = lambda text: text,
) -> str:
    """Return the name of an output, filled; what comes from inputs is escaped."""
    parts = []
    for piece in name:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        texts = texts_of(piece, values[piece.name])
        if len(texts) != 1:
            raise TemplateError(f"the output {output!r} is named by {piece.name!r}, a list")
        parts.append(escape(texts[0]))
    return "".join(parts)


def inside(output: str, name: str) -> str:
    """Return a name that stays in the run's folder, or raise a TemplateError."""
    normal = os.path.normpath(name) if name else "."
    if os.path.isabs(normal) or normal.split(os.sep)[0] == ".." or normal == "." or "\0" in name:
        raise TemplateError(
            f"the output {output!r} is named {name!r}; a name stays inside the run's folder. Of "
            "an input's path take a part, such as {in_file.stem}"
        )
    if normal in RESERVED:
        raise TemplateError(
            f"the output {output!r} is named {name!r}, which memori writes itself; what a command "
            "prints is captured by Stdout(file=...) under another name"
        )
    return normal


def before_wild(path: str) -> str:
    """Return what of a pattern stands before its first wildcard, as plain text."""
    found = WILD.search(path.replace("[*]", "___").replace("[?]", "___"))
    text = path if found is None else path[: found.start()]
    return re.sub(r"\[([*?[])\]", r"\1", text)
