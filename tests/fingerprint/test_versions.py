"""What another process is told of functions and settings, as that process takes it."""

import csv
import decimal
import locale
import os
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from memori.errors import MemoriWarning
from memori.fingerprint.imports.settings import take_of_libraries
from memori.fingerprint.versions import Versions, take_settings, told_of

PIPE = tuple({**dict.fromkeys(("doublequote", "skipinitialspace", "strict"), False)}.items())
SETTINGS = {
    ("numpy", "precision"): (2, lambda: np.get_printoptions()["precision"]),
    ("numpy", "invalid"): ("raise", lambda: np.geterr()["invalid"]),
    ("decimal", "prec"): (5, lambda: decimal.getcontext().prec),
    ("decimal", "Inexact"): (True, lambda: decimal.getcontext().traps[decimal.Inexact]),
    ("csv", "pipe"): ((*PIPE, ("delimiter", "|")), lambda: ("pipe" in csv.list_dialects()) or None),
    ("locale", "LC_COLLATE"): ("C.UTF-8", lambda: locale.setlocale(locale.LC_COLLATE)),
}


@pytest.fixture(autouse=True)
def as_it_was():
    """Leave all as it was."""
    with np.printoptions(), np.errstate(), decimal.localcontext():
        yield
    locale.setlocale(locale.LC_COLLATE, "C")


@pytest.mark.parametrize("key", SETTINGS, ids=".".join)
def test_what_the_script_has_set_is_set_and_what_it_has_not_is_as_the_library_comes(key):
    """A worker that served one study serves the next as if it were new."""
    value, now = SETTINGS[key]
    before = now()
    assert take_of_libraries({key: value}, {})
    assert now() != before
    assert not take_of_libraries({key: value}, {key: value})
    assert take_of_libraries({}, {key: value})
    assert now() == before


def test_what_another_version_does_not_know_is_left():
    """The worker goes by what it can."""
    assert take_of_libraries({("numpy", "no such option"): 1}, {})
    assert take_of_libraries({("no_such_library", "x"): 1}, {})


def told(machine, **settings):
    """Return what a process tells of the settings of a module."""
    versions = Versions(b"")
    versions.settings = ((machine, 0), {("study", key): to for key, to in settings.items()}, {})
    sent = pickle.loads(pickle.dumps(versions))
    assert sent.settings == versions.settings
    return sent


@pytest.fixture
def study(monkeypatch):
    """Return a module of the user's, and what a fingerprint says of its values."""
    module = ModuleType("study")
    vars(module).update(fwhm=6, names=["a"], table={"a": 1}, image=object())
    monkeypatch.setitem(sys.modules, "study", module)
    space = vars(module)
    values = [(space, name, space[name]) for name in ("fwhm", "names", "table", "image")]
    return module, SimpleNamespace(values=values)


def test_what_a_script_has_set_in_a_module_is_set_where_others_hold_it(study):
    """Who has imported a list or table by its name sees what the script has put into it."""
    module, here = study
    names, table = module.names, module.table
    machine = os.uname().nodename
    assert take_settings("stage 'x'", told(machine, fwhm=8, names=["b"], table={"b": 2}), here)
    assert (8, ["b"], {"b": 2}) == (module.fwhm, names, table)
    assert not take_settings("stage 'x'", Versions(b""), here)
    assert not take_settings("stage 'x'", told_of(SimpleNamespace()), here)


def test_another_machine_goes_by_its_own(study):
    """A folder for scratch may have to differ there: it is said, and left."""
    module, here = study
    with pytest.warns(MemoriWarning, match="study.fwhm is 8 in the script and 6 in the worker"):
        assert not take_settings("stage 'x'", told("another machine", fwhm=8), here)
    assert module.fwhm == 6
