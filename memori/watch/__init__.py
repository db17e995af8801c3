"""Watching a run: what it was seen to read, list, write, start and import.

watching    watch what is done inside a with block
aside       keep memori's own work out of what is seen
Observed    what a run was seen to do
"""

from memori.watch.hook import aside, watching
from memori.watch.observed import Observed, Touch

__all__ = ["Observed", "Touch", "aside", "watching"]
