"""Digests of whole files: of bytes, of many files at once, of bytes and meaning side by side."""

from __future__ import annotations

import hashlib
import os

from memori.digest.formats import content_of, may_be_known
from memori.digest.sources import SMALL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from memori.digest.formats import Content

    Item = TypeVar("Item")
    Outcome = TypeVar("Outcome")


def sha256_file(path: str) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_files(paths: Iterable[str]) -> list[str]:
    """Return the SHA-256 of each file's bytes, in the order given, computed on all cores."""
    return in_threads(sha256_file, list(paths))


def in_threads(function: Callable[[Item], Outcome], items: list[Item]) -> list[Outcome]:
    """Map items in threads, as many as there are cores; the first error (in order) is raised."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if min(cores, len(items)) < 2:
        return [function(item) for item in items]
    outcomes: list[Any] = [None] * len(items)
    errors: list[tuple[int, BaseException]] = []
    todo = iter(range(len(items)))  # next() on it is atomic: every thread takes the next free item

    def work() -> None:
        for index in todo:
            if errors:
                return
            try:
                outcomes[index] = function(items[index])
            except BaseException as error:
                errors.append((index, error))
                return

    import threading

    threads = [threading.Thread(target=work) for _ in range(min(cores, len(items)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise min(errors, key=lambda error: error[0])[1]
    return outcomes


def digests(path: str) -> tuple[str, Content | None]:
    """Return the SHA-256 of a file's bytes, and what it means, computed side by side.

    Raises
    ------
    OSError
        If the file, or one that belongs to it, cannot be read.
    """
    if not may_be_known(path):
        return sha256_file(path), None
    if os.path.getsize(path) < SMALL:
        return sha256_file(path), content_of(path)
    contents: list[Content | None] = [None]

    def interpret() -> str:
        contents[0] = content_of(path)
        return ""

    raw, _ = in_threads(lambda compute: compute(), [lambda: sha256_file(path), interpret])
    return raw, contents[0]
