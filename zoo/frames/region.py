"""A part of a picture as a person says it: four numbers, left, top, right and bottom in pixels."""

from __future__ import annotations

import math

from zoo.errors import DataError, RecipeError, shown

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


def parsed(text: str, option: str = "--box") -> Corners:
    """`40,30,200,190` -> its corners; raises RecipeError for anything else."""
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        left = top = right = bottom = math.nan
    if not (0 <= left < right < math.inf and 0 <= top < bottom < math.inf):
        raise RecipeError(
            f"{option} {shown(text)}: expected left,top,right,bottom in pixels from the left upper corner, such as 40,30,200,190"
        )
    return left, top, right, bottom


def within(box: Corners, width: int, height: int, name: str) -> tuple[int, int, int, int]:
    """The box in whole pixels, cut to a picture of so many; raises DataError, with the picture's name, if nothing of it lies within."""
    left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if left >= right or top >= bottom:
        raise DataError(f"{name}: the box {spelt(box)} lies outside of its {width}x{height} pixels; choose another with --box")
    return left, top, right, bottom


def spelt(box: Corners) -> str:
    """As `parsed` reads it."""
    return ",".join(f"{value:g}" for value in box)
