r"""What strace writes, as calls: who, which call, on which paths, and how it ended.

A call takes one line, or two where another process came between (``<unfinished ...>`` and
``resumed>``). strace shows open files with their paths (``3</data/a.txt>``, ``AT_FDCWD</study>``),
texts in quotes, and in both what is no plain character by escapes (``\n``, ``\303\251``).

Not promised: calls that were still going on when their process was killed.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from memori.watch.questions.found import FOLDER, THERE, file_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNFINISHED = " <unfinished ...>"
_OPEN = r"(?:AT_FDCWD|-?\d+)(?:<((?:[^>\\]|\\.)*)>)?(?:\(deleted\))?"
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_CALL = re.compile(
    r"(\w+)\((.*)\) += (-?\d+|\?|0x[0-9a-f]+)(?:<((?:[^>\\]|\\.)*)>)?(?: ([A-Z]+) )?"
    r"(?: /\* (\d+) in strace's PID NS \*/)?"
)
_PATH = re.compile(rf"(?:{_OPEN}, )?{_TEXT}")
_FOLDER = re.compile(rf"{_OPEN}")
_ENTRY = re.compile(rf"d_type=(\w+), d_name={_TEXT}")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_SIGNS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
_SIZE = re.compile(r"stx?_mode=S_IF(\w+)\|.*?stx?_size=(\d+)")
_FROM_HERE = re.compile(r'(?:AT_FDCWD(?:<[^>]*>)?, )?"(?!/|")')
_OVER = "+++ "


class Said(NamedTuple):
    """One call.

    Attributes
    ----------
    name : str
        Of the call.
    words : str
        What it was given, as strace spells it.
    result : str
        What came back: a number, or ``?``.
    path : str or None
        The path of the file that it opened.
    error : str
        The name of the error; empty if there was none.
    """

    name: str
    words: str
    result: str
    path: str | None
    error: str


class Opening(NamedTuple):
    """How a file is opened.

    Attributes
    ----------
    reads : bool
        Only to read what is there.
    looks : bool
        Not even that.
    makes : bool
        It is made, or emptied, or made if it is not there.
    appends : bool
        Whatever is there stays, and it is only written to its end.
    is_private : bool
        It was not there before, and is for its owner alone.
    """

    reads: bool
    looks: bool
    makes: bool
    appends: bool
    is_private: bool


def lines_of(written: Iterable[str], begun: dict[int, str]) -> Iterator[tuple[int, str]]:
    """Yield the number of the process and the text of each call, lines in two parts joined.

    Parameters
    ----------
    written : iterable of str
        Lines.
    begun : dict of int to str
        By process: the first part of a line that is not finished yet.
    """
    for line in written:
        number, _, text = line.partition(" ")
        if not number.isdigit():
            continue
        process, text = int(number), text.strip()
        if text.startswith("<... "):
            text = begun.pop(process, "") + text.partition(" resumed>")[2]
        elif text.endswith(UNFINISHED):
            begun[process] = text[: -len(UNFINISHED)]
            continue
        yield process, text


def tells_of_end(text: str) -> bool:
    """Tell whether a line says that its process has ended.

    >>> tells_of_end("+++ exited with 0 +++")
    True
    >>> tells_of_end("+++ superseded by execve in pid 7 +++")
    False
    """
    return text.startswith(_OVER) and "superseded" not in text


def said(text: str) -> Said | None:
    """Return what a line says; None for one that tells of no call.

    >>> said('openat(AT_FDCWD</study>, "a.txt", O_RDONLY) = 3</study/a.txt>')
    Said(name='openat', words='AT_FDCWD</study>, "a.txt", O_RDONLY', result='3', path='/study/a.txt', error='')
    >>> said('access("/no", F_OK)    = -1 ENOENT (No such file or directory)').error
    'ENOENT'
    >>> said("vfork() = 2 /* 3364 in strace's PID NS */").result
    '3364'
    """  # noqa: E501  as it is printed
    found = _CALL.match(text)
    if found is None:
        return None
    name, words, result, path, error, outside = found.groups()
    return Said(name, words, outside or result, None if path is None else plain(path), error or "")


def paths_in(words: str, cwd: str) -> list[str | None]:
    """Return the paths that a call was given, absolute; None for one in no folder.

    >>> paths_in('AT_FDCWD</study>, "a.txt", AT_FDCWD</study>, "/b.txt"', "/")
    ['/study/a.txt', '/b.txt']
    >>> paths_in('"a.txt"', "/here")
    ['/here/a.txt']
    """
    return [_absolute(each[1] or cwd, plain(each[2])) for each in _PATH.finditer(words)]


def _absolute(folder: str, text: str) -> str | None:
    if text[:1] == "/":
        return text
    above = plain(folder)
    return f"{above}/{text}" if text and above[:1] == "/" else None


def is_meant_from_here(words: str) -> bool:
    """Tell whether a call was given a name that is meant from the current folder.

    >>> is_meant_from_here('AT_FDCWD</study>, "a.txt", O_RDONLY'), is_meant_from_here('"/a", 0x7')
    (True, False)
    """
    return _FROM_HERE.match(words) is not None


def folder_in(words: str) -> str | None:
    """Return the folder that is open under the number which a call was given first.

    >>> folder_in("3</data>, 0x55e7, 32768")
    '/data'
    """
    found = _FOLDER.match(words)
    return plain(found[1]) if found and found[1] and found[1][:1] == "/" else None


def texts_in(words: str) -> list[str]:
    """Return all texts that a call was given.

    >>> texts_in('"/bin/cat", ["cat", "a b.txt"], 0x7ffc /* 3 vars */')
    ['/bin/cat', 'cat', 'a b.txt']
    """
    return [plain(each[1]) for each in re.finditer(_TEXT, words)]


def names_in(words: str) -> dict[str, bool]:
    """Return the names that a folder was said to hold, and whether each is surely a folder.

    >>> names_in('3</d>, [{d_ino=1, d_off=2, d_reclen=24, d_type=DT_REG, d_name="a.txt"}], 9')
    {'a.txt': False}
    """
    found = {plain(each[2]): each[1] == "DT_DIR" for each in _ENTRY.finditer(words)}
    return {name: is_folder for name, is_folder in found.items() if name not in (".", "..")}


def described(words: str) -> str:
    """Return what a call said of a file, in the words of `memori.watch.questions.found`.

    >>> described('"a", {st_mode=S_IFREG|0644, st_size=5, ...}, 0')
    'file of 5 bytes'
    """
    found = _SIZE.search(words)
    if found is None:
        return THERE
    return file_of(int(found[2])) if found[1] == "REG" else FOLDER if found[1] == "DIR" else THERE


def plain(text: str) -> str:
    r"""Return a text without escapes.

    >>> plain(r"\303\251 \76 \"q\"") == 'é > "q"'
    True
    """
    if "\\" not in text:
        return text
    return os.fsdecode(_ESCAPE.sub(_sign, text.encode("latin-1")))


def _sign(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code.isdigit():
        return bytes([int(code, 8) & 255])
    return _SIGNS.get(code, code)


def opened_by(call: Said) -> Opening:
    """Return how a call opens its file."""
    flags = call.words[call.words.rindex('"') :]
    is_new = "O_CREAT" in flags and "O_EXCL" in flags
    anew = is_new or call.name == "creat" or "O_TRUNC" in flags
    return Opening(
        reads=not (anew or "O_WRONLY" in flags or "O_RDWR" in flags),
        looks="O_PATH" in flags or "O_DIRECTORY" in flags,
        makes=anew or "O_CREAT" in flags,
        appends=not anew and "O_APPEND" in flags and "O_WRONLY" in flags,
        is_private=is_new and flags.endswith(" 0600"),
    )
