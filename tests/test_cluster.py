"""--cluster: the same pictures from a cluster of Dask as from this process, whatever dies; one line for a fault."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import performers
import texsynth as package
from conftest import Picture, Refused, Texsynth
from test_batches import digests, lines
from texsynth.batch import cluster, member
from texsynth.batch.cluster import Voice
from texsynth.batch.order import Item, Order, Report
from texsynth.errors import ResourceError
from texsynth.runs import stop

BATCH = ("synthesize", "in", "-p", "steady", "-s", "8", "-q")
REASON = "the extra [cluster] is not installed"
DRAFT = ("synthesize", "in", "-s", "40", "--quality", "draft", "-q")


@pytest.fixture(autouse=True)
def pictures(texsynth: Texsynth, picture: Picture) -> None:  # noqa: ARG001 (for its folder)
    for seed, name in enumerate("abcde"):
        picture(f"in/{name}.png", seed=seed)


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    """No signal of an earlier test counts any more."""
    with stop.answered():
        yield


@pytest.fixture
def dask() -> Any:
    pytest.importorskip("cryptography", reason=REASON)
    return pytest.importorskip("distributed", reason=REASON)


@pytest.fixture
def scheduler(dask: Any) -> Iterator[Any]:
    """A cluster that someone else began, of two workers in threads of this process. Each has 1 GB to give."""
    with dask.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
        resources={cluster.RESOURCE: 1e9},
    ) as running:
        yield running


def orders(*words: str) -> list[Order]:
    for number, word in enumerate(words):
        Path(f"{number}.in").write_text(word)
    items = [Item((Path(f"{number}.in"),), Path(f"{number}.out"), number) for number in range(len(words))]
    return [Order("none", None, item, len(words)) for item in items]


def ran(todo: list[Order], where: str, goes_on: bool = True, memory: int = 0) -> list[Report]:
    said: list[str] = []
    reports = cluster.run(
        todo, performers.done, cluster.place(where), goes_on, Voice(said.append, said.append), lambda _: memory
    )
    return sorted(reports, key=lambda report: report.item.number)


def test_a_cluster_makes_the_same_files(texsynth: Texsynth, scheduler: Any) -> None:
    address = scheduler.scheduler_address
    Path("scheduler.json").write_text(json.dumps({"address": address}))
    assert texsynth(*BATCH, "-n", "2", "-o", "here/").code == 0
    plain = texsynth(*BATCH, "-n", "2", "-o", "there/", "--cluster", address)
    assert (plain.code, plain.err) == (0, "") and plain.out == "".join(
        f"there/{n}-{k}.png\n" for n in "abcde" for k in (1, 2)
    )
    assert digests("there") == digests("here") and len(lines("there/results.jsonl")) == 10
    for path in Path("there").glob("b*.png"):
        path.unlink()
    again = texsynth(*BATCH, "-n", "2", "-o", "there/", "--skip-existing", "--json", "--cluster", "scheduler.json")
    assert again.code == 0 and digests("there") == digests("here")
    assert [run["status"] for run in json.loads(again.out)["runs"]].count("done") == 2
    assert texsynth(*BATCH, "-n", "2", "-o", "there/", "--cluster", address).code == 2


def test_failures_are_told_as_ever(texsynth: Texsynth, scheduler: Any) -> None:
    Path("in/b.png").write_text("no picture")
    there = ("--cluster", scheduler.scheduler_address)
    kept = texsynth(*BATCH, "-o", "o/", "--keep-going", *there)
    assert kept.code == 6 and kept.out.split() == [f"o/{name}.png" for name in "acde"]
    assert texsynth(*BATCH, "-o", "p/", *there).code == 3
    assert "Traceback (most" in texsynth(*BATCH, "-o", "q/", "--debug", *there).err
    assert [line["status"] for line in lines("o/results.jsonl")].count("failed") == 1


def test_workers_say_what_is_wrong_with_them(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    where = scheduler.scheduler_address
    assert "declare at most" in str(ran(orders("a"), where, memory=2 * 10**9)[0].error)
    assert ran(orders("a"), where, memory=10**8)[0].entries
    assert member.work("run", "0.0.0", "/", "", b"") == package.__version__
    (report,) = [member._report(order, "/no/such/folder", "performers:done") for order in orders("a")]
    assert "the same files by the same paths" in str(report.error)
    monkeypatch.setattr(member, "work", lambda *_: "9.9")
    with pytest.raises(ResourceError, match=r"9\.9 on a worker; install the same version"):
        ran(orders("a"), where)


def test_the_first_failure_ends_what_has_not_begun(scheduler: Any) -> None:
    reports = ran(orders("fail", *["a"] * 300), scheduler.scheduler_address, goes_on=False)
    assert str(reports[0].error) == "no" and len(reports) < 301
    assert len(list(Path().glob("*.out"))) == len(reports) - 1


def test_a_signal_lets_what_has_begun_be_finished(scheduler: Any) -> None:
    def interrupt() -> None:
        while not Path("0.out").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    todo = orders(*["a"] * 300)
    with stop.answered():
        thread = threading.Thread(target=interrupt)
        thread.start()
        reports = ran(todo, scheduler.scheduler_address)
        thread.join()
    assert [report.stopped for report in reports].count(True) == 1
    assert len(reports) - 1 == len(list(Path().glob("*.out"))) < 300


@pytest.mark.usefixtures("dask")
def test_a_killed_worker_loses_nothing(texsynth: Texsynth) -> None:
    import psutil

    assert texsynth(*DRAFT, "-o", "here/").code == 0
    killed: list[int] = []

    def kill() -> None:
        while not list(Path("there").glob("*.png")):
            time.sleep(0.01)
        workers = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
        killed.append(workers[0].pid)
        workers[0].kill()

    thread = threading.Thread(target=kill)
    thread.start()
    there = texsynth(*DRAFT, "-o", "there/", "--cluster", "local:2")
    thread.join()
    assert (there.code, there.err, len(there.out.split())) == (0, "", 5) and killed
    assert digests("there") == digests("here")


@pytest.mark.usefixtures("dask")
def test_only_who_kills_workers_again_and_again_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask counts the deaths for whatever the worker had, so that the second order is as suspect as the first."""
    monkeypatch.setitem(cluster.SETTINGS, "distributed.scheduler.allowed-failures", 1)
    with stop.answered():  # no signal of an earlier test counts
        reports = ran(orders("kill", "kill once"), "local:1")
    assert "died, one after the other" in str(reports[0].error)
    assert Path("1.out").read_text().startswith("True") and reports[1].error is None


@pytest.mark.parametrize("word", ["local:0", "local:x", "nowhere", "host:", "in", "a.json"])
def test_addresses_that_are_none(refused: Refused, word: str) -> None:
    Path("a.json").write_text('{"address": 3}')
    assert "--cluster" in refused(2, *BATCH, "-o", "o/", "--cluster", word)


@pytest.mark.parametrize("words", [("--jobs", "2"), ("--shard", "1/2"), ("--list-jobs",)])
def test_a_cluster_excludes_other_ways(refused: Refused, words: tuple[str, ...]) -> None:
    assert "exclude each other" in refused(2, *BATCH, "-o", "o/", "--cluster", "local:2", *words)


def test_the_extra_is_named(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install texsynth[cluster]" in refused(5, *BATCH, "-o", "o/", "--cluster", "local:2")


@pytest.mark.usefixtures("dask")
def test_where_no_scheduler_answers(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there, or somebody else, who says nothing."""
    monkeypatch.setattr(cluster, "WAIT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        for _ in range(2):
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            assert "no Dask scheduler answers" in refused(4, *BATCH, "-o", "o/", "--cluster", address)
            silent.listen()
