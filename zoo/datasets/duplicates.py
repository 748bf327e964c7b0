"""Pictures that are one picture: equal files, and near duplicates that were saved again, resized, cropped a little or made brighter.

A picture is told by a thumbnail of 32 x 32 pixels. Near ones are found in two steps:

1. Search. A code of 8 x 8 greys without their mean, of length one: a perceptual hash that is not rounded to bits, because products of
   matrices compare real codes as fast as bits are counted, and do not lose what rounding loses. The nearest few of each picture go on.
2. Proof. Of two thumbnails one is moved and stretched until it lies on the other (Lucas & Kanade 1981, by Gauss-Newton from coarse to
   fine, in place and scale along both axes). The distance is 1 minus the correlation of what overlaps, of grey or of colour, whichever
   is larger: 0 for equal pictures, about 1 for unrelated ones, and blind to brightness and contrast.

How near is near depends on the data: two shirts of Fashion-MNIST are nearer than two copies of a photo saved at other sizes. So the
limit is lower where pictures that have nothing to do with each other are alike; see `limit`. Mirrored copies are not looked for: faces,
digits and clothes are nearly their own mirror images. How many copies are found and how many false pairs: docs/duplicates.md.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from zoo.datasets import idx
from zoo.datasets.source import Record

SIDE = 32
"""Pixels of a thumbnail's side."""
CODE = 8
"""Greys of a code's side."""
CANDIDATE = 0.3
"""Codes farther apart than this are of two pictures, whatever is moved or stretched."""
FARTHEST = 0.015
"""The limit where pictures are as different as photos are."""
SURE = 0.001
"""The limit where all pictures are alike: what comes of saving again alone."""
FRIENDS, APART = 0.85, 0.5
"""Each other's nearest in an embedding are one picture where their cosine is above `FRIENDS` and the next is twice as far as they are."""
FLAT, BARE = 2.0, 0.05
"""Plain is a thumbnail whose greys deviate less than `FLAT` of 255, or whose edges lie on less than this part of it."""
_LEVELS = ((8, 4, 0.1), (16, 3, 0.05), (SIDE, 3, 1.0))
"""Side of the thumbnails, steps of Gauss-Newton, and the distance from which on a pair is given up."""
_MOST = 0.25
"""Largest move and stretch, as a part of half the side: an eighth of the picture."""
_CHUNK = 512


class Pair(NamedTuple):
    """Two pictures by their numbers, the smaller first, and their distance: 0 for equal ones."""

    first: int
    second: int
    distance: float


def thumbnail(picture: Image.Image) -> Tensor:
    """(C, 32, 32) uint8 of a picture of mode "L" or "RGB"."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    channels = len(small.getbands())
    return torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(SIDE, SIDE, channels).permute(2, 0, 1)


def plain(thumbnails: Tensor) -> Tensor:
    """(N,) bool: pictures with too little in them to tell two of them apart, such as one colour, or a dot on it.

    The edges' part of the picture is the participation ratio of the gradient's energy, (sum e)^2 / (n sum e^2).
    """
    found = []
    for chunk in _chunks(thumbnails):
        grey = F.avg_pool2d(_grey(chunk.float()), 2)[:, 0]
        across, down = grey.diff(dim=2)[:, 1:], grey.diff(dim=1)[:, :, 1:]
        energy = (across.square() + down.square()).flatten(1)
        part = energy.sum(1).square() / (energy.shape[1] * energy.square().sum(1)).clamp_min(1e-12)
        found.append((grey.flatten(1).std(1) < FLAT) | (part < BARE))
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)


def near(
    thumbnails: Tensor,
    parts: Sequence[Hashable] | None = None,
    groups: Sequence[Hashable] | None = None,
    nearest: int = 3,
    vectors: Tensor | None = None,
) -> list[Pair]:
    """The pairs of near duplicates, nearest first.

    Of many copies of one picture not all pairs are given: each picture is compared with its few nearest alone.

    Args:
        thumbnails: (N, C, 32, 32) uint8. Plain ones are in no pair.
        parts: of the data, one for each picture; then only pairs across parts are looked for.
        groups: pictures of one group (a video) are alike anyway, so they do not count for the limit.
        nearest: how many pictures each is compared with.
        vectors: (N, D) an embedding by trained weights: pairs that are each other's nearest in it are believed at twice the limit, and at
            any distance where they are much nearer than all others; so copies are found whose white was cut off, or that were cut a lot.
    """
    numbers = (~plain(thumbnails)).nonzero()[:, 0]
    if len(numbers) < 2:
        return []
    kept = thumbnails[numbers]
    pairs = _candidates(_codes(kept), _numbered(parts, numbers), nearest)
    distances = _proven(kept, pairs)
    allowed = torch.full_like(distances, FARTHEST)
    if vectors is not None:
        friends, sure = _friends(vectors[numbers], _numbered(parts, numbers))
        pairs, distances, allowed = _with_friends(kept, pairs, distances, friends, sure)
    found = distances < allowed
    if not found.any():
        return []
    found &= distances < allowed * (limit(kept, _numbered(groups, numbers)) / FARTHEST)
    order = distances[found].argsort(stable=True)
    told = zip(numbers[pairs[found][order]].tolist(), distances[found][order].tolist(), strict=True)
    return [Pair(min(pair), max(pair), distance) for pair, distance in told]


def _friends(vectors: Tensor, parts: Tensor | None) -> tuple[Tensor, Tensor]:
    """(M, 2) pairs that are each other's nearest, and (M,) whether they are much nearer than the next."""
    units = F.normalize(vectors.float(), dim=1)
    found = []
    for rows in _chunks(torch.arange(len(units))):
        alike = units[rows] @ units.T
        alike[torch.arange(len(rows)), rows] = -1
        values, others = alike.topk(min(2, len(units)), dim=1)
        found.append((values[:, 0], values[:, -1], others[:, 0]))
    first, second, other = (torch.cat(column) for column in zip(*found, strict=True))
    one = torch.arange(len(units))
    mutual = (other[other] == one) & (one < other)
    if parts is not None:
        mutual &= parts != parts[other]
    one, other = one[mutual], other[mutual]
    apart = (1 - first[one]) / (1 - torch.maximum(second[one], second[other])).clamp_min(1e-6)
    return torch.stack([one, other], 1), (first[one] > FRIENDS) & (apart < APART)


def _with_friends(thumbnails: Tensor, pairs: Tensor, distances: Tensor, friends: Tensor, sure: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs, their distances, and what is allowed to each: more to friends, and to sure ones anything."""
    known = {tuple(pair): number for number, pair in enumerate(pairs.tolist())}
    fresh = torch.tensor([tuple(pair) not in known for pair in friends.tolist()], dtype=torch.bool)
    pairs = torch.cat([pairs, friends[fresh]])
    distances = torch.cat([distances, _proven(thumbnails, friends[fresh])])
    place = {tuple(pair): number for number, pair in enumerate(pairs.tolist())}
    allowed = torch.full_like(distances, FARTHEST)
    for pair, certain in zip(friends.tolist(), sure.tolist(), strict=True):
        allowed[place[tuple(pair)]] = math.inf if certain else 2 * FARTHEST
    return pairs, distances, allowed


def limit(thumbnails: Tensor, groups: Tensor | None = None, draws: int = 2000) -> float:
    """The distance below which two pictures of this data are taken for one.

    Half the cube of the distance that one in a hundred pairs drawn at random stays below, from 0.001 to 0.015. The cube, because where
    that distance is small the pictures differ in few ways, and then many more pairs come near by chance; so they do among many pictures,
    and from 1,000 on the limit falls with the root of their number. Pairs that can be laid on each other within 0.015 do not count: they
    may be what is looked for.

    Args:
        thumbnails: (N, C, 32, 32) uint8.
        groups: (N,) int64; pairs of one group are left out.
        draws: pairs that are drawn.
    """
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(len(thumbnails), (draws, 2), generator=generator)
    pairs = _each_once(pairs[pairs[:, 0] != pairs[:, 1]])
    if groups is not None:
        pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
    distances = _as_they_are(thumbnails, pairs)
    close = (distances < CANDIDATE).nonzero()[:, 0]
    same = close[_proven(thumbnails, pairs[close]) < FARTHEST]
    distances[same] = torch.nan
    usual = float(distances.nanquantile(0.01)) if len(distances) else math.nan
    return FARTHEST if math.isnan(usual) else min(FARTHEST, max(SURE, usual**3 / 2 * min(1.0, math.sqrt(1000 / len(thumbnails)))))


def _chunks(tensor: Tensor) -> list[Tensor]:
    return [tensor[start : start + _CHUNK] for start in range(0, len(tensor), _CHUNK)]


def _numbered(names: Sequence[Hashable] | None, chosen: Tensor) -> Tensor | None:
    """The names of the chosen as numbers, equal for equal names."""
    if names is None:
        return None
    known: dict[Hashable, int] = {}
    return torch.tensor([known.setdefault(names[number], len(known)) for number in chosen.tolist()])


def _codes(thumbnails: Tensor) -> Tensor:
    """(N, 64) float32 of length one."""
    chunks = [F.adaptive_avg_pool2d(_grey(chunk.float() / 255), CODE).flatten(1) for chunk in _chunks(thumbnails)]
    codes = torch.cat(chunks)
    return F.normalize(codes - codes.mean(1, keepdim=True), dim=1)


def _candidates(codes: Tensor, parts: Tensor | None, nearest: int) -> Tensor:
    """(M, 2) int64: each picture with its nearest, each pair once.

    With parts those of the largest need not be asked: of a pair across parts one lies in another.
    """
    asked = torch.arange(len(codes))
    if parts is not None:
        asked = asked[parts != parts.bincount().argmax()]
    found = [torch.zeros(0, 2, dtype=torch.int64)]
    for rows in _chunks(asked):
        distances = 1 - codes[rows] @ codes.T
        if parts is None:
            distances[torch.arange(len(rows)), rows] = torch.inf
        else:
            distances.masked_fill_(parts[rows, None] == parts, torch.inf)
        values, others = distances.topk(min(nearest, len(codes) - 1), largest=False)
        pairs = torch.stack([rows[:, None].expand_as(others), others], -1)
        found.append(pairs[values < CANDIDATE])
    return _each_once(torch.cat(found))


def _each_once(pairs: Tensor) -> Tensor:
    once: Tensor = torch.unique(pairs.sort(1).values, dim=0)
    return once


def _as_they_are(thumbnails: Tensor, pairs: Tensor) -> Tensor:
    """(M,) distances of pairs, nothing moved."""
    found = [torch.zeros(0)]
    for chunk in _chunks(pairs):
        one, other = (_smooth(thumbnails[side]) for side in chunk.T)
        found.append(_distance(one, other, torch.zeros(len(one), 4)))
    return torch.cat(found)


def _proven(thumbnails: Tensor, pairs: Tensor) -> Tensor:
    """(M,) distances of pairs once one lies on the other, or as they are, whichever is less; some are given up on the way."""
    distances = _as_they_are(thumbnails, pairs)
    for start in range(0, len(pairs), _CHUNK):
        one, other = (_smooth(thumbnails[side]) for side in pairs[start : start + _CHUNK].T)
        asked, place = torch.arange(len(one)), torch.zeros(len(one), 4)
        for side, steps, worst in _LEVELS:
            if not len(asked):
                break
            small, moved = (F.adaptive_avg_pool2d(_grey(picture[asked]), side) for picture in (one, other))
            for _ in range(steps):
                place = _step(small, moved, place)
            going = _distance(small, moved, place) < worst
            asked, place = asked[going], place[going]
        if len(asked):
            aligned = _distance(one[asked], other[asked], place)
            distances[start + asked] = torch.minimum(distances[start + asked], aligned)
    return distances


def _step(one: Tensor, other: Tensor, place: Tensor) -> Tensor:
    """A step of Gauss-Newton towards where `other` (M, 1, S, S) looks like `one`; places (M, 4) are moves and stretches in half sides."""
    moved, inside = _moved(other, place)
    first, second = _standard(one, inside), _standard(moved, inside)
    down, across = torch.gradient((first + second) / 2, dim=(2, 3))
    side = one.shape[-1]
    along = (torch.arange(side) + 0.5) * 2 / side - 1
    across, down = across * inside * side / 2, down * inside * side / 2
    slopes = torch.cat([across, down, across * along, down * along[:, None]], 1).flatten(2)
    normal = slopes @ slopes.transpose(1, 2)
    little = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-6)  # where nothing tells how far to go: not far
    change = torch.linalg.solve(normal + little[:, None, None] * torch.eye(4), slopes @ (first - second).flatten(1)[..., None])
    moved_on: Tensor = place + change[..., 0]
    return moved_on.clamp(-_MOST, _MOST)


def _moved(pictures: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (M, C, S, S) moved and stretched, and (M, 1, S, S) 1 where that is of the picture."""
    frame = torch.zeros(len(pictures), 2, 3)
    frame[:, 0, 0], frame[:, 1, 1], frame[:, :, 2] = 1 + place[:, 2], 1 + place[:, 3], place[:, :2]
    grid = F.affine_grid(frame, list(pictures.shape), align_corners=False)
    inside = (grid.abs() <= 1).all(-1)[:, None].to(pictures.dtype)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False), inside


def _standard(pictures: Tensor, inside: Tensor) -> Tensor:
    """Without their mean and of length one over all that is inside; 0 outside."""
    count = inside.sum((1, 2, 3), keepdim=True) * pictures.shape[1]
    pictures = (pictures - (pictures * inside).sum((1, 2, 3), keepdim=True) / count.clamp_min(1)) * inside
    return pictures / pictures.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)


def _distance(one: Tensor, other: Tensor, place: Tensor) -> Tensor:
    """(M,) 1 minus the correlation of grey or of colour, whichever is larger."""
    moved, inside = _moved(other, place)
    kinds = [(one, moved)] if one.shape[1] == 1 else [(one, moved), (_grey(one), _grey(moved))]
    found = [(_standard(first, inside) - _standard(second, inside)).square().sum((1, 2, 3)) / 2 for first, second in kinds]
    return torch.stack(found).amax(0)


def _grey(pictures: Tensor) -> Tensor:
    """(M, 1, S, S) of (M, C, S, S)."""
    return pictures if pictures.shape[1] == 1 else (pictures * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)


def _smooth(thumbnails: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], each pixel with some of its neighbours: what is left does not tell at which size a copy was saved."""
    pictures = F.pad(thumbnails.float() / 255, (1, 1, 1, 1), mode="replicate")
    pictures = pictures[:, :, :-2] + 2 * pictures[:, :, 1:-1] + pictures[:, :, 2:]
    return (pictures[..., :-2] + 2 * pictures[..., 1:-1] + pictures[..., 2:]) / 16


def equal(records: Sequence[Record]) -> list[list[int]]:
    """The numbers of records that are equal: files byte for byte, pictures of one file pixel for pixel, crops by their corners.

    Only files of equal length are read.

    Raises:
        OSError: a file is gone.
        DataError: a file of many pictures cannot be read.
    """
    lengths: dict[Hashable, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        lengths[record.path.stat().st_size if record.place is None else "pixels"].append(number)
    same: dict[bytes, list[int]] = defaultdict(list)
    for numbers in lengths.values():
        for number in numbers if len(numbers) > 1 else ():
            same[_digest(records[number])].append(number)
    return [numbers for numbers in same.values() if len(numbers) > 1]


def _digest(record: Record) -> bytes:
    if record.place is not None:
        return hashlib.sha256(idx.read(record.path)[record.place].tobytes()).digest()
    whole = _file_digest(record.path)
    return whole if record.crop is None else whole + repr(tuple(record.crop)).encode()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
