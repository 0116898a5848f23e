"""Batches of several processes and machines: shares, command lines of their own, and the log of results."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Draw, Picture, Refused, Texsynth
from pictures import box
from test_options import OWN, SHARED
from texsynth.batch import workers
from texsynth.batch.order import Hear, Order, Perform, Report, Step
from texsynth.cli import app, failure, runner
from texsynth.image import picture as image
from texsynth.requests import option
from texsynth.runs import save, stop

BATCH = ("synthesize", "in", "-p", "steady", "-s", "8", "-q")


def digests(folder: str) -> dict[str, str]:
    """The files of a folder but the log."""
    paths = [path for path in Path(folder).iterdir() if path.suffix != ".jsonl"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


@pytest.fixture
def pictures(texsynth: Texsynth, picture: Picture) -> None:  # noqa: ARG001 (for its folder)
    """Five pictures, two of which would be written to one name."""
    for seed, name in enumerate(("a.jpg", "a.png", "b.png", "c.png", "d.png")):
        picture(f"in/{name}", seed=seed)


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], None]]:
    """--jobs has one worker, this process, which lives longer than a command; what happens once at its moments."""
    acts: dict[str, Callable[[], None]] = {}
    really = save.save

    def act(moment: str) -> None:
        acts.pop(moment, lambda: None)()

    def hear(step: Step) -> None:
        act("step" if step.tick is not None and step.tick.event == "step" else "")

    def saved(*words: Any) -> Any:
        act("saving")
        return really(*words)

    def run(todo: list[Order], perform: Callable[..., Any], *_: object) -> Iterator[Any]:
        for order in todo:
            if not stop.asked():
                yield perform(order, hear)
                with stop.later():
                    act("between")

    monkeypatch.setattr(workers, "run", run)
    monkeypatch.setattr(save, "save", saved)
    return acts


@pytest.mark.usefixtures("pictures")
def test_shares_are_even_and_together_the_whole(texsynth: Texsynth) -> None:
    assert texsynth(*BATCH, "-o", "whole/", "--report", "page.html").code == 0
    pages = {path.name for path in Path().glob("page_*.html")}
    for share in ("1/3", "2/3", "3/3"):
        ran = texsynth(*BATCH, "-o", "shared/", "--shard", share, "--report", "page.html", "--force")
        assert ran.code == 0 and len(ran.out.splitlines()) in (1, 2), ran
    assert digests("shared") == digests("whole") and "a_png.png" in digests("whole")
    assert {path.name for path in Path().glob("page_*.html")} == pages
    assert [len(lines(f"shared/results-{n}-of-3.jsonl")) for n in (1, 2, 3)] == [2, 2, 1]
    assert texsynth(*BATCH, "-o", "shared/", "--shard", "6/7", "--force").code == 0


@pytest.mark.usefixtures("pictures")
def test_an_empty_share_is_said(texsynth: Texsynth) -> None:
    ran = texsynth(*BATCH[:-1], "-o", "o/", "--shard", "6/7")
    assert (ran.code, ran.out) == (0, "") and "nothing to do" in ran.err


@pytest.mark.usefixtures("pictures")
def test_a_job_array_names_the_share(texsynth: Texsynth, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    auto = (*BATCH, "-o", "o/", "--shard", "auto", "--dry-run")
    assert "job array" in refused(2, *auto)
    for name, value in (("ID", 4), ("COUNT", 3), ("MIN", 0), ("STEP", 2)):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    assert [line.split(".")[0] for line in texsynth(*auto).out.splitlines()] == ["o/b"]
    monkeypatch.setenv("SLURM_ARRAY_TASK_MAX", "5")  # of a list, in which no range tells the number of a task
    assert "one range" in refused(2, *auto)
    monkeypatch.setenv("SLURM_ARRAY_TASK_MAX", "4")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "5")
    assert "one range" in refused(2, *auto)
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "0")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_SIZE", "5")
    assert [line.split(".")[0] for line in texsynth(*auto).out.splitlines()] == ["o/a"]


@pytest.mark.usefixtures("pictures")
def test_what_batches_refuse(refused: Refused) -> None:
    for word in ("0/3", "4/3", "1", "1/0", "-1/3", "a/b", "1/3/5", "1/9999999999", "x"):
        assert "--shard" in refused(2, *BATCH, "-o", "o/", "--shard", word)
    for word in ("0", "-1", "x", "257", "1.5"):
        assert "--jobs" in refused(2, *BATCH, "-o", "o/", "--jobs", word)
    for option_ in (("--shard", "1/2"), ("--jobs", "2"), ("--list-jobs",)):
        assert option_[0] in refused(2, "synthesize", "in/a.png", "-p", "steady", "-q", "-o", "o.png", *option_)
    assert "--jobs" in refused(2, *BATCH, "-o", "o/", "--list-jobs", "--jobs", "2")
    guided = ("control", "in", "--orientation", "circle", "-p", "obedient", "-q", "-o", "o/", "--save-guides", "g")
    assert "--save-guides" in refused(2, *guided, "--list-jobs")
    assert not Path("o").exists()


@pytest.mark.parametrize(
    "command",
    [
        "synthesize in -p steady -s 8 --map h=maps --source-mask masks --seed 3 --set patch=7 --report page.html",
        "synthesize 'in/*.png' -p steady -s 8 -n 2 --format tiff --no-metadata",
        "control in -p obedient --labels maps masks --progression maps maps",
        "inpaint in -p steady --mask masks",
        "propagate in/a.png layer.png in --save-layer",
    ],
)
def test_command_lines_make_the_batch(
    texsynth: Texsynth, picture: Picture, draw: Draw, command: str, tmp_path: Path
) -> None:
    for seed, name in enumerate(("a", "b c")):
        picture(f"in/{name}.png", seed=seed)
        for folder in ("maps", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
            draw(f"{folder}/{name}.png", (box(16, 16, (4, 9, 4, 10)) * 255).astype("uint8"))
    picture("layer.png", channels=4)
    words = (*shlex.split(command), "-q")
    listed = texsynth(*words, "-o", "batch/", "--list-jobs", "--shard", "1/1", "--keep-going")
    assert listed.code == 0 and not Path("batch").exists()
    told = json.loads(texsynth(*words, "-o", "batch/", "--list-jobs", "--json").out)
    assert [shlex.join(job["command"]) for job in told["jobs"]] == listed.out.splitlines()
    assert texsynth(*words, "-o", "batch/").code == 0
    pages = {path.name for path in Path().glob("*.html")}
    whole = digests("batch")
    for path in [*Path("batch").iterdir(), *Path().glob("*.html")]:
        path.unlink()
    for line in listed.out.splitlines():
        name, *alone = shlex.split(line)
        assert name == "texsynth" and texsynth(*alone).code == 0
    assert digests("batch") == whole and len(listed.out.splitlines()) == 2
    assert {path.name for path in Path().glob("*.html")} == pages


@pytest.mark.usefixtures("pictures")
def test_what_exists_has_no_command_line(texsynth: Texsynth, refused: Refused) -> None:
    assert texsynth(*BATCH, "-o", "o/", "--shard", "1/5").code == 0
    ran = texsynth(*BATCH[:-1], "-o", "o/", "--list-jobs", "--skip-existing")
    assert len(ran.out.splitlines()) == 4 and "1 of 5 pictures exist" in ran.err and "--skip-existing" in ran.out
    assert "exists" in refused(2, *BATCH, "-o", "o/", "--list-jobs")


def test_a_line_break_in_a_name_ends_no_command(texsynth: Texsynth, picture: Picture, refused: Refused) -> None:
    picture("in/a\nrm b.png")
    picture("in/b.png")
    assert "line break" in refused(2, *BATCH, "-o", "o/", "--list-jobs")
    told = json.loads(texsynth(*BATCH, "-o", "o/", "--list-jobs", "--json").out)
    assert {job["command"][2] for job in told["jobs"]} == {"in/a\nrm b.png", "in/b.png"}


def test_words_of_a_request_ask_for_the_same(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every option of every verb."""
    caught: list[Any] = []
    monkeypatch.setattr(runner, "execute", lambda _, request: caught.append(request) or 0)

    def request(words: list[str]) -> Any:
        assert app.run(words) == 0
        return caught.pop()

    assert texsynth is not None
    rows = [(base, more) for table in (SHARED, *OWN.values()) for _, base, more in table.values()]
    more = (
        "--set 'a.b=[1.0e-05, x, null, true]' --set 'c=\"1\"' --set 'd=a: b'",
        "--no-flatten",
        "--seed 0",
        "-o -a.png",
    )
    rows += [("synthesize ./-a.png b.png", words) for words in more]
    for base, added in rows:
        words = shlex.split(f"{base} {added}")
        asked = request(words)
        verb = words[: 2 if words[0] in ("maps", "tiles") else 1]
        assert request([*verb, *option.words(asked)]) == asked, words


@pytest.mark.usefixtures("pictures")
def test_every_finished_picture_has_a_line(texsynth: Texsynth) -> None:
    assert texsynth(*BATCH, "-o", "o/", "--dry-run").code == 0 and not Path("o").exists()
    Path("in/b.png").write_bytes(b"no picture")
    assert texsynth(*BATCH, "-o", "o/", "--keep-going").code == 6
    written = lines("o/results.jsonl")
    assert [line["status"] for line in written] == ["done", "done", "failed", "done", "done"]
    assert written[2]["input"] == "in/b.png" and "b.png" in written[2]["error"] and written[0]["error"] is None
    assert written[0]["files"] == {"image": "o/a.png"} and written[0]["seed"] == 0 and len(written[0]["record"]) == 64
    # Further lines come below, also below one that a full disk cut off.
    path = Path("o/results.jsonl")
    path.write_text(path.read_text() + '{"cut')
    assert texsynth(*BATCH, "-o", "o/", "--keep-going", "--skip-existing").code == 6
    text = path.read_text().splitlines()
    assert text[5] == '{"cut'
    again = [json.loads(line) for line in text[6:]]
    assert [line["status"] for line in again] == ["kept", "kept", "failed", "kept", "kept"]
    assert texsynth("synthesize", "in/a.png", "-p", "steady", "-s", "8", "-q", "-o", "alone.png").code == 0
    assert not Path("results.jsonl").exists()


@pytest.mark.usefixtures("pictures")
def test_a_folder_in_place_of_the_log_is_refused(refused: Refused) -> None:
    Path("o/results.jsonl").mkdir(parents=True)
    assert "results.jsonl" in refused(2, *BATCH, "-o", "o/")
    assert not Path("o/a.png").exists()


def test_who_fails_to_use_a_report_ends_what_is_at_work(
    texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, picture: Picture
) -> None:
    """Before it is told: a process that is at work, and that nobody hears, would be waited for in vain."""
    picture("in/a.png")
    picture("in/b.png")
    told: list[str] = []
    explain = failure.explain

    def run(todo: Sequence[Order], perform: Perform, _: int, __: bool, hear: Hear) -> Iterator[Report]:
        try:
            for order in todo:
                yield perform(order, hear)
                Path("o/results.jsonl").unlink()
                Path("o/results.jsonl").mkdir()
        finally:
            told.append("ended")

    def explained(error: BaseException) -> tuple[str, int]:
        told.append("told")
        return explain(error)

    monkeypatch.setattr(workers, "run", run)
    monkeypatch.setattr(failure, "explain", explained)
    assert texsynth(*BATCH, "-o", "o/", "--jobs", "2").code == 2 and told == ["ended", "told"]


def test_processes_make_what_one_makes(texsynth: Texsynth, picture: Picture) -> None:
    """With the presets that are shipped, as processes of their own have no others."""
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        picture(f"in/{name}", size=(24, 24), seed=seed)
    Path("in/b.png").write_bytes(b"no picture")
    words = ("synthesize", "in", "-s", "32", "--quality", "draft", "--keep-going", "--json", "--flatten")
    one = texsynth(*words, "-o", "one/")
    two = texsynth(*words, "-o", "two/", "--jobs", "2")
    assert (one.code, two.code) == (6, 6) and digests("one") == digests("two")

    def plain(out: str) -> Any:
        told = json.loads(out.replace("two/", "one/"))
        for run in told["runs"]:
            del run["seconds"]
        return told

    assert plain(one.out) == plain(two.out)
    notes = [[line for line in ran.err.splitlines() if "%" not in line] for ran in (one, two)]
    assert notes[0] == notes[1] and "error" in notes[0][-1]
    assert sorted(line["status"] for line in lines("two/results.jsonl")) == ["done", "done", "failed"]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("existing", [(), ("--skip-existing",), ("--update",)])
def test_what_a_dead_process_left_is_made_again(
    texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch, existing: tuple[str, ...]
) -> None:
    """Files that were there before the command stay what they were: refused, or kept."""
    words = (*BATCH, "--map", "h=in", "--report", "page.html", *existing)
    assert texsynth(*words, "-o", "whole/").code == 0
    pages = list(Path().glob("page*"))
    for page in pages:
        page.unlink()
    tries: list[Order] = []

    def once_more(todo: Sequence[Order], perform: Perform, _: int, __: bool, hear: Hear) -> Iterator[Report]:
        for order in todo:
            tries.append(replace(order, again=True))
            for path in [path for path in order.absent if path.suffix in (".png", ".html")]:
                path.write_bytes(b"left")
            assert existing or "exists" in str(perform(order, hear).error)
            yield perform(tries[-1], hear)

    monkeypatch.setattr(workers, "run", once_more)
    ran = texsynth(*words, "-o", "o/", "--jobs", "2", "--json")
    assert ran.code == 0 and [run["status"] for run in json.loads(ran.out)["runs"]] == ["done"] * 5
    assert digests("o") == digests("whole") and len(tries) == 5
    assert sorted(Path().glob("page*")) == sorted(pages)
    if existing:
        ran = texsynth(*words, "-o", "o/", "--jobs", "2", "--json")
        assert [run["status"] for run in json.loads(ran.out)["runs"]] == ["kept"] * 5
        assert len(tries) == (5 if "--skip-existing" in existing else 10) and digests("o") == digests("whole")


def test_each_target_has_its_own_label_map(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    for name in ("s.png", "layer.png", "in/a.png", "in/b.png", "l/s.png", "l/a.png", "l/b.png"):
        picture(name)
    words = ("propagate", "s.png", "layer.png", "in", "-q", "-o", "o/", "--shard", "2/2", "--list-jobs")
    one_by_one = [word for name in "sab" for word in ("--labels", f"l/{name}.png")]
    for labels in (one_by_one, ["--labels", "l"]):
        (line,) = texsynth(*words, *labels).out.splitlines()
        assert "in/b.png" in line and "--labels l/s.png --labels l/b.png" in line
    assert "2 target(s)" in refused(2, *words, *one_by_one[:4])


@pytest.mark.usefixtures("pictures")
def test_an_unfinished_picture_is_made_again(texsynth: Texsynth) -> None:
    """As after a job that ran out of time: a scheduler gives the same command again."""
    ended = (*BATCH, "-o", "o/", "--set", "fail=interrupt")
    assert texsynth(*ended).code == 130
    (unfinished,) = Path("o").glob("*.png")
    assert (image.read_metadata(unfinished) or {})["interrupted"]
    assert len(texsynth(*BATCH, "-o", "o/", "--list-jobs", "--skip-existing").out.splitlines()) == 5
    assert texsynth(*BATCH, "-o", "o/", "--skip-existing").code == 0
    assert "interrupted" not in (image.read_metadata(unfinished) or {})


@pytest.mark.usefixtures("pictures")
def test_a_worker_reads_anew_what_has_changed_since(
    texsynth: Texsynth,
    moments: dict[str, Callable[[], None]],  # noqa: ARG001 (for what it changes)
) -> None:
    for note in ("one", "two"):
        Path("mine.yaml").write_text(f"method: steady\nnote: {note}\n")
        words = ("synthesize", "in", "-p", "mine.yaml", "-s", "8", "-q", "-o", "o/", "--force", "--jobs", "1")
        assert texsynth(*words).code == 0
        assert f'"note": "{note}"' in json.dumps(image.read_metadata("o/b.png"))


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("moment", "count"), [("step", 1), ("saving", 1), ("between", 2)])
def test_ctrl_c_ends_what_several_processes_do(
    texsynth: Texsynth, moments: dict[str, Callable[[], None]], moment: str, count: int
) -> None:
    """Neither is a variation begun after it, nor is a command that left something out a success."""
    moments[moment] = lambda: signal.raise_signal(signal.SIGINT)
    ran = texsynth(*BATCH, "-n", "2", "-o", "o/", "--jobs", "1")
    assert ran.code == 130, ran
    assert len(list(Path("o").glob("*.png"))) == count
