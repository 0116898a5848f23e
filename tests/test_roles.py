"""The roles of the maps of a material, by the words that files use."""

from __future__ import annotations

import pytest

from texsynth.material.roles import ROLES, convention_of, role_of


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("BaseColor", "base_colour"),
        ("base_color", "base_colour"),
        ("nor_gl", "normal"),
        ("NormalDX", "normal"),
        ("nor_ogl", "normal"),
        ("Nrm-DirectX", "normal"),
        ("disp", "height"),
        ("Ambient Occlusion", "occlusion"),
        ("Gloss", "smoothness"),
        ("emission", "emissive"),
    ],
)
def test_a_word_means_its_role(word: str, role: str) -> None:
    assert role_of(word) == ROLES[role]


@pytest.mark.parametrize("word", ["mask", "id", "labels", "wall", "", "n"])
def test_other_words_mean_none(word: str) -> None:
    assert role_of(word) is None


def test_single_letters_count_where_they_may() -> None:
    assert role_of("N", letters=True) == ROLES["normal"]
    assert role_of("x", letters=True) is None


def test_no_word_means_two_roles() -> None:
    words = [word for role in ROLES.values() for word in (*role.words, *role.letters)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("word", "convention"),
    [
        ("nor_dx", "dx"),
        ("NormalGL", "gl"),
        ("nor_ogl", "gl"),
        ("Nrm_DirectX", "dx"),
        ("normal", None),
        ("rough_dx", None),
    ],
)
def test_a_word_for_normals_may_name_their_convention(word: str, convention: str | None) -> None:
    assert convention_of(word) == convention
