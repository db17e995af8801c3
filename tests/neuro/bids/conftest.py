"""Small datasets, written down as a mapping of names to what the files hold."""

import json

import pytest


@pytest.fixture
def tree(tmp_path):
    """Make a dataset of names: text is written, other values as JSON, None is an empty file."""

    def make(files, folder="ds"):
        root = tmp_path / folder
        if not isinstance(files, dict):
            files = dict.fromkeys(files)
        files = {"dataset_description.json": {"Name": folder, "BIDSVersion": "1.10.0"}} | files
        for name, held in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            elif isinstance(held, str):
                path.write_text(held, encoding="utf-8")
            else:
                path.write_text("" if held is None else json.dumps(held), encoding="utf-8")
        return root

    return make
