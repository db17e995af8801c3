"""What a traced command and its children were seen to do, in order.

A tracer tells of each call after it was made. So nobody looked at a file right before it was read;
but a file whose ctime is older than the command was not changed since (`Marks`). The names in a
folder, and the kind and size of a file that was only asked for, are those that the command got.

A Python that tells of itself (`memori.watch.children`) knows better which folders it lists, and
which sources it reads, only to import modules: of these its own word counts.

Not promised: what a file held before the command changed it, and whether one that was opened by
``O_CREAT`` alone was there.
"""

from __future__ import annotations

import errno
import os
import re

from memori.watch.commands.spelling import Spelling
from memori.watch.commands.strace_lines import (
    Said,
    described,
    folder_in,
    is_meant_from_here,
    lines_of,
    names_in,
    opened_by,
    paths_in,
    said,
    tells_of_end,
    texts_in,
)
from memori.watch.commands.traced_files import Files
from memori.watch.commands.traced_process import Process
from memori.watch.questions.found import FILE, FOLDER, link_to, permitted
from memori.watch.touch import source_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ABSENT = ("ENOENT", "ENOTDIR")
_REFUSED = ("EACCES", "EPERM")
_MODES = {"R_OK": os.R_OK, "X_OK": os.X_OK}
_BEGUN = 2
_KNOWN = 200_000  # lines
_SOURCES = (".py", ".pyc")
_OF_OPEN_FILE = "AT_EMPTY_PATH) = 0"  # the stat of a file that is open, so known already
_ALONE = re.compile(r'\w+\((?:"/|AT_FDCWD</)')  # means the same wherever a process is
_NAMESPACES = ("CLONE_NEWNS", "CLONE_NEWUSER")
_PROCESSES = "/proc/"
_IN_MEMORY = "/memfd:"  # a file without a place
_WATCHDOG = "/memori/processes/watchdog.py"


class Trace:
    """What a command and its children were seen to do, from the moment at which it starts.

    The first process is one that becomes the command.

    Parameters
    ----------
    cwd : str
        Where it was started, as people spell it.
    spool : str, optional
        The folder into which Pythons write what they are seen to do.
    temporary : iterable of str, optional
        The folders for temporary files.

    Attributes
    ----------
    files : Files
        How each file was dealt with.
    folders : dict of str to dict of str to bool
        By path: the names in each folder that was listed, and whether each is surely a folder.
    temporary : set of str
        Those of the files and folders made that are temporary by their place and permissions.
    programs : list of (str, tuple of str)
        Each program that was started, and its words; the command itself first.
    alive : set of int
        The processes that have not ended.
    is_over : bool
        Whether the command itself has ended.
    contained : list of str
        The programs that went into a container of their own.
    queues : list of str
        The programs that may have put what they did into a queue of the kernel's (io_uring).
    refused : int or None
        The number of the error by which the command could not be started, if so.
    killed, kills : list of int, bool
        The processes that were ended by SIGKILL, and whether one of them sent a signal.
    """

    def __init__(
        self, cwd: str, spool: str | None = None, temporary: Iterable[str] = ("/tmp", "/var/tmp")
    ) -> None:
        self.files = Files()
        self.folders: dict[str, dict[str, bool]] = {}
        self.temporary: set[str] = set()
        self.programs: list[tuple[str, tuple[str, ...]]] = []
        self.alive: set[int] = set()
        self.is_over = False
        self.contained: list[str] = []
        self.queues: list[str] = []
        self.refused: int | None = None
        self.killed: list[int] = []
        self.kills = False
        self._begun_programs = 0  # of the first process; the first of them starts the command
        self._first: int | None = None
        self._spool = f"{spool}/" if spool else None
        self._temporary_folders = frozenset(map(os.path.realpath, temporary)) | {*temporary}
        self._spelling = Spelling(cwd)
        self._cwd = cwd
        self._begun: dict[int, str] = {}
        self._processes: dict[int, Process] = {}
        self._early: dict[int, list[str]] = {}
        self._known: set[str] = set()
        self._telling: set[int] = set()
        self._sources: dict[str, set[int]] = {}
        self._listers: dict[str, set[int]] = {}

    def reads(self, written: Iterable[str]) -> None:
        """Take in lines that strace wrote."""
        for number, text in lines_of(written, self._begun):
            if text in self._known or text.startswith("---") or text.endswith(_OF_OPEN_FILE):
                continue
            process = self._processes.get(number)
            if process is None and self._first is None:
                self._first = number
                process = self._processes[number] = Process(self._cwd, 0, False)
            (self.alive.discard if tells_of_end(text) else self.alive.add)(number)
            if process is None:
                self._early.setdefault(number, []).append(text)
            else:
                self._takes(number, process, text)
                if process.is_watchdog:  # which outlives what it watches over
                    self.alive.discard(number)

    def ends(self) -> None:
        """Leave out what Pythons tell better themselves, once nothing more comes."""
        self.files.forgets_folders()
        for path, programs in list(self._sources.items()):
            touch = self.files.touched.get(path)
            if programs <= self._telling:
                self.files.forgets(path)
            elif touch is not None and path.endswith(".pyc"):
                self.files.reads(source_of(path))
        for folder, programs in self._listers.items():
            if programs <= self._telling:
                del self.folders[folder]
        self.files.settles_found()

    @property
    def lost(self) -> list[int]:
        """The processes that did something, and of which nobody knows where they came from."""
        return [n for n, texts in self._early.items() if not all(map(tells_of_end, texts))]

    def _takes(self, number: int, process: Process, text: str) -> None:
        if tells_of_end(text):
            if "SIGKILL" in text:
                self.killed.append(number)
            self.alive.discard(number)
            self._processes.pop(number, None)  # another may get its number
            self.is_over = self.is_over or number == self._first
            if number == self._first and "+++ killed" in text:
                self.refused = None  # while it was looked for along the PATH
            return
        call = said(text)
        if call is None:
            return
        kind, handler = _CALLS.get(call.name, ("", None))
        if self._begun_programs < _BEGUN and not self._begins(call):
            return
        if handler is not None and (kind == "process" or not process.elsewhere):
            is_same = kind == "look" and ".py" not in text and process.goes_on_in is None
            handler(self, process, call)
            if is_same and _ALONE.match(text) and len(self._known) < _KNOWN:
                self._known.add(text)

    def _begins(self, call: Said) -> bool:
        """Tell whether a call is the one that starts the command."""
        if call.name == "execve":
            self.refused = getattr(errno, call.error, errno.EIO) if call.error else None
            self._begun_programs += call.result == "0"
        return self._begun_programs == _BEGUN

    def _path(self, process: Process, call: Said, place: int = 0) -> str | None:
        paths = paths_in(call.words, process.cwd)
        path = paths[place] if place < len(paths) else None
        path = path and self._spelling.plain(path)
        asks_where = path == process.cwd and call.name[:4] != "open"  # as each shell does
        if is_meant_from_here(call.words) and not asks_where:
            self.files.meant_from.add(process.start)
        return path

    # Processes

    def _forked(self, process: Process, call: Said) -> None:
        if not call.result.isdigit() or call.result == "0":
            return
        number = int(call.result)
        elsewhere = process.elsewhere or any(each in call.words for each in _NAMESPACES)
        child = process
        if "CLONE_FS" not in call.words or "CLONE_THREAD" not in call.words:
            child = Process(process.cwd, process.program, elsewhere)
            child.is_watchdog, child.start = process.is_watchdog, process.start
        if elsewhere and not process.elsewhere:
            self._contains(process)
        self._processes[number] = child
        for text in self._early.pop(number, ()):
            self._takes(number, child, text)
        if child.is_watchdog:
            self.alive.discard(number)

    def _goes(self, process: Process, call: Said) -> None:
        path = folder_in(call.words) if call.name == "fchdir" else self._path(process, call)
        path = path and self._spelling.plain(path)
        if not path:
            return
        if call.result == "0":
            process.goes(path)
        if call.name == "chdir" and not process.elsewhere:
            if call.error in _ABSENT:
                self.files.misses(path)
            elif not call.error:
                self.files.found.setdefault(path, FOLDER)

    def _leaves(self, process: Process, call: Said) -> None:
        is_other = call.name != "unshare" or any(each in call.words for each in _NAMESPACES)
        if call.result == "0" and is_other:
            process.elsewhere = True
            self._contains(process)

    def _sends(self, process: Process, call: Said) -> None:
        self.kills = self.kills or (", SIG" in call.words and call.result == "0")

    def _queues(self, process: Process, call: Said) -> None:
        name = self._name_of(process)
        if not call.error and name not in self.queues:
            self.queues.append(name)

    def _contains(self, process: Process) -> None:
        self.contained.append(self._name_of(process))

    def _name_of(self, process: Process) -> str:
        path, words = self.programs[process.program - 1] if self.programs else ("", ())
        return os.path.basename(path or (words[0] if words else ""))

    def _starts(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if path is None or process.elsewhere:
            return
        words = texts_in(call.words)
        if words[-4:-2] == ["-I", "-S"] and words[-2].endswith(_WATCHDOG):
            process.is_watchdog = process.elsewhere = True
        elif call.result == "0":
            self.programs.append((path, tuple(words[1:] or words)))
            process.program = len(self.programs)
            self.files.reads(path)
            self.files.finds(path, permitted(FILE, os.X_OK, True))
        else:
            self._failed(path, call, os.X_OK)

    # Files

    def _failed(self, path: str, call: Said, mode: int) -> None:
        if call.error in _ABSENT:
            self.files.misses(path)
        elif call.error in _REFUSED:
            self.files.refuses(path, mode)

    def _opened(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if path is None or "O_TMPFILE" in call.words:  # without a name
            return
        if path.startswith(_PROCESSES) and call.path is not None and call.path[:1] == "/":
            path = self._spelling.plain(call.path)  # /proc/self/cwd/atlas.txt
            if path.startswith(_IN_MEMORY):
                return
        how = opened_by(call)
        appends = how.appends or process.goes_on_in == path  # >> of a csh makes what is not there
        process.goes_on_in = path if how.appends and call.error else None
        if call.error:
            if how.reads or call.error in _ABSENT:
                self._failed(path, call, os.R_OK)
        elif how.reads and how.makes:
            self.files.reads_or_makes(path)
        elif how.reads and not how.looks:
            self.files.reads(path)
            if path.endswith(_SOURCES):
                self._sources.setdefault(path, set()).add(process.program)
        elif not how.reads and self._spool is not None and path.startswith(self._spool):
            self._telling.add(process.program)
        elif not how.reads and (how.makes or appends):
            self.files.writes(path, "append" if appends else "write")
            if how.is_private:
                self._passes(path)
        elif not how.reads:
            self.files.edits(path)

    def _moved(self, process: Process, call: Said) -> None:
        paths = paths_in(call.words, process.cwd)
        if call.result == "0" and len(paths) == 2 and all(paths):
            old, new = (self._spelling.plain(each or "") for each in paths)
            self.files.moves(old, new)

    def _linked(self, process: Process, call: Said) -> None:
        source, target = self._path(process, call), self._path(process, call, 1)
        if call.result == "0" and source is not None and target is not None:
            self.files.reads(source)
            self.files.marked.add(source)
            self.files.writes(target)

    def _pointed(self, process: Process, call: Said) -> None:
        target = self._path(process, call, 1)
        if call.result == "0" and target is not None:
            self.files.points(target, texts_in(call.words)[0])

    def _removed(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if path is not None and call.error in _ABSENT:
            self.files.misses(path)
        elif path is not None and call.result == "0":
            self.files.removes(path)

    def _changed(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if call.result == "0" and path is not None:
            self.files.edits(path)

    def _marked(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if call.result == "0" and path is not None:
            self.files.marked.add(path)

    def _folder_made(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if call.result == "0" and path is not None:
            self.files.made.add(path)
            if call.words.endswith(" 0700"):
                self._passes(path)

    def _passes(self, path: str) -> None:
        """Note what was made as `mktemp` makes it."""
        if os.path.dirname(path) in self._temporary_folders:
            self.temporary.add(path)

    def _node_made(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if call.result == "0" and path is not None:
            self.files.writes(path)

    def _listed(self, process: Process, call: Said) -> None:
        folder = folder_in(call.words)
        if folder is not None and call.result.isdigit():
            folder = self._spelling.plain(folder)
            self.folders.setdefault(folder, {}).update(names_in(call.words))
            self._listers.setdefault(folder, set()).add(process.program)

    def _asked(self, process: Process, call: Said) -> None:
        path = self._path(process, call)
        if path is None or (self._spool and f"{path}/".startswith(self._spool)):
            return
        mode = sum(bit for name, bit in _MODES.items() if name in call.words)
        if call.error:
            self._failed(path, call, mode)
        elif "readlink" in call.name:
            self.files.found[path] = link_to(texts_in(call.words)[-1])
        else:
            self.files.finds(path, permitted(described(call.words), mode, True))


_CALLS: dict[str, tuple[str, Callable[[Trace, Process, Said], None]]] = {
    **dict.fromkeys(("fork", "vfork", "clone", "clone3"), ("process", Trace._forked)),
    **dict.fromkeys(("chdir", "fchdir"), ("process", Trace._goes)),
    **dict.fromkeys(("unshare", "setns", "chroot", "pivot_root"), ("process", Trace._leaves)),
    **dict.fromkeys(("kill", "tkill", "tgkill", "pidfd_send_signal"), ("process", Trace._sends)),
    **dict.fromkeys(("io_uring_setup",), ("process", Trace._queues)),
    **dict.fromkeys(("execve", "execveat"), ("process", Trace._starts)),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), ("look", Trace._opened)),
    **dict.fromkeys(("rename", "renameat", "renameat2"), ("write", Trace._moved)),
    **dict.fromkeys(("link", "linkat"), ("write", Trace._linked)),
    **dict.fromkeys(("symlink", "symlinkat"), ("write", Trace._pointed)),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), ("write", Trace._removed)),
    **dict.fromkeys(("mkdir", "mkdirat"), ("write", Trace._folder_made)),
    **dict.fromkeys(("mknod", "mknodat"), ("write", Trace._node_made)),
    **dict.fromkeys(("truncate", "truncate64"), ("write", Trace._changed)),
    **dict.fromkeys(("chmod", "fchmodat", "fchmodat2"), ("write", Trace._marked)),
    **dict.fromkeys(("chown", "lchown", "fchownat"), ("write", Trace._marked)),
    **dict.fromkeys(("chown32", "lchown32"), ("write", Trace._marked)),
    **dict.fromkeys(("getdents64",), ("list", Trace._listed)),
    **dict.fromkeys(("stat", "lstat", "newfstatat", "statx"), ("look", Trace._asked)),
    **dict.fromkeys(("stat64", "lstat64", "fstatat64"), ("look", Trace._asked)),
    **dict.fromkeys(("access", "faccessat", "faccessat2"), ("look", Trace._asked)),
    **dict.fromkeys(("readlink", "readlinkat"), ("look", Trace._asked)),
}
CALLS = tuple(_CALLS)
"""The calls of which a tracer must tell; some are those of 32-bit programs."""
