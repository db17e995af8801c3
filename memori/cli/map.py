"""`memori map`: one command for each of several arguments, each remembered on its own.

``memori map -j 4 -o '{/.}_brain.nii.gz' -- bet {} {/.}_brain ::: sub-*/anat/*_T1w.nii.gz``

In the command and in `-o` stand, for each argument, as in GNU parallel, also several in one word:

``{}``    the argument; at the end of the command where none of these stands in it
``{/}``   its last part: the file's name
``{//}``  what stands before that: the folder
``{.}``   the argument without its suffix, the whole of ``.nii.gz``
``{/.}``  the file's name without its suffix

What a command prints appears at once when it has ended, in the order of the arguments. The exit
code is the number of commands that failed, 100 at most.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memori.cli.run import add_options, command_of, forward
from memori.errors import MemoriError
from memori.processes.interrupts import GRACE, end_started, terminable

if TYPE_CHECKING:
    from concurrent.futures import Future

_USAGE = "memori map [-j N] [options of run] -- command args... ::: argument..."
_MOST = 100
_MARK = re.compile(r"\{(?:/?\.?|//)\}")


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "map",
        help="run a command for each of several arguments",
        usage=_USAGE,
        description="Run a command for each argument after :::, as `memori run` does. {} stands "
        "for the argument, {/} for its last part, {//} for its folder, {.} and {/.} for the first "
        "two without suffix, in the command and in -o.",
    )
    parser.add_argument("-j", metavar="N", dest="jobs", type=int, default=1, help="at once")
    add_options(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command ... ::: argument...")
    parser.set_defaults(run=run)


def filled(text: str, argument: str) -> str:
    """Return a word of the command for one argument.

    Examples
    --------
    >>> filled("{//}/{/.}_brain.nii.gz", "sub-01/sub-01_T1w.nii.gz"), filled("{.}", "a/b.nii")
    ('sub-01/sub-01_T1w_brain.nii.gz', 'a/b')
    """
    from memori.neuro.filenames import split

    path = argument.rstrip("/") or argument
    bare, _ = split(path)
    stands_for = {
        "{}": argument,
        "{/}": os.path.basename(path),
        "{//}": os.path.dirname(path) or os.curdir,
        "{.}": bare,
        "{/.}": os.path.basename(bare),
    }
    # in one pass, so that braces in an argument are left alone
    return _MARK.sub(lambda mark: stands_for[mark[0]], text)


def run(arguments: argparse.Namespace) -> int:
    """Run the commands and return how many failed."""
    words = command_of(arguments.words, _USAGE)
    if arguments.jobs < 1:
        raise MemoriError(f"-j {arguments.jobs}: memori map runs 1 command at once, or more")
    if ":::" not in words:
        raise MemoriError(f"memori map needs ::: before its arguments: {_USAGE}")
    place = words.index(":::")
    command, listed = words[:place], words[place + 1 :]
    if not any(map(_MARK.search, command)):
        command = [*command, "{}"]
    _reject_shared(arguments.outputs, listed)
    with terminable():
        codes = _run_all(command, arguments, listed)
    return min(_MOST, sum(code != 0 for code in codes))


def _reject_shared(outputs: Sequence[str], listed: Sequence[str]) -> None:
    """Raise if two arguments would write one file: only the last one's would be left."""
    of: dict[str, str] = {}
    for argument in listed:
        for output in outputs:
            other = of.setdefault(os.path.abspath(filled(output, argument)), argument)
            if other != argument:
                raise MemoriError(
                    f"-o {output} names one file for both {other} and {argument}; put {{}} or "
                    "{/.} into it, so that each has its own"
                )


def _run_all(
    command: Sequence[str], arguments: argparse.Namespace, listed: Sequence[str]
) -> list[int]:
    from concurrent.futures import ThreadPoolExecutor, wait

    pool = ThreadPoolExecutor(arguments.jobs)
    going: list[Future[tuple[int, list[tuple[str, bytes]]]]] = []
    try:
        going += [pool.submit(_one, command, arguments, each) for each in listed]
        return [_tell(each, future) for each, future in zip(listed, going, strict=True)]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        while left := [each for each in going if not each.done()]:  # may start something more
            end_started()
            wait(left, timeout=GRACE)
        raise
    finally:
        pool.shutdown()


def _one(
    command: Sequence[str], arguments: argparse.Namespace, argument: str
) -> tuple[int, list[tuple[str, bytes]]]:
    """Run one command; return its exit code and what it printed."""
    from memori.cli.running.invocation import remember

    printed: list[tuple[str, bytes]] = []
    code = remember(
        [filled(word, argument) for word in command],
        arguments,
        [filled(word, argument) for word in arguments.outputs],
        lambda stream, chunk: printed.append((stream, chunk)),
    )
    return code, printed


def _tell(argument: str, future: Future[tuple[int, list[tuple[str, bytes]]]]) -> int:
    try:
        code, printed = future.result()
    except MemoriError as error:
        print(f"memori: {argument}: {error}", file=sys.stderr)
        return 1
    for stream, chunk in printed:
        forward(stream, chunk)
    if code:
        print(f"memori: {argument}: exit code {code}", file=sys.stderr)
    return code
