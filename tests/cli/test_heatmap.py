"""Heat maps: their order, their colours, and what they leave out."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli import palette
from minilm_onnx.cli.heatmap import MOST_FIGURES_OF_A_PAGE, draw, neighbours

PAGE = Path(palette.__file__).parents[1] / "server" / "page.html"


def blocks(groups: list[int]) -> FloatArray:
    """Cosines of texts, of which those of a group are alike."""
    of = np.array(groups)
    alike = np.where(of[:, None] == of, 0.6, 0.1).astype(np.float32)
    np.fill_diagonal(alike, 1)
    return alike


def page(cosines: FloatArray) -> str:
    file = io.BytesIO()
    draw(file, ".html", [f"text {place}" for place in range(len(cosines))], cosines)
    return file.getvalue().decode()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_texts_of_a_group_are_side_by_side(groups: list[int]) -> None:
    order = neighbours(blocks(groups))
    assert sorted(order) == list(range(len(groups)))
    runs = [group for group, _ in itertools.groupby(groups[place] for place in order)]
    assert len(runs) == len(set(groups))


def test_groups_meet_where_they_are_alike() -> None:
    """Texts on a line, each like those beside it, come in the order of the line."""
    line = np.array([0.0, 2.0, 0.9, 2.8, 4.0])
    cosines = np.exp(-np.abs(line[:, None] - line)).astype(np.float32)
    assert neighbours(cosines) == [0, 2, 1, 3, 4]


def test_a_page_of_many_texts_shows_a_figure_where_the_pointer_rests() -> None:
    few, many = (page(blocks([0] * count)) for count in (2, MOST_FIGURES_OF_A_PAGE + 1))
    assert '<td class="middle" style="--share: 60%">0.60</td>' in few
    assert '<td class="middle" title="0.60" style="--share: 60%"></td>' in many


def test_the_servers_page_has_the_colours_of_the_heat_map() -> None:
    heat_map, text = page(blocks([0, 1])), PAGE.read_text("utf-8")
    for name in ("ink", "page", "key", "low", "middle", "high"):
        light, dark = (rule.split(";")[0] for rule in heat_map.split(f"--{name}: ")[1:])
        shown = [rule.split(";")[0].split()[0] for rule in text.split(f"--{name}: ")[1:]]
        assert shown == [light.split()[0], dark.split()[0]]
    for share in (palette.WHITE_FROM, palette.BLACK_FROM_IN_DARK):
        assert f"share >= {share} ?" in text


def luminance(colour: FloatArray) -> float:
    """Relative luminance as WCAG 2 defines it; colour: (3,) float32, 0 to 1, sRGB."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def rgb(colour: str) -> FloatArray:
    levels = np.frombuffer(bytes.fromhex(colour[1:]), dtype=np.uint8)
    return levels.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_can_be_read(dark: bool) -> None:
    """At a contrast of 4.5 to 1 or more, which WCAG 2 asks for."""
    paper, key = palette.PAPER, palette.KEY
    if dark:
        paper, key = palette.DARK[paper], palette.DARK[key]
    for percent in range(101):
        share = np.float32(percent / 100)
        shade = luminance(share * rgb(key) + (1 - share) * rgb(paper))
        limit = palette.BLACK_FROM_IN_DARK if dark else palette.WHITE_FROM
        white = (share >= np.float32(limit)) != dark
        contrast = 1.05 / (shade + 0.05) if white else (shade + 0.05) / 0.05
        assert contrast >= 4.5, (percent, contrast)


def test_an_svg_is_right_on_a_dark_page_and_the_same_each_time() -> None:
    pytest.importorskip("matplotlib", reason="minilm-onnx[plots] is not installed")
    drawn = []
    for _ in range(2):
        file = io.BytesIO()
        draw(file, ".svg", ["a cat", "a dog"], blocks([0, 1]))
        drawn.append(file.getvalue().decode())
    assert drawn[0] == drawn[1]
    assert "prefers-color-scheme: dark" in drawn[0]
    assert f"fill: {palette.INK}" in drawn[0]
    assert ">a cat</text>" in drawn[0]
