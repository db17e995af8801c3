"""A pipeline as a picture: Mermaid's text, which GitHub, GitLab and JupyterLab draw, or SVG.

Each stage is a box, a pipeline inside the pipeline one box with a double edge; what passes along an
edge stands on it. Stages are coloured by what came of them: run, remembered or skipped. Of the
libraries that lay graphs out, those that draw well need a program of the system (Graphviz); a
pipeline is small enough for the plain way: stages by the longest path that leads to them, each
below the middle of what it takes from.

Not promised: edges that never cross.
"""

from __future__ import annotations

from memori.notebook import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memori.graph.wiring import Wiring
    from memori.node import Node

    Point = tuple[float, float]

_MOST = 3  # names on an edge
_LONGEST = 40  # characters in a box
_COLOURS = {"ran": "#fde2c4", "remembered": "#d5ecd4", "skipped": "#e4e4e4"}
_WIDTH, _HEIGHT, _ABOVE, _BESIDE = 7.2, 34, 56, 28  # of a character; of a box; between boxes


class Graph(str):
    """Mermaid's text of a pipeline; notebooks show it as the picture `svg`.

    Attributes
    ----------
    svg : str
        The same as SVG, for a file or a page.
    """

    __slots__ = ("svg",)
    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self}\n```"


def drawn(wiring: Wiring, states: Mapping[str, str]) -> Graph:
    """Return the graph of a pipeline.

    Parameters
    ----------
    wiring : Wiring
        Its stages and edges.
    states : mapping of str to str
        What came of each stage, by name: "ran", "remembered" or "skipped".
    """
    graph = Graph(_mermaid(wiring, states))
    graph.svg = "\n".join(_svg(wiring, states))
    return graph


def _edges(wiring: Wiring) -> Iterator[tuple[Node | None, Node, list[str]]]:
    """Yield what each stage takes from where; from None what a run gives it."""
    for stage in wiring.order:
        passed: set[str] = set()
        for source in wiring.sources[stage]:
            through = [each for each in source.offers if stage.takes(each)]
            passed.update(through)
            yield source, stage, through
        given = [each for each in stage.inputs if each not in passed and each not in stage.args]
        if given or not wiring.sources[stage]:
            yield None, stage, given


def _title(node: Node) -> str:
    inner = getattr(node, "stages", None)
    if inner is not None:
        return ", ".join(_title(each) for each in inner)
    return str(getattr(node, "stage_name", node.title))


def _names_in(node: Node) -> list[str]:
    inner = getattr(node, "stages", None)
    return [_title(node)] if inner is None else [n for each in inner for n in _names_in(each)]


def _state(node: Node, states: Mapping[str, str]) -> str:
    """Return the state of a stage; a nested pipeline ran if one of its stages did."""
    found = {states.get(name, "") for name in _names_in(node)}
    return next((state for state in ("ran", "remembered", "skipped") if state in found), "")


def _label(names: list[str]) -> str:
    left = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {left} more" if left > 0 else "")


# Mermaid


def _mermaid(wiring: Wiring, states: Mapping[str, str]) -> str:
    names = {stage: f"n{number}" for number, stage in enumerate(wiring.order)}
    lines = ["flowchart TD", "    start([start])"]
    used = set()
    for stage, name in names.items():
        label, state = _quoted(_title(stage)), _state(stage, states)
        used.add(state)
        box = f"[{label}]" if getattr(stage, "stages", None) is None else f"[[{label}]]"
        lines.append(f"    {name}{box}{f':::{state}' if state else ''}")
    for source, stage, passed in _edges(wiring):
        told = f"|{_quoted(_label(passed))}|" if passed else ""
        lines.append(f"    {'start' if source is None else names[source]} -->{told} {names[stage]}")
    shown = [f"    classDef {name} fill:{_COLOURS[name]}" for name in _COLOURS if name in used]
    return "\n".join([*lines, *shown])


def _quoted(text: str) -> str:
    """Return a text as Mermaid takes it, whatever it holds."""
    import re

    return '"' + re.sub(r'["#<>&;`]', lambda sign: f"#{ord(sign[0])};", text) + '"'


# SVG


def _svg(wiring: Wiring, states: Mapping[str, str]) -> Iterator[str]:
    edges = list(_edges(wiring))
    rows = _rows(edges)
    places = _places(rows)
    width = max(x + _box_width(each) / 2 for each, (x, _) in places.items()) + 12
    height = max(y for _, y in places.values()) + _HEIGHT / 2 + 12
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">'
    )
    yield f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>'
    for source, stage, passed in edges:
        yield from _arrow(places[source], places[stage], _label(passed))
    for each, (x, y) in places.items():
        yield from _box(each, x, y, states)
    yield "</svg>"


def _rows(edges: list[tuple[Node | None, Node, list[str]]]) -> list[list[Node | None]]:
    """Return the stages by the longest path to them, each row in the order of what is above."""
    depth: dict[Node | None, int] = {None: 0}
    for source, stage, _ in edges:  # in an order in which sources come first
        depth[stage] = max(depth.get(stage, 1), depth[source] + 1)
    rows: list[list[Node | None]] = [[] for _ in range(max(depth.values()) + 1)]
    place: dict[Node | None, float] = {}
    for each in depth:
        rows[depth[each]].append(each)
    for row in rows:
        above = {
            each: [place[s] for s, stage, _ in edges if stage is each and s in place]
            for each in row
        }
        row.sort(key=lambda each: sum(above[each]) / (len(above[each]) or 1))
        for number, each in enumerate(row):
            place[each] = (number + 0.5) / len(row)
    return rows


def _places(rows: list[list[Node | None]]) -> dict[Node | None, Point]:
    """Return the middle of each box."""
    widths = [sum(map(_box_width, row)) + _BESIDE * (len(row) - 1) for row in rows]
    found: dict[Node | None, Point] = {}
    for number, row in enumerate(rows):
        left = 12 + (max(widths) - widths[number]) / 2
        for each in row:
            found[each] = (
                left + _box_width(each) / 2,
                12 + _HEIGHT / 2 + number * (_HEIGHT + _ABOVE),
            )
            left += _box_width(each) + _BESIDE
    return found


def _box_width(node: Node | None) -> float:
    return 24 + _WIDTH * len(_cut("start" if node is None else _title(node)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _box(node: Node | None, x: float, y: float, states: Mapping[str, str]) -> Iterator[str]:
    title = "start" if node is None else _title(node)
    state = "" if node is None else _state(node, states)
    width, radius = _box_width(node), _HEIGHT / 2 if node is None else 5
    told = f"{title}: {state}" if state else title
    yield f"<g><title>{escaped(told)}</title>"
    for inset in (0, 4) if getattr(node, "stages", None) is not None else (0,):
        yield (
            f'<rect x="{x - width / 2 + inset:.1f}" y="{y - _HEIGHT / 2 + inset:.1f}" '
            f'width="{width - 2 * inset:.1f}" height="{_HEIGHT - 2 * inset}" rx="{radius}" '
            f'fill="{_COLOURS.get(state, "#f4f4fb")}" stroke="#555"/>'
        )
    shown = escaped(_cut(title))
    yield f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{shown}</text></g>'


def _arrow(start: Point, end: Point, label: str) -> Iterator[str]:
    (x, y), (to_x, to_y) = start, end
    y, to_y = y + _HEIGHT / 2, to_y - _HEIGHT / 2
    bend = (to_y - y) / 2
    yield (
        f'<path d="M{x:.1f} {y:.1f}C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} '
        f'{to_x:.1f} {to_y - 5:.1f}" fill="none" stroke="#777"/>'
        f'<path d="M{to_x - 4:.1f} {to_y - 7:.1f}h8l-4 7z" fill="#777"/>'
    )
    if label:
        yield (
            f'<text x="{(x + to_x) / 2:.1f}" y="{(y + to_y) / 2:.1f}" text-anchor="middle" '
            'font-size="10" fill="#333" stroke="white" stroke-width="3" paint-order="stroke">'
            f"{escaped(_cut(label))}</text>"
        )
