"""What a script sets in a module reaches its worker processes."""

import importlib
import sys

import pytest

from memori import Pipeline, Stage

CASES = [{"x": 1}, {"x": 2}]


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Return a module of settings and one that goes by them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [f"{kind}_{abs(hash(tmp_path))}" for kind in ("settings", "steps")]
    texts = [
        "threshold = 1\nfurther = {'fwhm': 1}\n",
        f"import {names[0]} as settings\n"
        "calls = 0\n"
        "def mask(x):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    return [x, settings.threshold, settings.further['fwhm']]\n",
    ]
    for name, text in zip(names, texts, strict=True):
        (tmp_path / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    yield [importlib.import_module(name) for name in names]
    for name in names:
        sys.modules.pop(name, None)


def test_workers_go_by_what_the_script_has_set(modules):
    """A value from the command line counts, as it does without workers, and may change again."""
    settings, steps = modules
    pipeline = Pipeline([("start", Stage(steps.mask, "y", "work"))])
    for threshold in (7, 8):
        settings.threshold = threshold
        settings.further.update(fwhm=threshold)
        found = pipeline.map(CASES, n_jobs=2)
        assert [[1, threshold, threshold], [2, threshold, threshold]] == [
            result["y"] for _, result in found
        ]
    assert "0 ran, 2 remembered" in pipeline.map(CASES).summary()
    assert "0 ran, 2 remembered" in pipeline.map(CASES, n_jobs=2).summary()


def test_workers_draw_in_the_style_that_the_script_has_set(tmp_path, monkeypatch):
    """Figures of a map are those of a loop, and are drawn again in another style alone."""
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"drawing_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(
        "from matplotlib import rcParams\n"
        "def draw(x):\n"
        "    return [x, rcParams['figure.dpi'], str(rcParams['axes.prop_cycle'])]\n"
    )
    importlib.invalidate_caches()
    draw = importlib.import_module(name).draw
    pipeline = Pipeline([("start", Stage(draw, "drawn", "work"))])
    with matplotlib.rc_context({"backend": "svg"}):
        for style, ran in (({"figure.dpi": 50}, 2), ("ggplot", 2), ("default", 2), ("ggplot", 0)):
            matplotlib.rcdefaults()
            matplotlib.style.use(style)
            found = pipeline.map(CASES, n_jobs=2)
            assert [draw(1), draw(2)] == [result["drawn"] for _, result in found]
            assert f"{ran} ran, {2 - ran} remembered" in found.summary()
            assert "0 ran, 2 remembered" in pipeline.map(CASES).summary()
