"""Byte order: items of any width to little-endian, piece by piece."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

_CODES = {array(code).itemsize: code for code in "HILQ"}


def swapped(raw: bytes, width: int) -> bytes:
    """Return items of `width` bytes with the bytes of each in opposite order.

    >>> swapped(b"abcd", 2)
    b'badc'
    """
    if width == 1:
        return raw
    if width in _CODES:
        items = array(_CODES[width], raw)
        items.byteswap()
        return items.tobytes()
    turned = bytearray(len(raw))
    for at in range(width):
        turned[at::width] = raw[width - 1 - at :: width]
    return bytes(turned)


def each_swapped(pieces: Iterable[bytes], width: int) -> Iterator[bytes]:
    """Yield pieces with every item swapped; an item may lie across two pieces."""
    left = b""
    for piece in pieces:
        whole = left + piece if left else piece
        cut = len(whole) - len(whole) % width
        left = whole[cut:]
        if cut:
            yield swapped(whole[:cut], width)
    if left:
        raise ValueError(f"{len(left)} bytes are no item of {width} bytes")
