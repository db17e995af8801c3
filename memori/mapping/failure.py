"""The failure of a case: what a failed case has in place of results.

Whatever was raised comes back as a value: the stage, the error, where its text lies and the line
that runs this case alone; the other cases go on. Only a KeyboardInterrupt ends them, because it is
how a user ends them.
"""

from __future__ import annotations

from memori.digest.values import to_json
from memori.errors import MemoriError, text_of
from memori.scheduling.orders import portable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from memori.digest.values import JSON

    Case = dict[str, object]


class Failure:
    """What a failed case has in place of results; false, and an error to take a value from.

    Attributes
    ----------
    case : dict
        The inputs.
    error : BaseException
        What was raised.
    traceback : str
        Where, as Python prints it.
    stage : str or None
        The stage that failed; None if none was running.
    log : str or None
        The file that tells of it, with the inputs; None for a stage without `hash_output`.
    """

    def __init__(
        self,
        case: Case,
        error: BaseException,
        traceback: str,
        stage: str | None = None,
        log: str | None = None,
        line: str = "pipeline.map([{}], on_error='raise')",
    ) -> None:
        self.case = case
        self.error = error
        self.traceback = traceback
        self.stage = stage
        self.log = log
        self._line = line

    @property
    def rerun(self) -> str:
        """The line that runs this case alone; what is remembered of it is not run again."""
        return self._line.format(_literal(to_json(self.case)))

    @property
    def within(self) -> str | None:
        """Which element of a list it was that failed (`memori.Each`); None if it was no such."""
        notes = (str(note) for note in getattr(self.error, "__notes__", ()))
        start = "memori: in element "
        found = [note.removeprefix("memori: in ") for note in notes if note.startswith(start)]
        return ", ".join(found) or None

    @property
    def headline(self) -> str:
        """The stage, the element and the error, in one line."""
        told = (text_of(self.error).splitlines() or [""])[0]
        places = [] if self.stage is None else [f"stage {self.stage!r}"]
        places += [] if self.within is None else [f"in {self.within}"]
        where = f"{' '.join(places)}: " if places else ""
        return f"{where}{type(self.error).__name__}: {told}".removesuffix(": ")

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> tuple[type[Failure], tuple[object, ...]]:
        facts = portable(self.error), self.traceback, self.stage, self.log, self._line
        return Failure, (self.case, *facts)

    def __repr__(self) -> str:
        return f"<Failure {self.headline}>"

    def __getitem__(self, name: str) -> NoReturn:
        raise MemoriError(
            f"the case {self.case!r} failed, so it has no {name!r}: {self.headline}; leave failed "
            "cases out by `if result:`"
        ) from self.error


def _literal(value: JSON) -> str:
    """Return a value as it is written in Python; `repr` does not, of what is not finite.

    Examples
    --------
    >>> _literal({"x": [float("inf"), "a", None]})
    "{'x': [float('inf'), 'a', None]}"
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {_literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    is_finite = not isinstance(value, float) or value - value == 0
    return repr(value) if is_finite else f"float({str(value)!r})"
