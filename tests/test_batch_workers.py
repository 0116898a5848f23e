"""Processes that do orders side by side: each item once, whatever dies, and an end that is one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import performers
from texsynth.batch import workers
from texsynth.batch.order import Item, Order, Report, Step, in_order
from texsynth.runs import stop

Orders = Callable[..., list[Order]]


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    """No signal of an earlier test counts any more."""
    with stop.answered():
        yield


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Orders:
    monkeypatch.chdir(tmp_path)

    def make(*words: str) -> list[Order]:
        for number, word in enumerate(words):
            Path(f"{number}.in").write_text(word)
        items = [Item((Path(f"{number}.in"),), Path(f"{number}.out"), number) for number in range(len(words))]
        return [Order("none", None, item, len(words)) for item in items]

    return make


def ran(orders: list[Order], count: int, goes_on: bool = True) -> tuple[list[Report], list[Step]]:
    steps: list[Step] = []
    return list(
        in_order(workers.run(orders, performers.done, count, goes_on, steps.append), [order.item for order in orders])
    ), steps


def test_each_order_is_done_once_and_told_in_order(orders: Orders) -> None:
    reports, steps = ran(orders(*"abcdef"), 3)
    assert [report.item.number for report in reports] == [0, 1, 2, 3, 4, 5]
    assert all(report.entries[0]["status"] == "done" for report in reports)
    assert sorted(step.label for step in steps if not step.ended) == [f"{n}.out" for n in range(6)]
    processes = {tuple(Path(f"{n}.out").read_text().split()[1:]) for n in range(6)}
    assert 1 <= len(processes) <= 3 and str(os.getpid()) not in dict(processes)
    assert all(process == group for process, group in processes)  # so that Ctrl-C at a terminal reaches none twice


def test_what_a_killed_process_had_is_done_again(orders: Orders) -> None:
    reports, _ = ran(orders("a", "kill once", "b", "kill", "c", "stop once"), 2)
    assert [len(report.entries) for report in reports] == [1, 1, 1, 0, 1, 1]
    assert Path("1.out").read_text().startswith("True") and Path("2.out").read_text().startswith("False")
    assert "SIGKILL, 3 times over" in str(reports[3].error)
    assert Path(performers.DEATHS).read_text().split().count("3.out") == 3


def test_the_first_failure_ends_what_has_not_begun(orders: Orders) -> None:
    reports, _ = ran(orders("fail", *"abcdefgh"), 1, goes_on=False)
    assert [str(report.error) for report in reports] == ["no"]
    reports, _ = ran(orders("fail", *"ab"), 1)
    assert [bool(report.entries) for report in reports] == [False, True, True]


@pytest.mark.parametrize("ignored", [False, True])
def test_one_signal_reaches_all_processes(orders: Orders, ignored: bool) -> None:
    """Also where Ctrl-C is ignored, as in what a script begins with `&`."""

    def interrupt() -> None:
        while not Path("waiting").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    todo = orders("wait", "wait", "a")
    if ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fixture undoes it
    with stop.answered():
        thread = threading.Thread(target=interrupt)
        thread.start()
        reports, _ = ran(todo, 2)
        thread.join()
    assert [report.stopped for report in reports] == [True, True]
    assert not Path("2.out").exists()


def test_who_listens_no_more_ends_what_is_at_work(orders: Orders) -> None:
    """As where standard output is closed."""
    reports = workers.run(orders("a", "wait", "b"), performers.done, 2, True, lambda _: None)
    next(reports)
    while not Path("waiting").exists():
        time.sleep(0.01)
    reports.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children() and not Path("1.out").exists()
