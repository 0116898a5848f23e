"""What the page of the studio asks for is what the command line reads, or is refused in one line."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import documents
from texsynth import preset
from texsynth.cli import app, runner
from texsynth.errors import LONGEST_MESSAGE, UsageError
from texsynth.foreign.held import Held
from texsynth.requests.option import options
from texsynth.studio import definitions, naming, sheet
from texsynth.studio.definitions import LEFT_OUT, ROLES, SHOWN, STRAIGHTEN, VERBS, asked_of, choices, kind

Parse = Callable[[str], Any]

MACHINE = {"device": "cpu", "threads": 2, "max_memory": "2G"}
DISK = {
    name: Path(file)
    for name, file in {"a": "brick.png", "b": "in/of it.png", "c": "-c.png", "d": "wall_BaseColor.png"}.items()
}
GOOD: Mapping[str, tuple[Any, ...]] = {  # values that every option of a kind takes
    "switch": (True,),
    "whole": (3, "12", 0),
    "number": (2, 0.1, "2.5", "1e-7"),
    "text": ("2x", 64, "-q", "--force", "a 'b' \"c\" $(d)", "10,20,30,40", "öl", " x "),
}
NAMED = {"map_weight": ("height=0.3", "height=1e-7 all=0"), "names": ("unreal", "same", "{stem}-{role}")}
SETTINGS = {
    "passes": ("[1, 2]", "1,2", 3, 0.5, True, "~", "on", "1e-3", ".nan", "2001-01-01", "{a: b}", "'x'", "a#b"),
    "optimise.rate": ("0.1",),
}
SWITCHES = ("mtlx", "exact_copies", "reverse", "mask_invert", "reshuffle", "keep_background")
HOSTILE: tuple[Any, ...] = (
    *(float("nan"), float("inf"), -1, 1e400, 2**63, 10**40, -(2**70), "", "\n", "\0", "a\u202eb", "x" * 301, "9" * 300),
    *([], {}, [[]], ["a"] * 65, {"a": ["a"]}, True, None, "../../etc/passwd", "/etc/passwd", "mine.yaml", "nan", "NaN"),
    *("٣", "1_0", "0x10", "a=b", "height=", "=1", "height=nan", ["../a"], ["a\n"], [None], ["auto"], ["auto", "auto"]),
)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Gives the request that the command line makes of a line."""
    caught: list[Any] = []
    monkeypatch.setattr(runner, "execute", lambda _, request: caught.append(request) or 0)

    def request(line: str) -> Any:
        words = shlex.split(line)
        assert words[0] == "texsynth" and app.run(words[1:]) == 0
        return caught.pop()

    return request


def picture_of(name: str) -> Path:
    if name not in DISK:
        raise UsageError(f"the page has no picture {name}")
    return DISK[name]


def read(**document: Any) -> sheet.Errand:
    return sheet.asked(document, picture_of, MACHINE)


def as_text(request: Any) -> Any:
    """A request whose files are words, as the command line gives them."""
    return sheet.with_files(request, lambda _, __, file: f"./{file}" if str(file).startswith("-") else str(file))


def compare(errand: sheet.Errand, parse: Parse) -> None:
    """The command of a request is read as that request, and as no other."""
    line = sheet.text(errand.verb, errand.request)
    assert "\n" not in line
    # Not by ==, as a setting may be NaN; a path without ./ is the same.
    assert repr(parse(line)).replace("'./-c", "'-c") == repr(as_text(errand.request)).replace("'./-c", "'-c")


def values_of(verb: str, name: str) -> tuple[Any, ...]:
    o = asked_of(verb)[name]
    return NAMED.get(name) or (choices(o) if kind(o) == "choice" else GOOD[kind(o)])


def files_of(verb: str, name: str) -> Any:
    if name == "maps":
        return {"height": ["b"], "normal": ["c"]}
    return {"pair": ["a", "c"], "files": ["a", "b"]}.get(kind(asked_of(verb)[name]), ["c"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_comes_back_from_its_command(verb: str, parse: Parse) -> None:
    declared = asked_of(verb)
    for name, o in declared.items():
        if o.role:
            errand = read(verb=verb, exemplars=["d"], files={name: files_of(verb, name)})
            assert o.of(errand.request), name
            compare(errand, parse)
            continue
        for value in values_of(verb, name):
            errand = read(verb=verb, exemplars=["a"], values={name: value})
            compare(errand, parse)
            assert o.of(errand.request) != o.default, (name, value)
    for key, values in SETTINGS.items():
        for value in values:
            errand = read(verb=verb, exemplars=["a"], settings={key: value})
            assert errand.request.settings.keys() == {key}
            compare(errand, parse)


def test_nothing_is_asked_for_by_nothing(parse: Parse) -> None:
    for verb in VERBS:
        names = [name for name, o in asked_of(verb).items() if not o.role]
        nothing = [dict.fromkeys(names), dict.fromkeys(names, ""), {n: False for n in names if n in SWITCHES}]
        for values in nothing:
            errand = read(verb=verb, exemplars=["a"], values=values, settings={"passes": None}, files={"maps": {}})
            assert errand == read(verb=verb, exemplars=["a"])
    errand = read(verb="synthesize", exemplars=["a"], values={"flatten": False})
    assert parse(sheet.text(errand.verb, errand.request)).flatten is False  # it has --no-flatten


def test_sheets_of_anybody_are_refused_in_a_line_or_come_back_from_their_command(parse: Parse) -> None:
    chance, ends = random.Random(0), {"refused": 0, "read": 0}
    for _ in range(600):
        document = some(chance)
        errand = read_or_refused(document)
        ends["read" if errand else "refused"] += 1
        if errand is None:
            continue
        compare(errand, parse)
        for o in asked_of(errand.verb).values():  # nothing but the page's pictures is read
            if o.role and o.of(errand.request) is not None:
                sheet.with_files(errand.request, lambda _, __, file: assert_is_of_the_page(file))
    assert min(ends.values()) > 100, ends


def read_or_refused(document: Any) -> sheet.Errand | None:
    with suppress(UsageError):
        return sheet.asked(document, picture_of, MACHINE)
    with pytest.raises(UsageError) as caught:
        sheet.asked(document, picture_of, MACHINE)
    line = str(caught.value)
    assert line.isprintable() and 10 < len(line) <= LONGEST_MESSAGE
    return None


def assert_is_of_the_page(file: Any) -> Any:
    assert file == "auto" or file in DISK.values()
    return file


def some(chance: random.Random) -> Any:
    """A sheet of some values that are good, and mostly one that is not."""
    verb = chance.choice(VERBS)
    declared = asked_of(verb)
    names = [name for name, o in declared.items() if not o.role]
    pictures = [name for name, o in declared.items() if o.role]
    document: dict[str, Any] = {
        "verb": verb,
        "exemplars": ["a"],
        "values": {n: chance.choice(values_of(verb, n)) for n in chance.sample(names, 4)},
        "files": {n: files_of(verb, n) for n in chance.sample(pictures, 2)},
        "settings": {"passes": chance.choice(SETTINGS["passes"])},
    }
    place = chance.choice([*document, "values", "values", "files", "files", "settings", "", ""])
    if place in ("values", "files", "settings"):
        own = {"values": names, "files": pictures, "settings": ["passes", "x y", ""]}[place]
        key = chance.choice([*own, "output", "threads", "model", "preset"])
        document[place] = {**document[place], key: chance.choice(HOSTILE)}
    elif place:
        document[place] = chance.choice(HOSTILE)
    return document


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "a sheet has a verb"),
        ({"verb": "train"}, "one of synthesize, control, inpaint, edit"),
        ({"more": 1}, "a sheet has a verb"),
        ({"exemplars": []}, "at least one picture"),
        ({"verb": "inpaint", "exemplars": ["a", "b"]}, "inpaint takes one picture"),
        ({"exemplars": ["../a"]}, "no picture that the page has"),
        ({"values": {"output": "x.png"}}, "'output' is no option"),
        ({"values": {"threads": 64}}, "'threads' is no option"),
        ({"values": {"init": "a.png"}}, "'init' is no option"),
        ({"values": {"model": "a.safetensors"}}, "'model' is no option"),
        ({"values": {"preset": "mine.yaml"}}, "--preset 'mine.yaml' is not one of"),
        ({"values": {"preset": "../presets/ot"}}, "is not one of"),
        ({"values": {"seed": -1}}, "--seed -1 is not a number from 0"),
        ({"values": {"seed": 1.5}}, "--seed 1.5 is not a whole number"),
        ({"values": {"seed": True}}, "--seed True is neither"),
        ({"values": {"tile": "z"}}, "--tile 'z' is not one of none, x, y, xy"),
        ({"values": {"mtlx": "yes"}}, "--mtlx 'yes' is not true or false"),
        ({"values": {"size": "1\n2"}}, "--size"),
        ({"values": {"map_weight": "height"}}, "--map-weight 'height' is not NAME=W"),
        ({"values": {"names": "../{role}"}}, "no folders"),
        ({"verb": "control", "values": {"labels_weight": "nan"}}, "is not a finite number"),
        ({"verb": "control", "files": {"labels": ["a"]}}, "--labels takes 2 pictures, and got 1"),
        ({"verb": "edit", "files": {"mask": ["a", "b"]}}, "--mask takes 1 picture, and got 2"),
        ({"files": {"size": ["a"]}}, "'size' is no option that names a picture"),
        ({"files": {"maps": {"../x": ["a"]}}}, "--map '../x=a' is not NAME=FILE"),
        ({"settings": {"a=b": 1}}, "settings of a sheet"),
        ({"settings": {"passes": [1]}}, "the value of a setting"),
        ({"settings": {"passes": "!!python/name:os.system"}}, "--set"),
        ({"settings": {"passes": "x" * 301}}, "--set passes"),
    ],
)
def test_what_a_sheet_may_not_ask_for(document: Any, says: str) -> None:
    whole = {"verb": "synthesize", "exemplars": ["a"]} | document if isinstance(document, dict) else document
    with pytest.raises(UsageError) as caught:
        sheet.asked(whole, picture_of, MACHINE)
    assert says in str(caught.value)


def test_what_a_command_would_find_by_names_is_said() -> None:
    """The studio looks for maps when a picture is opened; a command would do so again."""
    line = {name: command(verb="synthesize", exemplars=[name]) for name in DISK}
    assert "--maps none" in line["d"] and "--maps" not in line["a"]
    assert "--maps none" in command(verb="synthesize", exemplars=["a", "b"])
    mapped = command(verb="synthesize", exemplars=["d"], files={"maps": {"normal": ["b"]}}, values={"names": "unreal"})
    assert "--normals-out dx" in mapped and "--maps" not in mapped


def command(**document: Any) -> str:
    errand = read(**document)
    return sheet.text(errand.verb, errand.request)


# ---- names of files


def held(word: str, name: str) -> Held:
    return Held.of(word.encode(), name)


def key(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


PAGE: Mapping[str, Path] = {
    **DISK,
    "dropped": held("dropped", "rust.png"),
    "height": held("height", "rust_height.tif"),
    "one": held("one", "progression.png"),
    "two": held("two", "labels.png"),
}
STEERED = {
    "verb": "control",
    "exemplars": ["dropped"],
    "files": {
        "maps": {"height": ["height"]},
        "progression": ["auto", "one"],
        "labels": ["two", "one"],
        "orientation": ["two"],
        "source_orientation": ["one"],
        "source_mask": ["two"],
        "guide_weight_map": ["b"],
    },
}


def place(document: Any, name: str = "", there: Mapping[str, str] | None = None) -> naming.Naming:
    errand = sheet.asked(document, PAGE.__getitem__, MACHINE)
    contents = there or {}
    return naming.placed(errand, name, contents, lambda file: key(contents[file]))


def test_what_is_painted_is_called_after_the_output(parse: Parse) -> None:
    names = place(STEERED)
    assert names.out == Path("rust_studio.png")
    assert names.inputs == {
        "rust.png": b"dropped",
        "rust_height.tif": b"height",
        "rust_studio_progression.png": b"one",
        "rust_studio_labels_source.png": b"two",
        "rust_studio_labels.png": b"one",
        "rust_studio_orientation.png": b"two",
        "rust_studio_orientation_source.png": b"one",
        "rust_studio_source_mask.png": b"two",
    }
    assert names.names[key("dropped")] == "rust.png" and names.names[key("one")] in names.inputs
    request = parse(names.command)
    assert request.output == "rust_studio.png" and request.exemplars == ["rust.png"]
    assert request.progression.maps == (["auto"], "rust_studio_progression.png")
    assert request.guide_weight_map == "in/of it.png" and request.maps == {"height": ["rust_height.tif"]}


@pytest.mark.parametrize(
    ("name", "there", "out", "exemplar"),
    [
        ("", {"rust.png": "dropped"}, "rust_studio.png", ""),
        ("", {"rust.png": "another"}, "rust_2_studio.png", "rust_2.png"),
        ("", {"Rust.PNG": "another", "rust_2.png": "dropped"}, "rust_2_studio.png", ""),
        ("", {"rust_studio_labels.png": "one"}, "rust_studio_2.png", "rust.png"),
        ("", {"rust_studio_mask.png": "two"}, "rust_studio_2.png", "rust.png"),
        ("", {"rust.png": "dropped", "rust_studio_mask.png": "one"}, "rust_studio.png", ""),
        ("", {"rust_studio.png": "", "rust_studio_mask.png": "one"}, "rust_studio_2.png", "rust.png"),
        ("", {"rust_studio.json": "", "rust_studio_2_mask.png": ""}, "rust_studio_3.png", "rust.png"),
        (
            "",
            {"rust_studio.png": "", "rust_studio_2.png": "", "Rust_studio_2_mask.png": "one"},
            "rust_studio_3.png",
            "rust.png",
        ),
        ("rust", {}, "rust_2.png", "rust.png"),
        (" My wall.png ", {"my wallpaper.png": ""}, "My wall.png", "rust.png"),
        ("ölfarbe", {}, "ölfarbe.png", "rust.png"),
    ],
)
def test_no_file_takes_the_place_of_another(
    name: str, there: dict[str, str], out: str, exemplar: str, parse: Parse
) -> None:
    names = place({"verb": "inpaint", "exemplars": ["dropped"], "files": {"mask": ["one"]}}, name, there)
    again = (file for file, word in there.items() if word == "one" and file.endswith("_mask.png"))
    mask = next(again, f"{Path(out).stem}_mask.png")  # what was saved with another result, is not written twice
    assert (names.out, {*names.inputs}) == (Path(out), {mask, exemplar} - {"", *there})
    assert not {*names.inputs, out} & there.keys()
    request = parse(names.command)
    assert (request.output, request.mask) == (out, mask) and request.exemplars == [names.names[key("dropped")]]


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", ".hidden", "-x", "a\0", "x" * 101, "a.", "CON:", "*", "con", "Lpt1.x"]
)
def test_a_name_that_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a file"):
        place(STEERED, name)


def test_a_scheme_of_names_says_what_the_picture_is_called() -> None:
    wall = {"verb": "synthesize", "exemplars": ["dropped"], "values": {"names": "unreal"}}
    assert place(wall, "wall").out == Path("T_wall_BC.png")
    assert place(wall, "wall", {"T_wall_BC.png": ""}).out == Path("T_wall_2_BC.png")


@pytest.mark.parametrize(
    ("exemplar", "stem"),
    [
        ("rust.png", "rust"),
        ("wall_BaseColor.jpg", "wall"),
        ("wall_Albedo_2K.png", "wall_2K"),
        ("BaseColor.png", "BaseColor"),
        ("x" * 200 + ".png", "x" * 100),
    ],
)
def test_a_result_is_called_after_its_exemplar(exemplar: str, stem: str) -> None:
    assert naming.usual_stem(Path(exemplar)) == f"{stem}_studio"


def test_the_command_of_a_straightened_exemplar_stands_before(parse: Parse) -> None:
    flat = sheet.Straightened.of(b"flat", "rust_flat.png")
    flat.request = sheet.straightening({"quad": "0,0,9,0,9,9,0,9"}, PAGE["dropped"], "rust_flat.png", MACHINE)
    errand = sheet.asked({"verb": "synthesize", "exemplars": ["flat"]}, {"flat": flat}.__getitem__, MACHINE)
    names = naming.placed(errand, "", ["rust.png"], lambda _: "")
    assert names.inputs == {"rust_flat.png": b"flat", "rust_2.png": b"dropped"}
    first, second = names.command.splitlines()
    capture = parse(first)
    assert (capture.photos, capture.output, capture.quad) == (["rust_2.png"], "rust_flat.png", "0,0,9,0,9,9,0,9")
    assert parse(second).exemplars == ["rust_flat.png"] and capture.update
    with pytest.raises(UsageError, match="--quad and --straighten exclude each other"):
        sheet.straightening({"quad": "0", "straighten": "lattice"}, PAGE["a"], "x.png", MACHINE)
    with pytest.raises(UsageError, match="'output' is no option"):
        sheet.straightening({"output": "x.png"}, PAGE["a"], "x.png", MACHINE)


# ---- what can be asked for


def test_the_document_says_what_the_command_line_says() -> None:
    document = json.loads(json.dumps(definitions.document(), allow_nan=False))
    assert [*document["verbs"]] == [*VERBS, STRAIGHTEN]
    by_name = {each["name"]: each for each in document["presets"]}
    default = by_name[preset.DEFAULT]
    variants = {"draft": f"{preset.DEFAULT}-draft", "normal": preset.DEFAULT, "high": f"{preset.DEFAULT}-high"}
    assert set(by_name) < set(preset.names()) and "feed-forward" not in by_name
    assert (default["graded"], default["copies"], default["lacks"]) == (variants, True, [])
    assert (by_name["ot"]["copies"], by_name["gram"]["copies"]) == (False, False)
    for verb, said in document["verbs"].items():
        declared = {o.name: o for o in options(definitions.request(verb))}
        for entry in said["options"]:
            o = declared[entry["name"]]
            assert (entry["flag"], entry["help"], entry["ways"]) == (o.flag, o.help, list(o.ways))
            assert (entry["kind"] == "choice") == bool(entry["choices"])


def test_layers_of_the_page_are_what_the_guide_names_and_sheets_know() -> None:
    script = documents.text_of("texsynth/studio/page/layers.js")
    guide = documents.text_of("docs/guide/studio.md")
    layers = re.findall(r'role: "(\w+)",.*? label: "(.+?)"', script)
    assert len(layers) >= 11
    for role, label in layers:
        assert f" {label}" in guide, label
        assert any(role in roles for roles in ROLES.values()), role


def test_no_table_names_an_option_that_is_gone() -> None:
    every = {o.name for verb in (*VERBS, STRAIGHTEN) for o in options(definitions.request(verb))}
    given = {o.name for verb in VERBS for o in asked_of(verb).values()}
    assert every >= LEFT_OUT and given >= SHOWN | ROLES.keys()
    roles = [role for each in ROLES.values() for role in each]
    assert len(roles) == len(set(roles))
