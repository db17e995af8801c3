"""Values as a person reads them: short, and showing where two of them differ."""

from __future__ import annotations

from memori.digest.values import encode

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


def apart(old: JSON, new: JSON) -> tuple[str, JSON, JSON]:
    """Return the smallest part in which two values differ: where it is, and both parts."""
    place = ""
    while True:
        if isinstance(old, dict) and isinstance(new, dict) and list(old) == list(new):
            pairs = [(repr(key), old[key], new[key]) for key in old]
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            pairs = [(str(n), *pair) for n, pair in enumerate(zip(old, new, strict=True))]
        elif isinstance(old, list) and isinstance(new, list):
            same = in_common(list(map(encode, old)), list(map(encode, new)))
            end = len(old) - same[1], len(new) - same[1]
            where = f"{place} from [{same[0]}]" if sum(same) else place
            return where, old[same[0] : end[0]], new[same[0] : end[1]]
        else:
            return place, old, new
        unlike = [pair for pair in pairs if encode(pair[1]) != encode(pair[2])]
        if len(unlike) != 1:
            return place, old, new
        key, old, new = unlike[0]
        place += f"[{key}]"
