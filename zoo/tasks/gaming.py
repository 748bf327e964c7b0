"""What a generative adversarial network shows in the report, and when its game has gone wrong; no task itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from zoo.heads.variational import noise_of
from zoo.latent.codes import interpolate, plane
from zoo.latent.prior import truncated
from zoo.tasks.showing import drawable, evenly
from zoo.tasks.task import Drawing, Examples, Table

ALIKE, WILD = 0.15, 1.4
"""Diversities (see `zoo.metrics.generative`) below which samples look the same, and of pixels above which they are no pictures."""
STARTED = 200
"""Batches after which samples differ, where the game goes well."""
WON = 0.98
"""How much higher the discriminator's mean chance of real pictures is than that of samples when it has won."""
MEASURED = 2000
"""Most training pictures that samples are compared with."""
SHOWN, MAPPED, STEPS, ROWS = 64, 500, 8, 4
NEIGHBOURS = 6
TRUNCATIONS = (0.3, 0.7, 1.5)


class Game(Protocol):
    """A generator with its judge; `zoo.tasks.dcgan` says what they are."""

    latent: int

    def decode(self, code: Tensor) -> Tensor:
        """Codes to pictures."""
        ...

    def judge(self, image: Tensor) -> Tensor:
        """Pictures to features."""
        ...

    def parameters(self) -> Any:
        """Its weights."""
        ...


# ---------------------------------------------------------------- alarms


def alarms(history: Sequence[Mapping[str, Any]], loss: str) -> list[str]:
    """What is wrong after the last of these epochs, and what to try next.

    Samples of a fresh generator look the same, and do not count. That the discriminator tells all pictures apart counts where it says a
    chance (`loss` "bce") and has done so for two epochs.

    Args:
        history: rows with `step`, `val/diversity`, `val/diversity_of_pixels`, `train/discriminator/real_score` and `.../fake_score`.
        loss: of the discriminator.
    """
    found = []
    last = history[-1]
    spread, pixels = _number(last, "val/diversity"), _number(last, "val/diversity_of_pixels")
    best = max(history, key=lambda row: _number(row, "val/diversity", 0.0))
    if (max(spread, pixels) < ALIKE and last["step"] >= STARTED) or max(spread, pixels) < _number(best, "val/diversity", 0.0) / 3:
        found.append(
            f"collapse: the generator makes nearly the same picture of every code (its samples differ {spread:.0%} as much as the pictures "
            f"do; {_number(best, 'val/diversity'):.0%} after epoch {best['epoch']}). Try a lower rate for it "
            "(train.players.generator.lr), task.loss=hinge with task.discriminator_norm=spectral, or "
            "task.augment=[color,translation,cutout]; it seldom recovers by itself."
        )
    if pixels > WILD:
        found.append(
            f"the generator has lost its way: its samples differ {pixels:.1f} times as much as the pictures do, pixel by pixel, and are "
            "no pictures. Try a lower rate for it (train.players.generator.lr) or gradient clipping (train.clip=1)."
        )
    if loss == "bce" and len(history) > 1 and all(_apart(row) > WON for row in history[-2:]):
        found.append(
            f"the discriminator tells all pictures apart ({last['train/discriminator/real_score']:.3f} for real ones, "
            f"{last['train/discriminator/fake_score']:.3f} for samples): the generator learns little from it. Try a lower rate for it "
            "(train.players.discriminator.lr), task.real_labels=[0.7,1.0], task.r1=1, or task.augment=[color,translation,cutout]."
        )
    return found


def _number(row: Mapping[str, Any], name: str, unknown: float = math.nan) -> float:
    """What the history says, which has None for what is not finite."""
    value = row.get(name)
    return unknown if value is None or not math.isfinite(value) else float(value)


def _apart(row: Mapping[str, Any]) -> float:
    return _number(row, "train/discriminator/real_score") - _number(row, "train/discriminator/fake_score")


# ---------------------------------------------------------------- pictures


@torch.inference_mode()
def drawings(game: Game, examples: Examples) -> dict[str, Drawing]:
    """All that samples of a game show: figures by file stem; none of a network that diverged.

    What does not depend on the part is drawn for val alone.
    """
    if "features_fake" not in examples.predictions or not examples.predictions["features_fake"].isfinite().all():
        return {}
    shown = {"map": _map(examples)}
    if examples.part == "val":
        made_up = {"generated": _samples(game), "nearest": _nearest(game, examples)}
        shown = made_up | {"between": _between(game), "truncated": _truncated(game)} | shown
    return shown


def _made(game: Game, codes: Tensor) -> list[Any]:
    return drawable(game.decode(codes.to(next(game.parameters()).device)))


def _samples(game: Game) -> Drawing:
    from zoo.figures.latent import picture_sheet

    figure = picture_sheet(_made(game, noise_of(torch.arange(SHOWN), game.latent)))
    return Drawing("Samples", figure, "Codes drawn from N(0, I), decoded; none was chosen. The k-th, from 0, is that of seed k.")


def _nearest(game: Game, examples: Examples) -> Drawing:
    """Samples beside the training pictures that the judge finds most like them: a memorised picture would stand beside itself."""
    from zoo.figures.neighbours import Found, neighbour_rows
    from zoo.metrics.retrieval import nearest  # torchmetrics: not needed to load and predict

    images, _ = examples.training(MEASURED)
    codes = noise_of(torch.arange(NEIGHBOURS), game.latent)
    device = next(game.parameters()).device
    features = game.judge(game.decode(codes.to(device))).cpu()
    distances, rows = nearest(features, judged(game, images), min(4, len(images)), "euclidean")
    pictures = drawable(images.float() / 255)
    found = [
        Found(made, [pictures[row] for row in near], far, title="sample")
        for made, near, far in zip(_made(game, codes), rows.tolist(), distances.tolist(), strict=True)
    ]
    caption = "Beside each sample the training pictures nearest to it by the judge's features: has it been memorised?"
    return Drawing("Nearest training pictures", neighbour_rows(found), caption)


def judged(game: Game, images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 -> (N, width), on the CPU."""
    device = next(game.parameters()).device
    return torch.cat([game.judge(part.to(device).float() / 255).cpu() for part in torch.split(images, 64)])


def _between(game: Game) -> Drawing:
    from zoo.figures.latent import picture_strips

    ends = noise_of(torch.arange(2 * ROWS), game.latent).numpy()
    strips = [_made(game, torch.from_numpy(interpolate(a, b, STEPS))) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    caption = "Codes on the way from one sample's to another's (spherical): sudden changes are a sign of memorised pictures."
    return Drawing("From sample to sample", picture_strips(strips), caption)


def _truncated(game: Game) -> Drawing:
    """The same codes nearer to 0, where the generator has seen more of them."""
    from zoo.figures.latent import picture_strips

    codes = noise_of(torch.arange(STEPS), game.latent)
    strips = [_made(game, codes), *(_made(game, truncated(codes, threshold)) for threshold in reversed(TRUNCATIONS))]
    names = ["as drawn", *(f"at most {threshold:g}" for threshold in reversed(TRUNCATIONS))]
    caption = "The same codes, their numbers held within a threshold: the lower it is, the more alike, and often the cleaner, are samples."
    return Drawing("Truncated codes", picture_strips(strips, names=names), caption)


def _map(examples: Examples) -> Drawing:
    from zoo.figures.latent import class_plane

    rows = evenly(len(examples.truth["index"]), MAPPED)
    both = torch.cat([examples.predictions[f"features_{kind}"][rows] for kind in ("real", "fake")]).numpy()
    kinds = torch.tensor([0, 1]).repeat_interleave(len(rows)).numpy()
    if len(both) < 5:
        return Drawing("Map of pictures and samples", class_plane(both[:, :2] * 0), "Too few pictures for a map.")
    taken, points = plane(both, "tsne")
    caption = "t-SNE of the judge's features of pictures and as many samples: where colours do not mix, they differ."
    return Drawing("Map of pictures and samples", class_plane(points, kinds[taken], ("pictures", "samples")), caption)


# ---------------------------------------------------------------- numbers


@torch.inference_mode()
def comparison(game: Any, examples: Examples) -> Table:
    """Samples against the pictures of the part, beside what training pictures reach in their place."""
    from zoo.metrics.generative import diversity, enough, fid, kid, nearest_other, one_nn_accuracy
    from zoo.tasks.dcgan import thumbnail

    kinds = ("features_real", "features_fake", "pixels_real", "pixels_fake")
    real, fake, real_pixels, fake_pixels = (enough(examples.predictions[kind]) for kind in kinds)
    images, _ = examples.training(MEASURED)
    known, known_pixels = judged(game, images), thumbnail(images.float() / 255)
    number = min(len(known), len(real))  # as many of each: a picture that came twice would be its own neighbour
    rows = evenly(len(real), number)
    real, fake, real_pixels, fake_pixels = (one[rows] for one in (real, fake, real_pixels, fake_pixels))
    others, other_pixels = (one[evenly(len(one), number)] for one in (known, known_pixels))
    measures = (("KID", kid), ("FID", fid), ("1-NN accuracy", one_nn_accuracy), ("diversity", diversity))
    columns = [(name, of(real, fake), of(real, others)) for name, of in measures]
    columns += [(f"{name} of pixels", of(real_pixels, fake_pixels), of(real_pixels, other_pixels)) for name, of in measures[2:]]
    far, usual = (float(nearest_other(one, known)[0].double().mean()) for one in (fake, real))
    columns.append(("nearest training picture", far, usual))
    caption = (
        f"By the features of the recipe's backbone ({game.backbone.weights}), of {len(real)} pictures of this part and as many "
        "samples. Second row: training pictures in the samples' place, and for the distance to the nearest training picture the "
        "pictures of this part. Numbers compare only with those of the same network and of as many pictures."
    )
    names, samples, reals = zip(*columns, strict=True)
    rows_of = [("samples", *samples), ("real pictures", *reals)]
    return Table("Samples against pictures", ("", *names), rows_of, caption)
