"""Do edits change what they should, and little else? On drawn faces, judged by a classifier: for docs/results.csv, by hand.

    python tests/benchmarks/drawn_edits.py [RUN] [--write]

RUN is a training of `lfw_autoencoder` on drawn faces (default: the best of them). The judge is a CNN trained on faces of a second
drawing, of other people: on the pictures themselves and on what the model makes of them, since it is to read the model's pictures. Edited
are the pictures that the model did not train on, with a strength of 1.5, if they lack the attribute, and of -1.5 if they have it. Told are
the share of pictures in which the judge sees the attribute before (decoded without an edit) and after, and the mean share of pictures in
which it changes its mind about another attribute. A few minutes on two cores.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from real_digits import block
from torch import Tensor, nn

import zoo
from zoo import bench
from zoo.datasets import synthetic
from zoo.datasets.lfw import LFW
from zoo.datasets.source import Record
from zoo.model import Model

EDITED = ("Smiling", "Eyeglasses")
JUDGED = (*EDITED, "Sunglasses", "Male", "Senior", "Mustache", "Pale Skin", "Black Hair", "Harsh Lighting")
TIED = {"Eyeglasses": ("Sunglasses",)}
"""What an attribute excludes by itself."""
STRENGTH = 1.5


def main() -> None:
    """Train the judge and let it see edited pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="lfw_autoencoder")
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    model = zoo.load(arguments.run, device="cpu")
    others = LFW(synthetic.folder("lfw", LFW, seed=1))
    judge = trained(model, *read(model, others, others.records["labelled"]))
    source = LFW(synthetic.folder("lfw", LFW))
    unseen = set(model.split["val"]) | set(model.split["test"])
    image, truth = read(model, source, [record for record in source.records["labelled"] if record.id in unseen])
    plain = decoded(model, codes(model, image))
    for name, pictures in (("pictures", image), ("decoded pictures", plain)):
        right = ((judge(pictures) > 0) == truth).float().mean(0)
        print(f"judge on {len(image)} {name}:", *(f"{word} {value:.3f}" for word, value in zip(JUDGED, right.tolist(), strict=True)))
    for name in EDITED:
        for sign in (1, -1):
            rows = (truth[:, JUDGED.index(name)] == (sign < 0)).nonzero().flatten()
            before, after, moved = changed(model, judge, image[rows], name, sign * STRENGTH)
            print(
                f"{name} {sign * STRENGTH:+}: {len(rows)} pictures, seen in {before:.3f} before and {after:.3f} after; others {moved:.3f}"
            )
            if arguments.write:
                note = f"{len(rows)} drawn faces of unseen people; {before:.3f} before; verdicts on others changed: {moved:.3f}"
                bench.append("lfw_autoencoder", "synthetic", f"share_with_{name.lower()}_after_{sign * STRENGTH:+}", after, 0, note)


@torch.no_grad()
def changed(model: Model, judge: nn.Module, image: Tensor, name: str, strength: float) -> tuple[float, float, float]:
    """Shares in which the judge sees the attribute before and after, and the mean share in which another one changes."""
    assert model.latent is not None
    code = codes(model, image)
    edited = torch.from_numpy(model.latent.edited(code.numpy(), {name: strength}))
    before, after = (judge(decoded(model, one)) > 0 for one in (code, edited))
    at = JUDGED.index(name)
    others = [row for row, other in enumerate(JUDGED) if row != at and other not in TIED.get(name, ())]
    moved = (before != after)[:, others].float().mean()
    return float(before[:, at].float().mean()), float(after[:, at].float().mean()), float(moved)


def read(model: Model, source: LFW, records: list[Record]) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, H, W) in [0, 1] as the model sees them, and whether each has the judged attributes (N, J)."""
    columns = [source.attributes.index(name) for name in JUDGED]
    image = torch.stack([model.preprocess(source.read(record)[0]) for record in records]).float() / 255
    return image, torch.from_numpy(np.array([record.attributes for record in records])[:, columns] > 0)


@torch.no_grad()
def codes(model: Model, image: Tensor) -> Tensor:
    """(N, D)."""
    return torch.cat([model.task.embed(part) for part in torch.split(image, 64)])  # type: ignore[operator]  # the task has codes


@torch.no_grad()
def decoded(model: Model, code: Tensor) -> Tensor:
    """(N, C, H, W)."""
    return torch.cat([model.task.decode(part) for part in torch.split(code, 64)])  # type: ignore[operator]  # likewise


def trained(model: Model, image: Tensor, truth: Tensor, epochs: int = 40, batch: int = 64) -> nn.Module:
    """The judge: (B, C, H, W) -> a logit for each judged attribute, of pictures and of decoded ones."""
    torch.manual_seed(0)
    image, truth = torch.cat([image, decoded(model, codes(model, image))]), truth.repeat(2, 1)
    layers = [*block(image.shape[1], 16), nn.MaxPool2d(2), *block(16, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2), *block(64, 64)]
    judge = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 16, len(JUDGED)))
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.05)
    steps = epochs * (len(image) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(image)).split(batch)[: len(image) // batch]:
            seen = image[rows].flip(-1) if torch.rand(()) < 0.5 else image[rows]
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(judge(seen), truth[rows].float()).backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


if __name__ == "__main__":
    main()
