"""Where an error was met: the stage that was running, and where its text lies.

An error says so of itself, because it may pass through stages and pipelines on its way out. The
innermost stage counts: it is the one that failed.

Not promised: anything of an error object that somebody keeps and raises a second time.
"""

from __future__ import annotations

from memori.errors import note, text_of

_STAGE, _LOG, _COMMAND = "_memori_stage", "_memori_log", "_memori_command"


def met(
    error: BaseException,
    *,
    stage: str | None = None,
    log: str | None = None,
    command: str | None = None,
) -> None:
    """Note where an error was met, unless that was noted further inside.

    Parameters
    ----------
    error : BaseException
        What was raised.
    stage, log : str, optional
        The stage's name, and the file with the error's text.
    command : str, optional
        Python source that runs the command that failed again.
    """
    for name, fact in ((_STAGE, stage), (_LOG, log), (_COMMAND, command)):
        if fact is not None and name not in error.__dict__:
            error.__dict__[name] = fact
            if name == _STAGE and isinstance(error, Exception):
                _say_stage(error, fact)


def _say_stage(error: Exception, stage: str) -> None:
    """Note the stage on an error that says nowhere which it was."""
    said = [text_of(error), *getattr(error, "__notes__", ())]
    if not any(f"stage {stage!r}" in text for text in said):
        note(error, f"memori: in stage {stage!r}")


def taken(error: BaseException) -> tuple[str | None, str | None]:
    """Return the stage and the text's file of an error, which keeps neither."""
    stage = error.__dict__.pop(_STAGE, None) or getattr(error, "stage", None)
    log = error.__dict__.pop(_LOG, None)
    return (stage if isinstance(stage, str) else None), log


def command_of(error: BaseException) -> str | None:
    """Return the source that runs the command of an error again; the error keeps it no longer."""
    source = error.__dict__.pop(_COMMAND, None)
    return source if isinstance(source, str) else None
