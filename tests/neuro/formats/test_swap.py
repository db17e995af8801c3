"""Items in the other byte order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.neuro.formats.swap import each_swapped, swapped


@given(st.sampled_from([1, 2, 3, 4, 8, 10, 16]), st.binary(max_size=200), st.data())
def test_items_are_turned_wherever_a_file_is_cut_into_pieces(width, raw, data):
    """Of any width, also of those that no number of Python has; turned twice they are as before."""
    raw = raw[: len(raw) - len(raw) % width]
    items = np.frombuffer(raw, "u1").reshape(-1, width)
    expected = items[:, ::-1].tobytes()
    assert expected == swapped(raw, width)
    assert raw == swapped(expected, width)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert expected == b"".join(each_swapped(pieces, width))


def test_half_an_item_is_an_error():
    """A file that ends within one is broken."""
    with pytest.raises(ValueError, match="1 bytes are no item of 4 bytes"):
        list(each_swapped([b"abcd", b"e"], 4))
