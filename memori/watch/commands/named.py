"""The files that a command names, known before it runs.

Each counts for a run that waits for the command by its content as it is now, also where a tracer
tells that it was not opened: who names a file means it. Where no tracer tells what is really read,
names that are free and what lies in folders count as well. Commands in a shell's text
(``bash -c``) and in scripts are commands like it; a wrapper's words (``env``, ``nice``) are read
with the rest.

Not promised: what a program finds without being told.
"""

from __future__ import annotations

import os
import re
import shutil
from glob import glob

from memori.watch.commands.shell_text import commands_in
from memori.watch.commands.words import Found, files_of, nothing
from memori.watch.listings import flat, literal, walked
from memori.watch.told import executes, looks_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memori.watch.observed import Observed

_SHELLS = re.compile(r"(?:ba|da|z|k|a|mk)?sh")
_CODE = re.compile(r"-[a-z]*c[a-z]*")
_TAKES_A_WORD = re.compile(r"[-+][A-Za-z]*[oO]|--(?:rcfile|init-file)")
_WRITES = re.compile(r"-(?:o|od|out|odir|outdir|-out\w*|prefix|-prefix|-tmp\w*)")
_SHEBANG = re.compile(r"#! *\S*?(?:env )?(?:ba|da|z|k|a)?sh\b")
ELSEWHERE = ("ssh", "srun", "sbatch", "qsub", "bsub", "systemd-run", "at", "batch")
"""Programs that start others where no tracer follows them."""

_STARTERS = (*ELSEWHERE, "unshare")  # the script among whose words is read
_MOST_FILES = 2000
_MOST_SCRIPTS = 50
_MOST_TEXT = 1 << 18
_FIRST = 1 << 12  # bytes, among which what is no text mostly has a zero


class Named:
    """What a command names.

    Parameters
    ----------
    argv : sequence of str
        The command.
    cwd : str
        Where it will run.
    environment : Mapping of str to str
        All of it.

    Attributes
    ----------
    found : Found
        What is there, and what would be meant if it were there.
    programs : list of str
        The first word of each command, as it stands there.
    """

    def __init__(self, argv: Sequence[str], cwd: str, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._folders = [os.path.abspath(cwd)]
        self._path = environment.get("PATH", os.defpath)
        self._scripts: set[str] = set()
        self.found: Found = nothing()
        self.programs: list[str] = []
        self._takes(argv)

    def _takes(self, argv: Sequence[str], patterns: frozenset[str] = frozenset()) -> None:
        """Read the words of one command."""
        self.programs.append(argv[0])
        if argv[0] == "cd" and len(argv) == 2:
            self._folders.append(os.path.abspath(os.path.join(self._folders[-1], argv[1])))
            return
        code, script = code_and_script(argv)
        for place, word in enumerate(argv[1:], 1):
            if place == code:
                self._takes_text(word, argv[place + 1 :])
            elif not _WRITES.fullmatch(argv[place - 1]):
                self._looks_for(word, argv[0], word in patterns)
        if code is None:
            self._takes_script(argv[script], argv[script:], is_script=script > 0)
        if os.path.basename(argv[0]) in _STARTERS and not script:
            for place, word in enumerate(argv[1:], 1):
                if _SHEBANG.match(text_of(os.path.join(self._folders[0], word))):
                    self._takes_script(word, argv[place:], is_script=True)

    def _takes_text(self, text: str, given: Sequence[str]) -> None:
        """Read the commands in a shell's text."""
        for each in commands_in(text, self._environment, given):
            if each.argv:
                self._takes(*each)

    def _takes_script(self, word: str, given: Sequence[str], *, is_script: bool) -> None:
        """Read the commands in a shell's script, once."""
        name = word if "/" in word or is_script else shutil.which(word, path=self._path) or ""
        path = os.path.join(self._folders[0], name)
        if not name or path in self._scripts or len(self._scripts) > _MOST_SCRIPTS:
            return
        self._scripts.add(path)
        text = text_of(path)
        if is_script or _SHEBANG.match(text):
            self._looks_for(path, "", False)
            self._takes_text(text, given)

    def _looks_for(self, word: str, program: str, is_pattern: bool) -> None:
        for folder in self._folders[-1:] if word[:1] == "/" else self._folders:
            found = files_of(word, folder, program)
            if found.is_empty and is_pattern:
                pattern = os.path.join(literal(folder), flat(word))
                found = Found([each for each in glob(pattern) if os.path.isfile(each)], [], [], [])
                found.patterns.append(pattern)
            self.found.adds(found)

    def tell(self, run: Observed) -> None:
        """Let all that is named count for a run, as it is now."""
        for name in self.programs:
            program = shutil.which(name, path=self._path)
            if program is not None:
                executes(run, os.path.abspath(program))
            elif "/" not in name and self._path == os.environ.get("PATH"):
                looks_up(run, name)
        for path in (*self.found.files, *self.found.absent):
            run.names(path)
        for folder in self.found.folders:
            if not f"{self._folders[0]}/".startswith(f"{folder.rstrip('/')}/"):
                _tell_folder(run, folder)
        for pattern in self.found.patterns:
            run.asks_for(pattern)
            for folder in walked(pattern):
                run.lists(folder, (), whole=False)


def _tell_folder(run: Observed, folder: str) -> None:
    """Let a folder count for a run by its names, and by what is in it."""
    held = [(above, names) for above, _, names in os.walk(folder)]
    if sum(len(names) for _, names in held) > _MOST_FILES:
        run.trees.add(folder)
        run.tells("trees", folder)
        return
    for above, names in held:
        run.lists(above, (), whole=True)
        for name in names:
            if not name.startswith("."):
                run.names(os.path.join(above, name))


def code_and_script(argv: Sequence[str]) -> tuple[int | None, int]:
    """Return which word is a shell's text, and which one the script that is run."""
    for place, word in enumerate(argv):
        if _SHELLS.fullmatch(os.path.basename(word)):
            for behind, option in enumerate(argv[place + 1 :], place + 1):
                if _TAKES_A_WORD.fullmatch(argv[behind - 1]) and behind - 1 > place:
                    continue
                if option[:1] not in ("-", "+"):
                    return None, behind
                if _CODE.fullmatch(option):
                    return (behind + 1 if behind + 1 < len(argv) else None), 0
            break
    return None, 0


def text_of(path: str) -> str:
    """Return the text of a small file; nothing of what is no text, or a pipe that has a name."""
    if not os.path.isfile(path):
        return ""  # whoever opens a pipe waits for its other end
    try:
        with open(path, "rb") as file:
            content = file.read(_FIRST)
            content += file.read(_MOST_TEXT) if b"\0" not in content else b""
    except OSError:
        return ""
    return "" if b"\0" in content else content.decode("utf-8", "surrogateescape")
