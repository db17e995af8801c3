"""What stages, results and cases show in a notebook: tables in HTML, of escaped text alone.

Nothing that a name, a value or an error holds is taken for markup. An output that is a NIfTI image
of moderate size is shown by three of its slices, where nibabel is there.

Not promised: all of what is shown; very long tables and texts are cut.
"""

from __future__ import annotations

import os
from base64 import b64encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from memori.digest.values import JSON

_MOST_ROWS = 200
_MOST_PICTURES = 12
_LONGEST = 300
_COLOURS = {"ran": "#fde2c4", "remembered": "#d5ecd4", "failed": "#f5c6c6", "skipped": "#e4e4e4"}
_THUMBNAILS = "memori.neuro.data.thumbnails"  # the core knows no formats but by their tables


def escaped(text: str) -> str:
    r"""Return a text as HTML and SVG take it, without what they cannot hold.

    Examples
    --------
    >>> escaped("<b>\x00\udcff")
    '&lt;b&gt;??'
    """
    from html import escape

    plain = "".join(each if each >= " " or each in "\t\n" else "?" for each in text)
    return escape(plain.encode("utf-8", "replace").decode())


class Cell:
    """What stands in a table: a text, with a colour that tells a state, or markup of our own."""

    __slots__ = ("markup",)

    def __init__(self, text: str, state: str = "", *, title: str = "") -> None:
        colour = f' style="background:{_COLOURS[state]}"' if state in _COLOURS else ""
        hover = f' title="{escaped(title)}"' if title else ""
        self.markup = f"<td{colour}{hover}>{escaped(_cut(text))}</td>"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def table(
    rows: Iterable[Sequence[str | Cell]], heads: Sequence[str] = (), caption: str = ""
) -> str:
    """Return a table of texts, which are escaped."""
    listed = list(rows)
    lines = ['<table class="memori">']
    if caption:
        lines.append(f'<caption style="text-align:left">{escaped(_cut(caption))}</caption>')
    if heads:
        told = "".join(f"<th>{escaped(_cut(head))}</th>" for head in heads)
        lines.append(f"<thead><tr>{told}</tr></thead>")
    lines.append("<tbody>")
    for row in listed[:_MOST_ROWS]:
        cells = (each if isinstance(each, Cell) else Cell(each) for each in row)
        lines.append(f"<tr>{''.join(each.markup for each in cells)}</tr>")
    lines.append("</tbody></table>")
    if len(listed) > _MOST_ROWS:
        lines.append(f"<p>and {len(listed) - _MOST_ROWS} more</p>")
    return "\n".join(lines)


def results_table(results: Mapping[str, JSON], ran: Iterable[str]) -> str:
    """Return results by name, with pictures of images among them."""
    pictures = [0]
    rows = [(name, _shown(value, pictures)) for name, value in results.items()]
    told = ", ".join(ran)
    return table(rows, caption=f"ran: {told}" if told else "remembered")


def _shown(value: JSON, pictures: list[int]) -> Cell:
    """Return a value, with the pictures of the images that it names."""
    cell = Cell("")
    cell.markup = f"<td>{_markup(value, pictures)}</td>"
    return cell


def _markup(value: JSON, pictures: list[int]) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        listed = "<br>".join(_markup(each, pictures) for each in value[:_MOST_PICTURES])
        left = len(value) - _MOST_PICTURES
        return f"{listed}<br>and {left} more" if left > 0 else listed
    text = escaped(_cut(value if isinstance(value, str) else repr(value)))
    if isinstance(value, str) and pictures[0] < _MOST_PICTURES and os.path.isfile(value):
        image = _picture(value)
        if image:
            pictures[0] += 1
            return f'{text}<br><img alt="" src="data:image/png;base64,{image}">'
    return text


def _picture(path: str) -> str:
    """Return a picture of an image file as base64; nothing of any other file."""
    if not path.endswith((".nii", ".nii.gz")):
        return ""
    from importlib import import_module

    try:
        png: bytes | None = import_module(_THUMBNAILS).thumbnail(path)
    except ImportError:
        return ""
    return "" if png is None else b64encode(png).decode()
