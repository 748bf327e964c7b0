"""Masks: picture files whose pixels are classes.

What lies in the file is kept: of a palette picture the indices are read, never the colours, and no value is made up between two others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo.datasets.pictures import open_picture, turned
from zoo.errors import DataError, shown

IGNORE = 255
"""The value of a pixel that belongs to no class: neither losses nor metrics look at it."""


@dataclass(frozen=True)
class MaskValues:
    """What the numbers in a data set's mask files mean.

    Attributes:
        classes: how many there are; a mask that is read holds 0 to classes - 1, and `IGNORE`.
        binary: there are two classes, told by brightness: 0 is the first, 255 the second (in a mask without anything brighter than 1,
            1 is). Otherwise the number is the class, and 255 is `IGNORE`.
        unexpected: what becomes of other values. `half` (binary only): from 128 on the second class; `ignore`: `IGNORE`; `error`: the
            mask is bad.
    """

    classes: int
    binary: bool = False
    unexpected: Literal["half", "ignore", "error"] = "error"

    def table(self, counts: Sequence[int]) -> tuple[list[int], dict[int, int]]:
        """For a mask with `counts` pixels of each value 0 to 255: value -> class, and the unexpected values with their pixels."""
        if not self.binary:
            meant = {value: value for value in range(self.classes)} | {IGNORE: IGNORE}
        elif not any(counts[2:]):
            meant = {0: 0, 1: 1}
        else:
            meant = {0: 0, 255: 1}
        other = (lambda value: value // 128) if self.unexpected == "half" else (lambda value: IGNORE)
        odd = {value: count for value, count in enumerate(counts) if count and value not in meant}
        return [meant.get(value, other(value)) for value in range(256)], odd

    def expected(self) -> str:
        """The values that are expected, in words."""
        return "0 and 255" if self.binary else f"0 to {self.classes - 1} and {IGNORE}"


def read_mask(path: Path, values: MaskValues) -> tuple[Image.Image, dict[int, int]]:
    """Decode a mask file, upright: a picture of mode "L" whose values are classes, and unexpected value -> number of pixels.

    Raises:
        DataError: with the path, when the file is missing, broken, in colours, or holds values that `values.unexpected` does not allow.
    """
    with open_picture(path) as picture:
        try:
            numbers = _numbers(turned(picture), values.binary)
        except Exception as error:  # as in `read_picture`
            raise DataError(f"{shown(path)}: broken or truncated ({error or type(error).__name__})") from error
    if numbers is None:
        colours = f"a mask of mode {picture.mode}; expected one number a pixel, grey or palette, of 8 bits"
        raise DataError(f"{shown(path)}: {colours}: turn its colours into class numbers and save it as a grey PNG of 8 bits")
    table, odd = values.table(numbers.histogram())
    if odd and values.unexpected == "error":
        numbered = "if they are class numbers, set data.values=indexed; else " if values.binary and max(odd) < 32 else ""
        raise DataError(f"{shown(path)}: {told(odd, values)}; {numbered}data.unexpected says what becomes of them")
    return numbers.point(table), odd


def read_mask_of(path: Path, size: tuple[int, int], values: MaskValues) -> Image.Image:
    """The mask of a picture of `size` (width, height).

    Raises:
        DataError: as `read_mask`, and when the mask has another size.
    """
    mask, _ = read_mask(path, values)
    if problem := mismatch(mask.size, size):
        raise DataError(f"{shown(path)}: {problem}")
    return mask


def mismatch(mask: tuple[int, int], picture: tuple[int, int]) -> str | None:
    """What is wrong if a mask and its picture differ in size (width, height)."""
    if mask == picture:
        return None
    return f"the mask has {mask[0]}x{mask[1]} pixels, its picture {picture[0]}x{picture[1]}"


def told(odd: Mapping[int, int], values: MaskValues, most: int = 4) -> str:
    """Unexpected values in words: how many pixels, of which values, and what was expected."""
    pixels, named = sum(odd.values()), ", ".join(str(value) for value in list(odd)[:most]) + (" ..." if len(odd) > most else "")
    return f"{pixels:,} pixel{'' if pixels == 1 else 's'} of other values than {values.expected()} ({named})"


def _numbers(picture: Image.Image, binary: bool) -> Image.Image | None:
    """The numbers of a mask as a picture of mode "L"; None for colours.

    A binary palette mask that is grey all through means what one sees; bitmaps of one bit may have white as colour 0.
    """
    if picture.mode == "1":
        return picture.convert("L").point([value // 128 for value in range(256)])
    if picture.mode == "P" and binary and _grey(picture.getpalette() or []):
        return picture.convert("L")
    if picture.mode == "P":
        return Image.fromarray(np.asarray(picture))
    if picture.mode == "RGB":  # grey masks are often saved as colour pictures
        red, green, blue = picture.split()
        if red.tobytes() == green.tobytes() == blue.tobytes():
            return red
    return picture if picture.mode == "L" else None


def _grey(palette: Sequence[int]) -> bool:
    return palette[0::3] == palette[1::3] == palette[2::3]


def palette_mask(classes: npt.NDArray[np.uint8]) -> Image.Image:
    """A mask as VOC's are: a picture of mode "P" whose indices are the classes (H, W), in VOC's colours."""
    mask = Image.fromarray(classes)
    mask.putpalette([part for index in range(256) for part in palette_color(index)])
    return mask


def palette_color(index: int) -> tuple[int, int, int]:
    """The colour of a class in VOC's masks: the index's bits are dealt to red, green and blue, the lowest weighing most."""
    color = [0, 0, 0]
    for bit in range(8):
        color[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return color[0], color[1], color[2]
