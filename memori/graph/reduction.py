"""Reduce: one stage over the results of many cases.

Each parameter that the results of the cases, or the cases themselves, have a value for is given the
list of these values, in the order of the cases. The stage is a stage like any other: it is
remembered, and runs again only if a member came, went or changed.

Groups are made by the values of inputs of the cases, in the order in which they first occur; each
group is a call of its own, so that one that is unchanged hits.

Not promised: that another order of the cases is a hit. A function sees the order.
"""

from __future__ import annotations

from memori.digest.values import encode, to_json_as
from memori.errors import CasesError
from memori.results import Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memori.node import Node

    Member = tuple[Mapping[str, object], Results]


class Group:
    """Cases that one call of a stage takes together.

    Attributes
    ----------
    named : dict of str to object
        The inputs by whose values it is one group.
    members : list of (case, results)
        In the order given; those that failed are left out.
    failures : list of Failure
        Of its other members.
    """

    def __init__(self, named: dict[str, object]) -> None:
        self.named = named
        self.members: list[Member] = []
        self.failures: list[object] = []

    def inputs_of(self, stage: Node, given: Mapping[str, object]) -> dict[str, object]:
        """Return what a stage is called with for this group.

        Raises
        ------
        TypeError
            If only some of the members have a value that it needs.
        """
        inputs: dict[str, object] = {}
        for name in stage.inputs:
            if name in self.named:
                inputs[name] = self.named[name]
            elif name not in given and name not in stage.args:
                values = [_value(member, name) for member in self.members]
                if all(values):
                    inputs.update({name: [value[0] for value in values]} if values else {})
                elif self.members and name in stage.required and not any(values):
                    case, results = self.members[0]
                    raise TypeError(
                        f"{stage.title} needs {name!r}, and no case and no result has one; they "
                        f"have {', '.join(dict.fromkeys([*results, *case]))}"
                    )
                elif any(values):
                    lacks = self.members[values.index(())][0]
                    raise TypeError(
                        f"{stage.title} takes {name!r} of each case, and {dict(lacks)!r} has none: "
                        "give each case one, or reduce without that case"
                    )
        return {**inputs, **given}

    def reject_empty(self, stage: Node) -> None:
        """Raise a CasesError if no member is left."""
        if not self.members:
            which = f" of {self.named!r}" if self.named else ""
            told = f"{stage.title} has nothing to reduce: all cases{which} failed"
            raise CasesError(told, self.failures)


def _value(member: Member, name: str) -> tuple[object, ...]:
    case, results = member
    found = next((each for each in (results, case) if name in each), None)
    return () if found is None else (found[name],)


def grouped(
    cases: Sequence[tuple[Mapping[str, object], object]], by: str | Sequence[str] | None
) -> list[Group]:
    """Return the groups of cases that have the same values of some inputs; one, if of none.

    Raises
    ------
    TypeError
        If a case has no such input.
    """
    names = (by,) if isinstance(by, str) else tuple(by or ())
    groups: dict[str, Group] = {} if names else {"[]": Group({})}
    for case, result in cases:
        for name in names:
            if name not in case:
                raise TypeError(f"by={name!r}: the case {dict(case)!r} has no such input")
        named = {name: case[name] for name in names}
        key = encode([to_json_as(f"by={name!r}", value) for name, value in named.items()])
        group = groups.setdefault(key, Group(named))
        if isinstance(result, Results):
            group.members.append((case, result))
        else:
            group.failures.append(result)
    return list(groups.values())
