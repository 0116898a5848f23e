"""The process of the studio that computes: it makes what commands make, and nothing that is no longer wanted."""

from __future__ import annotations

import importlib
import io
import random
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from asking import asked, good, same_bytes
from conftest import Draw, Texsynth, array
from texsynth.errors import InputError
from texsynth.field.magnify import levels
from texsynth.foreign.held import Held
from texsynth.guidance import orientation, progression
from texsynth.image.files import digest
from texsynth.studio import orders, solver, work
from texsynth.studio.orders import DRAFT, FINAL, Cancel, Cancelled, Done, Drafted, Failed, Look, Looked, Run, Started
from texsynth.studio.solver import Solver
from texsynth.studio.work import Bench

LONG = 10**6  # the number of a run that takes as long as all other tests


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Smooth enough for pieces to be found, and no pixel like another."""
    values = np.random.default_rng(seed).random(shape)
    for axis in (0, 1):
        values = values + np.roll(values, 1, axis)
    return (values / values.max() * 255).astype(np.uint8)


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def held(values: np.ndarray, name: str) -> Held:
    return Held.of(png(values), name)


def small(seed: int = 0, size: int = 40, **values: Any) -> Any:
    return asked("synthesize", held(noise(32, 32, 3), "a.png"), size=size, seed=seed, **values)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Solver]:
    with pytest.MonkeyPatch.context() as patch:  # no pretrained network is there, whatever this machine has
        patch.delenv("TEXSYNTH_WEIGHTS", raising=False)
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
        process = solver.begin("2G", 1)
        assert isinstance(process.hear(), orders.Ready)
    yield process
    process.connection.close()
    process.process.join(solver.PATIENCE)
    assert process.process.exitcode == 0  # by itself, as nobody is there any more


def until_the_end(process: Solver, number: int) -> list[Any]:
    """What is said of an order, up to the last; nothing is said of others meanwhile."""
    said: list[Any] = []
    while not said or not isinstance(said[-1], orders.LAST):
        one = process.hear()
        assert one is not None, process.died()
        assert one.number == number
        said.append(one)
    return said


def test_a_draft_comes_level_by_level(begun: Solver) -> None:
    begun.send(Run(1, "synthesize", small(size=96), DRAFT))
    first, *drafts, last = until_the_end(begun, 1)
    assert isinstance(first, Started) and isinstance(last, Done)
    assert drafts and all(isinstance(draft, Drafted) for draft in drafts)
    scales, shares = [draft.level for draft in drafts], [draft.done for draft in drafts]
    assert scales == sorted(scales, reverse=True) and scales[-1] == 0 and shares == sorted(shares)
    shown = [Image.open(io.BytesIO(each.shown.png)).size for each in (*drafts, last)]
    assert set(shown) == {(96, 96)}  # also those of coarser levels
    assert not last.final and not last.has_field


def test_a_run_that_is_dropped_ends_and_the_next_one_is_done(begun: Solver) -> None:
    begun.send(Run(LONG, "synthesize", small(size=2000), FINAL))
    assert begun.hear() == Started(LONG)
    begun.send(Run(2, "synthesize", small()))
    begun.send(Run(3, "synthesize", small()))
    begun.send(Cancel(2))  # waits
    assert next(one for one in iter(begun.hear, None) if not isinstance(one, Drafted)) == Cancelled(2)
    begun.send(Cancel(LONG))  # at work
    assert next(one for one in iter(begun.hear, None) if not isinstance(one, Drafted)) == Cancelled(LONG)
    begun.send(Cancel(LONG))  # which is over
    begun.send(Cancel(4))  # which is yet to come, and is none of those that wait
    assert isinstance(until_the_end(begun, 3)[-1], Done)
    begun.send(Run(4, "synthesize", small()))
    assert isinstance(until_the_end(begun, 4)[-1], Done)


def test_cancels_at_any_moment_hit_their_order_alone(begun: Solver) -> None:
    chance, ends = random.Random(0), set()
    for number in range(100, 120):
        begun.send(Run(number, "synthesize", small(number), chance.choice((DRAFT, FINAL))))
        for _ in range(chance.randrange(3)):
            begun.send(Cancel(number + chance.choice((-1, 1, 7))))
        if number % 4:  # after some of what is said, or at once
            for _ in range(chance.randrange(5)):
                one = begun.hear()
                assert one is not None and one.number == number
                if isinstance(one, orders.LAST):
                    break
            else:
                begun.send(Cancel(number))
                one = until_the_end(begun, number)[-1]
        else:
            one = until_the_end(begun, number)[-1]
            assert isinstance(one, Done)
        ends.add(type(one))
        begun.send(Cancel(number))
    assert ends == {Done, Cancelled}


def test_nothing_that_is_said_is_cut_off() -> None:
    """An order that is dropped while something is said of it ends after that, and not inside."""
    told: list[Any] = []

    class Way:
        def send(self, said: Any) -> None:
            exchange.answer()  # as where the signal comes now
            told.append(said)

    class Work:
        def do(self, _: Any, tell: Any, *__: Any) -> None:
            exchange._dropped = 1
            tell("said")
            told.append("went on")

    exchange = solver._Exchange(Way())  # type: ignore[arg-type]
    assert exchange._done(orders.Define(1), Work()) == Cancelled(1)  # type: ignore[arg-type]
    assert told == ["said"]


def test_failures_are_told_and_leave_the_process_as_it_was(begun: Solver) -> None:
    begun.send(Look(10, Held.of(b"no picture", "a.png")))
    failed = until_the_end(begun, 10)[-1]
    assert isinstance(failed, Failed) and failed.code == 3 and failed.message.startswith("a.png: ")
    begun.send(Run(11, "synthesize", small(size=1500, max_memory="300M")))
    failed = until_the_end(begun, 11)[-1]
    assert isinstance(failed, Failed) and failed.code == 4 and "--max-memory" in failed.message
    begun.send(Run(12, "synthesize", small(preset="gram")))  # whose network is never fetched here
    failed = until_the_end(begun, 12)[-1]
    assert isinstance(failed, Failed) and failed.code == 5 and "the studio fetches none" in failed.message
    begun.send(orders.Where(13, 12, 0, 0))
    assert until_the_end(begun, 13) == [Failed(13, work.GONE, 3)]
    begun.send(Look(14, held(noise(12, 20, 3), "b.png")))
    looked = until_the_end(begun, 14)[-1]
    assert isinstance(looked, Looked) and looked.shown.size == (12, 20)


def test_the_end_of_the_process_is_noticed() -> None:
    process = solver.begin("2G", 1)
    process.send(Run(1, "synthesize", small(size=2000)))
    process.kill()
    assert process.hear() is None and "SIGKILL" in process.died()
    process.send(Cancel(1))  # to nobody


class Alone:
    """A bench in this process. told: what it said meanwhile."""

    def __init__(self) -> None:
        self.bench, self.number = Bench("2G", 1), 0
        self.told: list[Any] = []

    def do(self, order: type, *values: Any) -> Any:
        self.number += 1
        return self.bench.do(order(self.number, *values), self.told.append, nullcontext)

    def where(self, run: int, x: int, y: int) -> orders.Placed:
        placed = self.bench.where(orders.Where(0, run, x, y))
        assert isinstance(placed, orders.Placed)
        return placed


@pytest.fixture
def alone() -> Alone:
    return Alone()


@pytest.mark.parametrize(
    ("verb", "words", "names"),
    [
        ("control", "--progression auto p.png --map height=h.png --normals gl --seed 3", ("a", "h", "p")),
        ("inpaint", "--mask m.png --extend 4,0,6,2 --save-field", ("a", "m")),
    ],
)
def test_what_is_saved_is_what_the_command_writes(
    texsynth: Texsynth, alone: Alone, draw: Draw, verb: str, words: str, names: tuple[str, ...]
) -> None:
    ramp = np.linspace(0, 255, 48, dtype=np.uint8)
    hole = np.zeros((48, 48), np.uint8)
    hole[10:20, 15:30] = 255
    draw("a.png", noise(48, 48, 3) // 2 + ramp[:, None, None] // 2)
    draw("h.png", noise(48, 48, seed=2))
    draw("p.png", np.tile(ramp, (48, 1)))
    draw("m.png", hole)
    good(texsynth(verb, "a.png", *words.split(), "--maps", "none", "-q", "-o", "command.png"))
    Path("studio").mkdir()
    painted = {name: Held.of(Path(f"{name}.png").read_bytes(), f"held_{name}.png") for name in "ahpm"}
    requests = {
        "control": lambda: asked(
            "control", painted["a"], progression=(["auto"], painted["p"]), maps={"height": [painted["h"]]},
            normals="gl", seed=3, find_maps="none",
        ),
        "inpaint": lambda: asked(
            "inpaint", painted["a"], mask=painted["m"], extend="4,0,6,2", save_field=True, find_maps="none"
        ),
    }  # fmt: skip
    done = alone.do(Run, verb, requests[verb](), FINAL)
    assert done.final and done.has_field
    by_hash = {digest(Path(f"{name}.png")): f"{name}.png" for name in names}
    saved = alone.do(orders.Save, 1, Path("studio/command.png"), by_hash)
    written = {path.name for path in Path("studio").iterdir()}
    assert {path.name for path in saved.files} == written
    assert written == {path.name for path in Path().glob("command*")}
    for name in written:
        assert same_bytes(name, f"studio/{name}"), name
    np.testing.assert_array_equal(array("command.png"), np.asarray(Image.open(io.BytesIO(done.shown.png))))
    with pytest.raises(Exception, match="appeared"):  # never in the place of another file
        alone.do(orders.Save, 1, Path("studio/command.png"), by_hash)


@pytest.mark.parametrize(
    ("verb", "values"),
    [
        ("synthesize", {"size": "50x44", "crop": "5,9,36,38", "settings": {"copies": "all"}}),
        ("synthesize", {"size": "150x140"}),  # above the working size, here
        ("inpaint", {"extend": "3,5,7,0", "crop": "4,2,40,44"}),
        ("edit", {"retarget": "60x40"}),
    ],
)
def test_pixels_are_where_they_are_said_to_come_from(
    alone: Alone, monkeypatch: pytest.MonkeyPatch, verb: str, values: dict[str, Any]
) -> None:
    monkeypatch.setattr(levels, "WORKING_PIXELS", 64 * 64)
    monkeypatch.setattr(levels, "SMALLEST_EXEMPLAR", 24)
    pictures = [noise(48, 48, 3), noise(52, 46, 3, seed=1)]
    exemplars = [held(picture, "a.png") for picture in pictures[: 2 if verb == "synthesize" else 1]]
    done = alone.do(Run, verb, asked(verb, *exemplars, exact_copies=True, **values), FINAL)
    assert (alone.bench.kept[1].job.reduced is None) == (values.get("size") != "150x140")
    result = np.asarray(Image.open(io.BytesIO(done.shown.png)).convert("RGB"))
    spots = np.random.default_rng(0).integers(0, (result.shape[1], result.shape[0]), (60, 2))
    places = [alone.where(1, int(x), int(y)) for x, y in spots]
    for (x, y), place in zip(spots, places, strict=True):
        np.testing.assert_array_equal(result[y, x], pictures[place.exemplar][place.y, place.x])
    assert len({place.copy for place in places}) > 1 or "settings" not in values
    with pytest.raises(Exception, match="none of them"):
        alone.where(1, result.shape[1], 0)


def test_a_draft_that_is_magnified_says_what_it_will_be(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "WORKING_PIXELS", 64 * 64)
    monkeypatch.setattr(levels, "SMALLEST_EXEMPLAR", 24)
    alone.do(Run, "synthesize", asked("synthesize", held(noise(48, 48, 3), "a.png"), size="150x140"), DRAFT)
    assert alone.told and {draft.shown.size for draft in alone.told} == {(140, 150)}
    shown = [(Image.open(io.BytesIO(draft.shown.png)).size, draft.level) for draft in alone.told]
    assert {size for size, _ in shown} == {(75, 70)} and shown[-1][1] == 1
    assert [level for _, level in shown] == sorted((level for _, level in shown), reverse=True)


def test_the_last_results_are_kept_and_few(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        alone.do(Run, "synthesize", small(seed), FINAL)
    assert list(alone.bench.kept) == [3, 4, 5]
    monkeypatch.setattr(alone.bench, "memory", 4 * sum(each.size for each in alone.bench.kept.values()) - 4)
    with monkeypatch.context() as patched:
        patched.setattr(alone.bench, "_make_room", lambda _: None)
        alone.do(Run, "synthesize", small(), FINAL)
    assert list(alone.bench.kept) == [5, 6]  # which take a quarter of the memory
    monkeypatch.undo()
    alone.do(Run, "synthesize", small(), DRAFT)
    assert list(alone.bench.kept) == [5, 6]
    alone.bench.memory = 1 << 27  # in which there is no room for anything beside a run
    assert alone.do(Run, "synthesize", small(quality="draft"), DRAFT).final  # as it is what the command makes
    assert list(alone.bench.kept) == [8]


def test_what_guides_read_out_of_an_exemplar_is_read_once(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []
    for module, name in ((progression, "estimate"), (orientation, "_extracted")):
        function = getattr(module, name)

        @wraps(function)
        def reading(image: Any, *how: Any, of: Any = function) -> Any:
            read.append(tuple(image.shape))
            return of(image, *how)

        monkeypatch.setattr(module, name, reading)
    ramp = np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (40, 1))
    a, b = (held(noise(32, 32, 3, seed=seed) // 2 + ramp[:32, :32, None] // 2, "a.png") for seed in range(2))

    def shown(exemplar: Held, goal: np.ndarray, by: Alone) -> bytes:
        target, lines = held(goal, "t.png"), held(np.stack([goal, 255 - goal, 0 * goal], -1), "l.png")
        made = [
            by.do(Run, "control", asked("control", exemplar, progression=(["auto"], target)), DRAFT),
            by.do(Run, "control", asked("control", exemplar, orientation=lines, size=40), DRAFT),
        ]
        return b"".join(done.shown.png for done in made)

    first = shown(a, ramp, alone)
    assert shown(a, ramp.T, alone) != first and shown(a, ramp, alone) == first and len(read) == 2
    assert shown(b, ramp, alone) != first and len(read) == 4
    assert shown(a, ramp, Alone()) == first and len(read) == 6
    alone.bench.readings.room = 0
    assert shown(a, ramp, alone) == first and not alone.bench.readings.values


def test_pictures_are_looked_at_with_their_maps(alone: Alone, draw: Draw, tmp_path: Path) -> None:
    draw("wall/wall_Color.png", noise(20, 24, 3))
    draw("wall/wall_NormalDX.png", noise(20, 24, 3))
    draw("wall/wall_Roughness.png", noise(20, 24))
    for path in (tmp_path / "wall", tmp_path / "wall/wall_Color.png"):
        looked = alone.do(Look, path, True)
        assert (looked.channels, looked.depth, looked.alpha, looked.shown.size) == (3, "uint8", False, (20, 24))
        assert (looked.colour or path).name == "wall_Color.png"
        assert {name: file.name for name, (file, _) in looked.maps.items()} == {
            "normal": "wall_NormalDX.png",
            "roughness": "wall_Roughness.png",
        }
        assert looked.maps["normal"][1].down and looked.maps["normal"][1].role == "normal"
    assert not alone.do(Look, tmp_path / "wall/wall_Color.png").maps


def test_a_folder_that_is_gone_is_told_in_a_line(alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(InputError, match="the folder that the studio was started in is gone"):
        alone.do(Run, "synthesize", small(), DRAFT)


def test_a_photograph_is_straightened_as_capture_does(texsynth: Texsynth, alone: Alone, draw: Draw) -> None:
    draw("a.png", noise(40, 50, 3))
    words = {"quad": "3,4,44,6,47,36,5,33", "flatten": True}
    good(texsynth("capture", "a.png", "--quad", words["quad"], "--flatten", "-q", "-o", "flat.png", "--maps", "none"))
    kind = importlib.import_module("texsynth.requests.capture").Request
    request = kind(photos=[Held.of(Path("a.png").read_bytes(), "a.png")], output="flat.png", **words)
    looked = alone.do(orders.Straighten, replace(request, device="cpu"))
    assert looked.content == Path("flat.png").read_bytes() and looked.shown.size == array("flat.png").shape[:2]
