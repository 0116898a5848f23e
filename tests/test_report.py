"""The HTML page, the pictures of a field, and the contact sheet."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import contact_sheet
import numpy as np
import pytest
import torch
from PIL import Image

from asking import job_of
from pages import Balance
from texsynth import preset
from texsynth.field import pictures
from texsynth.field.atlas import Field, coordinates
from texsynth.image import picture as image
from texsynth.image.codecs.tags import LINEAR_GAMMA, Tags
from texsynth.image.picture import Picture
from texsynth.job import Job
from texsynth.report import chart, html
from texsynth.runs import run
from texsynth.runs.run import Result


def spots(seed: int, height: int = 32, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def made() -> tuple[Result, Job]:
    """A small remix that wraps in x, with a 16-bit map."""
    height = [np.random.default_rng(n).integers(0, 65536, (32, 40), dtype=np.uint16) for n in (1, 2)]
    job = job_of("synthesize", spots(1), spots(2), size="48x36", tile="x", maps={"height": height})
    return run.run(job, preset.resolve(quality="draft"), seed=1), job


def test_the_page_is_whole_and_needs_nothing_else(made: tuple[Result, Job], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old", "utf-8")
    html.write(path, *made)
    text = path.read_text("utf-8")
    reader = Balance(text)
    assert reader.open == []
    assert all(source.startswith("data:image/png;base64,") for source in reader.links)
    assert "url(" not in text and "@import" not in text and list(tmp_path.iterdir()) == [path]


def test_the_page_shows_every_picture(made: tuple[Result, Job]) -> None:
    result, job = made
    text = html.page(result, job)
    captions = re.findall(r"<figcaption>(.*?) <small>(\d+) x (\d+)", text)
    found = {name: (int(width), int(height)) for name, width, height in captions}
    sizes = {Image.open(io.BytesIO(base64.b64decode(d))).size for d in re.findall(r"base64,([\w+/=]+)", text)}
    assert found["Result"] == (48, 36)
    assert found["Result repeated: look for seams in the middle"] == (96, 36)
    assert found["Map: height"] == (48, 36)
    assert sum(size == (40, 32) for size in found.values()) >= 1
    assert {(48, 36), (96, 36), (40, 32)} == sizes
    assert len([name for name in found if name.startswith(("Source of", "Exemplar and copy", "Misfit"))]) == 3


def test_the_page_tells_the_run(made: tuple[Result, Job]) -> None:
    result, job = made
    text = html.page(result, job)
    assert "<th>seed</th><td>1</td>" in text and "<th>texsynth</th>" in text
    assert "<th>patch</th>" in text and "<svg" in text and "Interrupted" not in text
    assert "Interrupted" in html.page(replace(result, interrupted=True), job)


def test_names_cannot_break_the_page(made: tuple[Result, Job]) -> None:
    result, job = made
    named = tuple(replace(exemplar, name='<b>&".png') for exemplar in job.task.exemplars)
    text = html.page(result, replace(job, task=replace(job.task, exemplars=named)))
    assert "<b>" not in text and "&lt;b&gt;&amp;&quot;.png" in text


def test_a_result_that_does_not_wrap_is_not_repeated(made: tuple[Result, Job]) -> None:
    result, job = made
    assert "repeated" not in html.page(result, replace(job, task=replace(job.task, tile=(False, False))))


def test_a_run_without_a_field_has_a_page(made: tuple[Result, Job]) -> None:
    result, job = made
    assert "Where it comes from" not in html.page(replace(result, field=None, layers={}), job)


def test_large_pictures_are_embedded_reduced() -> None:
    decoded = Image.open(io.BytesIO(html.png(Picture(torch.rand(1, 3, 40, 3 * html.LONGEST_PICTURE)))))
    assert decoded.size == (html.LONGEST_PICTURE, round(40 / 3))


def test_float_values_are_brought_into_range() -> None:
    ramp = torch.linspace(-5, 20, 11).view(1, 1, 1, 11)
    shown = np.asarray(Image.open(io.BytesIO(html.png(Picture(ramp, depth="float32")))))
    assert shown[0, 0].tolist() == [0, 0, 0] and shown[0, -1].tolist() == [255, 255, 255]


def test_linear_colours_are_shown_as_eyes_see_them_and_maps_as_they_are() -> None:
    ramp = Picture(torch.full((1, 3, 2, 2), 0.2140), depth="float32", tags=Tags(gamma=LINEAR_GAMMA))
    for is_colour, value in ((True, 128), (False, 55)):
        shown = np.asarray(Image.open(io.BytesIO(html.png(ramp, is_colour))))
        assert np.abs(shown.astype(int) - value).max() <= 1


def test_a_map_of_colours_is_shown_as_eyes_see_it(made: tuple[Result, Job]) -> None:
    """Emission, whose file says that it is linear light; the same numbers under another name stay as they are."""
    result, job = made
    glow = Picture(torch.full((1, 3, 2, 2), 0.2140), depth="float32", tags=Tags(gamma=LINEAR_GAMMA))
    job = replace(job, maps=dict.fromkeys(("emissive", "detail"), job.maps["height"]))
    pages = html.figures(replace(result, layers={"emissive": glow, "detail": glow}), job)
    shown = {name: text for text in pages for name in ("emissive", "detail") if f"Map: {name}" in text}
    for name, value in (("emissive", 128), ("detail", 55)):
        data = base64.b64decode(re.findall(r"base64,([\w+/=]+)", shown[name])[0])
        assert abs(int(np.asarray(Image.open(io.BytesIO(data))).max()) - value) <= 1


def test_the_curve_has_one_line_for_each_level() -> None:
    losses = [("field", 1, 0, 4.0), ("field", 1, 1, 3.0), ("field", 0, 0, math.nan), ("field", 0, 1, 2.0)]
    svg = chart.curve(losses)
    curves = re.findall(r'class="curve" d="([^"]+)"', svg)
    assert [d.count("L") + d.count("M") for d in curves] == [2, 1]
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert heights == sorted(heights), "a smaller loss is drawn lower"
    assert chart.curve([("field", 0, 0, math.inf)]) == ""


@pytest.fixture
def field(made: tuple[Result, Job]) -> Field:
    field = made[0].field
    assert field is not None
    return field


def test_coordinates_as_colours(field: Field) -> None:
    shown, where = pictures.coordinate_picture(field), coordinates(field)
    assert shown.shape == (1, 3, 36, 48) and torch.equal((shown[0, 0] * 39).round().long(), where.x)
    assert torch.equal((shown[0, 1] * 31).round().long(), where.y)
    assert len(shown[0, 2].unique()) == len(where.exemplar.unique())


def test_planes_as_colours(field: Field) -> None:
    where = coordinates(field)
    planes = where.exemplar * len(field.copies) + where.copy
    colours = pictures.plane_picture(field)[0].flatten(1).T
    assert len(colours.unique(dim=0)) == len(planes.unique())
    many = pictures.palette(32)
    assert torch.pdist(many).min() > 0.02 and torch.equal(many[:4], pictures.palette(4))


def test_cost_as_colours_gets_lighter_with_cost(field: Field) -> None:
    ramp = replace(field, cost=torch.linspace(0, 1, 48).repeat(36, 1))
    light = pictures.cost_picture(ramp)[0].mean(dim=0)[0]
    assert (light.diff() >= -1e-6).all()
    flat = pictures.cost_picture(replace(field, cost=torch.zeros(36, 48)))
    assert torch.equal(flat[0, :, 0, 0], torch.tensor(pictures.HEAT[0]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "exemplars"
    out.mkdir()
    Image.fromarray(spots(1)).save(out / "one.png")
    Image.fromarray(spots(2, 24, 24)).save(out / "two.png")
    return out


OPTIONS = ["--size", "40x48", "--quality", "draft", "--native", "--device", "cpu"]


def test_the_sheet_holds_every_exemplar_and_result_at_full_size(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    contact_sheet.main([str(folder), "-o", str(out), *OPTIONS])
    sheet = np.asarray(Image.open(out))
    gap, label = contact_sheet.GAP, contact_sheet.LABEL
    widths = 40 + 24 + 2 * 40
    assert sheet.shape == (2 * gap + 48 + label, widths + 5 * gap, 3)
    assert np.array_equal(sheet[gap : gap + 32, gap : gap + 40], spots(1))
    second = 3 * gap + 40 + 40
    assert np.array_equal(sheet[gap : gap + 24, second : second + 24], spots(2, 24, 24))
    printed = capsys.readouterr()
    assert printed.out.strip() == str(out) and "one" in printed.err


def test_the_sheet_goes_on_after_a_picture_that_fails(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.png").write_text("no picture", "utf-8")
    with pytest.raises(SystemExit) as stop:
        contact_sheet.main([str(folder), "-o", str(tmp_path / "sheet.png"), *OPTIONS, "--columns", "1"])
    assert stop.value.code == 6 and (tmp_path / "sheet.png").is_file()
    assert "broken.png" in capsys.readouterr().err


def test_a_folder_without_pictures_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        contact_sheet.main([str(tmp_path), "-o", str(tmp_path / "sheet.png")])
    assert stop.value.code == 3 and len(capsys.readouterr().err.splitlines()) == 1


def test_large_exemplars_are_reduced_and_small_ones_left() -> None:
    large = Picture(torch.rand(1, 3, 300, 600))
    assert contact_sheet.reduced(large, 100).pixels.shape == (1, 3, 100, 200)
    assert image.to_array(contact_sheet.reduced(large, 400)).shape == (300, 600, 3)
