"""A cluster of Dask that does orders, on this machine or on many: a task for each, done again where a worker dies.

Orders and reports are pickles, which run as code where they are read: they travel between processes of one user, with a
key of their own where this process begins them.
"""

from __future__ import annotations

import logging
import pickle
import re
import tempfile
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from texsynth import __version__
from texsynth.batch import member
from texsynth.batch.order import Order, Perform, Report
from texsynth.errors import ResourceError, UsageError, WeightsError, one_line, shown
from texsynth.foreign import json_text, regular
from texsynth.runs import stop

MOST_WORKERS = 256
WAIT = 5.0  # seconds in which a scheduler must answer
FLYING = 1000  # orders that the scheduler has at once: a cluster that grows with its work should see much of it
LOOK = 0.05  # seconds between looks at what has come
STARTS = 3  # tries to start workers
RENEWED = 5.0  # seconds after which workers are counted again
SETTINGS = {  # of Dask for `local:N`; other clusters have their own
    "distributed.scheduler.allowed-failures": 3,  # workers that die with the same order, until it has failed
    "distributed.scheduler.worker-saturation": 1.0,  # a worker gets an order when it can begin it
}
RESOURCE = "MEMORY"  # what workers may declare, in bytes
ADDRESS = re.compile(r"(?:[a-z]+://)?(?:[\w.-]+|\[[0-9a-f:.]+\]):\d{1,5}", re.IGNORECASE)
GONE = "the scheduler does not answer any more; what is finished stays, and --skip-existing goes on from there"


@dataclass(frozen=True)
class Place:
    """Where a cluster is: `count` workers that this process begins, or 0, and the address of a scheduler."""

    text: str
    count: int = 0
    address: str = ""


@dataclass(frozen=True)
class Voice:
    """note and say: as in messages.Talk."""

    note: Callable[[str], None]
    say: Callable[[str], None]


def place(text: str) -> Place:
    """What --cluster names; raises UsageError."""
    kind, _, number = text.partition(":")
    if kind == "local":
        if not (number.isdecimal() and 1 <= int(number) <= MOST_WORKERS):
            raise UsageError(f"--cluster {shown(text)}: local: is followed by a number from 1 to {MOST_WORKERS}")
        return Place(text, int(number))
    if Path(text).is_file():
        return Place(text, address=_scheduler(Path(text)))
    if not ADDRESS.fullmatch(text):
        raise UsageError(
            f"--cluster {shown(text)} is neither local:N, nor HOST:PORT of a Dask scheduler, nor the file of one"
        )
    return Place(text, address=text)


def _scheduler(path: Path) -> str:
    """The address in a file that a scheduler has written; raises UsageError."""
    try:
        value = json_text.load(regular.content(path, json_text.LONGEST).decode("utf-8"))
    except (OSError, ValueError):
        value = None
    address = value.get("address") if isinstance(value, dict) else None
    if not (isinstance(address, str) and ADDRESS.fullmatch(address)):
        raise UsageError(f"--cluster {one_line(path)}: this file names no Dask scheduler; give one of --scheduler-file")
    return address


def check_installed() -> None:
    """Raise WeightsError where Dask is missing."""
    try:
        import cryptography  # noqa: F401
        import distributed  # noqa: F401
    except ImportError:
        raise WeightsError("--cluster needs Dask distributed; pip install texsynth[cluster]") from None


def run(
    orders: Sequence[Order],
    perform: Perform,
    where: Place,
    goes_on: bool,
    voice: Voice,
    memory: Callable[[Order], int],
) -> Iterator[Report]:
    """Have the workers of a cluster do the orders; yields a report on each as it is finished.

    perform: a function that its module names, which workers import. goes_on: are orders begun after one that failed?
    After Ctrl-C none are, and those at work are finished. memory: the bytes that an order needs, which is asked only if
    workers declare how much they have. Raises ResourceError for a cluster that cannot be reached, or is lost.
    """
    check_installed()
    if not orders:
        return
    with _client(where, voice) as client:
        yield from _Batch(client, where, voice, perform, goes_on, memory, deque(orders)).reports()


@contextmanager
def _client(where: Place, voice: Voice) -> Iterator[Any]:
    """A client of the cluster, which ends with the block, as does a cluster of this process."""
    _silence()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        local = stack.enter_context(_local(where)) if where.count else None
        client = _connected(where, where.address if local is None else local)
        stack.callback(_leave, client)
        workers = len(client.nthreads())
        voice.say(f"{workers} workers at {client.scheduler.address}, dashboard {client.dashboard_link}")
        if not workers:
            voice.note(f"--cluster {where.text} has no workers yet; waiting for some")
        yield client


@contextmanager
def _local(where: Place) -> Iterator[Any]:
    """A cluster of worker processes on this machine, which listens to nobody else; raises ResourceError."""
    import dask

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        stack.enter_context(dask.config.set(SETTINGS))
        cluster = _started(where, folder)
        stack.callback(_close, cluster)
        yield cluster


def _started(where: Place, folder: str) -> Any:
    """The cluster of `_local`. Dask replaces workers that die, but not those that die before they have begun."""
    from distributed import LocalCluster, Security

    for tries in range(STARTS):
        try:
            with stop.held():  # in the processes, until they can tell whom a signal is for
                return LocalCluster(
                    n_workers=where.count,
                    threads_per_worker=1,
                    memory_limit=None,  # --max-memory is what each keeps
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    security=Security.temporary(),  # of this process: other users of the machine have no key
                    silence_logs=logging.CRITICAL,
                    local_directory=folder,
                    preload=[member.__name__],
                )
        except Exception as error:
            if tries + 1 == STARTS or stop.asked():
                reason = f"its workers cannot be started ({one_line(error)}); take fewer, or leave --cluster out"
                raise ResourceError(f"--cluster {where.text}: {reason}") from error
    raise AssertionError


def _connected(where: Place, target: Any) -> Any:
    """A client of a scheduler; ResourceError where none answers. Dask itself may wait for ever where something else
    listens, so it waits in a thread of its own."""
    from distributed import Client

    out: list[Any] = []

    def connect() -> None:
        try:
            out.append(Client(target, timeout=WAIT, set_as_default=False))
        except Exception as error:
            out.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(WAIT + 1)
    if not out or isinstance(out[0], Exception):
        reason = f"no Dask scheduler answers there within {WAIT:.0f} s; `dask scheduler` starts one"
        raise ResourceError(f"--cluster {where.text}: {reason}") from (out[0] if out else None)
    return out[0]


def _leave(client: Any) -> None:
    """Close a client. One that could not be closed in time counts as closed: Dask would try once more at the end of the
    process, and complain."""
    _close(client)
    client.status = "closed"


def _close(part: Any) -> None:
    """Close a client or a cluster; what fails then has no effect any more."""
    with suppress(Exception):
        part.close(timeout=WAIT)


def _silence() -> None:
    """Let Dask and what it stands on log nothing: what users need to know is said in one line."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio", "bokeh"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@dataclass
class _Batch:
    """The orders of a command on their way.

    flying: those that the scheduler has, by their tasks. back: tasks that were taken back. suspects: orders that were
    with workers when these died, again and again, and maybe waited there only: they are done at the end, one by one.
    limit: the largest memory that a worker declares; None where none declares any.
    """

    client: Any
    where: Place
    voice: Voice
    perform: Perform
    goes_on: bool
    memory: Callable[[Order], int]
    todo: deque[Order]
    flying: dict[Any, Order] = field(default_factory=dict)
    back: set[Any] = field(default_factory=set)
    suspects: deque[Order] = field(default_factory=deque)
    alone: bool = False
    over: bool = False
    limit: float | None = None
    renewed: float = float("-inf")

    def __post_init__(self) -> None:
        from distributed import as_completed

        self.name = f"texsynth-{uuid.uuid4().hex}"
        self.arrivals = as_completed(loop=self.client.loop, with_results=True, raise_errors=False)

    def reports(self) -> Iterator[Report]:
        """A report on each order that was begun, and one more after Ctrl-C."""
        first = self.todo[0]
        try:
            with stop.later():
                while self.flying or ((self.todo or self.suspects) and not self.over):
                    if stop.asked() and not self.over:
                        self.end()
                        if self.flying.keys() - self.back:
                            self.voice.note("what is at work is finished; Ctrl-C again ends at once")
                    yield from self.send()
                    yield from self.arrived()
            if stop.asked():
                yield Report(first.item, stopped=True)
        except OSError:  # of a connection
            raise self.failure(GONE) from None
        finally:
            with suppress(Exception):
                self.client.cancel(list(self.flying))

    def send(self) -> Iterator[Report]:
        """Give the scheduler what it may have; reports on what no worker can do."""
        perform = f"{self.perform.__module__}:{self.perform.__qualname__}"
        if not (self.todo or self.flying) and self.suspects:
            self.alone = True
            self.todo.append(self.suspects.popleft())
        while self.todo and len(self.flying) < FLYING and not self.over:
            order = self.todo.popleft()
            needed = self.needed(order)
            if self.limit is not None and needed > self.limit:
                room = f"needs about {needed >> 20} MB, and workers declare at most {int(self.limit) >> 20} MB"
                yield self.passed(Report(order.item, error=ResourceError(f"{order.item.sources[0]}: {room}")))
                continue
            task = self.client.submit(
                member.work,
                *(self.name, __version__, str(Path.cwd()), perform, pickle.dumps(order)),
                key=f"{self.name}-{order.item.number}{'-alone' * self.alone}",
                priority=-order.item.number,
                resources={RESOURCE: needed} if self.limit is not None else None,
                pure=False,
            )
            self.flying[task] = order
            self.arrivals.add(task)

    def needed(self, order: Order) -> int:
        """The bytes that an order asks a worker for; 0 where workers declare none."""
        now = time.monotonic()
        if now - self.renewed > RENEWED:
            workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
            declared = [worker["resources"][RESOURCE] for worker in workers if RESOURCE in worker["resources"]]
            self.limit, self.renewed = max(declared, default=None), now
        return 0 if self.limit is None else self.memory(order)

    def arrived(self) -> Iterator[Report]:
        """Reports on what has come, after a moment where nothing has."""
        batch = self.arrivals.next_batch(block=False)
        if not batch:
            if self.client.status != "running":
                raise self.failure(GONE)
            time.sleep(LOOK)
        for task, result in batch:
            order = self.flying.pop(task)
            if (report := self.read(task, order, result)) is not None:
                yield self.passed(report)

    def read(self, task: Any, order: Order, result: Any) -> Report | None:
        """What became of a task; None where it was taken back, or not begun any more. Raises ResourceError for what is
        wrong with the cluster, and so with all tasks."""
        from distributed import Event, KilledWorker

        if isinstance(result, bytes):
            Event(member.begun(self.name, order.item.number), client=self.client).clear()
            report: Report = pickle.loads(result)
            return report
        if result is None or task in self.back:
            return None
        if isinstance(result, str):
            both = f"texsynth {__version__} here, and {one_line(result, 40)} on a worker"
            raise self.failure(f"{both}; install the same version on all machines")
        if task.status != "error":
            raise self.failure(GONE)
        error = task.exception()
        if isinstance(error, KilledWorker) and not self.alone:
            self.suspects.append(order)
            return None
        if isinstance(error, KilledWorker):
            died = "workers that did it died, one after the other; if one ran out of memory, take a smaller --size"
            return Report(order.item, error=ResourceError(f"{order.item.sources[0]}: {died}, or fewer workers"))
        if isinstance(error, (ImportError, AttributeError)):
            what = f"a worker cannot load texsynth {__version__} ({error})"
            raise self.failure(f"{what}; install it on all machines")
        return Report(order.item, error=RuntimeError(f"{type(error).__name__}: {error}"))

    def passed(self, report: Report) -> Report:
        """A report, as it is passed on. After one of a failure nothing more is begun, unless the command goes on."""
        if report.error is not None and not self.goes_on:
            self.end()
        return report

    def end(self) -> None:
        """Begin nothing more: take back what no worker has, and let workers leave what they have not begun."""
        if self.over:
            return
        from distributed import Event

        self.over = True
        Event(member.ended(self.name), client=self.client).set()
        taken = {key for keys in self.client.processing().values() for key in keys}
        taken |= {key for key, workers in self.client.who_has(list(self.flying)).items() if workers}  # it is finished
        self.back |= {task for task in self.flying if task.key not in taken}
        self.client.cancel(list(self.back))

    def failure(self, reason: str) -> ResourceError:
        return ResourceError(f"--cluster {self.where.text}: {reason}")
