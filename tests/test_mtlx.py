"""MaterialX documents of sets: valid by the library for every set of roles, and of the files that are written."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import MaterialX as mx  # noqa: N813 (as its own examples call it)
import numpy as np
import pytest

from conftest import Draw, Picture, Refused, Texsynth
from texsynth.errors import UsageError
from texsynth.image.codecs.tags import LINEAR_GAMMA, Tags
from texsynth.material import mtlx, schemes
from texsynth.material.mtlx import Texture
from texsynth.material.packing import LETTERS, PACKINGS
from texsynth.material.roles import BASE_COLOUR, DX, HEIGHT, METALLIC, NORMAL, OCCLUSION, OPACITY, ROLES, ROUGHNESS

QUICK = ("-p", "steady", "-q")


@pytest.fixture(scope="module")
def library() -> Any:
    """The nodes that MaterialX has."""
    nodes = mx.createDocument()
    mx.loadLibraries(mx.getDefaultDataLibraryFolders(), mx.getDefaultDataSearchPath(), nodes)
    return nodes


def checked(text: str, library: Any) -> Any:
    """The document of a text, which is valid: each node is one of the library's, with inputs that it has."""
    document = mx.createDocument()
    mx.readFromXmlString(document, text)
    document.setDataLibrary(library)
    valid, message = document.validate()
    assert valid, message
    nodes = [element for element in document.traverseTree() if element.isA(mx.Node)]
    for node in nodes:
        assert (definition := node.getNodeDef()) is not None, node.getName()
        assert all(definition.getActiveInput(given.getName()) for given in node.getInputs()), node.getName()
    (material,) = document.getMaterialNodes()
    assert mx.getShaderNodes(material)[0].getCategory() == "open_pbr_surface"
    return document


def graph_of(document: Any) -> Any:
    """The graph of a document itself, beside those of the library."""
    (graph,) = [child for child in document.getChildren() if child.isA(mx.NodeGraph)]
    return graph


def surface(document: Any) -> dict[str, tuple[str, str]]:
    """By the input of the surface, the node that it is fed by in the end and the output of that."""
    (shader,) = [node for node in document.getNodes() if node.getCategory() == "open_pbr_surface"]
    fed = {}
    for given in shader.getInputs():
        if (output := given.getConnectedOutput()) is not None:
            fed[given.getName()] = output.getNodeName(), output.getOutputString()
    return fed


def files(document: Any) -> dict[str, str]:
    """The colour space of each file that is named, "" where it is none."""
    images = [e for e in document.traverseTree() if e.isA(mx.Node) and e.getCategory() == "tiledimage"]
    inputs = [image.getInput("file") for image in images]
    return {each.getValueString(): each.getColorSpace() if each.hasColorSpace() else "" for each in inputs}


def test_every_set_of_roles_is_valid(library: Any) -> None:
    for count in range(len(ROLES)):
        for roles in itertools.combinations(sorted(set(ROLES) - {BASE_COLOUR}), count):
            clear = count % 2 == 0
            textures = [Texture(f"{role}.png", role, normals=DX if clear else "gl") for role in roles]
            textures.append(Texture("a b&<.png", BASE_COLOUR, has_alpha=clear))
            document = checked(mtlx.document("wall", textures), library)
            assert len(files(document)) == count + 1
            fed = surface(document)
            assert ("geometry_opacity" in fed) == (OPACITY in roles or clear)
            assert not clear or OPACITY not in roles or fed["geometry_opacity"] == ("opacity_image", "")


@pytest.mark.parametrize("name", PACKINGS)
def test_packed_maps_are_separated(library: Any, name: str) -> None:
    channels = {letter: role for letter, role in PACKINGS[name].channels if isinstance(role, str)}
    textures = [Texture("a.png", BASE_COLOUR), Texture("p.png", channels=channels), Texture("n.png", NORMAL)]
    document = checked(mtlx.document("wall", textures), library)
    assert files(document) == {"a.png": "srgb_texture", "p.png": "", "n.png": ""}
    fed = surface(document)
    for letter, role in channels.items():
        if role in (METALLIC, ROUGHNESS):
            assert fed[mtlx.INPUTS[role][0]][1] == f"out{'xyzw'[LETTERS.index(letter)]}"
    if name == "maskmap":  # which has smoothness
        assert fed["specular_roughness"] == ("roughness", "")


def test_normals_of_dx_are_turned_up(library: Any) -> None:
    for convention in ("gl", DX):
        document = checked(mtlx.document("a", [Texture("n.png", NORMAL, normals=convention)]), library)
        graph = graph_of(document)
        assert (graph.getNode("normal_turned") is not None) == (convention == DX)
        entry = graph.getNode("normal_map").getInput("in").getNodeName()
        assert entry == ("normal_up" if convention == DX else "normal_image")


def test_names_are_made_of_any_stem(library: Any) -> None:
    for stem in ("T_wall-1", "4k wände", "...", "a" * 300):
        checked(mtlx.document(stem, [Texture("a.png", BASE_COLOUR)]), library)
    with pytest.raises(UsageError, match="is no name that"):
        mtlx.document("a", [Texture("a\1.png", BASE_COLOUR)])


def test_linear_colours_say_so() -> None:
    assert mtlx.colour_space(Tags()) == "srgb_texture"
    assert mtlx.colour_space(Tags(gamma=LINEAR_GAMMA)) == "lin_rec709"


@pytest.fixture
def material(picture: Picture, draw: Draw) -> None:
    """A set of five maps."""
    picture("wall_BaseColor.png")
    flat = np.full((16, 16, 3), (128, 128, 255), np.uint8)
    draw("wall_Normal.png", flat)
    for name in ("Height", "Roughness", "AO"):
        picture(f"wall_{name}.png", (16, 16))
        draw(f"wall_{name}.png", np.arange(256, dtype=np.uint8).reshape(16, 16))


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("names", [None, *schemes.CHOICES, "{stem}-{role}"])
def test_it_names_what_is_written(texsynth: Texsynth, library: Any, names: str | None) -> None:
    more = () if names is None else ("--names", names)
    ran = texsynth("synthesize", "wall_BaseColor.png", *more, "--mtlx", "--json", "-o", "new_BaseColor.png", *QUICK)
    assert ran.code == 0, ran.err
    (path,) = Path().glob("*.mtlx")
    assert path.name == "new.mtlx"
    document = checked(path.read_text("utf-8"), library)
    spaces = files(document)
    written = {p.name for p in Path().glob("*.png")} - {p.name for p in Path().glob("wall_*")}
    assert set(spaces) == written and len(written) == 5
    assert sorted(spaces.values()) == ["", "", "", "", "srgb_texture"]
    turned = graph_of(document).getNode("normal_turned") is not None
    assert turned == (names == "unreal")  # whose normals are green down
    assert json.loads(ran.out)["runs"][0]["files"]["mtlx"] == "new.mtlx"


@pytest.mark.usefixtures("material")
def test_a_size_goes_to_it(texsynth: Texsynth, library: Any) -> None:
    words = ("--texel", "2mm", "-s", "20x10", "--mtlx", "-o", "o.png", *QUICK)
    assert texsynth("synthesize", "wall_BaseColor.png", *words).code == 0
    graph = graph_of(checked(Path("o.mtlx").read_text(), library))
    for name in ("realworldimagesize", "realworldtilesize"):
        given = graph.getNode("base_colour_image").getInput(name)
        assert given.getValueString() == "0.04, 0.02" and given.getUnit() == "meter"
    assert texsynth("synthesize", "--from", "o.png", "--mtlx", "-o", "p.png", "-q").code == 0
    assert Path("p.mtlx").read_text().count('value="0.04, 0.02"') == 10


@pytest.mark.usefixtures("material")
def test_it_is_one_of_the_files_of_a_result(texsynth: Texsynth, refused: Refused) -> None:
    Path("o.mtlx").write_text("mine")
    assert "o.mtlx" in refused(2, "synthesize", "wall_BaseColor.png", "--mtlx", "-o", "o.png", *QUICK)
    assert Path("o.mtlx").read_text() == "mine" and not Path("o.png").exists()
    assert texsynth("synthesize", "wall_BaseColor.png", "--mtlx", "-o", "o.png", "--force", *QUICK).code == 0
    assert Path("o.mtlx").read_text() != "mine"
    assert "--mtlx" in refused(2, "synthesize", "wall_BaseColor.png", "--maps", "none", "--mtlx", "-o", "-", *QUICK)
    shutil.copy("wall_AO.png", "m.png")
    words = ("--map", "mtlx=m.png", "--mtlx", "-o", "q.png", *QUICK)
    assert "--map mtlx" in refused(2, "synthesize", "wall_BaseColor.png", *words)


@pytest.mark.usefixtures("material")
def test_maps_that_mean_nothing_to_it_are_left_out(texsynth: Texsynth, library: Any) -> None:
    words = ("--map", "id=wall_AO.png", "--map", "height=wall_Height.png", "--mtlx", "-o", "o.png", "-p", "steady")
    ran = texsynth("synthesize", "wall_BaseColor.png", *words)
    assert "o.mtlx: o_id.png left out" in ran.err
    assert set(files(checked(Path("o.mtlx").read_text(), library))) == {"o.png", "o_height.png"}


@pytest.mark.usefixtures("material")
def test_a_height_moves_the_surface(texsynth: Texsynth, library: Any) -> None:
    assert texsynth("synthesize", "wall_BaseColor.png", "--mtlx", "-o", "o.png", *QUICK).code == 0
    document = checked(Path("o.mtlx").read_text(), library)
    (material,) = document.getMaterialNodes()
    assert material.getInput("displacementshader").getNodeName() == "DS_o"
    graph = graph_of(document)
    assert graph.getOutput("displacement_out").getNodeName() == f"{HEIGHT}_image"
    assert graph.getOutput("occlusion_out").getNodeName() == f"{OCCLUSION}_image"


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("pack", ["orm", "maskmap", "mine=R:height,A:ao"])
def test_packed_files_are_named_once(texsynth: Texsynth, library: Any, pack: str) -> None:
    words = ("--pack", pack, "--names", "unreal", "--mtlx", "-o", "new_BaseColor.png", *QUICK)
    assert texsynth("synthesize", "wall_BaseColor.png", *words).code == 0
    document = checked(Path("new.mtlx").read_text("utf-8"), library)
    written = {p.name for p in Path().glob("*.png")} - {p.name for p in Path().glob("wall_*")}
    assert set(files(document)) == written and len(written) == 4
    fed = surface(document)
    rough = {"orm": ("occlusion_roughness_metallic_channels", "outy"), "maskmap": ("roughness", "")}
    assert fed["specular_roughness"] == rough.get(pack, ("roughness_image", ""))
    height = graph_of(document).getOutput("displacement_out")
    assert height.getOutputString() == ("outx" if pack.startswith("mine") else "")
