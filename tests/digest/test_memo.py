"""What a process remembers is bounded, and shared by threads."""

from __future__ import annotations

import sys
import threading

import pytest

from memori.digest import memo as module
from memori.digest.memo import Memo


def test_a_memo_forgets_what_it_has_held_longest() -> None:
    """The newest things stay, in the order in which they were last kept."""
    memo: Memo[str, int] = Memo(3)
    for number, name in enumerate("abcad"):
        memo.keep(name, number)

    assert {"c": 2, "a": 3, "d": 4} == memo


def test_threads_that_keep_at_once_do_not_trip_over_each_other() -> None:
    """Whoever forgets what another thread has just forgotten goes on, and the bound holds."""
    before = sys.getswitchinterval()
    memo: Memo[int, int] = Memo(4)
    raised: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for number in range(5000):
                memo.keep(start + number % 50, number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=(100 * each,)) for each in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    memo.keep(-1, 0)
    assert [] == raised
    assert 4 == len(memo)


@pytest.mark.parametrize("error", [RuntimeError, StopIteration])
def test_a_memo_that_changes_while_it_is_looked_at_is_looked_at_again(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python raises where another thread adds or removes at that moment reaches nobody."""

    def disturbed(iterator: object) -> None:
        monkeypatch.delattr(module, "next")
        raise error

    memo: Memo[str, int] = Memo(1)
    memo.keep("a", 1)
    monkeypatch.setattr(module, "next", disturbed, raising=False)
    memo.keep("b", 2)

    assert {"b": 2} == memo
