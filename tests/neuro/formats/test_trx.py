"""Tractograms in .trx: what the archive holds, not how it was packed, or when."""

import io
import zipfile
import zlib

import pytest

MEMBERS = {
    "header.json": b'{"DIMENSIONS": [2, 2, 2], "NB_STREAMLINES": 1, "NB_VERTICES": 2}',
    "positions.3.float32": bytes(24),
    "offsets.uint64": bytes(16),
    "dps/weight.float32": bytes(4),
}


def packed(members, date=(2020, 1, 1, 0, 0, 0), how=zipfile.ZIP_STORED, comment=b""):
    """The bytes of an archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, raw in members.items():
            member = zipfile.ZipInfo(name, date)
            member.compress_type = how
            archive.writestr(member, raw)
        archive.comment = comment
    return stream.getvalue()


@pytest.fixture
def digest(tmp_path, content):
    """The content of the bytes of an archive."""

    def of(raw):
        (tmp_path / "x.trx").write_bytes(raw)
        return content(tmp_path / "x.trx")

    return of


def test_dates_order_and_packing_do_not_count(digest):
    """When and in which order members were packed, and whether deflated, does not count."""
    before = digest(packed(MEMBERS))
    assert before == digest(packed(MEMBERS, date=(2024, 5, 6, 7, 8, 10))) is not None
    assert before == digest(packed(MEMBERS, how=zipfile.ZIP_DEFLATED))
    assert before == digest(packed(dict(reversed(MEMBERS.items()))))


def test_members_count(digest):
    """The bytes and the name of each member count."""
    digests = {digest(packed(MEMBERS))}
    for name, raw in MEMBERS.items():
        digests.add(digest(packed({**MEMBERS, name: raw + b"x"})))
        if name != "header.json":
            rest = {key: value for key, value in MEMBERS.items() if key != name}
            digests |= {digest(packed(rest)), digest(packed({**rest, name + "x": raw}))}
    assert 11 == len(digests - {None})


def bomb(raw):
    """An archive whose member promises more than the file can hold."""
    size = (len(raw) * 2000).to_bytes(4, "little")
    return raw.replace((24).to_bytes(4, "little"), size)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\3\4",
        packed(MEMBERS)[:-1],
        packed(MEMBERS) + b"x",
        packed(MEMBERS, comment=b"hello"),
        packed(MEMBERS, how=zipfile.ZIP_BZIP2),
        packed({"positions.3.float32": b""}),
        packed(MEMBERS).replace(bytes(24), bytes(23) + b"x"),
        bomb(packed(MEMBERS)),
        packed({**MEMBERS, **{f"dps/{number:06}.float32": b"" for number in range(30_000)}}),
    ],
)
def test_what_is_declined(digest, raw):
    """Cut, repacked, mislabelled and hostile archives are compared by their bytes."""
    assert digest(packed(MEMBERS)) is not None
    assert digest(raw) is None


def test_an_archive_that_inflates_without_end_is_declined(digest):
    """A member of zeros, much larger than its archive may hold, is not inflated."""
    zeros = packed({**MEMBERS, "dpv/x.uint8": bytes(1 << 20)}, how=zipfile.ZIP_DEFLATED)
    assert digest(zeros) is not None
    assert len(zeros) < 1 << 13
    promised = zlib.crc32(bytes(1 << 20)).to_bytes(4, "little")
    at = zeros.rindex(promised) + 8  # the size in the directory
    assert digest(zeros[:at] + (0x7FFFFFFF).to_bytes(4, "little") + zeros[at + 4 :]) is None


def test_a_name_twice_is_declined(digest):
    """Readers differ in which of two members of one name they take."""
    once = packed({**MEMBERS, "dpv/b.uint8": b"1"})
    assert digest(once) is not None
    assert digest(once.replace(b"dpv/b.uint8", b"header.json")) is None
