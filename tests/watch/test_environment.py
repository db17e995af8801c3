"""Environment variables that code reads by name count by their values."""

import os
from os import environ as variables
from os import getenv

import pytest

from memori.fingerprint import fingerprint
from memori.watch import counted_variables, environment_names, settle_environment, values_of

NAME = "MEMORI_TEST_GLOBAL"


def by_item():
    return os.environ["MEMORI_TEST"]


def by_get():
    return os.environ.get("MEMORI_TEST", "else")


def by_getenv():
    return os.getenv("MEMORI_TEST")


def by_own_name():
    return variables["MEMORI_TEST"]


def by_imported_name():
    return getenv("MEMORI_TEST")


def by_membership():
    return "MEMORI_TEST" in os.environ


def by_bytes():
    return os.environb[b"MEMORI_TEST"]


def by_expansion():
    return os.path.expandvars("$MEMORI_TEST/${MEMORI_TEST}/data")


def by_format():
    return "{MEMORI_TEST:>3}/data".format(**os.environ)


def by_percent():
    return "%(MEMORI_TEST)s/data" % os.environ  # noqa: UP031


def by_loop():
    return [os.environ.get(name) for name in ("MEMORI_TEST", "MEMORI_TEST")]


def by_default(name="MEMORI_TEST"):
    return os.environ[name]


def in_a_helper():
    return by_item()


class Settings:
    """A class whose methods read."""

    def get(self):
        return os.environ["MEMORI_TEST"]


def in_a_method():
    return Settings().get()


@pytest.mark.parametrize(
    "function",
    [
        by_item,
        by_get,
        by_getenv,
        by_own_name,
        by_imported_name,
        by_membership,
        by_bytes,
        by_expansion,
        by_format,
        by_percent,
        by_loop,
        by_default,
        in_a_helper,
        in_a_method,
    ],
)
def test_a_variable_that_is_read_by_name_counts(function, monkeypatch):
    """However a variable is read, a change of its value is seen."""
    names = environment_names(fingerprint(function).functions)
    assert "MEMORI_TEST" in names

    monkeypatch.delenv("MEMORI_TEST", raising=False)
    unset = counted_variables(names)
    monkeypatch.setenv("MEMORI_TEST", "1")
    one = counted_variables(names)
    monkeypatch.setenv("MEMORI_TEST", "2")
    two = counted_variables(names)

    assert [None, "1", "2"] == [each["MEMORI_TEST"] for each in (unset, one, two)]


def test_a_name_in_a_global_counts():
    """The name of a variable may stand in a global."""

    def by_global():
        return os.environ[NAME]

    assert ["MEMORI_TEST_GLOBAL"] == environment_names([by_global])


def test_code_that_reads_no_variable_depends_on_none():
    """Texts in other code are no names of variables."""

    def other():
        return {"PATH": "HOME"}

    assert [] == environment_names([other])


def test_what_a_run_sets_itself_does_not_count(monkeypatch):
    """A run that sets a variable finds it set the next time: nothing has changed."""
    monkeypatch.delenv("MEMORI_TEST", raising=False)
    names = ["MEMORI_TEST"]
    first = counted_variables(names)

    for value in ("1", "2"):
        before = values_of(names)
        monkeypatch.setenv("MEMORI_TEST", value)
        settle_environment(before)
        assert first == counted_variables(names)

    monkeypatch.setenv("MEMORI_TEST", "by the user")
    assert {"MEMORI_TEST": "by the user"} == counted_variables(names)


def test_secrets_are_not_kept(monkeypatch):
    """Of a password or a token the record keeps a digest."""
    monkeypatch.setenv("MY_API_TOKEN", "hunter2")

    found = counted_variables(["MY_API_TOKEN"])["MY_API_TOKEN"]

    assert "hunter2" not in found
    monkeypatch.setenv("MY_API_TOKEN", "hunter3")
    assert found != counted_variables(["MY_API_TOKEN"])["MY_API_TOKEN"]
