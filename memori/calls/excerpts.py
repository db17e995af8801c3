"""Values as a person reads them: short, and showing where two of them differ."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from memori.digest.values import JSON

_MOST = 160  # characters


def shortened(old: str, new: str) -> tuple[str, str]:
    """Return two texts, cut to a readable length that shows where they differ."""
    if len(old) <= _MOST and len(new) <= _MOST:
        return old, new
    first = max(0, in_common(old, new)[0] - _MOST // 4)
    ends = [f"...{text[first:]}" if first else text for text in (old, new)]
    return cut(ends[0]), cut(ends[1])


def short(value: JSON, quote: bool) -> str:
    """Return a value on one line."""
    return cut(repr(value) if quote else str(value))


def cut(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def in_common(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """Return how many elements two sequences have in common at their beginnings and ends."""
    most = min(len(old), len(new))
    first = next((n for n in range(most) if old[n] != new[n]), most)
    most -= first
    return first, next((n for n in range(most) if old[-1 - n] != new[-1 - n]), most)
