"""The film of a training: what a task makes of the same codes after each epoch, one sheet an epoch, joined to an animated GIF."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from zoo.datasets.pictures import open_picture, upright
from zoo.errors import DataError, shown
from zoo.files import write_bytes
from zoo.progress import say, track

if TYPE_CHECKING:
    from torch import Tensor

NAME = re.compile(r"epoch_([0-9]{4}|[1-9][0-9]{4,5})\.png")
"""Of a sheet's file: the epoch, of four digits or as many as it has."""

MOST_FRAMES = 60
MOST_SIDE = 4096
"""Pixels; a sheet with a longer side is refused before it is decoded."""
SIDE = 512
"""Pixels that a sheet of small pictures has about."""

_WIDEST = 768  # pixels of a frame; no sheet of ours has more
_SECONDS, _SHORTEST, _LONGEST, _LAST = 10.0, 0.1, 0.5, 2.5
_STRIP, _GROUND, _INK, _BAR = 28, "#ffffff", "#333333", "#8a8a8a"


def sheet(pictures: Tensor) -> bytes:
    """A PNG of pictures in rows, about as many rows as columns; small ones are enlarged by a whole number.

    Args:
        pictures: (N, C, H, W) in [0, 1], N at least 1, C 1 or 3; what is not finite is black.
    """
    import torch
    from torchvision.utils import make_grid

    columns = math.ceil(math.sqrt(len(pictures)))
    grid = make_grid(pictures.detach().cpu().nan_to_num(0, 0, 0), columns, padding=2, pad_value=1.0)[: pictures.shape[1]]
    pixels = (grid * 255).round().clamp(0, 255).to(torch.uint8).movedim(0, -1).squeeze(-1).numpy()
    image = Image.fromarray(pixels)
    factor = max(1, round(SIDE / max(image.size)))
    content = io.BytesIO()
    image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(content, "PNG")
    return content.getvalue()


def write_film(folder: Path, to: Path) -> int:
    """Join the sheets of a folder, `epoch_0001.png` and so on, to a GIF, whole or not at all: a frame an epoch, which is written on it.

    At most `MOST_FRAMES` epochs are shown, evenly chosen, the first and the last among them; the last is held longer. A file that is no
    sheet, or is of another size than those before it, is left out, and standard error says so.

    Args:
        folder: of the sheets; it need not be there.
        to: the GIF, also of one frame alone.

    Returns:
        The number of frames; of none, nothing is written.

    Raises:
        ZooError: it cannot be written.
    """
    found = _sheets(folder)
    count = min(len(found), MOST_FRAMES)
    chosen = [found[round(place * (len(found) - 1) / max(count - 1, 1))] for place in range(count)]
    frames = list(_frames(chosen))
    if not frames:
        return 0
    each = min(max(_SECONDS / len(frames), _SHORTEST), _LONGEST)
    content = io.BytesIO()
    milliseconds = [round(1000 * seconds) for seconds in [each] * (len(frames) - 1) + [_LAST]]
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
    write_bytes(to, content.getvalue())
    return len(frames)


def _sheets(folder: Path) -> list[tuple[int, Path]]:
    """The sheets by epoch; other files are named."""
    if folder.is_symlink():
        say(f"{shown(folder)}: a link; no film is made of it")
    if folder.is_symlink() or not folder.is_dir():
        return []
    files = sorted(folder.iterdir())
    named = [(int(match[1]), file) for file in files if (match := NAME.fullmatch(file.name))]
    other = [shown(file.name) for file in files if not NAME.fullmatch(file.name)]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        say(f"{shown(folder)}: not in the film, as only epoch_0001.png and so on are: {', '.join(other[:3])}{more}")
    return sorted(named)


def _frames(chosen: Sequence[tuple[int, Path]]) -> Iterator[Image.Image]:
    """Each sheet that can be read, in at most 256 colours, its epoch above it."""
    kind, last = "", max((epoch for epoch, _ in chosen), default=0)
    for epoch, file in track(chosen, "joining a film", len(chosen), "epochs"):
        try:
            image = _read(file)
            found = f"{image.width}x{image.height} pixels in {'grey' if image.mode == 'L' else 'colour'}"
            if found != (kind := kind or found):
                raise DataError(f"{shown(file)}: {found}; the sheets before it are of {kind}")
        except DataError as error:
            say(f"{error}; left out of the film")
            continue
        yield _labelled(image, epoch, last)


def _read(file: Path) -> Image.Image:
    """A sheet in RGB or, where it has no colours, grey.

    Raises:
        DataError: it is a link, no PNG, broken, or too large.
    """
    if file.is_symlink():
        raise DataError(f"{shown(file)}: a link; expected the file itself")
    with open_picture(file) as picture:
        if picture.format != "PNG" or max(picture.size) > MOST_SIDE:
            found = f"{picture.format} of {picture.width}x{picture.height} pixels"
            raise DataError(f"{shown(file)}: {found}; expected a PNG of at most {MOST_SIDE}x{MOST_SIDE}")
        try:
            return upright(picture, 1 if picture.mode == "L" else 3)
        except Exception as error:  # a decoder fails in many ways
            raise DataError(f"{shown(file)}: broken or truncated ({error or type(error).__name__})") from error


def _labelled(image: Image.Image, epoch: int, last: int) -> Image.Image:
    """The sheet under its epoch and a bar of how far the training is."""
    image.thumbnail((_WIDEST, _WIDEST))
    frame = Image.new(image.mode, (image.width, image.height + _STRIP), _GROUND)
    frame.paste(image, (0, _STRIP))
    draw = ImageDraw.Draw(frame)
    draw.text((4, 3), f"epoch {epoch}", fill=_INK, font=ImageFont.load_default(16))
    draw.rectangle((0, _STRIP - 4, round((image.width - 1) * epoch / max(last, 1)), _STRIP - 2), fill=_BAR)
    if frame.mode == "L":
        return frame
    # The quick palette, dithered: truer colours than the slow one's in a tenth of its time.
    return frame.quantize(palette=frame.quantize(256, Image.Quantize.FASTOCTREE), dither=Image.Dither.FLOYDSTEINBERG)
