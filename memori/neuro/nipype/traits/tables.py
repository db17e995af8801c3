"""Tables of pandas taken apart into plain values and arrays, and put together again, exactly.

Data types, the index, categories, time zones, missing values and attributes come back as they were.
What a table is made of anew is compared with the table before it is kept, so that a kind of column
or index that is not known here is an error and never another table.

Not promised: subclasses of pandas' own classes, sparse columns, and cells that hold what
`memori.neuro.nipype.traits.values` cannot write down.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_table(value: object) -> bool:
    """Tell whether a value is a DataFrame, a Series or an Index of pandas."""
    pandas: Any = sys.modules.get("pandas")  # whoever has a table has imported it
    if pandas is None:
        return False
    return type(value) in (pandas.DataFrame, pandas.Series) or isinstance(value, pandas.Index)


def parts_of(table: Any) -> dict[str, Any]:
    """Return what a table is made of.

    Raises
    ------
    ValueError
        If it would not come back as it is.
    """
    parts = _parts_of(table)
    try:
        same = _are_same(table, table_of(parts))
    except Exception as error:
        raise ValueError(f"a table that cannot be taken apart ({error})") from error
    if not same:
        raise ValueError("a table that would not come back as it is")
    return parts


def table_of(parts: dict[str, Any]) -> Any:
    """Return the table that `parts_of` took apart."""
    import pandas as pd

    if parts["kind"] == "index":
        return _index_of(parts["index"])
    index = _index_of(parts["index"])
    if parts["kind"] == "series":
        table = pd.Series(_column_of(parts["data"]), index=index, name=parts["name"], copy=False)
    else:
        columns = {at: _column_of(each) for at, each in enumerate(parts["data"])}
        table = pd.DataFrame(columns, index=index, copy=False)
        table.columns = _index_of(parts["columns"])
    table.attrs.update(parts["attrs"])
    return table


def _parts_of(table: Any) -> dict[str, Any]:
    import pandas as pd

    if isinstance(table, pd.Index):
        return {"kind": "index", "index": _index_parts(table)}
    parts = {"index": _index_parts(table.index), "attrs": dict(table.attrs)}
    if isinstance(table, pd.Series):
        return {**parts, "kind": "series", "name": table.name, "data": _column_parts(table.array)}
    columns = [_column_parts(table.iloc[:, at].array) for at in range(table.shape[1])]
    return {**parts, "kind": "frame", "columns": _index_parts(table.columns), "data": columns}


def _are_same(one: Any, other: Any) -> bool:
    import pandas as pd

    if isinstance(one, pd.Index):
        return bool(one.identical(other)) and repr(one) == repr(other)
    if type(one) is not type(other) or one.attrs != other.attrs:
        return False
    frames = (one.to_frame(), other.to_frame()) if isinstance(one, pd.Series) else (one, other)
    if isinstance(one, pd.Series) and one.name != other.name:
        return False
    pd.testing.assert_frame_equal(
        *frames, check_exact=True, check_freq=True, check_index_type=True, check_column_type=True
    )
    return True


# Indices


def _index_parts(index: Any) -> dict[str, Any]:
    import pandas as pd

    if type(index) is pd.RangeIndex:
        return {"range": [index.start, index.stop, index.step], "name": index.name}
    if type(index) is pd.MultiIndex:
        return {
            "levels": [_index_parts(level) for level in index.levels],
            "codes": [np.asarray(codes) for codes in index.codes],
            "names": list(index.names),
        }
    frequency = getattr(index, "freqstr", None)
    return {"data": _column_parts(index.array), "name": index.name, "freq": frequency}


def _index_of(parts: dict[str, Any]) -> Any:
    import pandas as pd

    if "range" in parts:
        return pd.RangeIndex(*parts["range"], name=parts["name"])
    if "levels" in parts:
        levels = [_index_of(level) for level in parts["levels"]]
        return pd.MultiIndex(levels, parts["codes"], names=parts["names"])
    column = _column_of(parts["data"])
    index = pd.Index(column, name=parts["name"], dtype=column.dtype, copy=False)
    if parts["freq"] is not None:
        index.freq = parts["freq"]
    return index


# Columns


def _column_parts(array: Any) -> dict[str, Any]:
    import pandas as pd

    dtype = array.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = _index_parts(array.categories)
        return {"codes": array.codes, "categories": categories, "ordered": bool(array.ordered)}
    if isinstance(dtype, pd.StringDtype):
        texts = [None if missing else str(text) for text, missing in _with_missing(array)]
        kept = [dtype.storage, "NA" if dtype.na_value is pd.NA else "nan"]
        return {"texts": texts, "type": kept}
    kinds = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)
    if isinstance(array, kinds):
        filled = array.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        return {"data": filled, "missing": array.isna(), "type": str(dtype)}
    if isinstance(dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
        return {"numbers": array.asi8, "type": str(dtype)}
    plain = np.asarray(array)
    if plain.dtype != getattr(dtype, "numpy_dtype", dtype):
        raise ValueError(f"a column of type {dtype}")
    if plain.dtype == object:
        return {"objects": _marked(plain, pd)}
    return {"plain": plain}


def _with_missing(array: Any) -> Any:
    return zip(array, array.isna(), strict=True)


def _marked(cells: Any, pd: Any) -> list[Any]:
    """Return cells in which what only pandas has is a pair that says so."""
    found: list[Any] = []
    for cell in cells:
        if cell is pd.NA or cell is pd.NaT:
            found.append({"pandas": "NA" if cell is pd.NA else "NaT"})
        elif type(cell) is pd.Timestamp:
            zone = None if cell.tz is None else str(cell.tz)
            found.append({"pandas": "Timestamp", "numbers": [cell.value, cell.unit], "zone": zone})
        elif isinstance(cell, dict):
            found.append({"pandas": "dict", "cell": cell})
        else:
            found.append(cell)
    return found


def _unmarked(cell: Any, pd: Any) -> Any:
    if not isinstance(cell, dict):
        return cell
    if cell["pandas"] == "dict":
        return cell["cell"]
    if cell["pandas"] == "Timestamp":
        number, unit = cell["numbers"]
        return pd.Timestamp(number, unit="ns", tz=cell["zone"]).as_unit(unit)
    return pd.NA if cell["pandas"] == "NA" else pd.NaT


def _column_of(parts: dict[str, Any]) -> Any:
    import pandas as pd

    if "codes" in parts:
        dtype = pd.CategoricalDtype(_index_of(parts["categories"]), parts["ordered"])
        return pd.Categorical.from_codes(parts["codes"], dtype=dtype)
    if "texts" in parts:
        storage, missing = parts["type"]
        kind = pd.StringDtype(storage, na_value=pd.NA if missing == "NA" else np.nan)
        return pd.array(parts["texts"], dtype=kind)
    if "missing" in parts:
        kind = pd.array([], dtype=parts["type"])
        return type(kind)(parts["data"], parts["missing"])
    if "numbers" in parts:
        dtype = pd.api.types.pandas_dtype(parts["type"])
        if isinstance(dtype, pd.PeriodDtype):
            return pd.arrays.PeriodArray(parts["numbers"], dtype=dtype)
        utc = parts["numbers"].view(f"M8[{dtype.unit}]")
        return pd.DatetimeIndex(utc, tz="UTC").tz_convert(dtype.tz).array
    if "objects" in parts:
        cells = np.empty(len(parts["objects"]), dtype=object)
        for at, cell in enumerate(parts["objects"]):
            cells[at] = _unmarked(cell, pd)
        return cells
    return parts["plain"]
