"""The committed sample pictures are what samples/README.md promises, and the script still draws them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "samples"
AS_PNG = "brick grass pebbles rust scales"
AS_JPEG = "cloth coffee cracked_earth gravel leaves mat planks stonewall terrazzo wicker"
PICTURES = [f"{name}.png" for name in AS_PNG.split()] + [f"{name}.jpg" for name in AS_JPEG.split()]
HEIGHTS = ["brick_height.png", "cloth_height.png", "pebbles_height.png", "scales_height.png"]
NORMALS = ["brick_normal.png", "pebbles_normal.png"]
AS_GREY = "brick_mask brick_roughness mat_mask mat_target rust_progression rust_roughness"
GREYS = [f"{name}.png" for name in AS_GREY.split()]
OTHERS = ["grass_direction.png", "grass_direction.npy", "gravel_labels.png", "brick_paint.png", "brick_id.png"]
COBBLE = {role: f"cobble/cobble_{role}.png" for role in ("Normal", "Height", "Roughness", "AmbientOcclusion")}
COBBLE_COLOUR = "cobble/cobble_BaseColor.jpg"
RELIEF = 26.0  # pixels that the whole range of its height stands for
GRAVEL, MOSS = (150, 150, 160), (46, 139, 40)


def read(name):
    with Image.open(SAMPLES / name) as image:
        return np.array(image)


def grey(name):
    return read(name).mean(-1)


def test_readme_lists_every_file():
    named = {line.split("`")[1] for line in (SAMPLES / "README.md").read_text().splitlines() if line.startswith("| `")}
    stored = {
        path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.suffix in {".png", ".jpg", ".npy"}
    }
    assert named == stored == {*PICTURES, *HEIGHTS, *NORMALS, *GREYS, *OTHERS, *COBBLE.values(), COBBLE_COLOUR}


def test_the_paint_covers_some_whole_bricks():
    """Nearly all of it is opaque or not there at all, and it lies on bricks, not on mortar."""
    paint, height = read("brick_paint.png"), read("brick_height.png")
    covered = paint[..., 3] > 127
    assert paint.shape == (256, 256, 4)
    assert 0.08 < covered.mean() < 0.25
    assert ((paint[..., 3] < 16) | (paint[..., 3] > 239)).mean() > 0.9
    assert np.median(height[covered]) > np.median(height[~covered])


def test_the_numbers_of_bricks_are_twice_as_fine_and_lie_on_bricks():
    ids, height = read("brick_id.png"), read("brick_height.png").repeat(2, 0).repeat(2, 1)
    assert (ids.shape, ids.dtype) == ((512, 512), np.uint8)
    assert 20 < len(np.unique(ids)) < 64
    assert height[ids > 0].mean() > 1.5 * height[ids == 0].mean()


def test_total_size():
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) < 3_000_000
    assert sum(path.stat().st_size for path in (SAMPLES / "cobble").iterdir()) < 1_500_000


@pytest.mark.parametrize("name", [*PICTURES, *NORMALS, *GREYS, *HEIGHTS, "grass_direction.png", "gravel_labels.png"])
def test_sizes_and_depths(name):
    pixels = read(name)
    assert pixels.shape == ((256, 256) if name in GREYS + HEIGHTS else (256, 256, 3))
    assert pixels.dtype == (np.uint16 if name in HEIGHTS else np.uint8)
    assert name not in GREYS or np.ptp(pixels) > 60


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_stationary_and_well_exposed(name):
    luma = grey(name)
    quarters = luma.reshape(2, 128, 2, 128).mean((1, 3))
    assert 40 < luma.mean() < 190 and luma.std() > 15
    assert np.ptp(quarters) < 45
    assert np.mean(luma <= 1) < 0.06 and np.mean(luma >= 254) < 0.01


@pytest.mark.parametrize("name", HEIGHTS)
def test_heights_use_sixteen_bits(name):
    height = read(name)
    assert (height.min(), height.max()) == (0, 65535)
    assert len(np.unique(height)) > 5000


@pytest.mark.parametrize("name", NORMALS)
def test_normals_are_unit_and_agree_with_the_height(name):
    normal = read(name) / 127.5 - 1
    assert np.abs(np.linalg.norm(normal, axis=-1) - 1).max() < 0.02
    assert normal[..., 2].min() > -0.01
    down, right = np.gradient(read(name.replace("normal", "height")).astype(float))
    assert np.corrcoef(normal[..., 0].ravel(), -right.ravel())[0, 1] > 0.4
    assert np.corrcoef(normal[..., 1].ravel(), down.ravel())[0, 1] > 0.4  # green points up the picture


def test_the_set_has_the_sizes_and_depths_of_its_kind():
    for role, name in COBBLE.items():
        pixels = read(name)
        assert pixels.shape == ((512, 512, 3) if role == "Normal" else (512, 512))
        assert pixels.dtype == (np.uint16 if role == "Height" else np.uint8)
    assert read(COBBLE_COLOUR).shape == (512, 512, 3)
    assert (read(COBBLE["Height"]).min(), read(COBBLE["Height"]).max()) == (0, 65535)


def test_the_sets_normals_are_the_slopes_of_its_height():
    down, right = np.gradient(read(COBBLE["Height"]) / 65535 * RELIEF)
    slopes = np.dstack([-right, down, np.ones_like(down)])
    normal = read(COBBLE["Normal"]) / 127.5 - 1
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(normal - slopes / np.linalg.norm(slopes, axis=-1, keepdims=True))[inner].max() < 0.005


def test_the_sets_stones_are_smoother_than_its_joints_and_its_hollows_see_less_sky():
    height, rough, sky = (read(COBBLE[role]) for role in ("Height", "Roughness", "AmbientOcclusion"))
    high, low = height > np.quantile(height, 0.8), height < np.quantile(height, 0.1)
    assert rough[high].mean() + 60 < rough[low].mean()
    assert sky[high].mean() > 240 > 225 > sky[low].mean()


def test_the_sets_colour_holds_no_light():
    """Stones lit from one side would be brighter where they face it."""
    normal, luma = read(COBBLE["Normal"]) / 127.5 - 1, grey(COBBLE_COLOUR)
    slanted = normal[..., 2] < 0.9
    assert all(abs(np.corrcoef(normal[..., axis][slanted], luma[slanted])[0, 1]) < 0.1 for axis in (0, 1))


def test_the_set_does_not_tile():
    height = read(COBBLE["Height"]) / 65535
    for pixels in (height, height.T):
        assert np.abs(pixels[:, 0] - pixels[:, -1]).mean() > 5 * np.abs(np.diff(pixels)).mean()


def test_mask_is_holes():
    mask = read("brick_mask.png")
    assert set(np.unique(mask)) == {0, 255}
    assert 0.03 < np.mean(mask == 255) < 0.25
    assert not mask[[0, -1]].any() and not mask[:, [0, -1]].any()


def test_labels_are_two_flat_colours_that_match_the_picture():
    labels, picture = read("gravel_labels.png"), read("gravel.jpg").astype(float)
    assert {tuple(map(int, colour)) for colour in np.unique(labels.reshape(-1, 3), axis=0)} == {GRAVEL, MOSS}
    moss = (labels == MOSS).all(-1)
    greenness = picture[..., 1] - picture[..., [0, 2]].mean(-1)
    assert 0.2 < moss.mean() < 0.8
    assert greenness[moss].mean() > greenness[~moss].mean() + 20


def test_direction_field_is_unit_and_smooth():
    field = np.load(SAMPLES / "grass_direction.npy")
    assert (field.shape, field.dtype) == ((2, 256, 256), np.float32)
    assert np.abs(np.linalg.norm(field, axis=0) - 1).max() < 1e-5
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (1, 2)) < 0.1
    shown = read("grass_direction.png")[..., :2] / 127.5 - 1
    assert np.abs(shown - np.moveaxis(field, 0, -1)).max() < 0.01


def test_grass_lies_along_its_direction_field():
    """The picture varies less along the blades than across them."""
    down, right = np.gradient(grey("grass.png"))
    x, y = np.load(SAMPLES / "grass_direction.npy")
    assert np.abs(right * x + down * y).mean() < 0.75 * np.abs(down * x - right * y).mean()


def test_rust_follows_its_progression():
    picture, progress = read("rust.png").astype(float), read("rust_progression.png")
    redness = picture[..., 0] - picture[..., 2]
    stages = [redness[(progress >= low) & (progress < low + 64)].mean() for low in range(0, 256, 64)]
    assert stages[0] < stages[1] < stages[2] and stages[3] > stages[0] + 30
    assert progress.min() < 8 and progress.max() > 247


def test_script_draws_the_committed_pixels(tmp_path):
    pytest.importorskip("noise", reason="the samples are drawn with the noise package")
    command = [sys.executable, str(SAMPLES / "generate.py"), "-o", str(tmp_path), "rust"]
    subprocess.run(command, check=True, capture_output=True)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == ["rust.png", "rust_progression.png", "rust_roughness.png"]
    for name in drawn:
        with Image.open(tmp_path / name) as image:
            assert np.array_equal(np.array(image), read(name)), name
