"""No option is accepted and does nothing: a table says for every option of every verb what shows that it counts.

A new option needs a line here: what differs with it (`SEEN`), the command without it, and what is added.
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Draw, Picture, Refused, Texsynth, array
from pictures import box, bumps, bytes_of
from texsynth.image import picture as image
from texsynth.requests.option import ARGUMENT, Option, options

SYNTH = "synthesize a.png -s 8 -p steady -q -o o.png"
FIELD = "-p guided-correspondence --set passes=[1] --set starts=1 --set tries=1 -q -o o.png"
STEERED = "control a.png -p obedient -q -o o.png"
PROGRESS = f"{STEERED} --progression right.png down.png"
LABELS = f"{STEERED} --labels right.png half.png"
FILL = "inpaint a.png --mask hole.png -p steady -q -o o.png"
MOVE = "edit a.png -p pointed.yaml -q -o o.png --mask hole.png --target-mask other.png"
EDIT = "edit a.png -p pointed.yaml -q -o o.png"
MIXED = "barycenter a.png c.png -p mixture -q -s 16 -o o.png"
LAYER = "propagate a.png layer.png c.png -q -o o.png"
TRAIN = "train easy a.png -q -o o.safetensors"
SHOT = "capture a.png --crop 0,0,10,10 -q -o o.png"
FLAT = "capture a.png --quad 1,1,15,2,14,14,2,13 -q -o o.png"
BUMPS = "maps normal right.png -q -o o.png"
RELIEF = "maps height normals.png -q -o o.png"
CHANNELS = "maps pack rough=right.png metal=down.png -q -o o.png"
SINGLES = "maps unpack a.png --pack x=R:opacity -q"
SHADE = "maps occlusion right.png -q -o o.png"
LAMPS = "maps stereo a.png c.png right.png --lights lamps.txt -q -o made/"
CORNER = "tiles corner a.png -s 20 -p steady -q -o made/"
CORNERS = f"{CORNER} --dry-run --json"  # whose record says what counts
BLENDED = "tiles blend a.png -q -o made/ --dry-run --json"
MAKING = {  # what makes a texture, which is nothing where the exemplar itself is one
    "method": "-m steady",
    "preset": "-p steady",
    "quality": "--quality draft",
    "settings": "--set patch=3",
    "weights": "--weights easy.safetensors",
}
SCORE = "evaluate a.png c.png --metric sliced --metric nn_pixel -q"
REFUSED = "code"  # what is refused, in one line that names it

# What is compared of a command and of the same with an option, by its name; the code alone may be a failure.
SEEN: dict[str, Callable[[Any], Any]] = {
    "code": lambda ran: ran.code,
    "told": lambda ran: (ran.out, ran.err),
    "files": lambda _: sorted(str(path) for path in Path().rglob("*") if path.is_file()),
    "pixels": lambda _: Path("o.png").exists() and (array("o.png").shape, array("o.png").tobytes()),
    "made": lambda _: {path.name: path.read_bytes() for path in Path("made").glob("*")},
    "shots": lambda _: [array(str(path)).tobytes() for path in sorted(Path("made").glob("*.png"))],
    "record": lambda _: Path("o.png").exists() and image.read_metadata("o.png"),
    "model": lambda _: Path("o.safetensors").exists() and Path("o.safetensors").read_bytes(),
    "threads": lambda _: torch.get_num_threads(),
}
Rows = dict[str, tuple[str, str, str]]  # by the option: what is seen, the command, what is added

MESSAGES: Rows = {
    "threads": ("threads", f"{SYNTH} --dry-run", "--threads 2"),
    "json": ("told", SYNTH, "--json"),
    "progress": ("told", SYNTH.replace("-q", ""), "--progress none"),
    "quiet": ("told", f"{SYNTH.replace('-q', '')} --progress none --flatten", "-q"),
    "verbose": ("told", f"{SYNTH.replace('-q', '')} --progress none", "-v"),
    "debug": ("told", f"{SYNTH} --set fail=crash", "--debug"),
}
SHARED: Rows = MESSAGES | {
    "maps": ("files", SYNTH, "--map h=right.png"),
    "source_mask": ("pixels", SYNTH, "--source-mask hole.png"),
    "init": ("pixels", f"synthesize a.png -s 8 {FIELD}", "--init c.png"),
    "repeat": ("code", "synthesize -q -o o.png", "--from made.png"),
    "crop": ("pixels", SYNTH, "--crop 0,0,8,8"),
    "alpha": ("pixels", SYNTH.replace("a.png", "clear.png"), "--alpha keep"),
    "flatten": ("pixels", SYNTH.replace("a.png", "right.png"), "--flatten"),
    "find_maps": ("files", f"{SYNTH}", "--maps auto"),
    "normals": ("record", f"{SYNTH} --map normal=bumps.png", "--normals dx"),
    "normals_out": ("record", f"{SYNTH} --map normal=bumps.png", "--normals-out dx"),
    "names": ("files", f"{SYNTH} --map normal=bumps.png", "--names gltf"),
    "map_weight": ("pixels", f"synthesize a.png -s 16 {FIELD} --map height=right.png", "--map-weight height=2"),
    "pack": ("files", f"{SYNTH} --map ao=right.png", "--pack orm"),
    "texel": ("record", SYNTH, "--texel 1mm"),
    "mtlx": ("files", SYNTH, "--mtlx"),
    "output": ("files", "synthesize a.png -p steady -q", "-o o.png"),
    "file_format": ("files", SYNTH.replace("o.png", "out/"), "--format tiff"),
    "no_metadata": ("record", SYNTH, "--no-metadata"),
    "variations": ("files", SYNTH, "-n 2"),
    "pick": ("files", f"{SYNTH} -n 2", "--pick best"),
    "save_field": ("files", SYNTH, "--save-field"),
    "report": ("files", SYNTH, "--report o.html"),
    "skip_existing": ("code", SYNTH.replace("o.png", "there.png"), "--skip-existing"),
    "update": ("code", SYNTH.replace("o.png", "there.png"), "--update"),
    "keep_going": ("code", SYNTH.replace("a.png", "in").replace("o.png", "out/"), "--keep-going"),
    "shard": (REFUSED, SYNTH, "--shard 1/2"),
    "list_jobs": (REFUSED, SYNTH, "--list-jobs"),
    "jobs": (REFUSED, SYNTH, "--jobs 2"),
    "cluster": (REFUSED, SYNTH, "--cluster local:2"),
    "force": ("code", SYNTH.replace("o.png", "there.png"), "--force"),
    "resume": ("told", SYNTH.replace("-q", "--progress none"), "--resume"),
    "exact_copies": ("pixels", FILL, "--exact-copies"),
    "size": ("pixels", "synthesize a.png -p steady -q -o o.png", "-s 9"),
    "tile": ("pixels", f"synthesize a.png -s 8 {FIELD}", "--tile xy"),
    "seed": ("pixels", SYNTH, "--seed 1"),
    "method": (REFUSED, "synthesize a.png --model easy.safetensors -q -o o.png", "-m steady"),
    "preset": ("record", "synthesize a.png -m steady -q -o o.png", "-p steady-draft"),
    "quality": ("record", SYNTH, "--quality draft"),
    "settings": ("record", SYNTH, "--set patch=7"),
    "model": ("code", SYNTH.replace("steady", "painted"), "--model easy.safetensors"),
    "weights": (REFUSED, SYNTH, "--weights easy.safetensors"),
    "dry_run": ("files", SYNTH, "--dry-run"),
    "max_memory": ("code", SYNTH, "--max-memory 1M"),
    "device": ("code", SYNTH, "--device cuda:9"),
}
OWN: dict[str, Rows] = {
    "synthesize": SHARED | {"field": ("code", f"{SYNTH} --from made.png", "--field made_field.npz")},
    "control": {
        "progression": ("pixels", LABELS, "--progression right.png down.png --progression-weight 90"),
        "progression_weight": ("pixels", f"{PROGRESS} --labels right.png half.png", "--progression-weight 0"),
        "reverse": ("pixels", PROGRESS, "--reverse"),
        "distance_transform": ("pixels", PROGRESS, "--distance-transform"),
        "refine": ("pixels", PROGRESS, "--refine"),
        "match_histogram": ("pixels", f"{STEERED} --progression dark.png down.png", "--match-histogram"),
        "match_range": ("pixels", f"{STEERED} --progression narrow.png down.png --map v=a.png", "--match-range"),
        "orientation": ("pixels", LABELS, "--orientation angle:30"),
        "source_orientation": ("pixels", f"{STEERED} --orientation circle", "--source-orientation a.png"),
        "orientation_extractor": ("pixels", f"{STEERED} --orientation circle", "--orientation-extractor histogram"),
        "orientation_weight": ("pixels", f"{PROGRESS} --orientation angle:30", "--orientation-weight 90"),
        "labels": ("pixels", PROGRESS, "--labels right.png half.png"),
        "label_exemplars": (
            "code",
            f"{STEERED.replace('a.png', '')} --label-map ground.png",
            "--label-exemplar black=a.png",
        ),
        "label_map": (
            "code",
            f"{STEERED.replace('a.png', '')} {'--label-exemplar black=a.png'}",
            "--label-map ground.png",
        ),
        "labels_weight": ("pixels", f"{PROGRESS} --labels half.png half.png", "--labels-weight 0"),
        "guide_weight_map": (
            "pixels",
            f"control a.png --labels half.png other.png {FIELD}",
            "--guide-weight-map half.png",
        ),
        "blend": ("pixels", f"{STEERED} --orientation circle".replace("a.png", "a.png c.png"), "--blend 0.9,0.1"),
        "blend_map": (
            "pixels",
            f"{STEERED} --orientation circle".replace("a.png", "a.png c.png"),
            "--blend-map half.png",
        ),
        "save_attention": (REFUSED, PROGRESS, "--save-attention o/"),
        "save_warp": (REFUSED, PROGRESS, "--save-warp"),
        "save_guides": ("files", PROGRESS, "--save-guides o/"),
    },
    "inpaint": {
        "mask": ("pixels", "inpaint a.png --make-tileable x -p steady -q -o o.png", "--mask hole.png"),
        "mask_invert": ("pixels", FILL, "--mask-invert"),
        "alpha": ("code", "inpaint clear.png -p steady -q -o o.png", "--alpha keep"),
        "make_tileable": ("pixels", FILL, "--make-tileable x"),
        "band": ("pixels", f"{FILL} --make-tileable x", "--band 8"),
        "extend": ("pixels", FILL, "--extend 0,0,4,0"),
        "others": ("pixels", FILL, "--exemplar c.png"),
        "grow": ("pixels", FILL, "--grow 2"),
        "check": ("told", f"{FILL.replace('-q', '')} --progress none", "--check"),
        "preview": ("files", f"{FILL} --make-tileable x", "--preview"),
    },
    "barycenter": {
        "blend": ("pixels", MIXED, "--blend 0.9,0.1"),
        "blend_map": ("pixels", MIXED, "--blend-map half.png"),
        "steps": ("pixels", MIXED, "--steps 3"),
        "mode": (REFUSED, MIXED, "--mode mosaic"),
        "check": ("told", f"{MIXED.replace('-q', '')} --progress none", "--check"),
    },
    "edit": {
        "mask": ("code", f"{EDIT} --target-mask other.png", "--mask hole.png"),
        "target_mask": ("code", f"{EDIT} --mask hole.png", "--target-mask other.png"),
        "retarget": ("code", EDIT, "--retarget 20x16"),
        "reshuffle": ("code", EDIT, "--reshuffle"),
        "remove": ("code", EDIT, "--remove hole.png"),
        "mask_invert": ("pixels", MOVE, "--mask-invert"),
        "alpha": ("pixels", "edit clear.png -p pointed.yaml -q -o o.png --reshuffle", "--alpha auto"),
        "warp": ("pixels", MOVE, "--warp similarity"),
        "labels_weight": ("pixels", MOVE.replace("-p pointed.yaml -q -o o.png", FIELD), "--labels-weight 0"),
        "keep_background": ("record", MOVE, "--keep-background"),
        "margin": ("record", f"{MOVE} --keep-background", "--margin 0"),
        "grow": ("pixels", f"{EDIT} --remove hole.png", "--grow 2"),
        "copies": ("record", MOVE, "--copies flips"),
        "class_": (REFUSED, MOVE, "--class tench"),
        "check": ("told", f"{MOVE.replace('-q', '')} --progress none", "--check"),
    },
    "propagate": {
        "seed": ("pixels", LAYER, "--seed 1"),
        "blend": ("pixels", LAYER, "--blend screen"),
        "strength": ("pixels", LAYER, "--strength 0.5"),
        "features": ("code", LAYER, "--features vgg19"),
        "model": (REFUSED, LAYER, "--model easy.safetensors"),
        "weights": (REFUSED, LAYER, "--weights easy.safetensors"),
        "labels": (REFUSED, LAYER, "--labels half.png --labels half.png"),
        "coherence": ("pixels", LAYER, "--coherence 0"),
        "light": ("pixels", LAYER.replace("c.png", "right.png"), "--light keep"),
        "save_layer": ("files", LAYER, "--save-layer"),
        "save_warp": ("files", LAYER, "--save-warp"),
        "dry_run": ("files", LAYER, "--dry-run"),
        "max_memory": ("code", LAYER, "--max-memory 1M"),
        "device": ("code", LAYER, "--device cuda:9"),
    },
    "capture": {
        "quad": ("pixels", SHOT, "--quad 1,1,15,2,14,14,2,13"),
        "straighten": (REFUSED, SHOT, "--straighten lattice"),
        "size": ("pixels", FLAT, "--size 12"),
        "aspect": ("pixels", FLAT, "--aspect 2:1"),
        "maps": ("files", FLAT, "--map h=right.png"),
        "find_maps": ("files", FLAT, "--maps auto"),
        "normals": ("record", f"{FLAT} --map normal=bumps.png", "--normals dx"),
        "flatten": ("pixels", SHOT.replace("a.png", "right.png"), "--flatten"),
        "delight": ("told", FLAT.replace("-q ", ""), "--delight"),
        "crop": ("pixels", FLAT, "--crop 0,0,8,8"),
        "texel": ("record", FLAT, "--texel 1mm"),
        "dry_run": ("files", FLAT, "--dry-run"),
        "max_memory": ("code", FLAT, "--max-memory 1M"),
        "device": ("code", FLAT, "--device cuda:9"),
    },
    "maps normal": {
        "tile": ("pixels", BUMPS, "--tile x"),
        "depth": ("pixels", BUMPS, "--depth 8"),
        "strength": ("pixels", BUMPS, "--strength 3"),
        "normals": ("pixels", BUMPS.replace("right", "down"), "--normals dx"),
        "max_memory": ("code", BUMPS, "--max-memory 1M"),
        "device": ("code", BUMPS, "--device cuda:9"),
        "dry_run": ("files", BUMPS, "--dry-run"),
    },
    "maps pack": {
        "pack": ("pixels", CHANNELS, "--pack rma"),
        "max_memory": ("code", CHANNELS, "--max-memory 1M"),
        "device": ("code", CHANNELS, "--device cuda:9"),
        "dry_run": ("files", CHANNELS, "--dry-run"),
    },
    "maps unpack": {
        "pack": ("files", SINGLES, "--pack rma"),
        "output": ("files", SINGLES, "-o out/"),
        "file_format": ("files", SINGLES, "--format tiff"),
        "no_metadata": ("files", f"{SINGLES} --format tiff", "--no-metadata"),
    },
    "maps height": {
        "tile": ("pixels", RELIEF, "--tile x"),
        "depth": ("pixels", RELIEF, "--depth 8"),
        "normals": ("pixels", RELIEF, "--normals dx"),
    },
    "maps occlusion": {
        "tile": ("pixels", SHADE, "--tile x"),
        "depth": ("pixels", SHADE, "--depth 8"),
        "strength": ("pixels", SHADE, "--strength 9"),
        "radius": ("pixels", SHADE, "--radius 8"),
    },
    "maps stereo": {
        "output": ("code", LAMPS.replace("-o made/", ""), "-o made/"),
        "lights": ("code", LAMPS.replace("--lights lamps.txt", ""), "--lights lamps.txt"),
        "sphere": ("code", LAMPS.replace("--lights lamps.txt", ""), "--sphere 8,8,5"),
        "ball": (REFUSED, LAMPS, "--ball matte"),
        "invert": (REFUSED, LAMPS, "--invert"),
        "crop": ("shots", LAMPS, "--crop 0,0,8,8"),
        "height": ("files", LAMPS, "--height"),
        "normals": ("shots", LAMPS, "--normals dx"),
        "tile": ("shots", f"{LAMPS} --height", "--tile xy"),
        "depth": ("shots", LAMPS, "--depth 8"),
        "file_format": ("files", LAMPS, "--format tiff"),
        "no_metadata": ("files", f"{LAMPS} --format tiff", "--no-metadata"),
        "force": ("code", LAMPS.replace("made/", "shot/"), "--force"),
    },
    "tiles corner": {
        "output": ("files", CORNER.replace("-o made/", ""), "-o made/"),
        "size": ("told", CORNERS, "-s 24"),
        "colours": ("told", CORNERS, "--colours 3"),
        "padding": ("told", CORNERS, "--padding 2"),
        "maps": ("told", CORNERS, "--map h=right.png"),
        "find_maps": ("told", CORNERS, "--maps auto"),
        "normals": ("told", f"{CORNERS} --map normal=bumps.png", "--normals dx"),
        "normals_out": ("told", f"{CORNERS} --map normal=bumps.png", "--normals-out dx"),
        "names": ("told", f"{CORNERS} --map normal=bumps.png", "--names gltf"),
        "map_weight": ("told", f"{CORNERS} --map height=right.png", "--map-weight height=2"),
        "pack": ("told", f"{CORNERS} --map ao=right.png", "--pack orm"),
        "texel": ("told", CORNERS, "--texel 1mm"),
        "mtlx": ("told", CORNERS, "--mtlx"),
        "source_mask": ("told", CORNERS, "--source-mask hole.png"),
        "crop": ("told", CORNERS, "--crop 0,0,8,8"),
        "alpha": ("told", CORNERS.replace("a.png", "clear.png"), "--alpha keep"),
        "flatten": ("told", CORNERS.replace("a.png", "right.png"), "--flatten"),
        "force": ("code", CORNER.replace("-o made/", "-o tiled/"), "--force"),
        "no_metadata": ("made", CORNER, "--no-metadata"),
        "seed": ("made", CORNER, "--seed 1"),
        "exact_copies": ("told", CORNERS, "--exact-copies"),
        "method": (REFUSED, CORNERS.replace("-p steady", ""), "-m steady"),
        "preset": ("told", CORNERS.replace("-p", "-m"), "-p steady-draft"),
        "quality": ("told", CORNERS, "--quality draft"),
        "settings": ("told", CORNERS, "--set patch=3"),
        "weights": (REFUSED, CORNERS, "--weights easy.safetensors"),
        "dry_run": ("files", CORNER, "--dry-run"),
        "max_memory": ("code", CORNERS, "--max-memory 1M"),
        "device": ("code", CORNERS, "--device cuda:9"),
    },
    "tiles wang": {
        "colours": ("told", CORNERS.replace("corner", "wang"), "--colours 3"),
        "tiles": ("told", CORNERS.replace("corner", "wang"), "--tiles 8"),
        "padding": ("told", CORNERS.replace("corner", "wang"), "--padding 2"),
    },
    "tiles blob": {
        "labels": ("code", CORNERS.replace("corner", "blob"), "--labels half.png"),
        "tiles": ("told", CORNERS.replace("corner a.png", "blob a.png c.png"), "--tiles 16"),
        "padding": ("told", CORNERS.replace("corner a.png", "blob a.png c.png"), "--padding 2"),
    },
    "tiles blend": {
        "size": ("told", BLENDED, "-s 24"),
        "lattice": ("told", BLENDED, "--lattice off"),
        "seed": ("told", BLENDED, "--seed 1"),
        "find_maps": ("told", BLENDED, "--maps auto"),
        "maps": ("told", BLENDED, "--map h=right.png"),
        "normals_out": ("told", f"{BLENDED} --map normal=bumps.png", "--normals-out dx"),
        "map_weight": (REFUSED, f"{BLENDED} --map h=right.png", "--map-weight h=2"),
        "source_mask": (REFUSED, BLENDED, "--source-mask hole.png"),
        "exact_copies": (REFUSED, BLENDED, "--exact-copies"),
        **{name: (REFUSED, BLENDED, words) for name, words in MAKING.items()},
        "max_memory": ("code", BLENDED, "--max-memory 1M"),
        "device": ("code", BLENDED, "--device cuda:9"),
    },
    "train": {
        "output": ("files", TRAIN.replace("-o o.safetensors", ""), "-o o.safetensors"),
        "preset": ("model", TRAIN, "-p easy-slow"),
        "steps": ("model", TRAIN, "--steps 3"),
        "labels": (REFUSED, TRAIN, "--labels half.png"),
        "progression": (REFUSED, TRAIN, "--progression half.png"),
        "orientation": (REFUSED, TRAIN, "--orientation auto"),
        "resume": ("code", TRAIN.replace("o.saf", "easy.saf"), "--resume"),
        "force": ("code", TRAIN.replace("o.saf", "easy.saf"), "--force"),
        "crop": ("model", TRAIN, "--crop 0,0,8,8"),
        "alpha": ("model", TRAIN.replace("a.png", "clear.png"), "--alpha keep"),
        "flatten": ("model", TRAIN.replace("a.png", "right.png"), "--flatten"),
        "weights": (REFUSED, TRAIN, "--weights easy.safetensors"),
        "settings": ("model", TRAIN, "--set rate=0.3"),
        "seed": ("model", TRAIN, "--seed 1"),
        "dry_run": ("files", TRAIN, "--dry-run"),
        "max_memory": ("code", TRAIN, "--max-memory 1M"),
        "device": ("code", TRAIN, "--device cuda:9"),
    },
    "evaluate": {
        "metrics": ("told", "evaluate a.png c.png --metric sliced -q", "--metric nn_pixel"),
        "tile": ("told", f"{SCORE} --json", "--tile xy"),
        "progression": (
            "code",
            "evaluate a.png c.png --metric progression -q --json",
            "--progression right.png down.png",
        ),
        "orientation": ("code", "evaluate a.png c.png --metric orientation -q", "--orientation circle"),
        "source_orientation": (  # it is read as `control` would; no metric compares with it
            "code",
            "evaluate a.png c.png --metric orientation -q --orientation circle",
            "--source-orientation none.npy",
        ),
        "labels": ("code", "evaluate a.png c.png --metric labels -q", "--labels half.png half.png"),
        "csv": ("files", SCORE, "--csv o.csv"),
        "report": ("files", SCORE, "--report o.html"),
        "details": (
            "told",
            "evaluate a.png c.png --metric progression -q --json --progression right.png down.png",
            "--details",
        ),
        "weights": (REFUSED, SCORE, "--weights easy.safetensors"),
        "force": ("code", f"{SCORE} --csv there.csv", "--force"),
        "seed": ("told", SCORE, "--seed 1"),
        "max_memory": ("code", SCORE, "--max-memory 1k"),
        "device": ("code", SCORE, "--device cuda:9"),
    },
}


def named(verb: str) -> dict[str, Option]:
    """The options of a verb, by name, without what stands in its place on the command line."""
    every = options(importlib.import_module(f"texsynth.requests.{verb.replace(' ', '.')}").Request)
    return {o.name: o for o in every if o.flags and ARGUMENT not in o.flags}


@pytest.mark.parametrize("verb", OWN)
def test_every_option_has_a_line(verb: str) -> None:
    """Those that several verbs share need it in one of them, where the same code serves all."""
    shared = MESSAGES if verb in ("train", "evaluate") else SHARED
    missing = sorted(named(verb).keys() - OWN[verb].keys() - shared.keys())
    assert not missing
    assert OWN[verb].keys() <= named(verb).keys()


@pytest.fixture
def inputs(texsynth: Texsynth, draw: Draw, picture: Picture) -> Iterator[Callable[[], None]]:
    """The files that the commands read; gives what puts the folder back to them."""
    picture("a.png")
    picture("c.png", seed=1)
    ramp = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (16, 1))
    draw("right.png", ramp)
    draw("down.png", np.ascontiguousarray(ramp.T))
    draw("narrow.png", 100 + ramp // 8)
    draw("dark.png", ((ramp / 255.0) ** 3 * 255).astype(np.uint8))
    draw("bumps.png", bytes_of((bumps(16, 16) + 1) / 2))
    for name, sides in (("hole", (4, 9, 4, 10)), ("other", (6, 14, 5, 11)), ("half", (0, 16, 8, 16))):
        draw(f"{name}.png", np.where(box(16, 16, sides), 255, 0).astype(np.uint8))
    leaning = np.dstack([ramp, ramp.T, np.full_like(ramp, 255)]) / 255.0 * 2 - 1
    draw("normals.png", np.rint((leaning / np.linalg.norm(leaning, axis=2)[..., None] + 1) * 127.5).astype(np.uint8))
    draw("ground.png", np.zeros((16, 16), np.uint8))
    clear = np.dstack([array("a.png"), np.full((16, 16), 255, np.uint8)])
    clear[:5, :5, 3] = 0
    draw("clear.png", clear)
    layer = np.dstack([array("c.png"), np.where(box(16, 16, (2, 12, 3, 13)), 255, 0).astype(np.uint8)])
    draw("layer.png", layer)
    picture("a_height.png", channels=1)
    picture("in/a.png")
    Path("in/b.png").write_bytes(b"no picture")
    picture("there.png", seed=2)
    picture("shot/shot_BaseColor.png")
    picture("tiled/a_corner.png")
    Path("lamps.txt").write_text("1 0 1\n0 1 1\n-1 -1 1")
    Path("there.csv").touch()
    Path("pointed.yaml").write_text("method: pointed")
    assert texsynth(*shlex.split(TRAIN.replace("o.saf", "easy.saf"))).code == 0
    assert texsynth(*shlex.split(SYNTH.replace("o.png", "made.png"))).code == 0
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    def restore() -> None:
        torch.set_num_threads(1)
        for path in Path().rglob("*"):
            if path.is_file() and path not in before:
                path.unlink()
        for path, content in before.items():
            if not path.is_file() or path.read_bytes() != content:  # reading is quicker than writing
                path.write_bytes(content)

    yield restore
    torch.set_num_threads(1)


@pytest.mark.parametrize("verb", OWN)
def test_every_option_counts(
    texsynth: Texsynth, inputs: Callable[[], None], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "1")
    monkeypatch.delenv("TEXSYNTH_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", "no-weights")
    done: dict[str, dict[str, Any]] = {}

    def seen(what: str, command: str) -> Any:
        if command not in done:
            inputs()
            ran = texsynth(*shlex.split(command))
            assert ran.code != 2 or ran.err.count("\n") == 1, ran
            done[command] = {name: look(ran) for name, look in SEEN.items() if name == "code" or ran.code == 0}
            done[command]["told"] = SEEN["told"](ran)
        return done[command][what]

    same = [name for name, (what, base, more) in OWN[verb].items() if seen(what, base) == seen(what, f"{base} {more}")]
    assert not same


UNUSED = [
    f"{SYNTH} --pick best",
    f"{SYNTH} --update --no-metadata",
    f"{SYNTH.replace('steady', 'afloat')} --save-field",
    f"{FILL.replace('steady', 'afloat')} --exact-copies",
    f"{SYNTH.replace('steady', 'afloat')} --exact-copies",
    "synthesize a.png -s 16 -p ot -q -o o.png --save-field",
    "synthesize a.png -s 16 -p ot -q -o o.png --map height=right.png --map-weight height=1",
    "control a.png -p ot -q -o o.png --progression right.png down.png",
    "control a.png -p ot -q -o o.png --orientation circle",
    "control a.png -p ot -q -o o.png --labels half.png half.png",
    f"control a.png --orientation circle {FIELD} --init c.png",
    f"control a.png --orientation circle {FIELD} --guide-weight-map half.png",
    f"control a.png --orientation circle {FIELD} --orientation-weight 3",
    f"control a.png --orientation circle {FIELD} --set copies=flips",
    "edit a.png -p ot -q -o o.png --target-mask other.png --mask hole.png",
    "edit a.png -p ot-paper -q -o o.png --keep-background --target-mask other.png --mask hole.png",
    "edit a.png -p barycenter-sliced -q -o o.png --mask hole.png --target-mask other.png --labels-weight 3",
    f"{SCORE} --details",
    f"{SCORE} --labels half.png half.png",
    f"{TRAIN} --force --resume",
]


def test_what_would_do_nothing_is_refused(refused: Refused, inputs: Callable[[], None]) -> None:
    inputs()
    for command in UNUSED:
        words = shlex.split(command)
        flag = next(word for word in reversed(words) if word.startswith("--"))
        assert (flag.removeprefix("--") if flag != "--set" else "copies") in refused(2, *words), command
