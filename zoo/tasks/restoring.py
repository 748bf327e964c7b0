"""What tasks that give pictures back show in the report: galleries, and tables beside simpler ways; no task itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.tasks.showing import drawable
from zoo.tasks.task import Drawing, Examples, Table

Picture = npt.NDArray[np.uint8]

NETWORK = "network"
"""The row of a table that is the model's own."""


def picture_of(image: Any) -> Picture:
    """(C, H, W) in [0, 1], of a tensor or an array -> (H, W, C) uint8."""
    return drawable(torch.as_tensor(image)[None])[0]


def pictures(examples: Examples, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What the model was given and what was to come of it: each (N, C, H, W) float32 in [0, 1] on the CPU, perhaps one and the same."""
    if "clean" not in examples.again(rows[0])[0]:
        given = torch.stack([torch.from_numpy(examples.picture(row)).movedim(-1, 0) for row in rows]).float() / 255
        return given, given
    fields = [examples.again(row)[0] for row in rows]
    image, clean = (torch.stack([one[key] for one in fields]).float() / 255 for key in ("image", "clean"))
    return image, clean


def chosen(errors: Tensor) -> list[tuple[str, int]]:
    """Rows (N,) of the smallest, the middle and the largest errors, two of each where there are enough, with the words for them."""
    order = errors.argsort(stable=True).tolist()
    each = max(1, min(2, len(order) // 3))
    middle = (len(order) - each) // 2
    places = {"best": range(each), "median": range(middle, middle + each), "worst": range(len(order) - each, len(order))}
    found: dict[int, str] = {}
    for word, at in places.items():
        for place in at:
            found.setdefault(order[place], word)
    return [(word, row) for row, word in found.items()]


def gallery(examples: Examples, said: str, beside: Mapping[str, Callable[[Tensor], Tensor]] | None = None) -> Drawing:
    """The best, median and worst of what was given back, by mean squared error.

    Args:
        examples: predicted are `reconstruction` and of each picture `mse`, `psnr` and `ssim`.
        said: heading of what was predicted.
        beside: heading -> another way to restore pictures, (1, C, H, W) -> the same shape in [0, 1].
    """
    from zoo.figures.pairs import AMPLIFIED, Row, difference, pair_gallery

    columns: list[str] = []
    rows: list[Row] = []
    for word, row in chosen(examples.predictions["mse"]):
        fields, found = examples.again(row)
        shown = {"picture": examples.picture(row), said: picture_of(found["reconstruction"])}
        if "clean" in fields:
            shown = {"spoilt": shown["picture"], said: shown[said], "clean": picture_of(fields["clean"] / 255)}
            for heading, way in (beside or {}).items():
                shown[heading] = picture_of(way(fields["image"][None].float() / 255)[0])
        else:
            shown[f"difference x{AMPLIFIED}"] = difference(shown["picture"], shown[said])
        name = "/".join(str(fields["path"]).replace("\\", "/").split("/")[-2:])  # the folder is often what it is of
        note = f"mse {found['mse']:.4f}, {found['psnr']:.1f} dB, SSIM {found['ssim']:.2f}"
        columns, rows = list(shown), [*rows, Row(list(shown.values()), f"{word}: {name}", note)]
    count = len(examples.predictions["mse"])
    caption = f'The best, median and worst of {count} pictures by mean squared error; all numbers are of the column "{said}".'
    return Drawing(said.capitalize(), pair_gallery(columns, rows), caption)


def beside(values: Mapping[str, Mapping[str, Tensor]], by: str, note: str) -> Table:
    """A table of the network and simpler ways, and in its caption which of them wins.

    Args:
        values: way -> metric -> its values (N,) on the same pictures; the model's own way is `NETWORK`.
        by: the metric that decides, "mse" (less is better) or "psnr" (more is).
        note: what the simpler ways know; ends the caption.
    """
    means = {way: {name: float(of.double().mean()) for name, of in metrics.items()} for way, metrics in values.items()}
    rows = [(way, *found.values()) for way, found in means.items()]
    sign = -1 if by == "psnr" else 1
    order = sorted(means, key=lambda way: math.inf if math.isnan(means[way][by]) else sign * means[way][by])  # what diverged comes last
    first, rank = order[0], order.index(NETWORK)
    spoken = {way: f"{found[by]:.2f} dB" if by == "psnr" else f"{by} {found[by]:.5f}" for way, found in means.items()}
    if rank == 0:
        verdict = f"The network is the best of {len(order)} ways: {spoken[NETWORK]}, then {order[1]}, {spoken[order[1]]}."
    else:
        verdict = f"{first} is better than the network: {spoken[first]} against {spoken[NETWORK]}, place {rank + 1} of {len(order)}."
    count = len(next(iter(values[NETWORK].values())))
    caption = f"{verdict} Means over {count} pictures that were not trained on. {note}"
    return Table("Beside simpler ways", ("way", *means[NETWORK]), rows, caption[0].upper() + caption[1:])
