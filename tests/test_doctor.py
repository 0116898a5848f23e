"""`texsynth doctor` through the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from texsynth.cli import doctor, main


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    return json.loads(capsys.readouterr().out)


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    shown = report(capsys)
    assert (shown["self_test"]["ok"], shown["weights"]["needed_by_default"]) == (True, False)
    assert shown["versions"]["torch"] != "missing" and shown["devices"]["threads"] >= 1
    assert "guided-correspondence" in shown["presets"]
    assert shown["pictures"]["written"] == [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".tga", ".hdr", ".exr"]
    assert {".avif", ".jp2", ".ppm", *shown["pictures"]["written"]} < set(shown["pictures"]["read"])


def test_a_format_without_its_extra_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    assert all(".exr" not in endings and ".png" in endings for endings in doctor.pictures().values())


def test_for_people_it_is_one_line_each_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    names = [line[:12].strip() for line in out.splitlines()]
    assert err == ""
    assert names[0] == "python"
    expected = {
        "texsynth",
        "torch",
        "processor",
        "native core",
        "cuda",
        "mps",
        "memory",
        "reads",
        "writes",
        "weights",
        "presets",
    }
    assert expected | {"native core"} < set(names)
    assert "passed" in out.splitlines()[-1]


def test_a_wrong_result_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The trial itself notices a solver that invents colours."""
    import torch

    from texsynth.field import follow
    from texsynth.runs import finish

    honest = follow.follow
    monkeypatch.setattr(finish, "follow", lambda *a: honest(*a) * 0.5 + torch.tensor(0.25))
    assert main(["doctor", "--json"]) == 1
    shown = report(capsys)
    assert shown["self_test"]["ok"] is False
    assert "not in the exemplar" in str(shown["self_test"]["message"])


def test_a_crash_in_the_trial_is_told_and_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> str | None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(doctor, "trial", broken)
    assert main(["doctor"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "FAILED" in last and "no kernel image" in last


def test_weights_are_found_in_a_folder_or_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vgg.safetensors"
    file.write_bytes(b"")
    (tmp_path / "README.md").write_text("not weights", "utf-8")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    for place in (tmp_path, file):
        monkeypatch.setenv("TEXSYNTH_WEIGHTS", str(place))
        assert doctor.weights()["files"] == [str(file)]
    monkeypatch.delenv("TEXSYNTH_WEIGHTS")
    assert doctor.weights()["files"] == []


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package-here"))
    assert doctor.versions()["no-such-package-here"] == "missing"


def test_a_torchvision_that_cannot_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure, as the default method needs none."""
    assert doctor.weights()["problem"] is None
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert main(["doctor"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("networks"))
    assert "torchvision is not installed" in row
