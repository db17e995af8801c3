"""Commands that cannot be traced, known before they run.

A program that is setuid, setgid or has capabilities of its own runs without these under a tracer.
A debugger cannot trace what is traced already; an engine of containers shows its programs other
files. Such a program may be the command itself, or stand in a script, below it, or in a script that
this one calls. So words and scripts are searched for names and paths of programs; compiled programs
that the system's packages do not own, for paths.

A program that was found only by running it (its name was made up) is noted in the user's cache
folder: what calls it is not traced again.

Not promised: to read a script as its language does. A comment is skipped, a text that only mentions
such a program is not always.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Environment = Mapping[str, str]

_ENGINES = frozenset(
    ("apptainer", "singularity", "podman", "docker", "nerdctl", "udocker", "buildah", "shifter",
     "ch-run", "enroot", "bwrap", "proot", "nsenter")
)  # fmt: skip
_TRACERS = frozenset(
    ("strace", "ltrace", "gdb", "gdbserver", "cuda-gdb", "ddd", "gcore", "lldb", "rr", "reprozip")
)
_WORDS = frozenset(("at", "batch", "write", "wall", "screen", "locate", "expiry"))
"""Programs that Debian gives rights, and that are words of many a text."""
_ANYWAY = frozenset(("nvidia-modprobe",))
"""Programs that others call in case they are needed, and that fail without harm."""
_SYSTEM = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/lib/", "/lib/", "/usr/libexec/")
_SHELLS = re.compile(r"(?:ba|da|z|k|c|tc|a)?sh|python[\d.]*|perl|Rscript|ruby|octave(?:-cli)?|make")
_SUFFIXES = (".sh", ".bash", ".csh", ".tcsh", ".zsh", ".py", ".pl", ".r", ".m", ".mk", ".smk")
_MOST_TEXT = 1 << 20
_MOST_CODE = 1 << 24
_MOST_FILES = 200
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_TOKEN = re.compile(r"[^\s;|&()<>`\"'={}\[\],]+")
_PATH_IN_CODE = re.compile(rb"(?<=\0)(?:/[\w.+-]+){2,}(?=[\0 ])")
_BEFORE = (
    r"(?:^|[;|&(`{!\"'\[,=:]|\b(?:then|do|else|elif|if|while|until|exec|env|time|nice|nohup|eval"
    r"|command|xargs|setsid|stdbuf|timeout|ionice|chrt|taskset|numactl)\b"
    r"(?:[ \t]+(?:-\S+|\d\S*|\w+=\S*))*)[ \t]*(?:\w+=\S*[ \t]+)*"
)


def untraceable(
    argv: Sequence[str], executable: str, environment: Environment, cwd: str
) -> str | None:
    """Say why a command cannot be traced; None if nothing speaks against it.

    Parameters
    ----------
    argv : sequence of str
        The command.
    executable : str
        Its program, absolute.
    environment : Mapping of str to str
        All of it.
    cwd : str
        Where it will run.
    """
    noted = _noted(_note_of(argv, executable, environment, cwd))
    if noted:
        return f"{noted} has rights of its own"
    return _Search(environment, cwd).why(argv, executable)


def loses_rights(path: str) -> bool:
    """Tell whether a program has rights that it loses where it is traced."""
    try:
        look = os.stat(path)
    except OSError:
        return False
    is_program = stat.S_ISREG(look.st_mode) and look.st_mode & 0o111
    if not is_program or os.path.basename(path) in _ANYWAY:
        return False
    is_other_user = look.st_mode & stat.S_ISUID and look.st_uid != os.geteuid()
    is_other_group = look.st_mode & stat.S_ISGID and look.st_gid != os.getegid()
    if is_other_user or is_other_group:
        return True
    return os.geteuid() != 0 and _has_capabilities(path)


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except (OSError, AttributeError):  # none, or a system without
        return False


class _Search:
    """The search of one command for what cannot be traced."""

    def __init__(self, environment: Environment, cwd: str) -> None:
        self._environment = environment
        self._cwd = cwd
        self._programs = _programs_on(environment.get("PATH", os.defpath))
        self._seen: set[str] = set()

    def why(self, argv: Sequence[str], executable: str) -> str | None:
        reasons = self._in_program(executable, os.path.basename(argv[0]))
        found = next(reasons, None)
        if found is not None:
            return found
        is_shell = _SHELLS.fullmatch(os.path.basename(executable)) is not None
        for word in argv[1:]:
            found = next(self._in_word(word, is_shell), None)
            if found is not None:
                return found
        return None

    def _in_word(self, word: str, is_shell: bool) -> Iterator[str]:
        path = os.path.join(self._cwd, word)
        if os.path.isfile(path):
            name = os.path.basename(word)
            is_text = name.lower().endswith(_SUFFIXES) or is_shell
            if is_text or os.access(path, os.X_OK):
                yield from self._in_program(path, name, is_script=is_text)
        elif is_shell or " " in word or "=" in word:
            yield from self._in_text(word, self._cwd)
        elif word in self._programs and word not in _WORDS:
            yield from self._in_program(self._programs[word], word)

    def _in_program(self, path: str, name: str, *, is_script: bool = False) -> Iterator[str]:
        path = os.path.realpath(path)
        if path in self._seen or len(self._seen) > _MOST_FILES:
            return
        self._seen.add(path)
        for each in {name, os.path.basename(path)}:
            if each in _ENGINES:
                yield f"{each} shows its programs other files"
            elif each in _TRACERS:
                yield f"{each} is a tracer itself"
        if loses_rights(path):
            yield f"{name} has rights of its own"
        if path.startswith(_SYSTEM):
            return
        text, paths = _content(path, _stamp(path), is_script)
        for each in paths:
            if loses_rights(each):
                yield f"{os.path.basename(each)} has rights of its own"
        if text:
            yield from self._in_text(text, os.path.dirname(path))

    def _in_text(self, text: str, folder: str) -> Iterator[str]:
        text = _VARIABLE.sub(lambda each: self._environment.get(each[1], each[0]), text)
        tokens = set(_TOKEN.findall(text))
        for token in tokens:
            if "/" in token:
                yield from self._in_path(token, folder)
        for name in (tokens & self._programs.keys()) - _WORDS:
            path = self._programs[name]
            reason = next(self._in_program(path, name), None)
            if reason is not None and _is_called(name, text):
                yield reason
            elif reason is not None:
                self._seen.discard(os.path.realpath(path))

    def _in_path(self, token: str, folder: str) -> Iterator[str]:
        inside = token.partition("/")[2]
        for path in (os.path.join(self._cwd, token), os.path.join(folder, token),
                     os.path.join(folder, inside)):  # fmt: skip
            if os.access(path, os.X_OK) and os.path.isfile(path):
                yield from self._in_program(path, os.path.basename(path))


def _is_called(name: str, text: str) -> bool:
    """Tell whether a name stands where a script calls a program."""
    return (
        re.search(rf"{_BEFORE}{re.escape(name)}(?=$|[\s;|&)`\"'\],])", text, re.MULTILINE)
        is not None
    )


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        look = os.stat(path)
    except OSError:
        return 0, 0, 0
    return look.st_ino, look.st_size, look.st_ctime_ns


@lru_cache(maxsize=1024)
def _content(
    path: str, stamp: tuple[int, int, int], is_script: bool
) -> tuple[str, tuple[str, ...]]:
    """Return the text of a script, or the paths in a compiled program."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_CODE)
    except OSError:  # it may be run and not read
        return "", ()
    if content[:2] == b"#!" or (is_script and b"\0" not in content[:1024]):
        first, _, rest = content[:_MOST_TEXT].decode("utf-8", "replace").partition("\n")
        rest = first + "\n" + rest if first[:2] != "#!" else f"{first[2:]}\n{rest}"
        return _COMMENT.sub("", rest), ()
    return "", tuple({os.fsdecode(each) for each in _PATH_IN_CODE.findall(content)})


@lru_cache(maxsize=64)
def _programs_on(path: str) -> dict[str, str]:
    """Return the files in the folders of a PATH, by name; the first of each name."""
    found: dict[str, str] = {}
    for folder in path.split(os.pathsep):
        try:
            with os.scandir(folder or ".") as entries:
                for entry in entries:
                    found.setdefault(entry.name, entry.path)
        except OSError:
            pass  # not there
    return found


# What was learned by running


def note(
    argv: Sequence[str], executable: str, environment: Environment, cwd: str, program: str
) -> None:
    """Keep in mind that a command calls a program which cannot be traced."""
    path = _note_of(argv, executable, environment, cwd)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(program)
    except OSError:
        pass  # it is found out again


def _noted(path: str) -> str:
    try:
        with open(path) as file:
            return os.path.basename(file.read())
    except OSError:
        return ""


def _note_of(argv: Sequence[str], executable: str, environment: Environment, cwd: str) -> str:
    """Return where it is noted that a command, with whatever inputs, cannot be traced."""
    about = [executable, *_scripts(argv, cwd)]
    name = hashlib.sha256("\0".join(about).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    above = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(above, "memori", "untraceable", name)


def _scripts(argv: Sequence[str], cwd: str) -> Iterable[str]:
    """Return the words that say what is run, rather than on what."""
    is_shell = _SHELLS.fullmatch(os.path.basename(argv[0])) is not None
    for word in argv[1:3]:
        path = os.path.join(cwd, word)
        is_script = word.lower().endswith(_SUFFIXES) or os.access(path, os.X_OK) or is_shell
        if is_script and os.path.isfile(path):
            yield os.path.realpath(path)
        elif is_shell and " " in word:
            yield word
