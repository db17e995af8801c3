"""Tables in gzip: what they hold, not when or how they were packed."""

import gzip

import pandas as pd
import pytest

TABLE = b"onset\tduration\n1\t2\n"


@pytest.fixture
def digest(tmp_path, content):
    """The content of the bytes of a table in gzip."""

    def of(raw, name="a_physio.tsv.gz"):
        (tmp_path / name).write_bytes(raw)
        return content(tmp_path / name)

    return of


@pytest.mark.parametrize("suffix", [".tsv.gz", ".csv.gz", ".txt.gz", ".1D.gz"])
def test_time_level_and_members_do_not_count(digest, suffix):
    """A step that writes its table again leaves what it left before."""
    first = digest(gzip.compress(TABLE, mtime=1), f"a{suffix}")
    assert first is not None
    assert first == digest(gzip.compress(TABLE, 1, mtime=2), f"a{suffix}")
    assert first == digest(gzip.compress(TABLE[:9]) + gzip.compress(TABLE[9:]), f"a{suffix}")


def test_a_table_that_pandas_writes_twice_is_one(tmp_path, content):
    """Pandas puts the time of writing into it."""
    frame = pd.DataFrame({"a": [1, 2]})
    seen = set()
    for seconds in (1, 2):
        packing = {"method": "gzip", "mtime": seconds}
        frame.to_csv(tmp_path / "a.csv.gz", compression=packing)
        seen.add(content(tmp_path / "a.csv.gz"))
    assert 1 == len(seen - {None})


def test_what_is_packed_counts(digest):
    """Another value is another table."""
    assert digest(gzip.compress(TABLE)) != digest(gzip.compress(TABLE + b"3\t4\n"))


@pytest.mark.parametrize(
    "raw", [TABLE, gzip.compress(TABLE)[:-1], gzip.compress(TABLE) + b"x", b""]
)
def test_what_no_reader_takes_is_compared_by_its_bytes(digest, raw):
    """A table that is not packed, ends early or goes on is no table in gzip."""
    assert digest(raw) is None
