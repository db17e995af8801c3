"""JSON, as in BIDS sidecars: what the text says, not how it is laid out.

White space and the way a character is escaped do not count. Everything else does: the order of
keys, because a program may go through them in that order; a key given twice; how a number is
written, because 1 and 1.0, or 0.1 and 0.10, are not one value to every reader.

Declined: text that is no JSON, that is not UTF-8 or begins with a byte order mark (which many
readers refuse), that is nested more than `MOST_DEPTH` deep or longer than `MOST` bytes.
"""

from __future__ import annotations

import json

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source

MOST = 1 << 19  # bytes; parsed, they take up to sixty times as much
MOST_DEPTH = 64


class _Json:
    family = "json 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put the parsed text, in one spelling, into `fields`."""
        with Source(path, gzipped=False) as source:
            text = source.rest_below(MOST)
        value = json.loads(
            text.decode("utf-8"),
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
            object_pairs_hook=tuple,
        )
        fields.field("value", _spelled(value))


JSON_TEXT = _Json()


class _Number(str):
    """A number, or NaN or Infinity, as it was written."""

    __slots__ = ()


def _spelled(value: object, depth: int = 0) -> str:
    """Write parsed JSON without white space; numbers as they were, objects as their pairs."""
    if depth > MOST_DEPTH:
        raise BrokenFileError(f"nested more than {MOST_DEPTH} deep")
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(_spelled(item, depth + 1) for item in value) + "]"
    if isinstance(value, tuple):
        pairs = (json.dumps(name) + ":" + _spelled(item, depth + 1) for name, item in value)
        return "{" + ",".join(pairs) + "}"
    return json.dumps(value)
