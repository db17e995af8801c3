"""What a person says of a stage's outputs: that they stand, were made before memori, or are to go.

`accept` and `adopt` are the only ways to an entry without a run. What they admit, and what an entry
says of it, is decided in `memori.calls.acceptance`.
"""

from __future__ import annotations

import os

from memori.errors import StageError
from memori.face import Face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from memori.calls.acceptance import Acceptance
    from memori.calls.call import Call
    from memori.calls.decision import Decision
    from memori.results import Outcome


class Accepting(Face):
    """A stage whose outputs a person may speak of; `memori.Stage` is the only class made of it."""

    stage_name: str
    always_runs: bool

    def call(
        self, args: tuple[object, ...], kwargs: Mapping[str, object], *, forced: bool = False
    ) -> Outcome:
        """Run it unless it is remembered, and return all that is known of that."""
        raise NotImplementedError

    def remembered_call(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> Call | None:
        """Return a call that can be remembered; None for a stage without a place."""
        raise NotImplementedError

    def accept(
        self,
        /,
        *args: object,
        accept_inputs: Iterable[str] = (),
        accept_from: str | None = None,
        **kwargs: object,
    ) -> Decision:
        """Take the present outputs as those of the present code and inputs; nothing is run.

        For an edit that changes no result (``make -t``). The entry says who accepted what, and
        what is edited later is compared with what was accepted.

        Parameters
        ----------
        *args, **kwargs
            As for `run`.
        accept_inputs : iterable of str, optional
            Inputs that may have other values than in the run that is accepted.
        accept_from : str, optional
            The name that the stage had before.

        Returns
        -------
        Decision
            The hit that `run` finds from now on; `accepted` tells what was waved through.

        Raises
        ------
        StageError
            If no run of these inputs is recorded, or something is missing or half.
        """
        source = {} if accept_from is None else {self.stage_name: accept_from}
        told = f"{self.subject}, accept_inputs"
        _, plans = self.plan_acceptance(
            args, kwargs, frozenset(several(accept_inputs, told)), source
        )
        if not plans:
            raise StageError(f"{self.subject} has nothing to accept: it runs at every call")
        plans[0].file()
        return plans[0].decision

    def plan_acceptance(
        self,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        waived: Collection[str],
        sources: Mapping[str, str],
    ) -> tuple[Outcome, list[Acceptance]]:
        """Return what a call will be once its outputs are accepted; what always runs is run."""
        call = self.remembered_call(args, kwargs)
        if call is None or self.always_runs:
            return self.call(args, kwargs), []
        defaults = self._parameters.with_defaults({})
        source = sources.get(self.stage_name)
        outcome, plan = call.plan_acceptance(defaults, waived, source)
        return outcome, [plan]

    def adopt(self, outputs: object, /, *args: object, **kwargs: object) -> Decision:
        """File outputs that were made before memori; nothing is run, moved or copied.

        Parameters
        ----------
        outputs : mapping of str to object, or object
            What the callable would have returned, by the names of the outputs; with one output
            also its value alone. Paths start from the current folder.
        *args, **kwargs
            As for `run`: what the outputs were made from.

        Returns
        -------
        Decision
            The hit that `run` finds from now on.

        Raises
        ------
        StageError
            If this very call is remembered already, or a file is missing or half.
        """
        call = self.remembered_call(args, kwargs)
        if call is None or self.always_runs:
            raise StageError(f"{self.subject} cannot adopt outputs: it runs at every call")
        from memori.calls.acceptance import reject_unfit

        values = self._outputs.given(outputs)
        reject_unfit(self.subject, values)
        return call.adopt(lambda: values)

    def forget(self, /, *args: object, **kwargs: object) -> bool:
        """Forget one call: its entry, and the run's own folder. Tell whether there was one.

        Files that the run wrote elsewhere stay, as do the entries of other inputs, other contents
        of files and other code.
        """
        call = self.remembered_call(args, kwargs)
        return call is not None and call.forget()


def several(
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], option: str
) -> tuple[str, ...]:
    """Return names or paths as texts; the only one may stand without a list.

    Parameters
    ----------
    names : str, os.PathLike, or an iterable of them
        What a person gave.
    option : str
        What errors call it, such as ``"stage 'smooth', ignore"``.

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> several("*.log", "ignore_reads"), several(["a", "b"], "ignore")
    (('*.log',), ('a', 'b'))
    """
    listed = (names,) if isinstance(names, (str, os.PathLike)) else names
    found = tuple(listed) if hasattr(listed, "__iter__") else ()
    if not hasattr(listed, "__iter__") or not all(isinstance(n, (str, os.PathLike)) for n in found):
        raise TypeError(f"{option}: expected a text or a list of texts, got {names!r}")
    return tuple(os.fspath(each) for each in found)


def checked_switches(
    subject: str, remember: object, watch: object, code_version: object
) -> tuple[bool, bool]:
    """Return whether runs are watched, and in a process of their own.

    Raises
    ------
    TypeError, ValueError
        If an option that is one of few values is another.
    """
    if not isinstance(remember, bool):
        raise TypeError(f"{subject}: remember={remember!r}; it is True or False")
    if code_version is not None and not isinstance(code_version, str):
        raise TypeError(f"{subject}: code_version={code_version!r}; it is a text, such as '1'")
    if watch not in (True, False, "process"):
        raise ValueError(f"{subject}: watch={watch!r}; it is True, False or 'process'")
    return bool(watch), watch == "process"
