"""One run, as a report tells of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.store import Entry, Unfinished

State = Literal["ran", "hit", "failed", "running"]


@dataclass(eq=False)
class Run:
    """One run: remembered, failed or going on.

    Attributes
    ----------
    stage : str
        The stage's name, as a file name.
    root : str
        The `hash_output`, absolute.
    inputs : dict of str to JSON
        What it was given, as far as is known.
    began, seconds, used : float
        When it began, how long it took, and when it was made or hit last.
    state : {"ran", "hit", "failed", "running"}
        "ran" if it is of the last run, "hit" if it was remembered.
    entry : Entry, optional
        Of a run that is remembered.
    unfinished : Unfinished, optional
        Of one that is not.
    given : dict of str to list of Run
        By input, the runs whose outputs it was given.
    files : list of (str, str)
        The files and folders that it was given: input, absolute path.
    is_last : bool
        Whether it is of the last run.
    case : str
        Its row.
    """

    stage: str
    root: str
    inputs: dict[str, JSON]
    began: float
    seconds: float
    used: float
    state: State
    entry: Entry | None = None
    unfinished: Unfinished | None = None
    given: dict[str, list[Run]] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)
    case: str = ""
    is_last: bool = False

    @property
    def fed_by(self) -> list[Run]:
        """Those whose outputs it was given, each once."""
        return list(dict.fromkeys(maker for makers in self.given.values() for maker in makers))

    @property
    def peak(self) -> int:
        """The most memory that its process had held, in bytes; 0 if nobody knows."""
        ran = self.entry.record.get("ran") if self.entry else None
        return int((ran or {}).get("peak") or 0)

    @property
    def folder(self) -> str | None:
        """The run's own folder, absolute."""
        if self.unfinished is not None:
            return self.unfinished.folder
        own = self.entry.folder if self.entry else None
        return None if own is None else os.path.join(self.root, own)
