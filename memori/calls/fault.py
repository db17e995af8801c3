"""Where an error was met: the stage that was running, and where its text lies.

An error says so of itself, because it may pass through stages and pipelines on its way out. The
innermost stage counts: it is the one that failed.

Not promised: anything of an error object that somebody keeps and raises a second time.
"""

from __future__ import annotations

_STAGE, _LOG = "_memori_stage", "_memori_log"


def met(error: BaseException, *, stage: str | None = None, log: str | None = None) -> None:
    """Note where an error was met, unless that was noted further inside."""
    for name, fact in ((_STAGE, stage), (_LOG, log)):
        if fact is not None:
            error.__dict__.setdefault(name, fact)


def taken(error: BaseException) -> tuple[str | None, str | None]:
    """Return the stage and the text's file of an error, which keeps neither."""
    stage = error.__dict__.pop(_STAGE, None) or getattr(error, "stage", None)
    log = error.__dict__.pop(_LOG, None)
    return (stage if isinstance(stage, str) else None), log
