"""What watches over a process is nothing that the user's own code has to do with."""

import os
import subprocess
import sys
import textwrap

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_callable_may_wait_until_no_child_is_left(tmp_path):
    """It finds the children that it started, and no other, whatever memori started for it."""
    script = """
        import os, subprocess
        from memori import Stage

        def waits(n):
            subprocess.run(["true"])
            children = {os.fork() or os._exit(0) for _ in range(n)}
            found = set()
            while True:
                try:
                    found.add(os.wait()[0])
                except ChildProcessError:
                    return found == children

        print(Stage(waits, "same", hash_output="work").run(n=2)["same"])
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (0, "True\n") == (done.returncode, done.stdout), done.stderr
