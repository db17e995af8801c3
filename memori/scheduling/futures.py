"""Futures: what executors of any kind return for a call, asked for no more than they know."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def cancel(future: Any) -> bool:
    """Cancel what an executor returned; tell whether nothing more is to come of it."""
    try:
        return future.cancel() is not False  # those that are no futures return None
    except Exception:  # it has no such method, or a cluster that does not answer
        return False


def is_done(future: Any) -> bool:
    """Tell whether there is a result, or an error, to be had."""
    try:
        return bool(future.done())
    except Exception:
        return True  # its result raises the same
