"""What a script sets in numpy, pandas and modules of Python of which its functions make use."""

import csv
import decimal
import io
import locale

import numpy as np
import pytest

from memori import Pipeline, Stage
from memori.fingerprint import fingerprint

pd = pytest.importorskip("pandas")


def as_text(number):
    """Write an array as numpy prints it."""
    return f"{np.ones(3) / number}"


def divide(number):
    """Divide by nothing."""
    try:
        return bool(np.isnan(np.zeros(number) / 0).all())
    except FloatingPointError:
        return "refused"


def as_table(number):
    """Write a table as pandas prints it."""
    return pd.DataFrame({"dice": [1 / number]}).to_string()


def exactly(number):
    """Divide exactly."""
    return str(decimal.Decimal(1) / number)


def as_row(number):
    """Write a row as the script has said."""
    out = io.StringIO()
    csv.writer(out, "of study" if "of study" in csv.list_dialects() else "excel").writerow([number])
    return out.getvalue()


def by_places(number):
    """Tell by what text is sorted."""
    return [locale.setlocale(locale.LC_COLLATE), number]


def add(one):
    """Print nothing."""
    return one + 1


def print_short(number):
    """Set it itself, and leave it so."""
    np.set_printoptions(precision=1)
    return as_text(number)


def by_precision(digits):
    pd.set_option("display.precision", digits)


SETTERS = {
    as_text: (lambda digits: np.set_printoptions(precision=digits), 3, 5, "numpy.precision"),
    divide: (lambda how: np.seterr(invalid=how), "raise", "ignore", "numpy.invalid"),
    as_table: (by_precision, 2, 4, "pandas.display.precision"),
    exactly: (lambda digits: setattr(decimal.getcontext(), "prec", digits), 5, 9, "decimal.prec"),
    as_row: (lambda end: csv.register_dialect("of study", lineterminator=end), ";", "|", "csv.of"),
    by_places: (lambda of: locale.setlocale(locale.LC_COLLATE, of), "C.UTF-8", "C", "locale.LC"),
}


@pytest.fixture(autouse=True)
def as_it_was(tmp_path, monkeypatch):
    """Leave all as it was."""
    monkeypatch.chdir(tmp_path)
    with np.printoptions(), np.errstate(), decimal.localcontext():
        yield
    pd.reset_option("display.precision")
    locale.setlocale(locale.LC_COLLATE, "C")
    if "of study" in csv.list_dialects():
        csv.unregister_dialect("of study")


@pytest.mark.parametrize("function", SETTERS, ids=lambda function: function.__name__)
def test_what_a_script_sets_for_all_counts_for_what_makes_use_of_it(function):
    """Whoever edits it at the top of a script gets what the function returns now."""
    put, first, second, told = SETTERS[function]
    stage, states = Stage(function, "found", "work"), []
    for value in (first, first, second, second, first):
        put(value)
        why = str(stage.explain(7))
        assert function(7) == stage.run(7)["found"]
        states.append((stage.state, f"setting {told}" in why))
    assert [True, False, True, False, False] == [state for state, _ in states]
    assert states[2][1]


def test_workers_go_by_what_the_script_has_set_for_all():
    """Several cases side by side return what they return one by one."""
    for function, (put, first, *_) in SETTERS.items():
        put(first)
        cases = [{"number": 3}, {"number": 7}]
        found = Pipeline([("start", Stage(function, "found", "work"))]).map(cases, n_jobs=2)
        assert [function(3), function(7)] == [result["found"] for _, result in found]


def test_what_one_stage_sets_is_no_reason_for_the_next():
    """In the next process the first is a hit, and sets nothing."""
    before = fingerprint(as_text).fast
    Stage(print_short, "text", "work").run(7)
    assert 1 == np.get_printoptions()["precision"]
    assert before == fingerprint(as_text).fast


@pytest.mark.parametrize("function", SETTERS, ids=lambda function: function.__name__)
def test_what_makes_no_use_of_it_is_not_done_again(function):
    """A longer computation costs nothing for the sake of how another one prints."""
    before = fingerprint(add).fast
    SETTERS[function][0](SETTERS[function][1])
    assert before == fingerprint(add).fast
