"""Ways to do an order, for tests of what hands them out: a process of its own imports them without the rest."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from texsynth.batch.order import Hear, Order, Report, Step

DEATHS = "deaths"  # a file with a line for each process that was killed


def done(order: Order, hear: Hear) -> Report:
    """Write the picture's name into it; what the file of the item says may kill the process, fail, or wait."""
    word = order.item.sources[0].read_text()
    hear(Step(order.item.out.name))
    tries = Path(DEATHS).read_text().splitlines().count(order.item.out.name) if Path(DEATHS).exists() else 0
    if word == "kill" or (word == "kill once" and not tries):
        with Path(DEATHS).open("a") as file:
            file.write(f"{order.item.out.name}\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "stop once" and not tries:
        with Path(DEATHS).open("a") as file:
            file.write(f"{order.item.out.name}\n")
        return Report(order.item, stopped=True)
    if word == "fail":
        return Report(order.item, error=ValueError("no"))
    if word == "wait":
        try:
            Path("waiting").touch()
            time.sleep(60)
        except KeyboardInterrupt:
            return Report(order.item, stopped=True)
    order.item.out.write_text(f"{order.again} {os.getpid()} {os.getpgid(0)}")
    hear(Step(order.item.out.name, ended=True))
    return Report(order.item, ({"status": "done", "image": str(order.item.out)},))
