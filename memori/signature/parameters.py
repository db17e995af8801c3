"""The parameters of a callable, and the binding of a call to them.

A run binds static values, then what was passed, then the defaults of the signature, to the
parameters, and turns each into JSON. Extra positional arguments are kept under ``*NAME``, extra
keywords under their own name. A default that was not overridden is an input like any other, and
arrives as JSON like any other. A default that JSON cannot hold is no input: it counts as code.
A decorator may have a default of its own, or pass an argument itself (``attempt=1``): a plain
default behind one that does not name it is left to it. So it is to a callable in C, whose signature
may show what it does not take (``signature=None`` beside ``dtype=None``, of `numpy.add`).

Not promised: to see a signature that is replaced after the stage was made, other than the
defaults of a plain function.
"""

from __future__ import annotations

from types import FunctionType

from memori.digest.values import NotJSONError, to_json
from memori.signature.paths import holds_function, shapes_of, with_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any

    from memori.digest.values import JSON
    from memori.signature.paths import Shape

_PLAIN = (type(None), bool, int, float, str)


class Parameters:
    """What a callable takes.

    Attributes
    ----------
    names : tuple of str
        Parameters that take one value each, in order.
    positional : int
        How many of them can be passed by position.
    positional_only : int
        How many of them cannot be passed by name.
    defaults : dict of str to object
        The defaults, as the signature holds them.
    required : tuple of str
        The parameters without a default.
    extra_positional : str or None
        The name behind ``*``, where there is one.
    extra_keywords : bool
        Whether any further name is taken.
    passed_on : frozenset of str
        Of a wrapper that has the signature of what it wraps: the names that it does not name;
        of a callable that is not in Python, all.
    by_position : int
        How many of them it has to be passed by position, as far as there are values.
    """

    __slots__ = (
        "_held_by",
        "_shapes",
        "by_position",
        "defaults",
        "extra_keywords",
        "extra_positional",
        "names",
        "passed_on",
        "positional",
        "positional_only",
        "required",
    )

    def __init__(
        self,
        names: tuple[str, ...],
        positional: int,
        positional_only: int,
        defaults: dict[str, object],
        extra_positional: str | None,
        extra_keywords: bool,
    ) -> None:
        self.names = names
        self.positional = positional
        self.positional_only = self.by_position = positional_only
        self.defaults = defaults
        self.required = tuple(name for name in names if name not in defaults)
        self.extra_positional = extra_positional
        self.extra_keywords = extra_keywords
        self.passed_on: frozenset[str] = frozenset()
        self._held_by: tuple[object, object] = (None, None)
        self._shapes: dict[str, Shape] | None = None

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        """Travel without what can be found again."""
        return None, {**{name: getattr(self, name) for name in self.__slots__}, "_shapes": None}

    def are_outdated(self, function: object) -> bool:
        """Tell whether a plain function was given other defaults since."""
        if type(function) is not FunctionType:
            return False
        positional, named = self._held_by
        return function.__defaults__ is not positional or function.__kwdefaults__ is not named

    def shapes(self, function: Callable[..., Any]) -> dict[str, Shape]:
        """Return which of them are given paths (`memori.signature.paths`), found at first."""
        if self._shapes is None:
            self._shapes = shapes_of(function)
        return self._shapes

    def takes(self, name: str) -> bool:
        """Tell whether a value can be passed under this name."""
        return self.extra_keywords or name in self.names

    def reject_unknown(
        self,
        names: Iterable[str],
        subject: str,
        further: Collection[str] = (),
        options: Collection[str] = (),
    ) -> None:
        """Raise a TypeError for the first name that neither the callable nor `further` takes.

        An option that is spelled nearly so may have been meant, too.
        """
        for name in names:
            if name not in further and not self.takes(name):
                raise TypeError(f"{subject} takes no {name!r}{self._nearest(name, options)}")

    def _nearest(self, name: str, options: Collection[str]) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name, [*self.names, *options], n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        return f"{meant} (parameters: {', '.join(self.names) or 'none'})"

    def bind(
        self,
        subject: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        static: Mapping[str, JSON],
        further: Collection[str] = (),
    ) -> dict[str, JSON]:
        """Return what was given, as JSON, in signature order.

        Parameters
        ----------
        subject : str
            What errors call the callable, such as "stage 'bet'".
        args, kwargs
            What was passed to the run.
        static : Mapping of str to JSON
            Values that win over what was passed.
        further : collection of str
            Names that are needed besides the parameters.

        Raises
        ------
        TypeError
            For unknown, missing or doubly given parameters and values that are not JSON.
        """
        given: dict[str, object] = dict(zip(self.names, args[: self.positional], strict=False))
        for name in kwargs:
            if name in given:
                raise TypeError(f"{subject} got {name!r} by position and by name: give it once")
        given.update(kwargs)
        given.update(static)
        self.reject_unknown(given, subject, further)
        missing = [name for name in (*self.required, *further) if name not in given]
        if missing:
            where = ", ".join(f"{{{name}}}" for name in missing if name not in self.names)
            raise TypeError(
                f"{subject} needs {', '.join(map(repr, missing))}"
                f"{f' (for {where} in hash_output)' if where else ''}: got "
                f"{', '.join(map(repr, given)) or 'no arguments'}; pass it to run() or give the "
                f"stage a static value{by_name(args, missing)}"
            )
        bound: dict[str, JSON] = {}
        try:
            for name in self.names:
                if name in given:
                    bound[name] = to_json(given.pop(name))
            self.check_positional(subject, args)
            if len(args) > self.positional:
                name = f"*{self.extra_positional}"
                bound[name] = to_json(args[self.positional :])
            for name, value in given.items():
                bound[name] = to_json(value)
        except NotJSONError as error:
            error.subject = f"{subject}, argument {name!r}"
            raise
        return bound

    def check_positional(self, subject: str, args: tuple[object, ...]) -> None:
        """Raise a TypeError if there are more positional arguments than the callable takes."""
        if len(args) > self.positional and self.extra_positional is None:
            raise TypeError(
                f"{subject} takes {self.positional} positional arguments, got {len(args)} "
                f"(parameters: {', '.join(self.names) or 'none'})"
            )

    def with_defaults(self, bound: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return all inputs: what was bound, and the defaults as they are now, as JSON."""
        if not self.defaults:
            return dict(bound)
        whole: dict[str, JSON] = {}
        for name in self.names:
            if name in bound:
                whole[name] = bound[name]
            elif name in self.defaults:
                try:
                    whole[name] = to_json(self.defaults[name])
                except NotJSONError:
                    pass  # it counts as code, and the callable uses its own
        whole.update({name: value for name, value in bound.items() if name not in whole})
        return whole

    def call(self, function: Callable[..., Any], bound: Mapping[str, JSON]) -> Any:
        """Call a function with what `bind` returned."""
        shapes = self.shapes(function)
        if self.passed_on:
            bound = {n: each for n, each in bound.items() if not self._is_left(n, each, shapes)}
        keywords = with_paths(bound, shapes)
        extra = keywords.pop(f"*{self.extra_positional}", []) if self.extra_positional else []
        count = self.positional if extra else self.by_position
        names = self.names[:count]
        while names and names[-1] not in keywords and not extra:
            names = names[:-1]
        positional = []
        for name in names:
            if name in keywords:
                positional.append(keywords.pop(name))
            elif name in self.defaults:
                positional.append(self.defaults[name])
            else:
                break  # an argument that the wrapper passes itself
        return function(*positional, *extra, **keywords)

    def _is_left(self, name: str, value: JSON, shapes: Mapping[str, Shape]) -> bool:
        """Tell whether a value is left to a wrapper: a plain default that it does not name."""
        if name not in self.passed_on or name in shapes:
            return False
        default = self.defaults.get(name, self)
        kind = type(default)
        return kind in _PLAIN and kind is type(value) and repr(default) == repr(value)


def fixed_values(function: Any) -> dict[str, JSON]:
    """Return what a partial binds, where it is JSON: the files that it names count as inputs."""
    if not holds_function(function) or not hasattr(function, "keywords"):
        return {}
    try:
        return {"*partial": to_json([function.args, function.keywords])}
    except NotJSONError:
        return {}


def by_name(args: Sequence[object], missing: Collection[str]) -> str:
    """Say how a mapping is passed, if what is missing stands in one that was given by position."""
    first = args[0] if args else None
    is_case = isinstance(first, dict) and not first.keys().isdisjoint(missing)
    return "; a mapping of inputs is passed by name: run(**case)" if is_case else ""


def name_of(function: Any, given: str | None = None) -> str:
    """Return the name that the records of a callable bear: the one that a person gave, if any.

    Raises
    ------
    TypeError
        If that is no text.
    """
    if isinstance(given, str) and given:
        return given
    if given is not None and given != "":
        raise TypeError(
            f"stage {name_of(function)!r}: stage_name={given!r}; expected a text, or None for the "
            "name of the function"
        )
    while not hasattr(function, "__name__") and holds_function(function):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def full_name_of(function: Any) -> str:
    """Return the name of a callable with its module, for people to read."""
    owner = function if hasattr(function, "__qualname__") else type(function)
    module = getattr(owner, "__module__", None) or type(owner).__module__
    return f"{module}.{owner.__qualname__}"


def shown(inputs: Mapping[str, Any]) -> str:
    """Return inputs as a call would spell them, each cut to a readable length."""
    from reprlib import Repr

    brief = Repr()
    brief.maxstring = brief.maxother = 200
    brief.maxlist = brief.maxdict = 12
    return ", ".join(f"{name}={brief.repr(value)}" for name, value in inputs.items()) or "no inputs"
