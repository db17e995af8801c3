"""The checksum of HDF5: Bob Jenkins' hash "lookup3" of 32 bits, over bytes in little-endian order.

Written from its description in the public domain (http://burtleburtle.net/bob/c/lookup3.c).
"""

from __future__ import annotations

import struct

_MASK = 0xFFFF_FFFF


def lookup3(raw: bytes) -> int:
    """Return the hash of `raw`, started with 0.

    >>> hex(lookup3(b"")), hex(lookup3(b"Four score and seven years ago"))
    ('0xdeadbeef', '0x17770551')
    """
    a = b = c = (0xDEADBEEF + len(raw)) & _MASK
    if not raw:
        return c
    padded = raw + bytes(-len(raw) % 12)
    words = struct.iter_unpack("<3I", padded)
    left = len(padded) // 12
    for x, y, z in words:
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        left -= 1
        if left:
            a, b, c = _mixed(a, b, c)
    return _final(a, b, c)


def _rotated(x: int, k: int) -> int:
    return ((x << k) | (x >> (32 - k))) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - c) & _MASK ^ _rotated(c, 4)
    c = (c + b) & _MASK
    b = (b - a) & _MASK ^ _rotated(a, 6)
    a = (a + c) & _MASK
    c = (c - b) & _MASK ^ _rotated(b, 8)
    b = (b + a) & _MASK
    a = (a - c) & _MASK ^ _rotated(c, 16)
    c = (c + b) & _MASK
    b = (b - a) & _MASK ^ _rotated(a, 19)
    a = (a + c) & _MASK
    c = (c - b) & _MASK ^ _rotated(b, 4)
    b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    c = (c ^ b) - _rotated(b, 14) & _MASK
    a = (a ^ c) - _rotated(c, 11) & _MASK
    b = (b ^ a) - _rotated(a, 25) & _MASK
    c = (c ^ b) - _rotated(b, 16) & _MASK
    a = (a ^ c) - _rotated(c, 4) & _MASK
    b = (b ^ a) - _rotated(a, 14) & _MASK
    return (c ^ b) - _rotated(b, 24) & _MASK
