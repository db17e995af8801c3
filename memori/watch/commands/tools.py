"""Which tools a run started, where their content alone does not tell what they are.

A tool of a suite (FSL, AFNI, FreeSurfer, ...) or of a Python distribution is what its version says,
and it listens to variables of the environment. So of such programs, however deep below a run they
were started, counts what counts of the tool of a `ShellStage`. So does a program of an environment,
whose files do not count one by one. Any other counts as a file.

`memori.neuro.tools` knows them; it is asked by its name when a run has started a program.
"""

from __future__ import annotations

import os

from memori.watch.installed import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Told = dict[str, str | None]

_SYSTEM = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/lib", "/lib")
_WHO_KNOWS = "memori.neuro.tools.identity"


def tools_among(programs: Iterable[str]) -> dict[str, Told]:
    """Return what counts of those of some programs (absolute paths) that are tools."""
    found = {path: _ask(path) for path in sorted(programs) if os.path.isfile(path)}
    return {path: told for path, told in found.items() if told}


def tool_differences(tools: Mapping[str, Told]) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is not any more as a run found it: ("tool", what, old, new).

    A program that is not there any more differs in nothing: a hit does not need it. One that this
    user has never asked, and would not find under its name, is not asked: it may be started for
    that, and a record names whatever its writer wanted.
    """
    for path, then in tools.items():
        if os.path.isfile(path):
            if not _is_familiar(path):
                yield "tool", path, "another user's", "not known here"
                continue
            now = _ask(path)
            for name in dict.fromkeys((*then, *now)):
                if then.get(name) != now.get(name):
                    yield "tool", name, str(then.get(name)), str(now.get(name))


def _is_familiar(path: str) -> bool:
    from importlib import import_module

    is_known: bool = import_module(_WHO_KNOWS).is_familiar(path, os.environ)
    return is_known


def _ask(path: str) -> Told:
    from importlib import import_module

    is_packaged = not path.startswith(_SYSTEM) and bool(installed([path]))
    try:
        ask = import_module(_WHO_KNOWS).told_of
        told: Told = ask(path, os.environ, always=is_packaged)
    except OSError:  # it cannot be read
        return {}
    return told
