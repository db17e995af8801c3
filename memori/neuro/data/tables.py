"""Tables on disk, as BIDS has them: ``.tsv``.

One header line, tabs between cells, ``n/a`` for what is missing, UTF-8, a newline at the end, no
quoting: a cell that would need it (a tab or a line break in a text) is an error. A float is
written with the fewest digits that give the same 64-bit float back, bool as true and false, times
as in ISO 8601.

BIDS keeps some recordings without the header line: physio and stim (``.tsv.gz``), whose columns the
JSON beside them or above them names, and motion, whose columns ``channels.tsv`` names.

Not promised: types. A ``.tsv`` holds text, and whoever reads it guesses: ``"01"`` comes back as the
number 1 from most readers (`load_table` takes ``text=`` for the columns that it must not guess),
and an integer column with gaps as floats.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from memori.neuro.data.recordings import names_elsewhere
from memori.neuro.data.saving import save, suffix_of

_BREAKS = "\0\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def save_table(
    columns: Mapping[str, Iterable[Any]] | Any, path: str | os.PathLike[str] | None = None
) -> str:
    r"""Save a table as a BIDS ``.tsv`` file.

    Parameters
    ----------
    columns : mapping of str to sequence, or pandas.DataFrame
        Columns of equal length by name: texts, numbers, bool, dates and times; None, NaN, NaT and
        `pandas.NA` are missing. A DataFrame's index, if it has a name, becomes the first column.
    path : str or os.PathLike, optional
        A name in ``.tsv``. By default ``table.tsv`` in the folder of the running stage, and
        ``table-2.tsv`` and so on for further ones.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If columns differ in length, names repeat, or a text is empty, is ``n/a``, or holds a tab or
        line break.
    TypeError
        If a cell holds anything else.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> events = {"onset": [0.0, 12.5], "trial_type": ["go", None]}
    >>> path = save_table(events, f"{folder.name}/events.tsv")
    >>> print(open(path).read().replace("\t", " | "))
    onset | trial_type
    0.0 | go
    12.5 | n/a
    <BLANKLINE>
    """
    if path is not None:
        suffix_of(path, (".tsv",), "save_table")
    named = _columns(columns)
    texts = [
        [_text(cell, name, row) for row, cell in enumerate(cells)] for name, cells in named.items()
    ]
    lengths = {name: len(cells) for name, cells in zip(named, texts, strict=True)}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"save_table: columns of one length expected, got {lengths}")
    lines = ["\t".join(named), *("\t".join(row) for row in zip(*texts, strict=True))]
    content = ("\n".join(lines) + "\n").encode()

    def write(stream: BinaryIO) -> None:
        stream.write(content)

    return save(write, path, default="table.tsv", caller="save_table")


def load_table(
    path: str | os.PathLike[str],
    *,
    text: Sequence[str] = (),
    columns: Sequence[str] | None = None,
) -> Any:
    """Load a BIDS ``.tsv`` or ``.tsv.gz`` file as a pandas DataFrame.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    text : sequence of str, optional
        Columns to be left as texts, such as ``["participant_id"]`` for labels like 01.
    columns : sequence of str, optional
        The names of the columns of a file without a header line. By default a recording whose
        first line is all numbers (``_physio``, ``_stim``, ``_motion``, any ``.tsv.gz``) takes them
        from BIDS: ``Columns`` of its JSON, also above it, or ``channels.tsv``; without such, from
        0 on.

    Returns
    -------
    pandas.DataFrame
        With ``n/a``, and nothing else, as missing.

    Raises
    ------
    ValueError
        If there are not as many columns as names, or the file is not UTF-8. Empty cells behind the
        last column do not count.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = save_table({"subject": ["01", "02"], "age": [31, None]}, f"{folder.name}/a.tsv")
    >>> load_table(path, text=["subject"])["subject"].tolist()
    ['01', '02']
    """
    import csv

    import pandas

    # From version 3.1 on, reading a float back exactly is what pandas does anyway.
    old = tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1)
    name = os.fspath(path)
    first, second = _first_lines(name)
    names = list(columns) if columns is not None else names_elsewhere(name, first)
    if names is not None and len(names) not in (0, len(first)):
        raise ValueError(
            f"load_table: {name!r} has {len(first)} columns, not {len(names)}: {names}"
        )
    places = {each: place for place, each in enumerate(names or ())}
    is_wide = names is None and len(second) > len(first)
    if is_wide:
        _require_empty(name, len(first))
    try:
        frame = pandas.read_csv(
            name,
            sep="\t",
            header="infer" if names is None else None,
            # Else the first column of a wide table would become the index, and all names shift.
            index_col=False if is_wide else None,
            usecols=range(len(first)) if is_wide else None,
            quoting=csv.QUOTE_NONE,
            na_values=["n/a"],
            keep_default_na=False,
            float_precision="round_trip" if old else None,
            dtype={places.get(each, each): str for each in text},
            low_memory=False,  # else types are guessed anew for each part of a long file
            encoding="utf-8",
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"load_table: {name!r} is not UTF-8, as BIDS wants it: {error}; save it as UTF-8, such "
            f"as by `iconv -f latin1 -t utf-8`"
        ) from error
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        raise ValueError(f"load_table: {name!r} is no table: {error}") from error
    return frame.set_axis(names, axis="columns") if names else frame


def _first_lines(path: str) -> tuple[list[str], list[str]]:
    """Return the cells of the first two lines of a table."""
    with _opened(path) as file:
        first, second = file.readline(), file.readline()
    return _cells_of(first), _cells_of(second)


def _require_empty(path: str, columns: int) -> None:
    """Raise if a line has a value behind the last column that has a name."""
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if any(_cells_of(line)[columns:]):
                raise ValueError(
                    f"load_table: {path!r} has {columns} columns by its first line, and more cells "
                    f"in line {number}; name them there, or leave them empty"
                )


def _opened(path: str) -> Any:
    import gzip

    return (gzip.open if path.endswith(".gz") else open)(path, "rb")


def _cells_of(line: bytes) -> list[str]:
    return line.decode("utf-8", "replace").rstrip("\r\n").split("\t")


def _columns(table: Any) -> dict[str, Iterable[Any]]:
    """Return the columns by name, in order."""
    if type(table).__module__.partition(".")[0] == "pandas":
        pairs = _pandas_columns(table)
    elif isinstance(table, Mapping):
        pairs = [(name, _cells(name, cells)) for name, cells in table.items()]
    else:
        raise TypeError(
            f"save_table: expected columns by name (a dict or a pandas DataFrame), got "
            f"{type(table).__name__}"
        )
    if not pairs:
        raise ValueError("save_table: a table needs at least one column")
    named = dict(pairs)
    for name in named:
        if not isinstance(name, str) or not name or _fault(name):
            raise ValueError(f"save_table: a column's name is a text on one line, got {name!r}")
    if len(named) != len(pairs):
        raise ValueError(f"save_table: column names must differ, got {[n for n, _ in pairs]}")
    return named


def _pandas_columns(table: Any) -> list[tuple[str, Iterable[Any]]]:
    if not hasattr(table, "columns"):
        table = table.to_frame()
    names = [name for name in table.index.names if name is not None]
    if len(names) == table.index.nlevels:
        table = table.reset_index()
    elif not table.index.equals(type(table.index)(range(len(table)))):
        raise ValueError(
            "save_table: the index has no name, and a .tsv has no place for it: name it "
            "(frame.rename_axis('subject')) or drop it (frame.reset_index(drop=True), or "
            "pd.concat(..., ignore_index=True))"
        )
    return [(name, table.iloc[:, place]) for place, name in enumerate(table.columns)]


def _cells(name: object, cells: Any) -> Any:
    if isinstance(cells, (str, bytes, Mapping)) or not hasattr(cells, "__iter__"):
        raise TypeError(
            f"save_table: column {name!r} is a {type(cells).__name__}: expected a sequence"
        )
    if getattr(cells, "ndim", 1) != 1:
        raise ValueError(f"save_table: column {name!r} has shape {cells.shape}: expected (n,)")
    return cells


def _text(cell: Any, column: str, row: int) -> str:
    if cell is None or _is_missing(cell):
        return "n/a"
    if isinstance(cell, str):
        wrong = _fault(cell)
        if not wrong:
            return cell
        raise ValueError(f"save_table: column {column!r}, row {row}: the text {cell!r} {wrong}")
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if isinstance(cell, (float, np.floating)) and float(cell) == cell:
        return repr(float(cell))
    if isinstance(cell, np.datetime64):
        return str(cell)
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    raise TypeError(
        f"save_table: column {column!r}, row {row}: a {type(cell).__name__} is no text, number, "
        "bool or date: convert it first"
    )


def _fault(text: str) -> str:
    """Say why a text cannot stand in a cell, if so."""
    if not text or text == "n/a":
        return f"{'means that there is none' if text else 'is empty'} (None stands for missing)"
    if any(c in text for c in _BREAKS):
        return "holds a tab, line break or NUL"
    return "" if text.isascii() or _is_unicode(text) else "holds half a character (a surrogate)"


def _is_unicode(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _is_missing(cell: Any) -> bool:
    """Whether a cell is NaN, NaT or pandas.NA (which alone cannot say if it equals itself)."""
    try:
        return bool(cell != cell)
    except (TypeError, ValueError):
        return type(cell).__name__ == "NAType"


# What comes back -------------------------------------------------------------------------------


def lost(table: Any, found: Any) -> str:
    """Say how a DataFrame differs from what `load_table` gives of its file; nothing if it does not.

    Another type of number is no difference, nor is a category that comes back as its texts, if
    these sort and group as it does.
    """
    named = [name for name in table.index.names if name is not None]
    if named:
        return f"its index {', '.join(map(repr, named))} as a column"
    if list(found.columns) != list(table.columns) or len(found) != len(table):
        return f"{table.shape} rows and columns as {found.shape}"
    for place, name in enumerate(table.columns):
        one, other = table.iloc[:, place], found.iloc[:, place]
        categories = getattr(one.dtype, "categories", None)
        if categories is not None:
            by_texts = one.astype(object).astype("category").cat.categories
            if list(categories) != list(by_texts):  # sorted, and none that no row has
                return f"column {name!r} without its categories {list(categories)} in their order"
        if not one.equals(other):
            for then, now in zip(one, other, strict=True):
                if not _is_equal(then, now):
                    return f"{then!r} in column {name!r} as {now!r}"
    return ""


def _is_equal(one: Any, other: Any) -> bool:
    if one is None or _is_missing(one):
        return _is_missing(other)
    # numpy compares a whole number with a float as two floats, in which large ones are alike
    one, other = (each.item() if isinstance(each, np.integer) else each for each in (one, other))
    flags = {isinstance(each, (bool, np.bool_)) for each in (one, other)}
    return len(flags) == 1 and bool(one == other)
