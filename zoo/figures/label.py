"""The label of a frame written on it, with a bar as long as its score is high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo.figures.masks import class_colour
from zoo.figures.style import FONT, INK, SOFT, plain

Picture = NDArray[np.uint8]
NOTHING = "no label"


def labelled(
    picture: Picture, label: str | None, score: float, index: int = 0, box: Sequence[int] | None = None, threshold: float | None = None
) -> Picture:
    """The picture with a tag in its left upper corner, in the class's colour; grey where there is no label.

    The size of letters follows the picture's longer side; a tag that the picture is too narrow for is made smaller, down to letters of
    8 pixels, below which it is cut at the picture's edge.

    Args:
        picture: (H, W, 3) uint8.
        label: what to write; None for no label.
        score: in [0, 1], of the label, or of the likeliest class where there is no label.
        index: of the class, which gives the colour.
        box: left, top, right, bottom of the part of the picture that was looked at.
        threshold: in [0, 1], a mark on the bar.

    Returns:
        (H, W, 3) uint8, a new one.
    """
    image = Image.fromarray(np.ascontiguousarray(picture))
    brush = ImageDraw.Draw(image)
    colour = SOFT if label is None else class_colour(index + 1)
    if box is not None:
        _frame(brush, box, "white" if label is None else colour, max(2, round(max(image.size) / 320)))
    text = f"{plain(NOTHING if label is None else label, 32)}  {score:.2f}".replace(r"\$", "$")
    height = max(10, round(max(image.size) / 26))
    while height > 8 and _font(height).getlength(text) + height > image.width:
        height -= 1
    font, pad = _font(height), math.ceil(height / 2)
    wide, tall, bar = math.ceil(font.getlength(text)) + 2 * pad, round(1.4 * height), max(3, round(height / 4))
    dark = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), to_rgb(colour), strict=True)) > 0.45
    ink = INK if dark else "white"
    brush.rectangle((0, 0, wide - 1, tall + 2 * bar - 1), fill=colour)
    brush.text((pad, tall / 2), text, fill=ink, font=font, anchor="lm")
    left, right, top = pad, wide - pad, tall
    brush.rectangle((left, top, right, top + bar - 1), outline=ink)
    brush.rectangle((left, top, left + round((right - left) * min(max(score, 0.0), 1.0)), top + bar - 1), fill=ink)
    if threshold is not None:
        place = left + round((right - left) * threshold)
        brush.line((place, top - bar // 2, place, top + bar - 1 + bar // 2), fill=ink, width=max(1, bar // 4))
    return np.asarray(image)


def _frame(brush: ImageDraw.ImageDraw, box: Sequence[int], colour: str, width: int) -> None:
    """A line around the box with a dark edge outside, as far as the picture goes."""
    right, bottom = (side - 1 for side in brush.im.size)
    edge = max(1, width // 3)
    for grown, thick, ink in ((width + edge, width + edge, INK), (width, width, colour)):
        corners = (max(0, box[0] - grown), max(0, box[1] - grown), min(right, box[2] - 1 + grown), min(bottom, box[3] - 1 + grown))
        brush.rectangle(corners, outline=ink, width=thick)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont(FONT), size)
