"""Options of a stage, and parameters of the same name.

A stage is made with options (`hash_output`, a timeout) and with static values of its callable's
parameters, in one call. One rule says which of the two a keyword is: **where the callable takes a
parameter of that name, the parameter is meant.** The option is then given by position, where it has
one, or by `Stage.with_options`, where a name always is an option's::

    Stage(simulate, timeout=3)                        # simulate(timeout): its own
    ShellStage("curl -m {timeout}", timeout=3)        # the field
    ShellStage("curl -m {timeout}").with_options(timeout=3)  # the option

Further keywords that a callable takes without naming them (``**settings``) are no parameters in
this sense. ``force_run_stage`` and ``force_skip_stage`` belong to `Stage.run`, whatever the
callable takes.

Not promised: the rule for a class with a constructor of its own, unless it is `parameters_first`.
"""

from __future__ import annotations

from functools import wraps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, TypeVar

    Init = TypeVar("Init", bound=Callable[..., None])
    Made = TypeVar("Made", bound=Any)


def parameters_first(init: Init) -> Init:
    """Let a constructor take the name of a parameter as that, also where it has such an option.

    The constructor's class says which names are its callable's (`own_names`), and takes further
    static values (`add_static`).
    """
    code = init.__code__
    # of all names but self the first is that of the callable, the others are options
    source, *options = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]

    @wraps(init)
    def outer(self: Any, /, *args: Any, **keywords: Any) -> None:
        if _constructor(type(self)) is not outer:  # a class below this one sees to it
            init(self, *args, **keywords)
            return
        given = dict(zip((source, *options), args, strict=False))
        doubtful = keywords.keys() & {"self", *options, *given}
        own = type(self).own_names({**keywords, **given}, source) if doubtful else ()
        meant = {name: keywords.pop(name) for name in doubtful.intersection(own)}
        init(self, *args, **keywords)
        self.add_static(meant)
        given.update((name, keywords[name]) for name in keywords if name in (source, *options))
        self._made = given

    outer.options = tuple(options)  # type: ignore[attr-defined]
    return outer  # type: ignore[return-value]


def _constructor(kind: type) -> Any:
    """Return the constructor that follows the rule for a class."""
    found = (each.__dict__.get("__init__") for each in kind.__mro__)
    return next(each for each in found if hasattr(each, "options"))


def options_of(kind: type) -> tuple[str, ...]:
    """Return the names of the options of a class of stages."""
    named: tuple[str, ...] = _constructor(kind).options
    return named


def with_options(stage: Made, options: dict[str, Any]) -> Made:
    """Return a stage like another one, with other options.

    Raises
    ------
    TypeError
        If there is no such option.
    """
    constructor = _constructor(type(stage))
    _reject_unknown(stage, options, constructor.options)
    where = stage.hash_output and [stage.hash_output, *stage.further_places]
    made = {**stage._made, "hash_output": where, **options}
    static = stage.args
    new: Made = object.__new__(type(stage))
    new.__dict__.update(stage.__dict__)
    constructor.__wrapped__(new, **made)
    new.add_static({name: value for name, value in static.items() if name not in new.args})
    new._made = made
    return new


def _reject_unknown(stage: Any, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"{stage.subject} has no option {name!r}{meant} (options: {', '.join(known)}); a "
                "value of a parameter is passed to run, or given when the stage is made"
            )
