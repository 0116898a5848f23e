"""The tasks of `edit`: where every pixel starts from, what is kept, which label goes where; and the Python API."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asking import job_of
from conftest import array
from pictures import white
from texsynth import api, edit
from texsynth.errors import InputError, UsageError
from texsynth.job import Job
from texsynth.verbs import edit as verb
from texsynth.verbs.warp import WARPS

SIZE = (24, 32)
PICTURE = np.random.default_rng(0).random((*SIZE, 3)).astype(np.float32)


mask = partial(white, SIZE)
WAS, WILL = mask(np.s_[4:10, 3:11]), mask(np.s_[8:17, 16:28])


def painted(**areas: tuple[slice, slice]) -> np.ndarray:
    """A label map: r, g, b and w are red, green, blue and white areas on black."""
    colours = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255), "w": (255, 255, 255)}
    labels = np.zeros((*SIZE, 3), np.uint8)
    for name, where in areas.items():
        labels[where] = colours[name]
    return labels


def job(was: np.ndarray = WAS, will: np.ndarray = WILL, **words: Any) -> Job:
    return job_of("edit", PICTURE, mask=was, target_mask=will, **words)


def start(made: Job) -> Tensor:
    """(h, w, 2)."""
    assert made.task.start is not None
    return made.task.start[0].permute(1, 2, 0)


def here(size: tuple[int, int] = SIZE) -> Tensor:
    return torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij"), -1)


@pytest.mark.parametrize("warp", [None, *WARPS])
@pytest.mark.parametrize("will", [WILL, mask(np.s_[2:20, 5:7], np.s_[15:17, 5:30]), mask(np.s_[:, 9:])])
def test_an_object_starts_from_itself_and_nothing_else_does(warp: str | None, will: np.ndarray) -> None:
    found = start(job(will=will, warp=warp))
    before, after = WAS > 0, will > 0
    y, x = found[after].long().T
    assert before[y, x].all()
    assert found[before & ~after].isnan().all()
    rest = ~before & ~after
    assert torch.equal(found[rest], here()[rest])


@pytest.mark.parametrize("warp", WARPS)
def test_the_same_masks_leave_everything_in_place(warp: str) -> None:
    assert torch.equal(start(job(will=WAS, warp=warp)), here())


def test_a_moved_object_starts_from_its_pixels_one_by_one() -> None:
    found = start(job(will=np.roll(WAS, (7, 9), (0, 1))))
    assert torch.equal(found[11:17, 12:20], here()[4:10, 3:11])


def test_a_repeated_object_is_whole_in_every_place() -> None:
    will = mask(np.s_[1:7, 1:9], np.s_[12:18, 1:9], np.s_[9:15, 20:28])
    found = start(job(will=will))
    for y, x in ((1, 1), (12, 1), (9, 20)):
        assert torch.equal(found[y : y + 6, x : x + 8], here()[4:10, 3:11])


def test_the_guide_says_which_label_goes_where() -> None:
    made = job()
    (guide,) = made.task.guides
    assert (guide.name, guide.weight, guide.distance) == ("labels", 10, "l0")
    assert torch.equal(guide.sources[0][0, 0] == 1, torch.tensor(WAS > 0))
    assert torch.equal(guide.target[0, 0] == 1, torch.tensor(WILL > 0))
    assert guide.palette is not None and guide.palette.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert job(labels_weight=3).task.guides[0].weight == 3
    assert made.task.hole is None, "everything is synthesised unless the background is kept"


def test_half_white_is_object() -> None:
    grey = np.where(WAS > 0, 128, 127).astype(np.uint8)
    assert torch.equal(job(was=grey).task.guides[0].sources[0], job().task.guides[0].sources[0])


def test_soft_masks_are_not_label_maps() -> None:
    """A ramp has many greys, none of them a label."""
    ramp = np.linspace(0, 255, SIZE[1]).astype(np.uint8)[None].repeat(SIZE[0], 0)
    made = job(was=ramp)
    assert torch.equal(made.task.guides[0].sources[0][0, 0] == 1, torch.tensor(ramp >= 128))


def test_label_maps_hold_an_object_for_each_colour_but_black() -> None:
    was = painted(r=np.s_[2:8, 2:8], g=np.s_[14:20, 4:12])
    will = painted(r=np.s_[12:18, 20:26], g=np.s_[2:8, 6:14])
    made = job(was, will)
    found = start(made)
    assert torch.equal(found[12:18, 20:26], here()[2:8, 2:8])
    assert torch.equal(found[2:8, 6:14], here()[14:20, 4:12])
    (guide,) = made.task.guides
    assert guide.palette is not None
    for picture, ids in ((was, guide.sources[0]), (will, guide.target)):
        assert torch.equal(guide.palette[ids[0, 0].long()], torch.tensor(picture / 255.0, dtype=torch.float32))


def test_grey_label_maps_hold_an_object_for_each_grey() -> None:
    was = (mask(np.s_[2:8, 2:8]) // 255 * 100 + mask(np.s_[14:20, 4:12]) // 255 * 200).astype(np.uint8)
    found = start(job(was, np.roll(was, 3, 1)))
    assert torch.equal(found[2:8, 5:11], here()[2:8, 2:8])
    assert torch.equal(found[14:20, 7:15], here()[14:20, 4:12])


def test_an_object_that_the_target_lacks_goes() -> None:
    was = painted(r=np.s_[2:8, 2:8], g=np.s_[14:20, 4:12])
    made = job(was, painted(r=np.s_[2:8, 2:8]))
    assert start(made)[14:20, 4:12].isnan().all()
    assert "array has no #00ff00: the object #00ff00 of array goes" in made.notices


def test_without_black_the_commonest_colour_is_the_background() -> None:
    made = job(painted(r=np.s_[:, :9], g=np.s_[:, 9:]), painted(r=np.s_[:, :6], g=np.s_[:, 6:]))
    assert "array has no black, so its commonest colour, #00ff00, is background" in made.notices
    assert start(made)[:, 6:9].isnan().all()  # where an object was and is no more


@pytest.mark.parametrize(
    ("was", "will", "said"),
    [
        (mask(), WILL, "the mask is empty, so there is no object to edit; white (at least 50 %) is the object"),
        (WAS, mask(), "the mask is empty; to take the object away use --remove"),
        (mask(np.s_[:, :]), WILL, "the mask covers all of the picture, so there is no background"),
        (painted(r=np.s_[2:8, 2:8]), painted(b=np.s_[2:8, 2:8]), "#0000ff is not in array, whose objects are #ff0000"),
    ],
)
def test_masks_that_cannot_be(was: np.ndarray, will: np.ndarray, said: str) -> None:
    with pytest.raises(InputError) as caught:
        job(was, will)
    assert said in str(caught.value)


def test_the_crop_holds_for_the_masks_too() -> None:
    made = job(crop="2,3,20,18")
    assert made.task.size == (18, 20)
    assert torch.equal(made.task.guides[0].sources[0][0, 0] == 1, torch.tensor(WAS[3:21, 2:22] > 0))
    with pytest.raises(InputError, match="the mask is empty inside the crop, so there is no object"):
        job(crop="16,0,16,24")


def test_what_may_not_be_copied_starts_nothing() -> None:
    left = mask(np.s_[:, :7])
    found = start(job(source_mask=[left]))
    y, x = found[~found.isnan().any(2)].long().T
    assert (left[y, x] > 0).all()
    with pytest.raises(InputError, match="nothing of the object may be copied, by --source-mask"):
        job(source_mask=[mask(np.s_[:, 20:])])


def test_an_object_that_grows_a_lot_is_told() -> None:
    assert not job(will=mask(np.s_[2:18, 4:16])).notices  # 4 times
    (line,) = job(will=mask(np.s_[2:18, 4:17])).notices
    assert "the object grows to 4.3 times its area" in line


def test_a_mask_of_another_size_is_stretched() -> None:
    made = job(was=np.kron(WAS, np.ones((2, 2), np.uint8)), will=WILL)
    assert torch.equal(made.task.guides[0].sources[0][0, 0] == 1, torch.tensor(WAS > 0))
    (line,) = job(was=np.kron(WAS, np.ones((2, 1), np.uint8))).notices
    assert "stretched to 32x24: the aspect differs by 50 %" in line


@pytest.mark.parametrize("margin", [0, 1, 3])
def test_what_changes_and_a_margin_round_it_is_the_hole(margin: int) -> None:
    made = job(keep_background=True, margin=margin)
    hole, changed = made.task.hole, torch.tensor((WAS > 0) | (WILL > 0))
    assert hole is not None
    near = torch.cdist(here().flatten(0, 1), here()[changed], p=torch.inf).amin(1) <= margin
    assert torch.equal(hole[0, 0].flatten(), near)
    assert torch.equal(start(made)[~hole[0, 0]], here()[~hole[0, 0]])
    assert made.values["edit"]["margin"] == margin


def test_the_margin_is_a_sixteenth_of_the_shorter_side() -> None:
    assert job(keep_background=True).values["edit"]["margin"] == 4
    assert verb.default_margin((320, 480)) == 20


def test_an_object_that_stays_is_kept_even_inside_the_margin() -> None:
    still = np.s_[4:10, 14:18]
    was, will = painted(r=np.s_[4:10, 3:11], g=still), painted(r=np.s_[6:12, 3:11], g=still)
    hole = job(was, will, keep_background=True).task.hole
    assert hole is not None
    assert not hole[0, 0][still].any()
    assert hole[0, 0, 4:12, 3:11].all() and hole[0, 0, 4:10, 13].all()


def test_same_masks_or_a_full_hole_are_told() -> None:
    made = job(will=WAS, keep_background=True)
    assert made.task.hole is not None and not made.task.hole.any()
    assert "the picture comes back as it is" in made.notices[0]
    made = job(keep_background=True, margin=30)
    assert made.task.hole is None
    assert "nothing is kept" in made.notices[0]


@pytest.mark.parametrize(("word", "size"), [("16x40", (40, 16)), ("2x", (48, 64)), (20, (20, 20)), ("0.5x", (12, 16))])
def test_a_new_size_starts_from_whole_runs(word: str | int, size: tuple[int, int]) -> None:
    made = job_of("edit", PICTURE, retarget=word)
    assert (made.task.size, made.task.hole, made.task.guides) == (size, None, ())
    assert ["may be left out" in notice for notice in made.notices] == [True] * (word == "16x40")  # another aspect
    found = start(made)
    assert float(found.min()) >= 0 and (found.amax((0, 1)) <= torch.tensor(SIZE) - 1).all()
    for axis, step in ((0, (1, 0)), (1, (0, 1))):  # nearly all neighbours are those of the picture
        continued = (found.diff(dim=axis) == torch.tensor(step)).all(-1).float()
        assert float(continued.mean()) > 0.75


@pytest.mark.parametrize("width", [96, 48])
def test_a_new_width_neither_cuts_nor_doubles_an_object(width: int) -> None:
    rng = np.random.default_rng(1)
    scene = np.full((32, 64, 3), 0.5, dtype=np.float32) + 0.01 * rng.random((32, 64, 3), dtype=np.float32)
    scene[6:26, 16:40] = rng.random((20, 24, 3))
    found = start(job_of("edit", scene, retarget=f"{width}x32"))
    inside = (found[..., 0] >= 6) & (found[..., 0] < 26) & (found[..., 1] >= 16) & (found[..., 1] < 40)
    y, x = inside.nonzero().T
    assert (int(y.min()), int(y.max()), int(x.max() - x.min())) == (6, 25, 23)
    assert len(y) == 20 * 24 and len(found[inside].unique(dim=0)) == 20 * 24


def test_a_reshuffle_starts_from_nothing() -> None:
    made = job_of("edit", PICTURE, reshuffle=True)
    assert (made.task.size, made.task.start, made.task.hole, made.task.guides) == (SIZE, None, None, ())


@pytest.mark.parametrize("grow", [None, 0, 2])
def test_removing_is_inpainting(grow: int | None) -> None:
    gone = job_of("edit", PICTURE, remove=WAS, grow=grow)
    filled = job_of("inpaint", PICTURE, mask=WAS, grow=grow or 0)
    assert (gone.verb, gone.match_tone, [e.role for e in gone.inputs]) == ("edit", True, ["exemplar", "remove"])
    assert gone.task.hole is not None and filled.task.hole is not None
    assert torch.equal(gone.task.hole, filled.task.hole)
    assert torch.equal(gone.task.exemplars[0].image, filled.task.exemplars[0].image)
    assert int(gone.task.hole.sum()) == (6 + 2 * (grow or 0)) * (8 + 2 * (grow or 0))


@pytest.mark.parametrize("words", [{"mask": WAS, "target_mask": WILL, "keep_background": True}, {"remove": WAS}])
def test_exact_copies_follow_no_tone(words: dict[str, Any]) -> None:
    assert [job_of("edit", PICTURE, **words, exact_copies=e).match_tone for e in (False, True)] == [True, False]


@pytest.mark.usefixtures("texsynth")
def test_the_python_api_makes_what_the_command_line_makes(texsynth: Any, draw: Any) -> None:
    for name, values in (("a.png", (PICTURE * 255).astype(np.uint8)), ("m.png", WAS), ("t.png", WILL)):
        draw(name, values)
    words = ("--mask", "m.png", "--target-mask", "t.png", "--keep-background", "--seed", 3, "-p", "obedient", "-q")
    assert texsynth("edit", "a.png", *words, "-o", "o.png").code == 0
    made = edit("a.png", "m.png", "t.png", keep_background=True, seed=3, preset="obedient")
    assert np.array_equal((made.image.pixels[0].permute(1, 2, 0) * 255).round().numpy(), array("o.png"))
    assert made.record["edit"]["keep_background"] is True


@pytest.mark.usefixtures("texsynth")
def test_the_python_api_names_classes_and_copies() -> None:
    shared: Any = {"preset": "edit-neural", "weights": "none.pth"}
    with pytest.raises(UsageError, match=r"--class 'goldfsh': no class of ImageNet is .*; did you mean goldfish"):
        api.edit(PICTURE, reshuffle=True, class_="goldfsh", **shared)
    with pytest.raises(UsageError, match="--class: preset steady uses no classifier; --preset edit-neural does"):
        api.edit(PICTURE, reshuffle=True, class_=1, preset="steady")
    with pytest.raises(UsageError, match="copies = 'x', but it is one of auto, none, flips"):
        api.edit(PICTURE, reshuffle=True, copies="x")
