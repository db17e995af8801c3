"""The injective encoding of plain immutable values, shared by constants and live values.

Each atom becomes a type letter and a length-prefixed or terminated text, so that no two different
values and no two concatenations collide: 1, 1.0, True, "1", b"1", 0.0 and -0.0 all differ, every
NaN is one value. The text does not depend on hash seed, platform or Python version.
"""

from __future__ import annotations

from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard, TypeVar

    T = TypeVar("T")


def sized(tag: bytes, content: bytes) -> bytes:
    """Return `content` behind its tag and length.

    >>> sized(b"s", b"abc")
    b's3:abc'
    """
    return b"%b%d:%b" % (tag, len(content), content)


def text(value: str) -> bytes:
    """Encode a string; lone surrogates are kept apart from everything else."""
    return sized(b"s", value.encode("utf-8", "surrogatepass"))


def _integer(value: int) -> bytes:
    return b"i%x;" % value if value >= 0 else b"i-%x;" % -value


def _float(value: float) -> bytes:
    return b"f%b;" % value.hex().encode()


def _complex(value: complex) -> bytes:
    return b"c%b,%b;" % (value.real.hex().encode(), value.imag.hex().encode())


ATOMS: dict[type, Callable[..., bytes]] = {
    str: text,
    int: _integer,
    float: _float,
    bool: lambda value: b"T" if value else b"F",
    type(None): lambda value: b"N",
    bytes: lambda value: sized(b"b", value),
    complex: _complex,
    type(...): lambda value: b"e",
    type(NotImplemented): lambda value: b"n",
}


def atom(value: object) -> bytes | None:
    """Encode `value` if it is exactly of an atomic type, else return None.

    >>> atom(0.0) == atom(-0.0), atom(1) == atom(True), atom(["a list"])
    (False, False, None)
    """
    encode = ATOMS.get(type(value))
    return None if encode is None else encode(value)


def attribute(value: object, name: str) -> object:
    """Return an attribute; None where there is none, or where asking for it fails.

    A dict whose `__getattr__` looks into itself raises a KeyError, a proxy whatever it likes.
    """
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def is_a(value: object, kind: type[T]) -> TypeGuard[T]:
    """Tell whether a value is of a type, without asking what it says that it is."""
    return issubclass(type(value), kind)


def own_attributes(value: object) -> dict[str, object]:
    """Return the dict of an object's own attributes; an empty one where it has none.

    What has every attribute may say anything for it.
    """
    held = attribute(value, "__dict__")
    return held if isinstance(held, dict) else {}


def globals_of(module: ModuleType) -> dict[str, object]:
    """Return the globals of a module, without loading what loads itself when it is used."""
    found: dict[str, object] = ModuleType.__getattribute__(module, "__dict__")
    return found


def words(listed: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(listed.split())


# functions of libraries that look up what a text names in the frame that called them: pandas,
# numexpr, DuckDB and polars; and formulas: formulaic, patsy, statsmodels
LOOKING_BACK = words(
    "query eval evaluate sql model_matrix dmatrix dmatrices from_formula ols wls gls glsar glm gee "
    "rlm logit probit mnlogit poisson negativebinomial mixedlm quantreg phreg"
)
