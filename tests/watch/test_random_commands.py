"""Little shell scripts at random: what they read is seen, and a script that changes nothing holds.

A script does some acts (reads, questions, listings, logs, side products), each in some way (in a
subshell, a child, the background, another folder), and prints all that it finds. Then something in
its folder changes at random. The script is run once more, without memory: if it prints something
else, what was seen must not hold any more. If nothing changed, or nothing but what no act touches,
it must hold still.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memori.watch import Sieve, differences, watching
from memori.watch.commands.strace import _why_unusable, traced

pytestmark = pytest.mark.skipif(
    bool(_why_unusable(shutil.which("strace") or "")), reason="commands cannot be watched here"
)
FILES = ["a/x.txt", "a/y z.txt", "a/deep/x.txt", "a/deep/é'.txt", "b/x.txt"]
FOLDERS = ["a", "a/deep", "b", "none"]
UNTOUCHED = ["c/u.txt", "c/new.txt", "a/.hidden", "run.log"]


def quoted(path):
    """Return a path as a word of a shell."""
    return '"' + path + '"'


READS = [
    template.replace("F", quoted(path))
    for template in (
        "cat F", "cat < F", "sort F", "cp F /dev/stdout", "head -c 3 F", "sh -c 'cat \"$0\"' F",
        "test -s F && echo full", "test -e F && echo there", "wc -c F", "grep -c e F",
        "cat link/x.txt; cat F", "read line < F; echo $line", ". ./F 2>/dev/null; echo done",
        "awk 1 F", "cat $(echo F)",
    )
    for path in (*FILES, "none.txt")
]  # fmt: skip
LISTINGS = [
    template.replace("D", folder)
    for template in (
        "ls D", "echo D/*", "find D | sort", "echo */x.txt", "test -d D && echo folder",
        'for f in D/*.txt; do cat "$f"; done', "cat D/[x-z]*", "ls D | wc -l", "cd D && ls",
    )
    for folder in FOLDERS
]  # fmt: skip
SIDES = [
    "echo line >> run.log",
    "echo made > side.txt; cat side.txt",
    "t=$(mktemp); echo x > $t; cat $t; rm $t",
    "mkdir -p own/deep; echo x > own/deep/f; ls own/deep; cat own/deep/f",
    "echo part > part; mv part whole; cat whole",
    "mkdir m; echo x > m/f; mv m moved; cat moved/f; rm -r moved",
    "ln -s a/x.txt l; readlink l; rm l",
    "ls a > side2.txt; cat side2.txt",
]
WAYS = [
    "{ %s; }",
    "( %s; )",
    "{ %s; } | cat",
    "{ %s; } & wait",
    "( cd a/..; %s; )",
    "x=$( %s ); echo \"$x\"",
    "if true; then %s; fi",
]  # fmt: skip
ACTS = st.one_of(*map(st.sampled_from, (READS, LISTINGS, SIDES)))
CHANGES = st.tuples(
    st.sampled_from(["edit", "touch", "remove", "empty"]),
    st.sampled_from([*FILES, "none.txt", "a/new.txt", "b/y.txt", "none/new.txt"]),
)


def change(kind, path):
    """Do something to a file."""
    file = pathlib.Path(path)
    if kind in ("edit", "empty"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("edited\n" if kind == "edit" else "")
    elif kind == "touch" and file.exists():
        os.utime(path, (1, 1))
    elif kind == "remove":
        file.unlink(missing_ok=True)


def run(argv, folder, **more):
    """Run a command; return all that it prints."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, **more)
    return done.stdout + done.stderr


def watched(script, folder, starter):
    """Run a script; return what it prints and what it was seen to do."""
    words = ["sh", "-c", script]
    if starter == "function":
        with watching() as seen:
            text = run(words, folder)
        return text, seen
    with watching() as seen, traced(words, shutil.which("sh"), dict(os.environ), folder) as started:
        text = run(
            started.argv, folder, executable=started.executable, env=started.environment
        )  # fmt: skip
    return text, seen


@settings(max_examples=int(os.environ.get("MEMORI_TEST_EXAMPLES", "100")), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WAYS), ACTS), min_size=1, max_size=5),
    st.lists(CHANGES, max_size=3),
    st.lists(st.sampled_from(UNTOUCHED), max_size=2),
    st.sampled_from(["command", "function"]),
)
def test_what_was_seen_holds_until_the_script_prints_something_else(acts, changes, others, starter):
    """Never stale, and no run when nothing has changed."""
    folder = tempfile.mkdtemp()
    here = os.getcwd()
    try:
        os.chdir(folder)
        for path in (*FILES[::2], "c/u.txt"):
            pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(path).write_text(path)
        os.symlink("b", "link")
        script = "\n".join(way % act for way, act in acts)
        first, seen = watched(script, folder, starter)
        facts = Sieve(seen, None).facts()
        record = facts.to_record(f"{folder}/work")

        def found_now():
            return list(differences(record, f"{folder}/work", None))

        assert ([], [], []) == (seen.faults, seen.unseen, facts.unvouched)
        assert [] == found_now()
        for each in others:
            change("edit", each)
        if not any(each in act for _, act in acts for each in ("find", "run.log", "*/x.txt")):
            assert [] == found_now()
        plain = run(["sh", "-c", script], folder)
        if plain != first:
            return  # it finds its own traces: what it prints is never the same twice
        for each in changes:
            change(*each)
        different = found_now()
        again = run(["sh", "-c", script], folder)
        assert again == first or different, (first, again, record)
    finally:
        os.chdir(here)
        shutil.rmtree(folder)
