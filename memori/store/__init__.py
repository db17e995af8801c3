"""The store: what stages remember, on disk.

Store      the memory of one stage in one folder, for whoever decides and records
Memory     all that a folder remembers, for whoever only asks
Room       how much room the memory of a stage takes
Entry      the record of one run
Unfinished a run that goes on, or failed

`layout` alone knows where things lie; docs/store.md describes the files.
"""

from memori.layout import file_name, locks_of, memo_of, node_note
from memori.store.entry import SCHEMA, Entry
from memori.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.store.failures import NOTE, Unfinished
    from memori.store.memory import (
        Memory,
        maker_of,
        memories_around,
        memories_below,
        read_entry,
        sources_of_derivatives,
    )
    from memori.store.room import Room, last_use

__all__ = [
    "NOTE",
    "SCHEMA",
    "Entry",
    "Memory",
    "Room",
    "Store",
    "Unfinished",
    "file_name",
    "last_use",
    "locks_of",
    "maker_of",
    "memo_of",
    "memories_around",
    "memories_below",
    "node_note",
    "read_entry",
    "sources_of_derivatives",
]

_LATER = {
    "NOTE": "memori.store.failures",
    "Room": "memori.store.room",
    "Unfinished": "memori.store.failures",
    "last_use": "memori.store.room",
}


def __getattr__(name: str) -> object:
    """Import what only those need who ask, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER.get(name, "memori.store.memory")), name)
