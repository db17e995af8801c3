"""Real files, and how the tests look at them."""

import os
import shutil
from pathlib import Path

import nibabel
import pytest

from memori.digest.formats import content_of

NIBABEL = Path(nibabel.__file__).parent
DATA = Path(__file__).parents[2] / "data" / "formats"


@pytest.fixture(scope="session")
def content():
    """The content digest of a file, or None where its bytes are its identity."""

    def digest(path):
        found = content_of(os.fspath(path))
        return None if found is None else found.digest

    return digest


@pytest.fixture
def real(tmp_path):
    """Copy a real file of nibabel's test data, or of ours, to the test's own folder."""

    def copy(name, to=None):
        places = [*NIBABEL.glob(f"**/tests/data/{name}"), *DATA.glob(name)]
        return Path(shutil.copy(places[0], tmp_path / (to or places[0].name)))

    return copy


@pytest.fixture
def edited(tmp_path):
    """Write a file with one thing replaced, under the same name in another folder."""

    def write(path, old, new, count=1):
        before = path.read_bytes()
        after = before.replace(old, new, count)
        assert before != after, f"{old!r} is not in {path.name}"
        folder = tmp_path / f"edited-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / path.name).write_bytes(after)
        return folder / path.name

    return write
