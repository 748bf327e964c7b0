"""How many planted copies of pictures are found as near duplicates, and how many pairs are found where none were planted, by hand.

    python tests/benchmarks/duplicates.py [FOLDER ...] [--drawn NAME ...] [--most 10000] [--copies 100] [--sheet FILE]

FOLDER holds pictures, or is one IDX file of them; NAME is a source that can draw. Of each set a hundred pictures, or a quarter, are
copied, each copy is changed in one way, and copies and originals are searched for pairs: found is a copy that is in a pair with its own
original. Then the originals alone are searched; what is found there was not planted. The table is that of docs/duplicates.md. `--sheet`
draws the nearest pairs of the last set, one picture above the other, to be judged by eye.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from zoo import registry
from zoo.datasets import idx, synthetic
from zoo.datasets.duplicates import Pair, limit, near, plain, thumbnail
from zoo.datasets.pictures import is_picture, read_picture
from zoo.datasets.source import Source

Picture = Image.Image


def saved(picture: Picture, quality: int) -> Picture:
    """Through a JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert(picture.mode)


def cropped(picture: Picture, part: float, place: float) -> Picture:
    """Without a part of its width and height, taken off the left and top by `place`, the rest off the other side."""
    width, height = round(picture.width * part), round(picture.height * part)
    left, top = round(width * place), round(height * place)
    return picture.crop((left, top, picture.width - width + left, picture.height - height + top))


def noisy(picture: Picture) -> Picture:
    """With noise of 10 of 255."""
    values = np.asarray(picture, np.float32)
    noise = np.random.default_rng(0).normal(0, 10, values.shape)
    return Image.fromarray((values + noise).clip(0, 255).astype(np.uint8))


def framed(picture: Picture) -> Picture:
    """Resized to 0.7 of its size, brighter, 4 % cropped, and saved again: all at once."""
    smaller = picture.resize((max(8, round(picture.width * 0.7)), max(8, round(picture.height * 0.7))), Image.Resampling.LANCZOS)
    return saved(ImageEnhance.Brightness(cropped(smaller, 0.04, 0.5)).enhance(1.08), 70)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG 50": lambda picture: saved(picture, 50),
    "JPEG 20": lambda picture: saved(picture, 20),
    "half size": lambda picture: picture.resize((max(8, picture.width // 2), max(8, picture.height // 2)), Image.Resampling.BILINEAR),
    "double size": lambda picture: picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC),
    "5 % off all round": lambda picture: cropped(picture, 0.05, 0.5),
    "5 % off a corner": lambda picture: cropped(picture, 0.05, 0.0),
    "10 % off all round": lambda picture: cropped(picture, 0.10, 0.5),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.75),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.7),
    "noise": noisy,
    "several": framed,
}


def pictures(place: Path, most: int) -> list[Picture]:
    """Of a folder, or of an IDX file; at most so many, drawn at random."""
    if place.is_file():
        return [Image.fromarray(array) for array in idx.read(place)[:most]]
    files = sorted(file for file in place.rglob("*") if is_picture(file))
    return [read_picture(file) for file in sorted(random.Random(0).sample(files, min(most, len(files))))]


def drawn(name: str, most: int) -> list[Picture]:
    """The pictures of a source's drawn data."""
    source = registry.load("datasets", name)
    root = synthetic.folder(name, source)
    built: Source = source(root)
    records = [record for part in built.records.values() for record in part]
    return [built.read(record)[0] for record in random.Random(0).sample(records, min(most, len(records)))]


def recall(originals: list[Picture], thumbnails: Tensor, copies: int) -> dict[str, float]:
    """Change -> part of the copies that are found."""
    chosen = random.Random(1).sample(range(len(originals)), min(copies, len(originals) // 4))
    found = {}
    for name, change in CHANGES.items():
        changed = torch.stack([thumbnail(change(originals[number])) for number in chosen])
        parts = [0] * len(originals) + [1] * len(chosen)
        pairs = {(pair.first, pair.second) for pair in near(torch.cat([thumbnails, changed]), parts)}
        found[name] = sum((number, len(originals) + place) in pairs for place, number in enumerate(chosen)) / len(chosen)
    return found


def sheet(path: Path, originals: list[Picture], pairs: list[Pair], columns: int = 12, side: int = 72) -> None:
    """The nearest pairs, one above the other."""
    rows = -(-min(len(pairs), 4 * columns) // columns)
    page = Image.new("RGB", (columns * (side + 4), max(1, rows) * (2 * side + 12)), "white")
    for place, pair in enumerate(pairs[: rows * columns]):
        for below, number in enumerate((pair.first, pair.second)):
            at = ((place % columns) * (side + 4), (place // columns) * (2 * side + 12) + below * side)
            page.paste(originals[number].convert("RGB").resize((side, side)), at)
    page.save(path)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--drawn", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--most", type=int, default=10_000, help="pictures of a set")
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| set | pictures | plain | limit | pairs | seconds | {' | '.join(CHANGES)} |\n|{'---|' * (6 + len(CHANGES))}")
    for name in [*given.folders, *given.drawn]:
        originals = drawn(name, given.most) if isinstance(name, str) else pictures(name, given.most)
        thumbnails = torch.stack([thumbnail(picture) for picture in originals])
        begun = time.perf_counter()
        pairs = near(thumbnails)
        seconds = time.perf_counter() - begun
        facts = (f"{len(originals):,}", int(plain(thumbnails).sum()), f"{limit(thumbnails):.4f}", len(pairs), f"{seconds:.1f}")
        found = recall(originals, thumbnails, given.copies)
        title = f"{name} (drawn)" if isinstance(name, str) else name.name
        print(f"| {title} | {' | '.join(map(str, facts))} | {' | '.join(f'{value:.2f}' for value in found.values())} |", flush=True)
        if given.sheet:
            sheet(given.sheet, originals, pairs)


if __name__ == "__main__":
    main()
