"""The place from which scripts for the first memori import `hashable`; see `memori.original`."""

from __future__ import annotations

from memori.original import hashable

__all__ = ["hashable"]

_NOT_HERE = frozenset({"create_output_path", "create_symlink_to_folder", "create_symlink_to_path",
                       "create_symlinks_to_input_files", "get_wrapped_callable",
                       "script_to_python_func", "use_abspaths",
                       "use_output_path_working_directory", "working_directory"})  # fmt: skip


def __getattr__(name: str) -> object:
    """Say what to do about the functions for paths and folders that the first memori had here."""
    if name in _NOT_HERE:  # an AttributeError would be told without its words
        raise ImportError(
            f"memori.helpers has no {name!r}: what the first memori had for paths and folders is "
            "not part of this one; use pathlib, memori.workdir() and os.makedirs"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
