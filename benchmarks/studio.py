"""How soon the studio shows what was painted, and whether it grows: python benchmarks/studio.py [--strokes 200]

A studio is started in a folder with samples, and strokes are painted over HTTP as the page does it: whatever is at work
is dropped, the layer is sent, a draft is asked for, and its first picture fetched. The time counts from the end of the
stroke, the layer's PNG included. Every third stroke breaks the draft of the one before off; every tenth rests, until
the final picture is there. Memory is that of the process that computes and of the server, after each rest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from field import machine

from texsynth.image import codecs
from texsynth.image import picture as image

SAMPLES = Path(__file__).parent.parent / "samples"
CLIENT = "benchmark"
GOAL = 1.0  # seconds, of the median
GROWTH = 1.1  # of memory
WARM = 0.2  # of all strokes, after which memory is not to grow
BREAKS, RESTS = 3, 10  # every so many strokes
IDLE = 0.3  # seconds of rest


class Page:
    """What a page asks of a studio, and is told by it."""

    def __init__(self, address: str) -> None:
        host, self.path = address.removeprefix("http://").split("/", 1)
        self.host = host
        self.news: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, method: str, path: str, body: bytes | Mapping[str, Any] | None = None) -> Any:
        """What is answered: a document, or the bytes of a picture."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if body is None or isinstance(body, bytes) else {"Content-Type": "application/json"}
        way = http.client.HTTPConnection(self.host)
        way.request(method, f"/{self.path}{path}", content, {**kind, "Origin": f"http://{self.host}"})
        answer = way.getresponse()
        data = answer.read()
        way.close()
        if answer.status >= 400:
            sys.exit(f"{method} {path}: {answer.status} {data.decode()}")
        return json.loads(data) if answer.headers.get_content_type() == "application/json" else data

    def _listen(self) -> None:
        way = http.client.HTTPConnection(self.host)
        way.request("GET", f"/{self.path}events?client={CLIENT}", headers={"Origin": f"http://{self.host}"})
        answer = way.getresponse()
        for line in answer:
            if line.startswith(b"data: "):
                self.news.put(json.loads(line[6:]))

    def wait(self, run: int, *states: str) -> dict[str, Any]:
        """The next news of a run that say one of these states."""
        while True:
            news = self.news.get(timeout=120)
            if news.get("run") != run:
                continue
            if news["state"] in states:
                return news
            if news["state"] in ("failed", "cancelled"):
                sys.exit(f"run {run}: {news['state']} {news.get('error', '')}")


@dataclass
class Easel:
    """A kind of stroke: a verb, its exemplar, and the layer that is painted on, if any."""

    name: str
    verb: str
    exemplar: str
    role: str
    values: Mapping[str, Any]
    layer: np.ndarray
    before: tuple[str, ...] = ()  # what stands before the layer in its pair: "auto", or the name of a file
    drafts: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def stroke(self, rng: np.random.Generator) -> None:
        """Paint a disc, of whatever the layer holds."""
        size = self.layer.shape[0]
        y, x = np.mgrid[:size, :size]
        (down, along), radius = rng.uniform(0, size, 2), rng.uniform(0.05, 0.15) * size
        inside = (y - down) ** 2 + (x - along) ** 2 < radius**2
        if self.role == "orientation":
            angle = rng.uniform(0, np.pi)
            self.layer[inside] = [round(127.5 + 127.5 * value) for value in (np.cos(angle), np.sin(angle))] + [0]
        elif self.role == "labels":
            self.layer[inside] = self.layer[tuple(rng.integers(0, size, 2))]
        elif self.role == "mask":
            self.layer[:] = np.where(inside, 255, 0).astype(np.uint8)
        else:
            self.layer[inside] = rng.integers(0, 256)


def easels(side: int, folder: Path) -> list[Easel]:
    """The kinds of strokes, on canvases of side x side; writes the exemplars that they need into a folder."""
    size, grey = {"size": f"{side}x{side}"}, np.zeros((side, side), np.uint8)
    for name in ("rust.png", "gravel.jpg", "gravel_labels.png", "grass.png"):
        shutil.copy(SAMPLES / name, folder)
    wall = image.to_array(image.read(SAMPLES / "stonewall.jpg"))
    times = -(-side // wall.shape[0])
    image.write(folder / "wall.png", image.from_array(np.tile(wall, (times, times, 1))[:side, :side]))
    ramp = np.tile(np.linspace(0, 255, side).astype(np.uint8), (side, 1))
    parts = image.to_array(image.read(folder / "gravel_labels.png"))
    colours = np.unique(parts.reshape(-1, parts.shape[-1]), axis=0)
    labels = np.broadcast_to(colours[0], (side, side, len(colours[0]))).copy()
    labels[:, side // 2 :] = colours[-1]
    lines = np.zeros((side, side, 3), np.uint8)
    lines[..., :2] = (255, 128)
    return [
        Easel("progression", "control", "rust.png", "progression", size, ramp, ("auto",)),
        Easel("labels", "control", "gravel.jpg", "labels", size, labels, ("gravel_labels.png",)),
        Easel("orientation", "control", "grass.png", "orientation", size, lines),
        Easel("hole", "inpaint", "wall.png", "mask", {}, grey),
        Easel("tileable", "inpaint", "wall.png", "", {"make_tileable": "xy"}, grey),
        Easel("seed", "synthesize", "rust.png", "", size, grey),
    ]


class Artist:
    """Paints, and looks at the time."""

    def __init__(self, page: Page, kinds: list[Easel]) -> None:
        self.page, self.rng = page, np.random.default_rng(0)
        names = {name for kind in kinds for name in (kind.exemplar, *kind.before) if name != "auto"}
        self.sources = {name: page.ask("POST", "open", {"name": name}) for name in names}

    def sheet(self, kind: Easel, number: int) -> dict[str, Any]:
        """What the page asks for after a stroke, whose layer it sends first."""
        source = self.sources[kind.exemplar]
        files: dict[str, Any] = {}
        if kind.role:
            layer = codecs.encode(codecs.PNG, np.atleast_3d(kind.layer), None, {})
            sent = self.page.ask("POST", f"files?name={kind.role}.png&layer={kind.role}", layer)["id"]
            before = [name if name == "auto" else self.sources[name]["id"] for name in kind.before]
            files[kind.role] = [*before, sent]
        if source.get("maps"):
            files["maps"] = {name: [each["id"]] for name, each in source["maps"].items()}
        values = {**kind.values, "seed": number} if not kind.role else dict(kind.values)
        return {"verb": kind.verb, "exemplars": [source["id"]], "values": values, "settings": {}, "files": files}

    def paint(self, kind: Easel, number: int) -> None:
        self.page.ask("DELETE", f"runs?client={CLIENT}")
        kind.stroke(self.rng)
        start = time.perf_counter()
        sheet = self.sheet(kind, number)
        run = self.page.ask("POST", "runs", {"client": CLIENT, "kind": "draft", "sheet": sheet})["run"]
        shown = self.page.wait(run, "draft", "done")
        self.page.ask("GET", shown["shown"])
        kind.drafts.append(time.perf_counter() - start)
        if number % BREAKS == 0 and number % RESTS:
            return
        done = shown if shown["state"] == "done" else self.page.wait(run, "done")
        self.page.ask("GET", done["shown"])
        kind.whole.append(time.perf_counter() - start)
        if number % RESTS == 0:
            run = self.page.ask("POST", "runs", {"client": CLIENT, "kind": "final", "sheet": sheet})["run"]
            self.page.ask("GET", self.page.wait(run, "done")["shown"])
            time.sleep(IDLE)


def resident(process: int) -> int:
    """The bytes of memory that a process and those that it began hold; 0 where the system does not tell."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        own = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
    return own + sum(resident(int(child)) for child in children)


def report(kinds: list[Easel], memory: list[int]) -> bool:
    """Print what was measured; is it as it shall be?"""
    count = sum(len(kind.drafts) for kind in kinds)
    print(f"{'stroke':<14}{'first draft':>12}{'worst':>8}{'whole draft':>13}  seconds, medians of {count} strokes")
    for kind in kinds:
        whole = f"{statistics.median(kind.whole):13.2f}" if kind.whole else ""
        print(f"{kind.name:<14}{statistics.median(kind.drafts):12.2f}{max(kind.drafts):8.2f}{whole}")
    every = statistics.median(seconds for kind in kinds for seconds in kind.drafts)
    print(f"{'all':<14}{every:12.2f}{'':8}{'':13}  at most {GOAL}")
    before = memory[int(WARM * len(memory))] if memory else 0
    if not before:
        return every <= GOAL
    growth = memory[-1] / before
    line = f"{before >> 20} MB after {WARM:.0%} of the strokes, {memory[-1] >> 20} MB at the end"
    print(f"memory: {line}: {growth:.2f} times as much, at most {GROWTH}; {max(memory) >> 20} MB at the most")
    return every <= GOAL and growth <= GROWTH


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strokes", type=int, default=48, help="how many are painted, of all kinds in turn")
    parser.add_argument("--side", type=int, default=512, help="of the canvas, in pixels")
    parser.add_argument("--only", help="one kind of stroke, such as labels")
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        kinds = [kind for kind in easels(args.side, Path(folder)) if args.only in (None, kind.name)]
        words = [sys.executable, "-m", "texsynth", "studio", "--no-browser"]
        with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as studio:
            assert studio.stdout is not None
            try:
                artist, memory = Artist(Page(studio.stdout.readline().strip()), kinds), []
                for number in range(1, args.strokes + 1):
                    artist.paint(kinds[number % len(kinds)], number)
                    if number % RESTS == 0:
                        memory.append(resident(studio.pid))
            finally:
                studio.terminate()
    return 0 if report(kinds, memory) else 1


if __name__ == "__main__":
    sys.exit(main())
