"""What a notebook shows of stages, results, cases and pipelines; nothing is taken for markup."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest

from memori import Pipeline, Stage
from memori.results import Results

EVIL = '<img src="x" onerror="alert(1)">'


def add(x: int, y: int) -> int:
    return x + y


def double(total: int) -> int:
    return 2 * total


def pipeline(folder: Path) -> Pipeline:
    first = Stage(add, "total", str(folder / "work"))
    inner = Pipeline([("start", Stage(double, "doubled", str(folder / "work")))])
    last = Stage(lambda doubled, total: [doubled, total], "both", stage_name=EVIL)
    return Pipeline([("start", first), (first, inner), ((first, inner), last)])


def boxes(svg: str) -> dict[str, str]:
    """The colour of each box, by what is told of it."""
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    return {
        str(group.findtext(f"{space}title")): str(group[1].get("fill"))
        for group in root.findall(f"{space}g")
    }


def test_a_pipeline_is_drawn_with_what_came_of_its_stages(tmp_path: Path) -> None:
    """As SVG and as Mermaid; a pipeline in it is one box."""
    mine = pipeline(tmp_path)
    assert ["start", "add", "double", EVIL] == list(boxes(mine._repr_svg_()))
    mine.run(1, y=2)
    assert {"start", "add: ran", "double: ran", f"{EVIL}: ran"} == set(boxes(mine.graph().svg))
    mine.run(1, y=2)
    found = boxes(mine.graph().svg)
    assert {"start", "add: remembered", "double: remembered", f"{EVIL}: ran"} == set(found)
    assert 3 == len(set(found.values()))
    assert 'n0["add"]:::remembered' in mine.graph()
    assert 'n1[["double"]]:::remembered' in mine.graph()
    would = boxes(mine.graph(mine.explain(2, y=2)).svg)
    assert "add: ran" in would
    assert "<img" not in mine.graph().svg
    assert mine.graph() in mine._repr_markdown_()


def test_boxes_lie_apart(tmp_path: Path) -> None:
    """However many stages a row has, and however long their names are."""
    first = Stage(add, "total")
    many = [Stage(double, "d", stage_name=f"{'long' * (n % 5)}{n}") for n in range(9)]
    svg = Pipeline([("start", first), *((first, each) for each in many)]).graph().svg
    found = re.findall(r'<g>.*\n<rect x="([\d.-]+)" y="([\d.]+)" width="([\d.]+)"', svg)
    spans = [(float(y), float(x), float(x) + float(width)) for x, y, width in found]
    spans.sort()
    assert 11 == len(spans)
    pairs = pairwise(spans)
    assert all(a[0] < b[0] or a[2] < b[1] for a, b in pairs)
    assert all(x >= 0 for _, x, _ in spans)


def test_results_are_a_table_with_pictures_of_images(tmp_path: Path) -> None:
    """A name and a value are text, whatever they hold; a damaged image has no picture."""
    image = str(tmp_path / f"{EVIL.replace('/', '')}.nii.gz")
    nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).to_filename(image)
    broken = tmp_path / "broken.nii"
    broken.write_text("no image")
    results = Results({EVIL: image, "list": [image, str(broken)], "n": 3, "odd": "\x00\udcff"})
    html = results._repr_html_()
    assert "<img src" not in html
    pictures = re.findall(r'<img alt="" src="data:image/png;base64,([^"]+)">', html)
    assert 2 == len(pictures)
    assert b"\x89PNG" == b64decode(pictures[0])[:4]
    html.encode()
    assert "remembered" in html


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((4, 4, 4), np.float32), ((4, 4, 4, 3), np.uint8), ((200, 10, 1), np.int16)],
)
def test_images_of_all_shapes_have_a_picture(
    tmp_path: Path, shape: tuple[int, ...], kind: type
) -> None:
    """Constant ones and those with what is not finite as well."""
    path = str(tmp_path / "image.nii")
    values = np.zeros(shape, kind)
    if kind is np.float32:
        values[0, 0, 0] = np.nan
    nib.Nifti1Image(values, np.eye(4)).to_filename(path)
    assert "data:image/png" in Results({"image": path})._repr_html_()


def test_an_image_of_complex_numbers_has_none(tmp_path: Path) -> None:
    """Nor has a surface's data in two dimensions."""
    path = str(tmp_path / "image.nii")
    nib.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)).to_filename(path)
    assert "<img" not in Results({"image": path})._repr_html_()


def test_cases_are_a_grid(tmp_path: Path) -> None:
    """A row for each case: its inputs, what came of it, and of each stage."""
    cases = pipeline(tmp_path).map([{"x": 1, "y": 2}, {"x": 1, "y": EVIL}])
    html = cases._repr_html_()
    assert "2 cases: 1 ran, 0 remembered, 1 failed" in html
    assert "TypeError" in html
    assert "<img" not in html
    assert 2 == html.count("<tr><td>1</td>")


def test_a_stage_says_what_it_is(tmp_path: Path) -> None:
    """And what its last run returned."""
    stage = Stage(add, "total", str(tmp_path / EVIL.replace("/", "")), y=2)
    html = stage._repr_html_()
    assert "<td>y=2</td>" in html
    assert "<img" not in html
    assert "ran: add" not in html
    stage.run(1)
    assert "ran: add" in stage._repr_html_()
    assert os.listdir(tmp_path)
