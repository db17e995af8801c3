"""The bytes of a file on their way into a digest, inflated on the fly if it is packed.

A file is read forwards, once, in pieces; no more than a few pieces are in memory at a time,
whatever its size. Inflating and hashing both release the interpreter lock, so that they run side by
side: `sha256_ahead` hashes in a thread what its caller still produces. isal inflates several times
faster than zlib and is used where it is installed; of a sound file both give the same bytes.

A `Source` that ends early, holds more than was promised, or is not sound gzip raises an error;
nothing is promised about bytes that were handed out before that.
"""

from __future__ import annotations

import hashlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Protocol

    class Inflater(Protocol):
        """What isal's decompressor and ours on zlib share (as do bz2's and lzma's)."""

        @property
        def eof(self) -> bool: ...  # noqa: D102
        @property
        def needs_input(self) -> bool: ...  # noqa: D102
        @property
        def unused_data(self) -> bytes: ...  # noqa: D102
        def decompress(self, data: bytes, max_length: int) -> bytes: ...  # noqa: D102


READ = 1 << 18  # bytes per read of a file
PIECE = 1 << 20  # most bytes that one call inflates
SMALL = 1 << 21  # below this, a second thread costs more than it saves
DEFLATE_LIMIT = 1032  # deflate never makes a stream more than this many times smaller (bzip2 may)
MEMBER_LIMIT = 100_000  # gzip members in one file (bgzip makes one per 64 KiB)

GZIP_START = b"\x1f\x8b"
_RESERVED = 0xE0  # flags of a gzip header that zlib refuses and isal does not look at


class BrokenFileError(ValueError):
    """The file is not what its name or its header promises; its bytes are its identity then."""


def sha256_ahead(pieces: Iterable[bytes]) -> tuple[str, int]:
    """Return SHA-256 and length of all pieces, hashing in a thread while the next is produced."""
    pieces = iter(pieces)
    hasher, length = hashlib.sha256(), 0
    for piece in pieces:
        hasher.update(piece)
        length += len(piece)
        if length >= SMALL:
            break
    else:
        return hasher.hexdigest(), length
    import threading
    from queue import SimpleQueue

    queue: SimpleQueue[bytes | None] = SimpleQueue()
    room = threading.Semaphore(8)

    def hash_all() -> None:
        while (piece := queue.get()) is not None:
            hasher.update(piece)
            room.release()

    thread = threading.Thread(target=hash_all)
    thread.start()
    try:
        for piece in pieces:
            room.acquire()
            queue.put(piece)
            length += len(piece)
    finally:
        queue.put(None)
        thread.join()
    return hasher.hexdigest(), length


def is_misnamed(path: str) -> bool:
    """Tell whether a file is gzip and its name says otherwise, or the reverse.

    Many readers go by the name, and refuse such a file.
    """
    with open(path, "rb", buffering=0) as file:
        return (file.read(2) == GZIP_START) != path.lower().endswith((".gz", ".mgz"))


class Source:
    """The bytes of a file from start to end, inflated if it is packed; a context manager.

    Parameters
    ----------
    path : str
        A regular file.
    gzipped : bool, optional
        Whether to inflate. By default the first two bytes decide, which is right for every format
        whose files start with something else; headerless voxels may start with anything.
    bzipped : bool, optional
        Whether to inflate bzip2.

    Attributes
    ----------
    ceiling : int
        No sound file of this size holds more bytes than this.
    """

    def __init__(self, path: str, *, gzipped: bool | None = None, bzipped: bool = False) -> None:
        self._file: IO[bytes] = open(path, "rb", buffering=0)  # noqa: SIM115 (see __exit__)
        size = os.fstat(self._file.fileno()).st_size
        if gzipped is None:
            gzipped = self._file.read(2) == GZIP_START
            self._file.seek(0)
        self.ceiling = size * DEFLATE_LIMIT if gzipped or bzipped else size
        if bzipped:
            self._pieces = _inflated(self._file, _bzip2)
        else:
            self._pieces = _gunzipped(self._file) if gzipped else _pieces_of(self._file)
        self._held = b""  # taken from _pieces, not yet handed out

    @classmethod
    def of(cls, raw: bytes) -> Source:
        """Return a source of bytes that are at hand, as they are."""
        import io

        source = cls.__new__(cls)
        source._file, source.ceiling = io.BytesIO(), len(raw)
        source._pieces, source._held = iter(()), raw
        return source

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def pieces(self, length: int) -> Iterator[bytes]:
        """Yield exactly the next `length` bytes in pieces of no fixed size."""
        if length > self.ceiling:
            raise BrokenFileError(
                f"promises {length} bytes, more than the file can hold ({self.ceiling})"
            )
        while length > 0:
            piece = self._held or next(self._pieces, b"")
            if not piece:
                raise BrokenFileError(f"ends {length} bytes early")
            piece, self._held = (
                (piece, b"") if len(piece) <= length else (piece[:length], piece[length:])
            )
            length -= len(piece)
            yield piece

    def read(self, length: int) -> bytes:
        """Return exactly the next `length` bytes."""
        return b"".join(self.pieces(length))

    def up_to(self, length: int) -> bytes:
        """Return the next bytes, as many as there are up to `length`."""
        kept = bytearray()
        while len(kept) < length and (piece := self._held or next(self._pieces, b"")):
            kept += piece
            self._held = b""
        self._held = bytes(kept[length:])
        return bytes(kept[:length])

    def start_at(self, offset: int) -> None:
        """Go to a place in a file that is not inflated, before anything is read."""
        if not 0 <= offset <= self.ceiling:
            raise BrokenFileError(f"starts at byte {offset} of {self.ceiling}")
        self._file.seek(offset)

    def skip(self, length: int) -> None:
        """Pass over the next `length` bytes."""
        for _ in self.pieces(length):
            pass

    def blank(self, length: int, between: str) -> None:
        """Pass over the next `length` bytes, which must all be zero."""
        for piece in self.pieces(length):
            if piece.strip(b"\0"):
                raise BrokenFileError(f"something between {between}")

    def through(self, mark: bytes, limit: int) -> bytes:
        """Return everything up to and with `mark`, which must come within `limit` bytes."""
        found = bytearray()
        while piece := self._held or next(self._pieces, b""):
            start = max(0, len(found) - len(mark) + 1)
            found += piece
            self._held = b""
            cut = found.find(mark, start, limit) + len(mark)
            if cut >= len(mark):
                self._held = bytes(found[cut:])
                return bytes(found[:cut])
            if len(found) > limit:
                break
        raise BrokenFileError(f"no {mark!r} within {limit} bytes")

    def rest(self) -> Iterator[bytes]:
        """Yield everything that is left."""
        if self._held:
            piece, self._held = self._held, b""
            yield piece
        yield from self._pieces

    def rest_below(self, limit: int) -> bytes:
        """Return everything that is left; more than `limit` bytes are refused."""
        kept = bytearray()
        for piece in self.rest():
            kept += piece
            if len(kept) > limit:
                raise BrokenFileError(f"more than {limit} bytes where only a few belong")
        return bytes(kept)

    def end(self) -> None:
        """Refuse bytes after the end."""
        if next(self.rest(), b""):
            raise BrokenFileError("bytes after the end")


def _pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(READ):
        yield piece


def _gunzipped(file: IO[bytes]) -> Iterator[bytes]:
    flags = file.read(4)[3:]
    if flags and flags[0] & _RESERVED:
        raise BrokenFileError("gzip flags that nobody knows")
    file.seek(0)
    yield from _inflated(file, new_inflater)


def _bzip2() -> Inflater:
    import bz2

    return bz2.BZ2Decompressor()


def _inflated(file: IO[bytes], new: Callable[[], Inflater]) -> Iterator[bytes]:
    """Yield what the packed members of a file hold; bytes of nothing else are refused."""
    waiting = b""
    for _ in range(MEMBER_LIMIT):
        inflater = new()
        while not inflater.eof:
            if inflater.needs_input:
                waiting = waiting or file.read(READ)
                if not waiting:
                    raise BrokenFileError("ends inside a packed member")
            piece = inflater.decompress(waiting, PIECE)
            waiting = b""
            if piece:
                yield piece
        waiting = inflater.unused_data or file.read(READ)
        if not waiting:
            return
    raise BrokenFileError(f"more than {MEMBER_LIMIT} packed members")


class _ZlibInflater:
    """zlib behind the face of isal's decompressor (which is that of bz2 and lzma)."""

    def __init__(self, wbits: int) -> None:
        import zlib

        self._zlib = zlib.decompressobj(wbits)
        self._more = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._more and not self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # A full piece may hide more output even where all input was consumed.
        self._more = bool(self._zlib.unconsumed_tail) or len(piece) == max_length
        return piece


def new_inflater(*, zlib_format: bool = False) -> Inflater:
    """Return a decompressor for one gzip member (or one zlib stream)."""
    try:
        from isal import igzip_lib
    except ImportError:
        return _ZlibInflater(15 if zlib_format else 31)
    flag = igzip_lib.DECOMP_ZLIB if zlib_format else igzip_lib.DECOMP_GZIP
    return igzip_lib.IgzipDecompressor(flag=flag)
