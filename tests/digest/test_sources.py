"""The bytes of files, and gzip inflated on the fly."""

import gzip
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.digest import sources
from memori.digest.sources import BrokenFileError, Source, new_inflater


@pytest.fixture
def write(tmp_path):
    """Write bytes to a file and return its path."""

    def write(raw, name="x"):
        (tmp_path / name).write_bytes(raw)
        return str(tmp_path / name)

    return write


@pytest.fixture(params=["isal", "zlib"])
def inflating(request, monkeypatch):
    """With and without isal."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    return request.param


@pytest.mark.usefixtures("inflating")
@given(
    parts=st.lists(st.tuples(st.binary(max_size=99), st.integers(0, 9)), min_size=1, max_size=4),
    reads=st.lists(st.integers(0, 60)),
)
def test_a_source_gives_what_the_members_hold(tmp_path_factory, parts, reads):
    """Members of any level are inflated one after another, however they are read."""
    path = tmp_path_factory.getbasetemp() / "members.gz"
    path.write_bytes(b"".join(gzip.compress(part, level) for part, level in parts))
    whole = b"".join(part for part, _ in parts)
    with Source(str(path)) as source:
        at = 0
        for length in reads:
            if at + length > len(whole):
                with pytest.raises(BrokenFileError):
                    source.read(length)
                return
            assert whole[at : at + length] == source.read(length)
            at += length
        assert whole[at:] == b"".join(source.rest())
        source.end()


@pytest.mark.usefixtures("inflating")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: packed[:-1],
        lambda packed: packed[:12],
        lambda packed: packed + b"\0",
        lambda packed: packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:],
        lambda packed: packed + packed[:5],
    ],
)
def test_unsound_gzip_raises(write, spoil):
    """A cut, a wrong checksum, or bytes behind are errors, not other data."""
    path = write(spoil(gzip.compress(b"hello" * 1000)))
    with Source(path) as source, pytest.raises(Exception, match=r".+"):
        b"".join(source.rest())


@pytest.mark.usefixtures("inflating")
def test_pieces_are_bounded(write):
    """However small the file, no piece is larger than PIECE."""
    path = write(zlib.compress(bytes(50_000_000), wbits=31))
    with Source(path) as source:
        assert sources.PIECE >= max(len(piece) for piece in source.rest())


@pytest.mark.usefixtures("inflating")
def test_a_zlib_stream(write):
    """GIFTI keeps zlib streams, not gzip."""
    inflater = new_inflater(zlib_format=True)
    assert b"hello" == inflater.decompress(zlib.compress(b"hello") + b"rest", 100)
    assert inflater.eof
    assert b"rest" == inflater.unused_data


def test_a_source_promises_no_more_than_the_file(write):
    """What cannot be in the file is refused before anything is read."""
    for raw in (b"x" * 100, gzip.compress(b"x" * 100)):
        with Source(write(raw)) as source, pytest.raises(BrokenFileError, match="promises"):
            next(source.pieces(10**15))


def test_through_a_mark(write):
    """Reading up to a mark finds it across pieces, and stops at the limit."""
    raw = b"a" * (sources.READ - 2) + b"\nEND\nrest"
    with Source(write(raw)) as source:
        assert raw[:-4] == source.through(b"\nEND\n", len(raw))
        assert b"rest" == b"".join(source.rest())
    with Source(write(raw)) as source, pytest.raises(BrokenFileError, match="END"):
        source.through(b"\nEND\n", 100)
    with Source.of(b"no mark") as source, pytest.raises(BrokenFileError):
        source.through(b"\nEND\n", 100)
