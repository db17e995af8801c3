"""Where an app may write: not into the dataset, but below its `derivatives`."""

from __future__ import annotations

import os

from memori.neuro.bids_app.errors import AppError


def require_apart(bids_dir: str, output_dir: str, work_dir: str, name: str) -> None:
    """Raise if the dataset is not there, or what is written would be part of it.

    Raises
    ------
    AppError
        It says what to give instead.
    """
    if not os.path.isdir(bids_dir):
        raise AppError(f"BIDS_DIR {bids_dir!r} is no folder; give the one that holds sub-*", 2)
    root = os.path.realpath(bids_dir)
    mend = os.path.join(bids_dir, "derivatives", name)
    output, work = os.path.realpath(output_dir), os.path.realpath(work_dir)
    for what, path, given in (("OUT_DIR", output, output_dir), ("--work-dir", work, work_dir)):
        inside = os.path.relpath(path, root).split(os.sep)
        if inside[0] not in (os.pardir, "derivatives"):
            instead = repr(mend) if what == "OUT_DIR" else "-w with a folder outside of it"
            raise AppError(
                f"{what} {given!r} lies in the dataset {bids_dir!r}, which nothing is written to; "
                f"give {instead}",
                2,
            )
    if work == output:
        raise AppError(
            f"--work-dir and OUT_DIR are one folder, {output_dir!r}; give two, since the one holds "
            "derivatives alone",
            2,
        )


def ignored(output_dir: str, work_dir: str) -> list[str]:
    """Return the pattern of `.bidsignore` for a work folder that lies in OUT_DIR."""
    inside = os.path.relpath(os.path.realpath(work_dir), os.path.realpath(output_dir))
    parts = inside.split(os.sep)
    return [] if parts[0] == os.pardir else [parts[0] if len(parts) == 1 else f"/{'/'.join(parts)}"]


def prepare(*folders: str) -> None:
    """Make folders that can be written to.

    Raises
    ------
    AppError
        If one cannot.
    """
    for folder in folders:
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise AppError(f"{folder!r} cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise AppError(f"{folder!r} cannot be written to by this user")
