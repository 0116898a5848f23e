"""The Python API and the run itself: the same words as the flags, and what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import texsynth
from conftest import Picture
from texsynth import preset
from texsynth.errors import InputError, ResourceError, UsageError
from texsynth.image import picture as image
from texsynth.job import Job, Layer
from texsynth.runs import cost, record, run, save
from texsynth.task import Event, Exemplar, Guide, Task

pytestmark = pytest.mark.usefixtures("steady")


@pytest.fixture
def exemplar() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


def test_arrays_paths_and_pictures_give_the_same(exemplar: np.ndarray, tmp_path: Path) -> None:
    image.write(tmp_path / "a.png", image.from_array(exemplar))
    given = (exemplar, tmp_path / "a.png", str(tmp_path / "a.png"), image.from_array(exemplar), [exemplar])
    results = [texsynth.synthesize(source, preset="steady", seed=3) for source in given]
    for result in results:
        assert torch.equal(result.image.pixels, results[0].image.pixels)
    assert (results[0].image.height, results[0].image.width) == (32, 40)


def test_every_word_arrives(exemplar: np.ndarray) -> None:
    height = np.arange(320, dtype=np.uint16).reshape(16, 20)
    mask = np.zeros((16, 20), np.uint8)
    mask[2:14, 4:16] = 255
    events: list[Event] = []
    words: dict[str, Any] = {"method": "steady", "quality": "draft", "settings": {"patch": 7}, "seed": 5, "tile": "xy"}
    words |= {"maps": {"height": height}, "source_mask": mask, "crop": (2, 2, 16, 14), "init": exemplar}
    words |= {"device": "cpu", "threads": torch.get_num_threads(), "max_memory": "1G", "progress": events.append}
    result = texsynth.synthesize(exemplar, "24x18", **words)
    stored = result.record
    assert json.loads(json.dumps(stored)) == stored
    assert (stored["size"], stored["tile"], stored["crop"], stored["seed"]) == ("24x18", "xy", "2,2,16,14", 5)
    assert (stored["preset"]["name"], stored["preset"]["stages"][0]["patch"]) == ("steady-draft", 7)
    assert [e["role"] for e in stored["inputs"]] == ["exemplar", "source-mask", "map:height", "init"]
    values = image.to_array(result.maps["height"])
    assert set(values.flatten()) <= set(height[2:14, 4:16].flatten())
    assert [(e.level, e.step) for e in events] == [(1, 1), (0, 1)]
    assert [loss[:3] for loss in result.losses] == [("steady", 1, 0), ("steady", 0, 0)]
    assert result.field is not None and result.field.size == (18, 24)
    assert result.seconds > 0 and not result.interrupted


def test_several_exemplars_are_a_remix(exemplar: np.ndarray) -> None:
    maps = {"m": [np.zeros((16, 20), np.uint8), np.full((8, 8), 255, np.uint8)]}
    result = texsynth.synthesize([exemplar, exemplar[:8, :8]], 32, preset="steady", maps=maps)
    assert set(image.to_array(result.maps["m"]).flatten()) == {0, 255}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"size": "7"}, UsageError),
        ({"tile": "z"}, UsageError),
        ({"preset": "stedy"}, UsageError),
        ({"settings": {"patc": 5}}, UsageError),
        ({"settings": {"patch": 5.5}}, UsageError),
        ({"crop": (0, 0, 99, 99)}, UsageError),
        ({"threads": 0}, UsageError),
        ({"maps": {"m": []}}, UsageError),
        ({"exemplars": []}, UsageError),
        ({"exemplars": "nowhere.png"}, InputError),
        ({"exemplars": np.zeros((4, 4, 3), np.uint8)}, InputError),
        ({"max_memory": 1000}, ResourceError),
        ({"device": "cuda:99"}, ResourceError),
    ],
)
def test_mistakes_raise(exemplar: np.ndarray, words: dict[str, object], error: type[Exception]) -> None:
    given = {"exemplars": exemplar, "preset": "steady", **words}
    with pytest.raises(error) as caught:
        texsynth.synthesize(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_ctrl_c_gives_the_picture_so_far(exemplar: np.ndarray) -> None:
    for name in ("steady", "afloat"):
        result = texsynth.synthesize(exemplar, preset=name, settings={"fail": "interrupt"})
        assert result.interrupted and result.record["interrupted"] is True
        assert (result.image.height, result.image.width) == (32, 40)
    with pytest.raises(KeyboardInterrupt):
        texsynth.synthesize(exemplar, preset="steady", settings={"fail": "at once"})


def test_stages_run_in_order_and_cost_together(exemplar: np.ndarray) -> None:
    single = texsynth.synthesize(exemplar, preset="steady")
    chained = texsynth.synthesize(exemplar, preset="other")
    assert len(chained.losses) == 2 * len(single.losses)
    job = job_of(exemplar)
    one, two = (run.estimate(job, preset.load(name)) for name in ("steady", "other"))
    work = one.seconds - cost.START - cost.writing(job, job.task.size)
    assert (two.seconds - one.seconds, two.memory) == (pytest.approx(work), one.memory)


def job_of(exemplar: np.ndarray, size: tuple[int, int] = (32, 32)) -> Job:
    picture = image.from_array(exemplar)
    return Job("synthesize", Task((Exemplar("a", picture.pixels),), size), Layer((picture,)))


def test_maps_count_in_the_estimate(exemplar: np.ndarray) -> None:
    """As inputs; and as results, where these are larger than what the solver needs."""
    picture, plain, chosen = image.from_array(exemplar), job_of(exemplar), preset.load("steady")
    mapped = replace(plain, maps={"m": Layer((picture,), "data")})
    before, after = run.estimate(plain, chosen), run.estimate(mapped, chosen)
    assert after.memory - before.memory == picture.pixels.nbytes and after.seconds > before.seconds
    finer = replace(plain, maps={"m": Layer((picture,), "data", Fraction(64))})
    assert run.estimate(finer, chosen).memory - after.memory > 3 * 4 * (64 * 32) ** 2 - (110 << 20)


def test_every_part_of_a_job_is_counted_once(exemplar: np.ndarray) -> None:
    job = job_of(exemplar)
    held = cost.base(cost.inputs(job))
    assert cost.base(cost.inputs(replace(job, maps={"m": job.image}))) == held  # the same tensors
    guide = Guide("g", (torch.zeros(1, 1, 16, 20),), torch.zeros(1, 2, 32, 32))
    steered = replace(job, task=replace(job.task, guides=(guide,), hole=torch.zeros(1, 1, 32, 32, dtype=torch.bool)))
    assert cost.base(cost.inputs(steered)) - held == 4 * 16 * 20 + 4 * 2 * 32 * 32 + 32 * 32


def test_score_prefers_even_use_and_low_cost(exemplar: np.ndarray) -> None:
    result = texsynth.synthesize(exemplar, 64, preset="steady")
    assert result.field is not None

    def scored(index: torch.Tensor, cost: float) -> float:
        field = type(result.field)(index, torch.full(index.shape, cost), result.field.atlas, (False, False))  # type: ignore[misc,union-attr]
        return run.score(field, ())

    everywhere = result.field.atlas.valid.nonzero()[:320, 0].view(16, 20)  # each pixel of the first copy once
    one_place = everywhere[:4, :4].repeat(4, 5)
    assert scored(everywhere, 0.25) == pytest.approx(0.25, abs=0.01)
    assert scored(one_place, 0.25) > 0.25 + 0.8
    assert scored(everywhere, 0.5) > scored(everywhere, 0.25)


def test_a_failed_write_of_the_field_leaves_nothing(
    exemplar: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = texsynth.synthesize(exemplar, preset="steady")

    def full(file: object, **_: object) -> Iterator[None]:
        file.write(b"some")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ResourceError, match="No space left"):
        save.save(result, tmp_path / "o.png", save_field=True)
    assert not list(tmp_path.iterdir()), "the picture comes last"


def test_the_version_is_the_project_s() -> None:
    assert texsynth.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="nothing"):
        texsynth.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_real_default_through_the_api(picture: Picture, tmp_path: Path) -> None:
    array = picture("a.png", (32, 32), channels=4)
    result = texsynth.synthesize(tmp_path / "a.png", "48x40", quality="draft", seed=1, alpha="keep", exact_copies=True)
    made = image.to_array(result.image)
    assert made.shape == (40, 48, 4)
    assert {tuple(c) for c in made.reshape(-1, 4)} <= {tuple(c) for c in array.reshape(-1, 4)}


@pytest.mark.parametrize("count", [0, 1, 100, 101, 1234])
def test_the_course_of_the_loss_is_thinned_and_keeps_its_end(count: int) -> None:
    kept = record.course([("field", 1.0, step, step / 3) for step in range(count)])
    assert len(kept) <= record.POINTS
    assert [entry[2] for entry in kept[-1:]] == [count - 1][:count]
    assert json.loads(json.dumps(kept)) == kept


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what a process takes")
def test_the_memory_of_a_whole_run_is_foreseen(tmp_path: Path) -> None:
    """Within a quarter of what the system measured, the libraries and the solver among it."""
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    image.write(tmp_path / "a.png", image.Picture(pixels))
    words = ["synthesize", "a.png", "-s", "128", "-o", "o.png", "--quality", "draft", "-v"]
    code = (
        "import sys\nfrom texsynth import cli\n"
        f"code = cli.main({words})\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = float(done.stderr.split("on cpu, about ")[1].split(" MB")[0]) * 2**20
    assert 0.8 < told / (int(done.stdout.split()[-2]) * 1024) < 1.25
