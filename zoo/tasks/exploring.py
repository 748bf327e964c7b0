"""What tasks with codes show of them in the report: samples, a map, neighbours, ways from picture to picture, edits; no task itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.latent.codes import interpolate, plane
from zoo.latent.space import STRENGTHS, Latent, joined
from zoo.spec import DataSpec
from zoo.tasks.showing import drawable, evenly
from zoo.tasks.task import Drawing, Examples

MEASURED = 2000
"""Most training pictures whose codes are looked at."""
MAPPED = 1000
"""Most codes in the map: t-SNE of more takes long."""
ROWS, NEIGHBOURS, STEPS, SAMPLES = 4, 5, 8, 32
STRIPS = 3
"""Attributes that are shown if none are asked for."""


class Codes(Protocol):
    """A network with codes; `zoo.tasks.task` says what they are."""

    def embed(self, image: Tensor) -> Tensor:
        """Pictures to codes."""
        ...

    def decode(self, code: Tensor) -> Tensor:
        """Codes to pictures."""
        ...

    def parameters(self) -> Any:
        """Its weights."""
        ...


@torch.inference_mode()
def measured(net: Codes, examples: Examples, spec: DataSpec) -> Latent:
    """The code space by the codes of training pictures."""
    images, fields = examples.training(MEASURED)
    device = next(net.parameters()).device
    parts = [net.embed(part.to(device).float() / 255).float().cpu() for part in torch.split(images, 64)]
    known = [fields[key].numpy() if key in fields else None for key in ("attributes", "label")]
    return Latent.measure(torch.cat(parts).numpy(), known[0], spec.attributes, known[1])


def drawings(net: Codes, examples: Examples, spec: DataSpec, edits: Sequence[str] = ()) -> dict[str, Drawing]:
    """All that the codes of a part show.

    Args:
        net: in evaluation mode.
        examples: with `codes` (N, D) among the predictions.
        spec: of the data.
        edits: attributes to change in some pictures; by default those that the codes tell best.

    Returns:
        Figures by file stem; none of a network that diverged.
    """
    if not examples.predictions["codes"].isfinite().all():
        return {}
    latent = measured(net, examples, spec)
    best = told_best(latent)  # without those that all training pictures have alike: they have no direction
    asked = [spec.attributes[_at(spec, name)] for name in edits]
    shown = [name for name in asked if name in best] or best[:STRIPS]
    found = {"samples_fitted": _samples(net, latent)} if examples.part == "val" else {}
    found |= {"map": _map(examples, spec, shown), "between": _between(net, examples), "neighbours": _neighbours(examples, spec)}
    return found | ({"edits": _edits(net, examples, latent, shown)} if shown else {})


def told_best(latent: Latent) -> list[str]:
    """Attributes by how far apart their least and most lie along their direction, in standard deviations of the codes; best first."""
    lengths = np.linalg.norm(latent.directions, axis=1)
    spread = np.einsum("ad,de,ae->a", latent.directions, latent.covariance, latent.directions)
    apart = np.where(lengths > 0, lengths**2 / np.sqrt(np.maximum(spread, 1e-12)), 0)
    return [latent.names[row] for row in np.argsort(-apart, kind="stable") if apart[row] > 0]


def _at(spec: DataSpec, name: str) -> int:
    if name in spec.attributes:
        return spec.attributes.index(name)
    return next(row for row, known in enumerate(spec.attributes) if joined(known) == joined(name))


def _decoded(net: Codes, codes: Any) -> list[Any]:
    device = next(net.parameters()).device
    with torch.inference_mode():
        return drawable(net.decode(torch.as_tensor(np.asarray(codes, np.float32), device=device)))


def _samples(net: Codes, latent: Latent) -> Drawing:
    from zoo.figures.latent import picture_sheet

    figure = picture_sheet(_decoded(net, latent.sample(SAMPLES, 0, "gaussian")))
    caption = "Codes drawn from the Gaussian fitted to those of training pictures, decoded; the command zoo sample knows other ways."
    return Drawing("Samples by fitted codes", figure, caption)


def _map(examples: Examples, spec: DataSpec, shown: Sequence[str]) -> Drawing:
    from zoo.figures.latent import class_plane, value_plane

    codes = examples.predictions["codes"]
    rows = np.asarray(evenly(len(codes), MAPPED))
    method = "tsne" if len(rows) >= 5 else "pca"
    if len(rows) < 2:
        return Drawing("Map of codes", class_plane(np.zeros((len(rows), 2))), "Too few pictures for a map.")
    taken, points = plane(codes[rows].numpy(), method)
    rows = rows[taken]
    caption = f"{'t-SNE' if method == 'tsne' else 'PCA'} of {len(rows)} codes: near is alike; distances between groups mean little."
    if "label" in examples.truth:
        return Drawing("Map of codes", class_plane(points, examples.truth["label"][rows].numpy(), spec.labels), caption)
    if shown:
        values = examples.truth["attributes"][rows, spec.attributes.index(shown[0])].numpy()
        return Drawing("Map of codes", value_plane(points, values, shown[0]), caption)
    return Drawing("Map of codes", class_plane(points), caption)


def _between(net: Codes, examples: Examples) -> Drawing:
    from zoo.figures.latent import picture_strips

    codes = examples.predictions["codes"].numpy()
    ends = evenly(len(codes), 2 * ROWS)
    pairs = list(zip(ends[::2], ends[1::2], strict=False)) or [(0, 0)]
    strips = [_decoded(net, interpolate(codes[first], codes[last], STEPS)) for first, last in pairs]
    return Drawing("From picture to picture", picture_strips(strips), "Codes on the way between two pictures' codes (spherical), decoded.")


def _neighbours(examples: Examples, spec: DataSpec) -> Drawing:
    from zoo.figures.neighbours import Found, neighbour_rows
    from zoo.metrics.retrieval import nearest  # torchmetrics: not needed to load and predict

    codes = examples.predictions["codes"]
    most = min(NEIGHBOURS, len(codes) - 1)
    kinds = _kinds(examples, spec)
    found = []
    for row in evenly(len(codes), ROWS) if most else []:
        others = torch.tensor([other for other in range(len(codes)) if other != row])
        distances, places = nearest(codes[row : row + 1], codes[others], most)
        rows = others[places[0]].tolist()
        right = [kinds[other] == kinds[row] for other in rows] if kinds else ()
        titles = [kinds[other] for other in rows] if kinds else ()
        pictures = [examples.picture(other) for other in rows]
        found.append(Found(examples.picture(row), pictures, distances[0].tolist(), right, kinds[row] if kinds else "query", titles))
    return Drawing("Neighbours", neighbour_rows(found), "The nearest other pictures of this part by the cosine of their codes.")


def _kinds(examples: Examples, spec: DataSpec) -> list[str]:
    if "label" in examples.truth:
        return [spec.labels[int(label)] for label in examples.truth["label"]]
    return [str(group) for group in examples.truth.get("group", ())]


def _edits(net: Codes, examples: Examples, latent: Latent, shown: Sequence[str]) -> Drawing:
    from zoo.figures.latent import picture_strips

    codes = examples.predictions["codes"].numpy()
    rows = evenly(len(codes), 2)
    pairs = [(name, row) for name in shown for row in rows]
    strips = [[examples.picture(row), *_decoded(net, latent.strip(codes[row], name))] for name, row in pairs]
    columns = ("given", *(f"{strength:+.0f}" if strength else "0" for strength in STRENGTHS))
    caption = "1 is the whole way from the training pictures that have the attribute least to those that have it most."
    return Drawing("Edits", picture_strips(strips, columns, [name for name, _ in pairs]), caption)
