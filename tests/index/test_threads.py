"""Work on several threads answers as work on one, and leaves torch's own threads as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from m2hf_core.index.threads import each


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_stand_in_order_and_torch_works_alone_in_each_thread(two_threads: None) -> None:
    meeting = threading.Barrier(2)

    def work(number: int) -> tuple[int, int, str]:
        meeting.wait(20)  # only passes where two work at once
        return number, torch.get_num_threads(), threading.current_thread().name

    found = each(work, range(6))
    assert [number for number, _, _ in found] == list(range(6))
    assert {threads for _, threads, _ in found} == {1}
    assert threading.current_thread().name not in {name for _, _, name in found}
    assert torch.get_num_threads() == 2
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2], "threads that begin later are as they were"


def test_a_failure_is_the_callers(two_threads: None) -> None:
    with pytest.raises(ZeroDivisionError):
        each(lambda number: 1 // number, [2, 1, 0])


def test_with_one_thread_the_caller_works_itself() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert each(lambda _: threading.current_thread(), range(3)) == [threading.current_thread()] * 3
    finally:
        torch.set_num_threads(before)
