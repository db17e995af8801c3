"""What a library loads when it is asked for it counts the same before and after."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import concurrent.futures, email, importlib, json, sys, xml
import numpy as np
import scipy
import nibabel as nib
from memori.fingerprint import fingerprint


def threads():
    return concurrent.futures.ThreadPoolExecutor(1)

def processes():
    return concurrent.futures.ProcessPoolExecutor

def module():
    return concurrent.futures

def draws(x=1):
    np.random.seed(x)
    return np.random.rand()

def kind():
    return np.random

def filters():
    return scipy.signal.butter(2, 0.5)

def given():
    importlib.import_module("email.mime.text")
    return email.mime.text.MIMEText("a")

def parsed():
    importlib.import_module("xml.etree.ElementTree")
    return xml.etree.ElementTree.fromstring("<a/>")

def streamlines():
    return nib.streamlines.tck.TckFile

def unknown():
    return getattr(np, "nothing", None) or (lambda: np.nothing_at_all)


found = {}
for function in (
    threads, processes, module, draws, kind, filters, given, parsed, streamlines, unknown
):
    first = fingerprint(function).canonical()
    function()
    found[function.__name__] = first == fingerprint(function).canonical()
print(json.dumps(found))
"""


def test_a_library_that_loads_what_is_asked_for_counts_the_same_before_and_after(
    tmp_path: Path,
) -> None:
    """So the second subject of a script is found again in a new process, where nothing ran."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, "-B", script], capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert [] == [name for name, same in found.items() if not same]
    assert len(found) == 10
