"""What a script sets in a library of which its functions make use."""

import pytest

from memori import Stage
from memori.fingerprint import fingerprint

matplotlib = pytest.importorskip("matplotlib")
sklearn = pytest.importorskip("sklearn")
plt = pytest.importorskip("matplotlib.pyplot")
PARAMETERS = matplotlib.rcParams


def draw(width):
    """Draw as the script has set it, and tell how."""
    figure = plt.figure(figsize=(width, 1))
    found = [figure.dpi, list(figure.get_facecolor())]
    plt.close(figure)
    return found


def draw_large(width):
    """Set it itself."""
    plt.rcParams["figure.dpi"] = 200
    return draw(width)


def draw_later(width):
    """Draw with what is imported by the run."""
    from matplotlib import pyplot

    return pyplot.rcParams["figure.dpi"] * width


def scale(numbers):
    """Scale with what the script has set for all transformers."""
    return type(sklearn.preprocessing.StandardScaler().fit_transform([[1.0], [2.0]])).__name__


def add(one, two):
    """Draw nothing."""
    return one + two


@pytest.fixture(autouse=True)
def as_it_was(tmp_path, monkeypatch):
    """Leave the libraries as they were."""
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context({"backend": "Agg"}), sklearn.config_context():
        yield


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"figure.dpi": 50}, {"figure.dpi": 60}, "setting matplotlib.figure.dpi"),
        ({}, {"figure.dpi": 60}, "setting matplotlib.figure.dpi"),
        ("ggplot", "dark_background", "setting matplotlib.figure.facecolor"),
    ],
)
def test_a_figure_is_drawn_again_in_another_style(first, second, told):
    """Whoever edits the style at the top of a script gets no figure in the old one."""
    stage = Stage(draw, "drawn", "work")
    seen = []
    for style in (first, first, second, second, first):
        plt.rcdefaults()
        plt.style.use(style)
        why = str(stage.explain(2))
        assert draw(2) == stage.run(2)["drawn"]
        seen.append((stage.state, told in why))

    assert [True, False, True, False, False] == [state for state, _ in seen]
    assert seen[2][1]


@pytest.mark.parametrize("function", [draw_large, draw_later])
def test_what_a_run_sets_itself_is_no_reason_for_the_next(function):
    """The settings of before the run count, as in a new process."""
    stage = Stage(function, "drawn", "work")
    ran = []
    for width in (1, 1, 2, 1):
        stage.run(width)
        ran.append(stage.state)

    assert [True, False, True, False] == ran


def test_what_transformers_return_is_set_for_all():
    """Whoever asks scikit-learn for tables gets no array that was remembered."""
    pytest.importorskip("sklearn.preprocessing")
    stage = Stage(scale, "kind", "work")
    found = []
    for kind in ("default", "pandas", "default"):
        sklearn.set_config(transform_output=kind)
        found.append((stage.run([1, 2])["kind"], stage.state))

    assert [("ndarray", True), ("DataFrame", True), ("ndarray", False)] == found


def test_a_style_is_no_matter_of_what_draws_nothing():
    """A longer computation is not done again for the sake of a font."""
    before = fingerprint(add).fast
    plt.style.use("ggplot")

    assert before == fingerprint(add).fast


def test_a_window_is_no_style():
    """What draws into files draws the same wherever else windows open."""
    before = fingerprint(draw).fast
    plt.rcParams["toolbar"] = "None"
    plt.rcParams["keymap.save"] = ["x"]

    assert before == fingerprint(draw).fast


def draws_by_parameters(width):
    """Look at the parameters themselves."""
    return PARAMETERS["figure.dpi"] * width


def test_parameters_that_are_named_count_by_what_differs():
    """A figure goes by the style, and no key by the window in which a figure would be shown."""
    before = fingerprint(draws_by_parameters).fast
    with matplotlib.rc_context({"backend": "svg", "toolbar": "None"}):
        assert before == fingerprint(draws_by_parameters).fast
    with matplotlib.rc_context({"figure.dpi": 70}):
        assert before != fingerprint(draws_by_parameters).fast
    assert before == fingerprint(draws_by_parameters).fast
