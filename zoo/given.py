"""Pictures as people hand them over (files, folders, PIL pictures, arrays, tensors) -> upright PIL pictures of 8 bits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from zoo.datasets.pictures import is_picture, read_picture, upright
from zoo.errors import DataError

Picture = str | os.PathLike[str] | Image.Image | npt.NDArray[Any] | Tensor
"""A file, a PIL picture, an array (H, W) or (H, W, C), or a tensor (H, W) or (C, H, W); numbers are uint8, or float in [0, 1]."""


def listed(pictures: Picture | Sequence[Picture]) -> tuple[bool, list[Picture]]:
    """Whether many were asked for (a list, a folder, an array with a batch dimension), and all of them.

    Raises:
        DataError: a folder without pictures, or nothing that could be one.
    """
    if isinstance(pictures, str | os.PathLike):
        return (True, [*in_folder(Path(pictures))]) if Path(pictures).is_dir() else (False, [pictures])
    if isinstance(pictures, Image.Image) or (isinstance(pictures, np.ndarray | Tensor) and pictures.ndim < 4):
        return False, [pictures]
    many: Any = pictures
    if not isinstance(many, Iterable) or isinstance(many, bytes | bytearray | dict):
        return False, [pictures]  # type: ignore[list-item]  # `to_pil` says what is wrong with it
    return True, list(many)


def in_folder(folder: Path) -> list[Path]:
    """All pictures of a folder and its subfolders, by path.

    Raises:
        DataError: there is none.
    """
    files = [path for path in sorted(folder.rglob("*")) if is_picture(path) and path.is_file()]
    if not files:
        raise DataError(f"{folder}: this folder holds no pictures; expected files such as 1.jpg or sub/2.png")
    return files


def to_pil(item: Picture, channels: int) -> Image.Image:
    """One picture, upright, RGB (`channels` 3) or grey (1).

    Raises:
        DataError: it is none, or cannot be read; names the file or the shape.
    """
    if isinstance(item, str | os.PathLike):
        if Path(item).is_dir():
            raise DataError(f"{item}: a folder inside a list; give the folder alone, or its files")
        return read_picture(Path(item), channels)
    if isinstance(item, Image.Image):
        return _from_pil(item, channels)
    if isinstance(item, np.ndarray | Tensor):
        return upright(Image.fromarray(_to_bytes(_to_array(item))), channels)
    raise DataError(f"{item!r:.60} ({type(item).__name__}) is no picture: expected a file's path, a PIL picture, an array or a tensor")


def _from_pil(picture: Image.Image, channels: int) -> Image.Image:
    name = getattr(picture, "filename", "") or "a PIL picture"
    if not picture.width or not picture.height:
        raise DataError(f"{name} of {picture.width}x{picture.height} pixels is empty: expected at least one pixel")
    try:
        return upright(picture, channels)
    except Exception as error:  # PIL reads lazily, so a broken file shows here, in whatever way its decoder fails
        raise DataError(f"{name}: broken or truncated ({error})") from error


def _to_array(item: npt.NDArray[Any] | Tensor) -> npt.NDArray[Any]:
    """(H, W), (H, W, 3) or (H, W, 4) of the same numbers."""
    array: npt.NDArray[Any]
    if isinstance(item, Tensor):
        tensor = item.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # NumPy has no bfloat16
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
        expected = "a tensor (C, H, W) with 1, 3 or 4 channels (from (H, W, C): .permute(2, 0, 1))"
    else:
        array, expected = item, "an array (H, W) or (H, W, C) with 1, 3 or 4 channels (from (C, H, W): .transpose(1, 2, 0))"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)) or not array.size:
        raise DataError(f"a picture of shape {tuple(item.shape)}: expected {expected}")
    return array


def _to_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise DataError(f"a picture of {array.dtype}: expected uint8, or float in [0, 1]; for numbers from 0 to 255 use .astype('uint8')")
    levels = (array.astype(np.float64) * 255).round()  # rounded first: resizing leaves values such as 1.0000001
    if not (levels.min() >= 0 and levels.max() <= 255):
        raise DataError(
            f"a picture of {array.dtype} from {array.min():g} to {array.max():g}: expected values in [0, 1], or uint8; "
            "give it before any normalisation, which the model does itself, and divide values up to 255 by 255"
        )
    return levels.astype(np.uint8)
