"""The dataset that tests of apps run over, and a call of the app."""

import pytest

from memori.neuro import app
from tests.neuro.bids_app.measure import FILES, GROUP, describe, pipeline


@pytest.fixture
def bids(tmp_path):
    """Sub-01 without sessions, sub-02 with two, sub-03 without a run."""
    root = tmp_path / "my study" / "bids data"
    describe(root)
    for prefix, kinds in FILES.items():
        for kind in kinds:
            datatype, name = kind.split("/")
            path = root / prefix / datatype / f"{prefix.replace('/', '_')}_{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(str(path.relative_to(root)).encode())
    return root


class Ran:
    """What a call of the app did."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}\n--\n{self.err}"


@pytest.fixture
def run(tmp_path, bids, capsys):
    """Call the app over the dataset as a script would; return exit code and what it said."""

    def call(*words, made=pipeline, validate=False, **options):
        positional = [] if words and words[0] in ("--help", "--version") else [
            options.pop("bids_dir", bids), options.pop("out", tmp_path / "out"),
            options.pop("level", "participant"), "-w", options.pop("work", tmp_path / "work"),
        ]  # fmt: skip
        arguments = [str(each) for each in [*positional, *words]]
        arguments += [] if validate else ["--skip-bids-validation"]
        given = {
            "inputs": {"bold": {"suffix": "bold"}},
            "outputs": {"length": {"desc": "length", "suffix": "stat"}},
            "group": GROUP,
            "group_outputs": {"total": {"desc": "total", "suffix": "stat"}},
            "name": "measure",
            **options,
        }
        with pytest.raises(SystemExit) as ended:
            app(made, arguments=arguments, **given)
        return Ran(ended.value.code, *capsys.readouterr())

    return call
