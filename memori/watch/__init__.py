"""Watching a run: what it was seen to read, list, write, start and import.

watching       watch what is done inside a with block
aside          keep memori's own work out of what is seen
Observed       what a run was seen to do, as it happened
Sieve          takes what counts out of it
LeftOut        what does not count
Facts          what counts, to be kept in an entry
differences    what is not any more as a run found or left it
datasets_of    where the BIDS datasets are that the inputs of a call lie in
"""

from memori.watch.facts import Facts, differences, holds
from memori.watch.hook import aside, watching
from memori.watch.left_out import LeftOut
from memori.watch.observed import Observed
from memori.watch.places import datasets_of
from memori.watch.sieve import Sieve
from memori.watch.touch import Touch

__all__ = [
    "Facts",
    "LeftOut",
    "Observed",
    "Sieve",
    "Touch",
    "aside",
    "datasets_of",
    "differences",
    "holds",
    "watching",
]
