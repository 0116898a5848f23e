"""Blind comparison, through its command line: what a judge sees gives nothing away, and the tally counts right."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import blind
import contact_sheet
import numpy as np
import pytest
from PIL import Image

from conftest import array
from texsynth.image import picture as image

GAP, SIDE = contact_sheet.GAP, 16
NAMES = tuple("abcdef")
SIDES = {"old": 40, "new": 80}  # the grey of each side's results


def flat(path: Path, level: int, side: int = SIDE) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (side, side), (level,) * 3).save(path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """old/ and new/ with six results, each side of one grey; exemplars/ with one grey each; one exemplar is missing."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        for side, level in SIDES.items():
            flat(Path(side, f"{name}.png"), level)
        if name != "f":
            flat(Path("exemplars", f"{name}.png"), 200 + number, 12)


def run(*words: str) -> None:
    blind.main([*words])


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    """The exit code and the one line of a command that must fail."""
    with pytest.raises(SystemExit) as stop:
        run(*words)
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    return stop.value.code, shown.err


def sheets(*words: str) -> dict[str, tuple[int, int]]:
    """Write sheets of old and new; by name the number of the sheet, and the grey on its left."""
    run("--a", "old", "--b", "new", "--exemplars", "exemplars", "-o", "sheets", *words)
    out = {}
    for path in sorted(Path("sheets").glob("*.png")):
        row = array(path)[GAP + 1, :, 0]
        greys = [int(grey) for grey in dict.fromkeys(row) if grey != contact_sheet.PAPER]
        name = NAMES[greys.pop(0) - 200] if len(greys) == 3 else "f"
        assert sorted(greys) == sorted(SIDES.values())
        out[name] = (int(path.stem), greys[0])
    return out


def judge(rows: dict[int, tuple[str, ...]], header: bool = True) -> None:
    with Path("sheets/verdicts.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["number", "verdict", "clear", "reason"]] * header + [[n, *row] for n, row in rows.items()]
        )


@pytest.mark.usefixtures("folders")
def test_a_sheet_holds_exemplar_and_results_at_full_size_and_the_key_is_right() -> None:
    shown = sheets()
    key = json.loads(Path("sheets-key.json").read_text())
    assert {p["name"]: (p["number"], SIDES[p["left"]]) for p in key["pairs"]} == shown
    assert sorted(shown) == list(NAMES) and sorted(number for number, _ in shown.values()) == [1, 2, 3, 4, 5, 6]
    assert sum(left == SIDES["new"] for _, left in shown.values()) == 3
    sheet = array(f"sheets/{shown['b'][0]:02}.png")
    assert sheet.shape == (SIDE + 2 * GAP + contact_sheet.LABEL, 12 + 2 * SIDE + 4 * GAP, 3)
    assert (sheet[GAP : GAP + 12, GAP : GAP + 12] == 201).all()
    assert (sheet[GAP : GAP + SIDE, -GAP - SIDE : -GAP] == sum(SIDES.values()) - shown["b"][1]).all()


@pytest.mark.usefixtures("folders")
def test_nothing_that_a_judge_gets_gives_the_sides_away(capsys: pytest.CaptureFixture[str]) -> None:
    sheets()
    printed = capsys.readouterr()
    assert not any(word in printed.err for word in (*SIDES, "left", "right"))
    assert sorted(p.name for p in Path("sheets").iterdir()) == [f"0{n}.png" for n in range(1, 7)] + ["verdicts.csv"]
    for path in Path("sheets").glob("*.png"):
        content = path.read_bytes()
        assert not [kind for kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME", b"iCCP") if kind in content]
    rows = "".join(f"{n},,,\n" for n in range(1, 7))
    assert Path("sheets/verdicts.csv").read_text() == f"number,verdict,clear,reason\n{rows}"


@pytest.mark.usefixtures("folders")
def test_the_order_is_another_one_every_time_unless_it_is_asked_for() -> None:
    orders = []
    for number, words in enumerate([("--shuffle", "5"), ("--shuffle", "5"), *[()] * 6]):
        orders.append(tuple(sheets(*words).items()))
        Path("sheets").rename(f"kept{number}")
        Path("sheets-key.json").unlink()
    assert orders[0] == orders[1] and len(set(orders)) > 2


@pytest.mark.usefixtures("folders")
def test_the_tally_counts_for_each_side(capsys: pytest.CaptureFixture[str]) -> None:
    flat(Path("new", "e.png"), SIDES["old"])
    shown = sheets("--key", "elsewhere.json")
    assert sorted(shown) == ["a", "b", "c", "d", "f"]

    def for_side(name: str, side: str, *words: str) -> tuple[str, ...]:
        return ("left" if shown[name][1] == SIDES[side] else "right", *words)

    verdicts = {
        "a": for_side("a", "new", "yes", "rows of bolts"),
        "b": for_side("b", "new", "no"),
        "c": for_side("c", "new", "No", "a seam, below", "and a step"),
        "d": for_side("d", "old", "yes", "haze"),
        "f": (" Equal", ""),
    }
    judge({shown[name][0]: row for name, row in verdicts.items()})
    capsys.readouterr()
    run("--verdicts", "sheets/verdicts.csv", "--key", "elsewhere.json")
    assert capsys.readouterr().out.splitlines() == [
        "| side | wins | clear | share of decided |",
        "|---|---|---|---|",
        "| old | 1 | 1 | 25 % |",
        "| new | 3 | 1 | 75 % |",
        "",
        "equal: 1 of 5 pairs",
        "identical, not shown: 1 (e)",
        "sign test, two-sided: p = 0.625",
        "",
        "old lost 3:",
        f"- a (sheet {shown['a'][0]}, clear): rows of bolts",
        f"- b (sheet {shown['b'][0]}): no reason given",
        f"- c (sheet {shown['c'][0]}): a seam, below, and a step",
        "",
        "new lost 1:",
        f"- d (sheet {shown['d'][0]}, clear): haze",
    ]


@pytest.mark.usefixtures("folders")
def test_the_tally_refuses_verdicts_that_are_missing_or_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    sheets()
    capsys.readouterr()
    good = dict.fromkeys(range(1, 7), ("left", "no", ""))
    for rows, words in (
        ({n: row for n, row in good.items() if n != 4}, "no verdict on sheet 4;"),
        (good | {2: ("both", "no", "")}, "sheet 2: verdict is 'both'; allowed: left, right, equal"),
        (good | {3: ("left", "", "")}, "sheet 3: clear is ''; allowed: yes, no"),
        (good | {7: ("left", "no", "")}, "sheet 7: each of the sheets 1 to 6 needs one row"),
    ):
        judge(rows, header=len(rows) == 6)
        code, line = refused(capsys, "--verdicts", "sheets/verdicts.csv")
        assert code == 3 and words in line
    assert "not the key" in refused(capsys, "--verdicts", "sheets/verdicts.csv", "--key", "old/a.png")[1]


@pytest.mark.usefixtures("folders")
def test_what_cannot_be_compared_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "two sides" in refused(capsys, "--a", "old")[1]
    assert "differ" in refused(capsys, "--presets", "same same")[1]
    for name in NAMES:
        flat(Path("other", f"{name}.png"), 9, 20)
    code, line = refused(capsys, "--a", "other", "--b", "old")
    assert code == 3 and "size" in line and not Path("build/blind").exists()
    Path("sheets").mkdir()
    code, line = refused(capsys, "--a", "old", "--b", "new", "-o", "sheets")
    assert code == 2 and "sheets is there already" in line


@pytest.mark.usefixtures("steady")
def test_two_presets_are_run_on_each_exemplar_and_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    image.write(tmp_path / "x.png", image.from_array(noise))
    out = tmp_path / "sheets"
    words = ["--exemplars", str(tmp_path / "x.png"), "--seeds", "0", "1", "--size", "24", "-o", str(out)]
    run("--presets", "steady steady:patch=7", *words, "--native", "--device", "cpu")
    key = json.loads((tmp_path / "sheets-key.json").read_text())
    assert key["sides"] == ["steady", "steady:patch=7"]
    assert sorted([pair["name"] for pair in key["pairs"]] + key["identical"]) == ["x-0", "x-1"]
    assert str(tmp_path / "sheets-key.json") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("a", "b", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (3, 12, 0.035156), (34, 7, 2.53208e-5)]
)
def test_the_sign_test_is_the_exact_binomial_one(a: int, b: int, p: float) -> None:
    assert blind.sign_test(a, b) == pytest.approx(p, rel=1e-4)
