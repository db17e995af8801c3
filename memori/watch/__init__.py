"""Watching a run: what it was seen to read, list, write, start and import.

watching       watch what is done inside a with block
Observed       what a run was seen to do, as it happened
Sieve          takes what counts out of it
LeftOut        what does not count
Facts          what counts, to be kept in an entry
differences    what is not any more as a run found or left it
holds          whether everything is as a run found or left it
datasets_of    where the BIDS datasets are that the inputs of a call lie in
Reach          what a callable reaches, and so may inherit from earlier runs
inherit, keep  what a process still knows of what earlier runs read
counted_variables, environment_names, settle_environment, values_of
               environment variables that code reads by name
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.watch.check import differences, holds
    from memori.watch.environment import (
        counted_variables,
        environment_names,
        settle_environment,
        values_of,
    )
    from memori.watch.facts import Facts
    from memori.watch.hook import watching
    from memori.watch.inherited import Reach, inherit, keep
    from memori.watch.left_out import LeftOut
    from memori.watch.observed import Observed
    from memori.watch.places import datasets_of
    from memori.watch.sieve import Sieve

__all__ = [
    "Facts",
    "LeftOut",
    "Observed",
    "Reach",
    "Sieve",
    "counted_variables",
    "datasets_of",
    "differences",
    "environment_names",
    "holds",
    "inherit",
    "keep",
    "settle_environment",
    "values_of",
    "watching",
]

_LATER = {
    "Facts": "facts",
    "LeftOut": "left_out",
    "Observed": "observed",
    "Reach": "inherited",
    "Sieve": "sieve",
    "datasets_of": "places",
    "differences": "check",
    "counted_variables": "environment",
    "environment_names": "environment",
    "holds": "check",
    "inherit": "inherited",
    "keep": "inherited",
    "settle_environment": "environment",
    "values_of": "environment",
    "watching": "hook",
}


def __getattr__(name: str) -> object:
    """Import a part when it is first asked for: a hit needs few of them."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"memori.watch.{_LATER[name]}"), name)
    globals()[name] = value
    return value
