"""JSON: what it says, not how it is laid out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def digest_of(tmp_path_factory, content):
    """The content of a text in a sidecar."""
    path = tmp_path_factory.mktemp("json") / "sub-01_bold.json"

    def digest(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return content(path)

    return digest


@given(value=VALUES)
def test_layout_and_escapes_do_not_count(digest_of, value):
    """Indentation, white space and escaped letters leave the content as it is."""
    compact = json.dumps(value)
    loose = json.dumps(value, indent=3, ensure_ascii=False, separators=(" , ", " : "))
    loose_bytes = loose.encode("utf-8", "surrogatepass")
    assert digest_of(compact) == digest_of(loose_bytes) is not None


@given(old=VALUES, new=VALUES)
def test_content_is_equal_if_and_only_if_the_json_is(digest_of, old, new):
    """Two values have one content exactly if their compact JSON is the same."""
    same = json.dumps(old) == json.dumps(new)
    assert same == (digest_of(json.dumps(old)) == digest_of(json.dumps(new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
        ('{"a": 1}', '{"a": 1.0}'),
        ("[1.0]", "[1.00]"),
        ("[1e2]", "[100.0]"),
        ('["1"]', "[1]"),
        ("[NaN]", "[null]"),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ("[1e400]", "[Infinity]"),
        ('["NaN"]', "[NaN]"),
        ("[1,2]", "[12]"),
        ("[]", "{}"),
    ],
)
def test_what_counts(digest_of, old, new):
    """Order and repetition of keys, and how a number is written, count."""
    assert digest_of(old) != digest_of(new) is not None


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1} x', "\xff\xfe\x00".encode("latin-1"), "[" * 10**5, "[" * 99 + "]" * 99],
)
def test_what_is_declined(digest_of, text):
    """What is no JSON, or nested beyond reason, is compared by its bytes."""
    assert digest_of(text) is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_another_encoding_is_another_file(digest_of, encoding):
    """JSON with a byte order mark, in UTF-16 (PowerShell) or Latin-1 fails most readers."""
    text = '{"RepetitionTime": 2.0, "InstitutionName": "Universit\u00e9"}'
    assert digest_of(text) is not None
    assert digest_of(text.encode(encoding)) is None


def test_long_text_is_declined(digest_of):
    """A JSON of megabytes is compared by its bytes, in bounded memory."""
    assert digest_of("[" + "1," * 10**6 + "1]") is None
