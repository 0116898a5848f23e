"""Nothing that exists is lost: names that meet, files that appear during a run, links, what dead processes left, full
disks, and names that are too long."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import QUICK, Picture, Refused, Texsynth, array
from fakes import steady as fake
from picture_files import leftovers, raising
from texsynth.errors import ResourceError, UsageError
from texsynth.image import files
from texsynth.image import picture as image

pytestmark = [
    pytest.mark.usefixtures("exemplar"),
    pytest.mark.skipif(os.name == "nt", reason="links and processes of POSIX"),
]
SYNTH = ("synthesize", "a.png", *QUICK)
DEAD = 2**22 + 7  # no process on Linux has such a number


def appearing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let other files appear while a run is at work."""
    begin = fake.begin

    def interrupted(*words: object) -> object:
        for name in names:
            Path(name).write_bytes(b"theirs")
        return begin(*words)

    monkeypatch.setattr(fake, "begin", interrupted)


# ---- names that meet ----


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "o.png", "--report", "o.png"),
        ("-o", "o.jpg", "--report", "o.jpg.json"),
        ("-o", "o.png", "--report", "o_m.png", "--map", "m=a.png"),
        ("-o", "o.png", "--report", "./o_field.npz", "--save-field"),
        ("-o", "o.png", "--report", "link.html"),
        ("b_m.png", "b.png", "-o", "out/", "--map", "m=maps"),
    ],
)
def test_two_files_of_one_name_are_refused(refused: Refused, picture: Picture, words: tuple[object, ...]) -> None:
    for name in ("b.png", "b_m.png", "maps/a.png", "maps/b.png", "maps/b_m.png"):
        picture(name)
    Path("link.html").symlink_to("o.png")
    before = sorted(Path().rglob("*"))
    assert "is the name of two files" in refused(2, *SYNTH, *words, "--force")
    assert sorted(Path().rglob("*")) == before


def test_names_that_differ_in_case_meet_where_the_folder_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    upper, lower = Path("O.png"), Path("o.PNG")
    assert files.identity(upper) != files.identity(lower)
    monkeypatch.setattr(files, "_folds", lambda _: True)
    assert files.identity(upper) == files.identity(lower)


@pytest.mark.parametrize("name", ["mine.yaml", "old.png", "old.jpg", "old.jpg.json", "a.png"])
def test_whatever_is_read_is_never_overwritten(texsynth: Texsynth, refused: Refused, name: str) -> None:
    Path("mine.yaml").write_text("method: steady\n")
    for old in ("old.png", "old.jpg"):
        assert texsynth(*SYNTH, "-o", old).code == 0
    before = Path(name).read_bytes()
    repeated = ("--from", "old.jpg" if "jpg" in name else "old.png")
    words = ("-p", "mine.yaml") if name == "mine.yaml" else repeated
    assert "is an input" in refused(2, "synthesize", "a.png", *words, "-o", "o.png", "--report", name, "--force")
    assert Path(name).read_bytes() == before


def test_a_folder_that_is_called_like_a_preset_is_none_of_the_inputs(texsynth: Texsynth) -> None:
    for _ in range(2):
        assert texsynth(*SYNTH, "-o", "steady/", "--force").code == 0


def test_a_training_does_not_overwrite_what_it_learns_from(refused: Refused, picture: Picture) -> None:
    Path("m_training/samples").mkdir(parents=True)
    picture("m_training/samples/0000002.png")
    words = ("train", "easy", "m_training/samples/0000002.png", "-o", "m.safetensors", "-q")
    assert "is an input" in refused(2, *words, "--force")


# ---- records beside pictures ----


def test_a_sidecar_belongs_to_one_picture(texsynth: Texsynth, refused: Refused) -> None:
    for seed, name in enumerate(("o.jpg", "o.webp", "o.tif")):
        assert texsynth(*SYNTH, "-o", name, "--seed", seed).code == 0
    for seed, name in enumerate(("o.jpg", "o.webp", "o.tif")):
        stored = image.read_metadata(name)
        assert stored is not None and stored["seed"] == seed
    assert not Path("o.json").exists()
    Path("o.jpg").unlink()
    assert "o.jpg.json exists; --force" in refused(2, *SYNTH, "-o", "o.jpg")
    assert texsynth(*SYNTH, "-o", "o.jpg", "--update").code == 0


def test_a_foreign_file_in_the_place_of_a_record(texsynth: Texsynth, refused: Refused) -> None:
    Path("o.jpg.json").write_text('{"mine": 1}')
    Path("o.json").write_text('{"mine": 2}')
    assert "o.jpg.json exists; --force" in refused(2, *SYNTH, "-o", "o.jpg")
    assert texsynth(*SYNTH, "-o", "o.jpg", "--no-metadata").code == 0
    assert texsynth(*SYNTH, "-o", "o.jpg", "--force").code == 0
    told = json.loads(Path("o.jpg.json").read_text())
    assert told["mine"] == 1 and told["texsynth"]["verb"] == "synthesize"
    assert texsynth(*SYNTH, "-o", "o.jpg", "--force", "--no-metadata").code == 0
    assert json.loads(Path("o.jpg.json").read_text()) == {"mine": 1}
    assert Path("o.json").read_text() == '{"mine": 2}'


def test_records_of_the_first_version_are_read(texsynth: Texsynth) -> None:
    assert texsynth(*SYNTH, "-o", "o.jpg", "--seed", 5).code == 0
    Path("o.jpg.json").rename("o.json")
    os.utime("o.json", ns=(Path("o.jpg").stat().st_mtime_ns,) * 2)
    image.write("o.webp", image.read("a.png"))  # a neighbour, written later: the record is not its own
    os.utime("o.webp", (0, 0))
    assert image.read_metadata("o.webp") is None
    assert texsynth(*SYNTH, "-o", "o.jpg", "--seed", 5, "--update").out == ""
    assert texsynth("synthesize", "--from", "o.jpg", "-o", "p.jpg", "-q").code == 0
    assert Path("p.jpg").read_bytes() == Path("o.jpg").read_bytes()
    before = Path("o.json").read_bytes()
    assert texsynth(*SYNTH, "-o", "o.jpg", "--seed", 6, "--update").out == "o.jpg\n"
    stored = image.read_metadata("o.jpg")
    assert stored is not None and stored["seed"] == 6 and Path("o.json").read_bytes() == before


# ---- what appears during a run ----


@pytest.mark.parametrize("name", ["o.jpg", "o.jpg.json", "o_m.png", "o_field.npz", "page.html"])
def test_a_file_that_appears_during_a_run_is_left_alone(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    appearing(monkeypatch, name)
    Path("o_new.jpg").write_bytes(b"mine")
    words = ("-o", "o.jpg", "--map", "m=a.png", "--save-field", "--report", "page.html")
    line = refused(2, *SYNTH, *words)
    assert f"{name} appeared during the run and is left alone; the result is o_new2.jpg, with " in line
    assert Path(name).read_bytes() == b"theirs" and Path("o_new.jpg").read_bytes() == b"mine"
    assert (
        image.read_metadata("o_new2.jpg") and array("o_new2_m.png").shape[0] == 32 and Path("page_new2.html").exists()
    )
    assert {p.name for p in Path().iterdir() if p.read_bytes() == b"theirs"} == {name}
    assert {p.name for p in Path().glob("[op]*")} - {name} == {p.name for p in Path().glob("*_new*")}
    assert leftovers(Path()) == []


def test_with_force_what_appears_is_overwritten(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    appearing(monkeypatch, "o.png")
    assert texsynth(*SYNTH, "-o", "o.png", "--force").code == 0
    assert array("o.png").shape == (32, 32, 3)


@pytest.mark.parametrize("flag", ["--skip-existing", "--update"])
def test_what_may_be_kept_is_not_overwritten_either(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    appearing(monkeypatch, "o.png")
    assert "the result is o_new.png" in refused(2, *SYNTH, "-o", "o.png", flag)
    assert Path("o.png").read_bytes() == b"theirs"


def test_a_batch_goes_on_after_a_name_that_was_taken(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in").mkdir()
    for name in "bc":
        Path(f"in/{name}.png").write_bytes(Path("a.png").read_bytes())
    appearing(monkeypatch, "out/b.png")
    ran = texsynth("synthesize", "in", "-o", "out/", "--keep-going", *QUICK)
    assert (ran.code, ran.out) == (6, "out/c.png\n") and "the result is out/b_new.png" in ran.err


@pytest.mark.parametrize("name", ["m.safetensors", "m_training/course.csv", "m_training/course.html"])
def test_a_training_leaves_alone_what_is_not_its_own(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    words = ("train", "easy", "a.png", "-o", "m.safetensors", "-q")
    appearing_in_training(monkeypatch, name)
    assert f"{Path(name).name} appeared during the run" in refused(2, *words)
    assert Path(name).read_bytes() == b"theirs"


def appearing_in_training(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from fakes import easy

    build = easy.build

    def interrupted(*words: object) -> object:
        Path(name).write_bytes(b"theirs")
        return build(*words)

    monkeypatch.setattr(easy, "build", interrupted)


def test_files_of_a_training_are_refused(refused: Refused) -> None:
    Path("m_training/samples").mkdir(parents=True)
    for name in ("course.csv", "course.html", "samples/0000002.png"):
        path = Path("m_training", name)
        path.write_text("mine")
        assert f"{path} exists; --force starts anew" in refused(2, "train", "easy", "a.png", "-o", "m.safetensors")
        path.unlink()


def test_one_training_at_a_time_is_in_a_folder(refused: Refused) -> None:
    Path("m_training").mkdir()
    with files.alone(Path("m_training")):
        line = refused(2, "train", "easy", "a.png", "-o", "m.safetensors", "-q", "--force")
    assert "another run is at work in this folder" in line


@pytest.mark.parametrize(
    ("words", "taken", "kept"),
    [
        (("guide", "linear", "-o", "g.png", "-s", 16), "g.png", "g_new.png"),
        (("guide", "direction", "circle", "-o", "g.npy", "-s", 16, "--strokes", "s.png"), "s.png", "g_new.npy"),
        (("evaluate", "a.png", "a.png", "--metric", "nn_pixel", "--csv", "s.csv", "-q"), "s.csv", "s_new.csv"),
        (("propagate", "a.png", "a.png", "a.png", "--blend", "multiply", "-o", "p.png", "-q"), "p.png", "p_new.png"),
    ],
)
def test_every_command_leaves_alone_what_appears(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], taken: str, kept: str
) -> None:
    together = files.together

    def late(main: Path, replaceable: object = None) -> object:
        Path(taken).write_bytes(b"theirs")
        return together(main, replaceable)  # type: ignore[arg-type]

    for module in ("texsynth.image.files", "texsynth.cli.evaluate", "texsynth.cli.propagate"):
        monkeypatch.setattr(f"{module}.together", late)
    assert f"the result is {kept}" in refused(2, *words)
    assert Path(taken).read_bytes() == b"theirs" and Path(kept).exists()


def write_pair(folder: Path, text: str, within: Callable[[], None] = lambda: None) -> None:
    with files.together(folder / "x.png", ()) as put:
        put(folder / "x_m.png", text)
        put(folder / "x.png", text)
        within()


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("x*")}


def test_names_of_any_bytes_are_written(tmp_path: Path) -> None:
    """A page or a set of tiles names files, and these may have bytes that are no UTF-8."""
    write_pair(tmp_path, os.fsdecode(b"a\xff.png"))
    assert (tmp_path / "x_m.png").read_bytes() == b"a\xff.png"


def test_two_writers_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has the name for all its files, the other says so and has another one for all of them."""

    def overtake() -> None:
        monkeypatch.setattr(os, "getpid", lambda: 77)
        write_pair(tmp_path, "quick")

    with pytest.raises(UsageError, match=r"x\.png appeared .* the result is .*x_new\.png, with x_new_m\.png"):
        write_pair(tmp_path, "slow", overtake)
    slow = {"x_new.png": "slow", "x_new_m.png": "slow"}
    assert contents(tmp_path) == {"x.png": "quick", "x_m.png": "quick", **slow} and leftovers(tmp_path) == []


@pytest.mark.parametrize("taken", ["x.png", "x_m.png"])
def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "Operation not permitted")))
    files.write(tmp_path / taken, "theirs", ())
    with pytest.raises(UsageError, match=rf"{taken} appeared"):
        write_pair(tmp_path, "ours")
    assert contents(tmp_path) == {taken: "theirs", "x_new.png": "ours", "x_new_m.png": "ours"}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("linked", [True, False])
def test_what_is_taken_back_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    """The second file comes just when the first has its place."""
    settle = files._settle

    def late(part: Path, place: Path) -> None:
        if place.name == "x.png":
            place.write_text("theirs")
        settle(part, place)

    monkeypatch.setattr(files, "_settle", late)
    if not linked:
        monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "Operation not permitted")))
    with pytest.raises(UsageError, match=r"x\.png appeared"):
        write_pair(tmp_path, "ours")
    assert contents(tmp_path) == {"x.png": "theirs", "x_new.png": "ours", "x_new_m.png": "ours"}


# ---- links, long names, and what dead processes left ----


def test_links_are_followed(texsynth: Texsynth, refused: Refused, picture: Picture) -> None:
    picture("far/there.png")
    Path("o.png").symlink_to("far/there.png")
    Path("new.png").symlink_to("far/new.png")
    Path("a_again.png").symlink_to("a.png")
    assert "o.png exists; --force" in refused(2, *SYNTH, "-o", "o.png")
    assert texsynth(*SYNTH, "-o", "o.png", "--force").code == 0
    assert texsynth(*SYNTH, "-o", "new.png").code == 0
    for name in ("o", "new"):
        assert Path(f"{name}.png").is_symlink() and array(f"far/{'there' if name == 'o' else name}.png").shape[0] == 32
    assert "is an input" in refused(2, *SYNTH, "-o", "a_again.png", "--force")


def test_the_record_of_a_link_is_that_of_its_picture(texsynth: Texsynth) -> None:
    Path("far").mkdir()
    Path("o.jpg").symlink_to("far/x.jpg")
    for seed in (1, 2):
        assert texsynth(*SYNTH, "-o", "o.jpg", "--seed", seed, "--force").code == 0
        for name in ("o.jpg", "far/x.jpg"):
            stored = image.read_metadata(name)
            assert stored is not None and stored["seed"] == seed
    Path("far/x.jpg.json").rename("o.jpg.json")  # where links of both lie side by side
    assert image.read_metadata("o.jpg") and not image.read_metadata("far/x.jpg")


@pytest.mark.parametrize("flags", [(), ("--force",)])
@pytest.mark.parametrize(
    "words", [("-o", "loop.png"), ("-o", "o.png", "--report", "loop.html"), ("-o", f"{'n' * 300}.png")]
)
def test_names_that_lead_nowhere(refused: Refused, words: tuple[str, ...], flags: tuple[str, ...]) -> None:
    for name in ("loop.png", "loop.html"):
        Path(name).symlink_to(name)
    before = sorted(Path().iterdir())
    refused(2, *SYNTH, *words, *flags)
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("words", [("-o", "dev.png"), ("-o", "o.png", "--report", "dev.png")])
def test_only_files_are_overwritten(refused: Refused, words: tuple[str, ...]) -> None:
    os.mkfifo("dev.png")
    assert "dev.png: is no file" in refused(2, *SYNTH, *words, "--force")


def test_long_names(texsynth: Texsynth, refused: Refused) -> None:
    name = f"{'n' * 248}.png"
    assert texsynth(*SYNTH, "-o", name).code == 0 and array(name).shape[0] == 32
    assert "File name too long" in refused(2, *SYNTH, "-o", f"{'m' * 246}.png", "--save-field")
    image.write(f"{'j' * 250}.jpg", image.read("a.png"))
    assert image.read_metadata(f"{'j' * 250}.jpg") is None
    assert "File name too long" in refused(2, "synthesize", f"{'m' * 300}.png")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_process_that_nobody_waits_for_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        part = tmp_path / f".o.png.{process.pid}.part"
        part.write_bytes(b"some")
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        files.sweep([tmp_path])
    assert not part.exists()


def test_leftovers_of_dead_processes_are_removed(texsynth: Texsynth) -> None:
    host = files._host()
    Path("out").mkdir()
    stale = [f".o.png.{DEAD}.part", f".o.png.{host}-{DEAD}.part", f".x y.npz.{host}-{DEAD}.part"]
    kept = [
        f".o.png.{os.getppid()}.part",
        f".o.png.{host}-{os.getppid()}.part",
        f".o.png.{'0' * 8}-{DEAD}.part",  # of another machine
        f"o.png.{DEAD}.part",
        f".{DEAD}.part",
        ".o.png.part",
        f".o.png.{DEAD}.parts",
        f".o.png.0{DEAD}.part",
    ]
    for name in stale + kept:
        Path("out", name).write_bytes(b"some")
    Path(f"out/.folder.{DEAD}.part").mkdir()
    assert texsynth(*SYNTH, "-o", "out/", "--dry-run").code == 0
    assert len(list(Path("out").iterdir())) == len(stale + kept) + 1
    assert texsynth(*SYNTH, "-o", "out/").code == 0
    assert {p.name for p in Path("out").iterdir()} == {*kept, "a.png", "results.jsonl", f".folder.{DEAD}.part"}
    for words in (("guide", "linear", "-o", "out/g.png"), ("train", "easy", "a.png", "-o", "out/m.safetensors", "-q")):
        Path("out", stale[1]).write_bytes(b"some")
        assert texsynth(*words).code == 0 and not Path("out", stale[1]).exists()


# ---- full disks ----


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("o.png", (*SYNTH, "-o", "o.png")),
        ("o_field.npz", (*SYNTH, "-o", "o.png", "--save-field")),
        ("r.html", (*SYNTH, "-o", "o.png", "--report", "r.html")),
        ("o.jpg.json", (*SYNTH, "-o", "o.jpg")),
        ("d.npy", ("guide", "direction", "circle", "-s", 16, "-o", "d.npy")),
        ("s.csv", ("evaluate", "a.png", "a.png", "--metric", "nn_pixel", "--csv", "s.csv", "-q")),
        ("m.safetensors", ("train", "easy", "a.png", "-o", "m.safetensors", "-q")),
        ("checkpoint.pt", ("train", "easy", "a.png", "-o", "m.safetensors", "-q")),
        ("course.csv", ("train", "easy", "a.png", "-o", "m.safetensors", "-q")),
    ],
)
def test_a_full_disk(refused: Refused, monkeypatch: pytest.MonkeyPatch, name: str, words: tuple[object, ...]) -> None:
    number = errno.EDQUOT if name == "o.png" else errno.ENOSPC
    for method in ("write_bytes", "write_text"):
        monkeypatch.setattr(Path, method, full(getattr(Path, method), name, number))
    line = refused(4, *words)
    assert f"{name}: cannot be written ({os.strerror(number)}); make room" in line
    checkpoint = {"m.safetensors": "the checkpoint of step 6", "course.csv": "the checkpoint of step 2"}.get(name)
    finished = {"r.html": "o.png", "o.jpg.json": "o.jpg"}.get(name, checkpoint)
    assert ("is finished" in line) == (finished is not None) and f"; {finished or ''}" in line
    assert not list(Path().rglob(".*part")) and not list(Path().rglob(name))
    assert finished is None or checkpoint or array(finished).shape[0] == 32


def test_what_a_batch_has_finished_is_told(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", full(Path.write_bytes, "o-3.png", errno.ENOSPC))
    ran = texsynth(*SYNTH, "-o", "o.png", "-n", 4, "--json")
    assert (ran.code, ran.out) == (4, "") and "; finished before: o-1.png, o-2.png\n" in ran.err


def full(write: Callable[..., int], name: str, number: int) -> Callable[..., int]:
    """A writer for a disk that has room for all files but one."""

    def half(path: Path, content: bytes, *words: object, **named: object) -> int:
        if path.name.startswith(f".{name}."):
            write(path, content[: len(content) // 2], *words, **named)
            raise OSError(number, os.strerror(number))
        return write(path, content, *words, **named)

    return half


def test_lack_of_memory_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", raising(MemoryError()))
    with pytest.raises(ResourceError, match=r"x\.png: does not fit in memory"):
        files.write(tmp_path / "x.png", b"x")
