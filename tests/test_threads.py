"""Threads of PyTorch: they do not spin, do not hang in workers, and do not change a picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import array
from pictures import spots
from texsynth.image import picture as image
from texsynth.runs import machine, threads

SAME = """
from texsynth.cli import main
for words in (
    "synthesize a.png -s 48x32 -p guided-correspondence",
    "synthesize a.png -s 64x48 -p guided-correspondence-draft --tile xy",
    "inpaint a.png --mask m.png --quality draft",
    "inpaint b.png --make-tileable xy --quality draft",
):
    for count in "12":
        name = "".join(filter(str.isalnum, words))
        assert main([*words.split(), "-o", f"{name}_{count}.png", "--threads", count, "-q"]) == 0
"""


def test_the_field_gives_the_same_pixels_with_any_number_of_threads(tmp_path: Path) -> None:
    """As the documents promise of its presets, and of no others. A process of its own, as threads spin in this one."""
    mask = np.zeros((32, 32), np.uint8)
    mask[12:20, 10:20] = 255
    image.write(tmp_path / "a.png", image.Picture(spots(32, 32)))
    image.write(
        tmp_path / "b.png", image.Picture(torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(1)))
    )
    image.write(tmp_path / "m.png", image.from_array(mask))
    subprocess.run([sys.executable, "-c", SAME], cwd=tmp_path, check=True)
    first = sorted(tmp_path.glob("*_1.png"))
    assert len(first) == 4
    for path in first:
        assert np.array_equal(array(str(path)), array(str(path.with_name(path.name.replace("_1", "_2")))))


@pytest.mark.parametrize(
    ("variables", "count"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
    ids=["none", "count", "policy"],
)
def test_the_environment_is_set_before_torch_and_never_over_the_users(variables: dict[str, str], count: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in threads.SPINNING}
    code = "import os, sys, texsynth; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{count} False\n"


@pytest.mark.parametrize(
    ("late", "worker", "set_by_user", "number"),
    [(True, True, {}, 1), (False, True, {}, 2), (True, False, {}, 2), (True, True, {"OMP_NUM_THREADS": "2"}, 2)],
)
def test_a_worker_that_had_torch_before_runs_on_one_thread(
    monkeypatch: pytest.MonkeyPatch, late: bool, worker: bool, set_by_user: dict[str, str], number: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in set_by_user.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads, "_late", late)
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object() if worker else None)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    try:
        torch.set_num_threads(2)
        machine.use_threads(None)
        assert torch.get_num_threads() == number
        torch.set_num_threads(3)  # chosen by the user
        machine.use_threads(None)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform != "linux", reason="threads of libgomp")
@pytest.mark.parametrize(("late", "wanted", "more"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_with_more_threads_than_cores_none_spins(
    monkeypatch: pytest.MonkeyPatch, late: bool, wanted: int, more: bool
) -> None:
    """As the manual of libgomp has it; so there are some that never work where PyTorch was loaded too early."""
    before, there = torch.get_num_threads(), set(Path("/proc/self/task").iterdir())
    monkeypatch.setattr(threads, "_late", late)
    monkeypatch.setattr(threads, "_calm", False)
    monkeypatch.setattr(machine, "cores", lambda: 5)
    try:
        for _ in range(2):
            machine.use_threads(wanted)
            new = len(set(Path("/proc/self/task").iterdir()) - there)
            assert (1 + new > 5) == more, new
        assert torch.get_num_threads() == wanted and new <= 2 * 4
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.parametrize("wanted", [None, 16])
def test_a_forked_worker_runs_on_one_thread(tmp_path: Path, wanted: int | None) -> None:
    """Several would wait for ever for those of the parent."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        child = os.fork()
        if child == 0:
            machine.use_threads(wanted)
            (tmp_path / "count").write_text(str(torch.get_num_threads()))
            os._exit(0)
        os.waitpid(child, 0)
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "count").read_text() == "1"
