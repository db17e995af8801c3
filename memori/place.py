"""Where a stage remembers: a folder whose name may hold fields filled from the inputs."""

from __future__ import annotations

import os
import re

from memori.errors import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memori.digest.values import JSON

    Where = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None

_MOST_KNOWN = 4096
_known: dict[tuple[str, str], str] = {}
_absent: set[str] = set()
_FIELD = r"\{\{|\}\}|\{([^{}]*)\}"


def places_of(
    subject: str, where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
) -> tuple[Place, ...]:
    """Return the places that a `hash_output` names: one, or further ones to look in, too.

    Raises
    ------
    TypeError
        If one is neither a text nor a path.
    ValueError
        If there is none, or one is no folder.
    """
    if isinstance(where, (str, os.PathLike)):
        return (Place(subject, where),)
    if not isinstance(where, (list, tuple)) or not all(
        isinstance(each, (str, os.PathLike)) for each in where
    ):
        raise TypeError(
            f"{subject}: hash_output={where!r}; expected a folder as a text or Path, a list of "
            "them, or None"
        )
    if not where:
        raise ValueError(f"{subject}: hash_output is an empty list; give a folder, or None")
    places = tuple(Place(subject, each) for each in where)
    for place in places[1:]:
        fixed, field, _ = place.text.partition("{")
        above = os.path.abspath(os.path.dirname(fixed) if field else fixed)
        if not os.path.isdir(above) and above not in _absent:
            _absent.add(above)
            warn(f"{subject}: hash_output names the further place {above}, which is not there")
    return places


class Place:
    """A `hash_output` with its fields.

    Parameters
    ----------
    subject : str
        What errors call the stage.
    folder : str or os.PathLike
        Such as ``"work/{subject}"``; ``{{`` stands for a brace. A part that is an entity,
        ``ses-{session}``, is left out where its field is None.

    Attributes
    ----------
    text : str
        The folder as it was written.
    fields : tuple of str
        The names that it needs.

    Raises
    ------
    ValueError
        If it is empty or a field is no name.
    """

    __slots__ = ("_subject", "fields", "text")

    def __init__(self, subject: str, folder: str | os.PathLike[str]) -> None:
        self._subject = subject
        self.text = os.path.expanduser(os.fspath(folder))
        if not self.text:
            raise ValueError(f"{subject}: hash_output is empty; give a folder, or None")
        found = [match[1] for match in re.finditer(_FIELD, self.text) if match[1] is not None]
        self.fields = tuple(dict.fromkeys(found))
        for field in self.fields:
            if not field.isidentifier():
                raise ValueError(
                    f"{subject}: hash_output {self.text!r} has the field {{{field}}}, which is no "
                    "name of an input; write {{ for a brace"
                )
        if {"{", "}"}.intersection(re.sub(_FIELD, "", self.text)):
            raise ValueError(
                f"{subject}: hash_output {self.text!r} has a brace without its other half; a field "
                "is {name}; write {{ or }} for a brace itself"
            )

    def fill(self, inputs: Mapping[str, JSON]) -> str:
        """Return the absolute folder for these inputs.

        Raises
        ------
        ValueError
            If a field is filled with what cannot name one folder.
        """
        if "{" not in self.text and "}" not in self.text:
            return _absolute(self.text)

        def value_of(match: re.Match[str]) -> str:
            return match[0][0] if match[1] is None else self._plain(match[1], inputs)

        text = self.text
        for field in self.fields:
            if inputs.get(field) is None:
                text = _without_entity(text, field)
        if not text:
            raise ValueError(
                f"{self._subject}: nothing is left of hash_output {self.text!r} where "
                f"{', '.join(self.fields)} is None; begin it with a folder, such as 'work/'"
            )
        return _absolute(re.sub(_FIELD, value_of, text))

    def _plain(self, field: str, inputs: Mapping[str, JSON]) -> str:
        value = inputs.get(field)
        text = str(value)
        is_plain = isinstance(value, (str, int, float)) and text not in ("", ".", "..")
        if not is_plain or os.sep in text or "\0" in text:
            raise ValueError(
                f"{self._subject}: the field {{{field}}} of hash_output {self.text!r} is filled "
                f"with {value!r}; it must be a text or number that can name one folder"
            )
        return text


def _without_entity(text: str, field: str) -> str:
    """Leave out each part of a folder's name that is an entity with this field for a label.

    >>> _without_entity("work/sub-{subject}/ses-{session}", "session")
    'work/sub-{subject}'
    >>> _without_entity("work/ses-{session}_sub-{subject}", "session")
    'work/sub-{subject}'
    """
    entity = rf"[A-Za-z]+-\{{{field}\}}"
    ends = r"(?=[/_]|$)"
    return re.sub(
        rf"_{entity}{ends}|/{entity}(?=/|$)|(?<=/){entity}_|^{entity}(?:[/_]|$)", "", text
    )


def _absolute(text: str) -> str:
    """Return `os.path.abspath`, as found before where it was: each hit asks for it."""
    place = ("" if text[:1] == os.sep else os.getcwd(), text)
    found = _known.get(place)
    if found is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        found = _known[place] = os.path.abspath(text)
    return found
