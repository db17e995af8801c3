"""What a stage or a pipeline returns, and what is known of a run once it is over."""

from __future__ import annotations

from _weakref import ref  # weakref itself imports much more

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from memori.digest.values import JSON


_alive: list[ref[Results]] = []
_MOST_ALIVE = 256  # before those that are gone are looked for


def _note(results: Results) -> None:
    if len(_alive) >= _MOST_ALIVE:
        _alive[:] = [each for each in _alive if each() is not None][-_MOST_ALIVE // 2 :]
    _alive.append(ref(results))


def came_from_results(name: str, value: object) -> bool:
    """Tell whether a keyword is what a stage returned under this name, passed by ``**results``.

    Of results that nobody holds any more, and of the older ones of very many, nothing is known.
    """
    return any(name in each and each[name] is value for each in _held())


def _held() -> Iterator[Results]:
    for each in reversed(_alive):
        results = each()
        if results is not None:
            yield results


class Results(dict[str, "JSON"]):
    """Values by output name, in the order declared.

    A dict in every way. ``other.run(**results)`` passes it by name, and so does
    ``other.run(results)``, which leaves out the names that the other stage does not take.

    Attributes
    ----------
    ran : tuple of str
        Names of the stages that were executed for these results, rather than remembered.
    reasons : dict of str to str
        Why each of them was executed.
    skipped : dict of str to str
        Stages of lines whose condition did not hold, and what needs them, each with the reason.
    """

    ran: tuple[str, ...] = ()
    reasons: Mapping[str, str] = {}
    skipped: Mapping[str, str] = {}

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Make results that `came_from_results` knows of, also in the process they are sent to."""
        made = super().__new__(cls, *args, **kwargs)
        _note(made)
        return made

    def __missing__(self, name: object) -> JSON:
        error = KeyError(name)
        error.add_note(f"memori: there is no such output{self._nearest(name)}")
        raise error

    def __getattr__(self, name: str) -> object:
        near = f": write results[{name!r}]" if name in self else self._nearest(name)
        raise AttributeError(f"Results have no attribute {name!r}; outputs are its keys{near}")

    def _nearest(self, name: object) -> str:
        from difflib import get_close_matches

        near = get_close_matches(str(name), self, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        return f"{meant} (outputs: {', '.join(self) or 'none'})"

    def __repr__(self) -> str:
        return f"Results({dict.__repr__(self)})"

    def _repr_html_(self) -> str:
        from memori.notebook import results_table

        return results_table(self, self.ran)


class Outcome:
    """A run of a stage or pipeline that is over.

    Attributes
    ----------
    inputs : dict of str to JSON
        What it was given, defaults included.
    results : Results
        What it returned.
    entries : tuple of str
        The files of the entries, in stages' own places, that it came of.
    """

    __slots__ = ("entries", "inputs", "results")

    def __init__(
        self,
        inputs: dict[str, JSON],
        results: Results,
        ran: tuple[str, ...] = (),
        reasons: Mapping[str, str] | None = None,
        entries: tuple[str, ...] = (),
    ) -> None:
        self.entries = entries
        self.inputs = inputs
        self.results = results
        self.results.ran = ran
        if reasons:
            self.results.reasons = dict(reasons)

    @property
    def executed(self) -> bool:
        """Whether a callable was executed, rather than remembered."""
        return bool(self.results.ran)
