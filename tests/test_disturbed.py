"""What a run meets on a real machine: a full disk, folders that go, clocks that are set back.

Errors say where, nothing wrong is remembered, and the next run is as good as any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memori import MemoriError, Pipeline, Stage, workdir
from memori.digest.files import file_digest
from memori.neuro import Derivatives, NipypeStage, ShellStage, Stdout
from tests.watch.as_nobody import AS_NOBODY
