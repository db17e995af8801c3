"""What the names in code say that it reads: docstrings, annotations, lines, the source itself.

That normally counts for nothing, and does as soon as reachable code may read it. It makes no
difference whether that code was loaded or only its source was seen, nor which of the two it reads.
"""

from __future__ import annotations

from memori.fingerprint.atoms import sized, text
from memori.fingerprint.walk import (
    ANNOTATIONS,
    DOCS,
    FILES,
    LINES,
    NAMES,
    ORDER,
    PLACES,
    SOURCE,
    SUBCLASSES,
    WRAPPED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from memori.fingerprint.imports.unloaded import Piece, Read
    from memori.fingerprint.walk import Walk

# names in reachable code -> what they may read
_READING: dict[str, tuple[str, ...]] = {
    "__doc__": (DOCS,),
    "getdoc": (DOCS,),
    "help": (DOCS,),
    "docopt": (DOCS,),
    "__annotations__": (ANNOTATIONS,),
    "get_annotations": (ANNOTATIONS,),
    "get_type_hints": (ANNOTATIONS, WRAPPED),
    "signature": (ANNOTATIONS, WRAPPED),
    "getfullargspec": (ANNOTATIONS,),
    "__signature__": (ANNOTATIONS, WRAPPED),
    "__qualname__": (PLACES,),
    "__wrapped__": (WRAPPED,),
    "unwrap": (WRAPPED,),
    "getsource": (SOURCE, WRAPPED),
    "getsourcelines": (SOURCE, LINES, WRAPPED),
    "__code__": (NAMES,),
    "co_firstlineno": (LINES,),
    "co_lines": (LINES,),
    "co_positions": (LINES,),
    "f_lineno": (LINES,),
    "tb_lineno": (LINES,),
    "__dataclass_fields__": (ANNOTATIONS,),
    "co_filename": (FILES,),
    "getfile": (FILES,),
    "getsourcefile": (FILES,),
    "getmodule": (FILES,),
    "extract_stack": (FILES, LINES),
    "__module__": (FILES,),
    "TypeAdapter": (ANNOTATIONS,),
    "__orig_bases__": (ANNOTATIONS,),
    "get_original_bases": (ANNOTATIONS,),
    "__subclasses__": (SUBCLASSES,),
    "__dict__": (ORDER,),
    "vars": (ORDER,),
    "getmembers": (ORDER, DOCS),
    "__members__": (ORDER,),
}
_READERS = frozenset(_READING)


def mention(walk: Walk, names: Set[str], strings: Set[str]) -> None:
    """Note the names and texts in code that is reached, and what they say that it reads."""
    walk.named |= names
    for reader in _READERS & (names | strings):
        walk.wanted.update(_READING[reader])
    if {"fields", "type"} <= names:  # dataclasses.fields(...)[...].type
        walk.wanted.add(ANNOTATIONS)


def told_by(walk: Walk, piece: Piece) -> Iterator[bytes | Read]:
    """Yield what counts of statements that nobody has run, with what code may read of them."""
    mention(walk, *piece.mentioned())
    yield from piece.parts()
    if walk.modes & {DOCS, ANNOTATIONS}:
        yield sized(b"D", piece.told(documented=DOCS in walk.modes))
    if walk.modes & {SOURCE, LINES}:
        yield text(piece.written())
    if LINES in walk.modes:
        yield text(repr(piece.lines()))
