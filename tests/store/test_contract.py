"""The store in a folder keeps what every place for entries promises."""

from __future__ import annotations

from tests.store.contract import StoreContract


class TestStore(StoreContract):
    """The store as memori has it."""
