"""Good files of every kind that a command reads, drawn once into one folder; a try copies them and spoils one."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import OpenEXR
import torch
from PIL import Image, ImageCms
from safetensors.torch import save_file

from texsynth.cli import main
from texsynth.features import vgg19

SIDE = 20  # of pictures, in pixels: small, so that thousands of tries are made in an hour
PATTERNS = {  # the good files of each kind, from which a try chooses the one that it spoils
    "picture": ("picture.*", "clear.*", "cmyk.*", "palette.*", "deep.*", "float.*", "profile.*", "lzw.*"),
    "mask": ("mask.png", "bits.png", "strokes.png"),
    "map": ("map.png", "labels.png"),
    "array": ("direction.npy", "o_field.npz"),
    "preset": ("p.yaml", "g.yaml"),
    "training": ("t.yaml",),
    "field": ("look_field.npz",),
    "record": ("o.png", "o*.json", "inpainted.png", "controlled.png", "propagated.png", "look.png"),
    "model": ("m.safetensors", "net_*.safetensors"),
    "checkpoint": ("m_training/checkpoint.pt",),
    "weights": ("vgg.*",),
}
PRESET = """\
description: Quick.
stages:
- {method: field, passes: [1], starts: 1, tries: 4}
- method: optimise
  optimiser: adam
  steps: [1]
  objectives: [{loss: gram, features: windows, layers: [full]}]
"""
NETWORK = """\
method: optimise
optimiser: adam
steps: [1]
objectives: [{loss: gram, features: vgg19, layers: [relu1_1]}]
"""
TRAINING = """\
recipe: texture-net
levels: 2
checks: 1
crop: 16
metric: sliced
objectives:
- {loss: semidual, features: windows, layers: [full], outputs: 32, ascents: 1}
"""


def of_kind(kind: str, folder: Path) -> list[str]:
    """The names of the good files of a kind, sorted."""
    paths = {path for pattern in PATTERNS[kind] for path in folder.glob(pattern)}
    return sorted(str(path.relative_to(folder)) for path in paths)


NETWORKS = {  # models of further recipes: how they are trained
    "net_spade": "spade a.png --labels labels.png --set crop=16 --set width=4 --set hidden=4",
    "net_msca": "msca wide.png --labels wide_labels.png --set crop=16 --set regions=3 --set draws=1 --set width=4",
    "net_cocosnet": "cocosnet wide.png --labels wide_labels.png --set crop=16 --set levels=2 --set width=4",
}


def draw(folder: Path, networks: int = len(NETWORKS)) -> None:
    """Write the good files of every kind, and models of so many further recipes."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        rng = np.random.default_rng(0)
        _draw_pictures(rng)
        angles = rng.random((SIDE, SIDE)) * np.pi
        np.save("direction.npy", np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32))
        Path("p.yaml").write_text(PRESET)
        Path("g.yaml").write_text(NETWORK)
        Path("t.yaml").write_text(TRAINING)
        _write_weights()
        with contextlib.redirect_stdout(io.StringIO()):
            _write_results()
            for name in list(NETWORKS)[:networks]:
                words = f"{NETWORKS[name]} --steps 1 --set checks=1 -o {name}.safetensors"
                _run("train", *words.split())
            _warm_up()
    finally:
        os.chdir(before)


def _draw_pictures(rng: np.random.Generator) -> None:
    """Pictures in the formats that Pillow writes here, in several depths, and masks and maps."""
    colour = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    alpha = Image.fromarray((np.indices((SIDE, SIDE)).sum(0) * 14).clip(0, 255).astype(np.uint8))
    clear = Image.merge("RGBA", (*colour.split(), alpha))
    for suffix in ("png", "jpg", "webp", "tif", "bmp", "gif", "tga", "ppm", "jp2", "avif"):
        if f".{suffix}" in Image.registered_extensions():
            colour.save(f"picture.{suffix}")
    for suffix in ("png", "webp", "tif", "tga"):
        clear.save(f"clear.{suffix}")
    profile, exif = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), Image.Exif()
    exif[274] = 6  # lies on its side
    colour.save("profile.png", icc_profile=profile, dpi=(300, 300))
    colour.save("profile.jpg", icc_profile=profile, exif=exif.tobytes())
    for suffix in ("jpg", "tif"):
        colour.convert("CMYK").save(f"cmyk.{suffix}")
    colour.quantize(16).save("palette.png", transparency=3)
    colour.convert("L").save("lzw.tif", compression="tiff_lzw")
    deep = Image.fromarray(rng.integers(0, 65536, (SIDE, SIDE), np.uint16))
    deep.save("deep.png")
    Image.fromarray(rng.random((SIDE, SIDE), np.float32)).save("float.tif")
    Path("deep.pgm").write_bytes(f"P5 {SIDE} {SIDE} 65535\n".encode() + np.asarray(deep).astype(">u2").tobytes())
    floats = rng.random((SIDE, SIDE, 3), np.float32).astype("<f4")
    Path("float.pfm").write_bytes(f"PF\n{SIDE} {SIDE}\n-1.0\n".encode() + floats.tobytes())
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {SIDE} +X {SIDE}\n".encode()
    Path("float.hdr").write_bytes(header + rng.integers(100, 150, SIDE * SIDE * 4, np.uint8).tobytes())
    for name, values in (("picture.exr", floats.astype(np.float16)), ("float.exr", floats)):
        channels = {channel: values[..., number].copy() for number, channel in enumerate("RGB")}
        OpenEXR.File({"compression": OpenEXR.PIZ_COMPRESSION}, channels).write(name)
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (6, 6, 13, 13))
    mask.save("mask.png")
    mask.convert("1").save("bits.png")
    Image.merge("LA", (mask, mask)).save("strokes.png")
    deep.save("map.png")
    Image.merge("RGB", (mask, alpha, mask)).quantize(4).save("labels.png")
    for name in ("picture.png", "labels.png"):
        with Image.open(name) as small:
            small.resize((2 * SIDE, 2 * SIDE)).save(name.replace("picture", "wide").replace("labels", "wide_labels"))
    colour.save("a.png")
    colour.resize((2 * SIDE, 2 * SIDE), Image.Resampling.NEAREST).save("large.png")
    clear.save("layer.png")


def _write_weights() -> None:
    """A random VGG-19 of two layers."""
    rng = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(shape, generator=rng) * 0.05 for name, shape in vgg19.keys(("relu1_2",)).items()}
    save_file(tensors, "vgg.safetensors")
    torch.save(tensors, "vgg.pth")


def _write_results() -> None:
    """What texsynth itself writes: pictures with records, a field, a model and its checkpoint."""
    _run("synthesize", "a.png", "-s", "24", "-o", "o.png", "-p", "p.yaml", "--map", "m=map.png", "--save-field")
    _run("synthesize", "a.png", "-s", "24", "-o", "o.jpg", "-p", "p.yaml")
    _run("synthesize", "a.png", "-s", "24", "-o", "look.png", "--quality", "draft", "--save-field")
    _run("inpaint", "a.png", "--mask", "mask.png", "-o", "inpainted.png", "-p", "p.yaml")
    _run("control", "a.png", "--progression", "map.png", "map.png", "-o", "controlled.png", "-p", "p.yaml")
    _run("propagate", "a.png", "layer.png", "o.png", "-o", "propagated.png")
    _run("train", "texture-net", "a.png", "-p", "t.yaml", "-o", "m.safetensors", "--steps", "2")


def _warm_up() -> None:
    """Run what nothing else here runs: what the parent has loaded and prepared, no child has to."""
    with tempfile.TemporaryDirectory() as folder:
        for words in (
            "control a.png --orientation circle -s 16 --quality draft -o c.tif",
            "barycenter a.png o.png -s 12 -p barycenter-draft -o b.png",
            "edit a.png --mask mask.png --target-mask bits.png --quality draft -o e.png",
        ):
            _run(*words.rpartition(" ")[0].split(), f"{folder}/{words.rpartition(' ')[2]}")
        _run("evaluate", "a.png", "o.png")


def _run(*words: str) -> None:
    if main([*words, "-q", "--threads", "1"]) != 0:
        raise SystemExit(f"a good file could not be made: texsynth {' '.join(words)}")
