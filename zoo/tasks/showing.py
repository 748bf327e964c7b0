"""What tasks with Gaussian codes show in the report; no task itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import RecipeError
from zoo.tasks.task import Drawing, Examples, Table

if TYPE_CHECKING:
    from zoo.metrics.elbo import Dimensions

SHOWN = 8
"""Pictures shown with their reconstructions."""
MEASURED = 500
"""Most pictures that the importance-weighted bound is computed on."""
AT_ONCE = 50

Picture = npt.NDArray[np.uint8]


def refuse_spoilt(batch: Mapping[str, Any]) -> None:
    """Raise RecipeError where pictures are spoilt on purpose: a model of the pictures themselves would learn the noise."""
    if "clean" in batch:
        raise RecipeError(
            "this task learns how likely the pictures are as they come, noise included: leave data.corrupt out, "
            "or take task.name=autoencoder or denoising to make them whole"
        )


def drawable(images: Tensor) -> list[Picture]:
    """(N, C, H, W) in [0, 1] -> N times (H, W, C) uint8."""
    return list((images * 255).round().clamp(0, 255).to(torch.uint8).movedim(1, -1).cpu().numpy())


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the rows 0 to count - 1, evenly spaced."""
    return [round(place) for place in np.linspace(0, count - 1, min(count, most))]


def quantiles(number: int) -> Tensor:
    """(number,): where N(0, 1) is cut into parts of equal probability, rising."""
    found: Tensor = torch.special.ndtri((torch.arange(number) + 0.5) / number)
    return found


def reconstructions(examples: Examples) -> Drawing:
    """Pictures above what is left of them after the way through the mean of the code."""
    from zoo.figures.digits import titled_grid

    rows = evenly(len(examples.truth["index"]), SHOWN)
    said = torch.stack([examples.again(row)[1]["reconstruction"] for row in rows])
    figure = titled_grid([[examples.picture(row) for row in rows], drawable(said)], beside=("picture", "decoded"))
    return Drawing("Reconstructions", figure, "Below each picture the mean of its code, decoded.")


def dimension_bars(found: Dimensions) -> Drawing:
    """How much each dimension of the code is used."""
    from zoo.figures.digits import activity_bars
    from zoo.metrics.elbo import ACTIVE

    return Drawing("Dimensions in use", activity_bars(found.activity, ACTIVE), _use_in_words(found))


def dimension_table(found: Dimensions) -> Table:
    """The same in numbers."""
    return Table(
        "Dimensions of the code", ("dimension", "variance of the mean", "kl in nats", "active"), found.rows(), _use_in_words(found)
    )


def _use_in_words(found: Dimensions) -> str:
    from zoo.metrics.elbo import ACTIVE

    return f"{found.in_words()} Active: the variance over pictures of a code's mean is above {ACTIVE}, the dotted line of the figure."


@torch.inference_mode()
def bounds(examples: Examples, bound: Callable[[Mapping[str, Any]], Tensor], samples: int, device: torch.device) -> Table:
    """The one-sample ELBO beside the importance-weighted bound of the same pictures, drawn under a fixed seed.

    Args:
        examples: of the part.
        bound: a batch on the device -> (B,) nats.
        samples: that it draws for each picture.
        device: of the model.
    """
    chosen = evenly(len(examples.truth["index"]), MEASURED)
    found = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for start in range(0, len(chosen), AT_ONCE):
            rows = chosen[start : start + AT_ONCE]
            batch = {"image": torch.stack([examples.again(row)[0]["image"] for row in rows]).to(device).float() / 255}
            if "label" in examples.truth:
                batch["label"] = examples.truth["label"][rows].to(device)
            found.append(bound(batch))
    single = float(examples.predictions["elbo"][chosen].double().mean())
    many = float(torch.cat(found).double().mean())
    rows_of = [("ELBO, 1 sample", len(chosen), single), (f"importance-weighted, {samples} samples", len(chosen), many)]
    caption = "Means over evenly chosen pictures; the more samples, the closer to log p(x) from below."
    return Table("Bounds of the log likelihood", ("bound", "pictures", "nats"), rows_of, caption)
