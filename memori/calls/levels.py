"""The levels at which code is compared, when two fingerprints know different ones.

The text of a component with code says the digest of its syntax, if that could be proved, and that
of its bytecode with the version of Python; see `memori.fingerprint.code`.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = r"(?:\w+ )?(?:(syntax) ([0-9a-f]{12}), )?(bytecode [\d.]+) ([0-9a-f]{12})"


def comparable(
    old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, str]]]:
    """Bring the components of two fingerprints to the levels at which they can be compared.

    Parameters
    ----------
    old, new : mapping of str to str
        What `Code.components` returned, in whatever process and version of Python.

    Returns
    -------
    old, new : dict of str to str
        The same without levels: a component is unchanged if and only if its two texts are equal.
    unlike : dict of str to tuple of str
        The two texts of the components that cannot be compared: code of which one side knows only
        the bytecode, and the other not that of the same Python.

    Examples
    --------
    >>> comparable({"f": "bytecode 3.11 0123456789ab"}, {"f": "bytecode 3.12 0123456789ab"})
    ({}, {}, {'f': ('bytecode 3.11 0123456789ab', 'bytecode 3.12 0123456789ab')})
    """
    then, now = dict(old), dict(new)
    unlike = {}
    for name in [name for name in old if name in new]:
        pair = _at_one_level(old[name], new[name])
        if pair is None:
            unlike[name] = then.pop(name), now.pop(name)
        else:
            then[name], now[name] = pair
    return then, now, unlike


def _at_one_level(old: str, new: str) -> tuple[str, str] | None:
    """Return two texts of a component at a level that both have; at one at which they agree."""
    then, now = _levels(old), _levels(new)
    if not then or not now:  # nothing that has code, or a record of before there were levels
        return (old, old) if new in then.values() or old in now.values() else (old, new)
    both = [(then[level], now[level]) for level in then if level in now]
    same = [pair for pair in both if pair[0] == pair[1]]
    return next(iter(same or both), None)


def _levels(told: str) -> dict[str, str]:
    """Return the digests that the text of a component says, by their levels."""
    match = re.fullmatch(_LEVELS, told)
    if match is None:
        return {}
    found = {match[3]: match[4]}
    return {match[1]: match[2], **found} if match[1] else found
