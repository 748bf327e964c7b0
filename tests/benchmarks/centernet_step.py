"""What CenterNet costs in zoo, beside MMDetection's own with the same network; some minutes. Needs `zoo[mmdet]`.

    python tests/benchmarks/centernet_step.py [--rounds 12] [--part step targets decoding ...] [--boxes 20] [--labels 2] [--threads 1]

Both sides hold equal weights (ResNet-18, plain or deformable convolutions) and are given the same pictures of 256x256 pixels and
boxes, 4 to a batch, in memory; there is no DataLoader.

    step       uint8 pictures to updated weights. zoo: `task(batch)`; theirs: the detector's `data_preprocessor`, `loss` and
               `parse_losses`. On both sides then backward and AdamW (fused)
    targets    boxes to what the maps should say. zoo: `losses.targets`; theirs: `get_targets`
    decoding   maps of probabilities to boxes. zoo: `decode` and what `detect` does after it; theirs: `predict_by_feat`, which goes
               through the batch picture by picture
    batched    the same without what surrounds it: `decode`; `_decode_heatmap` of the whole batch

First, the losses of both sides must be equal. In a round both sides do the same work once, and the order is turned from round to round;
the first round is not kept. Given are the medians, the median of the rounds' ratios, and the interval that holds it with at least 95 %
(order statistics of the sign test), in wall-clock and in CPU time. Targets: a step at most 1.02 of theirs, targets and decoding at
most 0.5.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from intervals import interval

from zoo import mmcv_ops
from zoo.backbones.timm import TimmBackbone
from zoo.heads.centernet import decode, from_mmdet
from zoo.losses import centernet as losses
from zoo.spec import DataSpec
from zoo.tasks.centernet import CenterNet

SIZE, BATCH, LR = 256, 4, 1e-4
Work = Callable[[], Any]


# ---------------------------------------------------------------- the sides


def detector(labels: int, deformable: bool) -> Any:
    """MMDetection's, with random weights."""
    mmcv_ops.provide()
    import mmdet
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules()
    folder = Path(mmdet.__file__).parent / ".mim" / "configs" / "centernet"
    config = Config.fromfile(folder / f"centernet_r18{'-dcnv2' if deformable else ''}_8xb16-crop512-140e_coco.py")
    config.model.backbone.init_cfg = None
    config.model.bbox_head.num_classes = labels
    return MODELS.build(config.model).train()


def truth(boxes: int, labels: int) -> tuple[Tensor, Tensor]:
    """Corners (B, M, 4) and classes (B, M) of boxes of 8 pixels to half the picture."""
    generator = torch.Generator().manual_seed(1)
    side = 8 + torch.rand(BATCH, boxes, 2, generator=generator) ** 2 * (SIZE / 2 - 8)
    corner = torch.rand(BATCH, boxes, 2, generator=generator) * (SIZE - side)
    return torch.cat((corner, corner + side), 2), torch.randint(labels, (BATCH, boxes), generator=generator)


class Sides:
    """Both, with what they work on; each method gives the work of zoo and theirs."""

    def __init__(self, labels: int, boxes: int, deformable: bool) -> None:
        torch.manual_seed(0)
        self.theirs = detector(labels, deformable)
        names = tuple(f"class {number}" for number in range(labels))
        self.task = CenterNet(DataSpec(3, (SIZE, SIZE), names), TimmBackbone("resnet18", form="maps"), deformable).train()
        self.task.load_state_dict(from_mmdet(self.theirs.state_dict()), strict=False)
        self.corners, self.classes = truth(boxes, labels)
        self.image = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
        self.shape = (labels, SIZE // 4, SIZE // 4)
        self.maps = [torch.rand(BATCH, count, *self.shape[1:], generator=torch.Generator().manual_seed(3)) for count in (labels, 2, 2)]

    def samples(self) -> dict[str, Any]:
        from mmdet.structures import DetDataSample
        from mmengine.structures import InstanceData

        made = []
        for box, label in zip(self.corners, self.classes, strict=True):
            sample = DetDataSample(metainfo={"img_shape": (SIZE, SIZE), "ori_shape": (SIZE, SIZE)})
            sample.gt_instances = InstanceData(bboxes=box, labels=label)
            made.append(sample)
        return {"inputs": list(self.image.flip(1)), "data_samples": made}

    def step(self) -> tuple[Work, Work]:
        ours, other = (torch.optim.AdamW(net.parameters(), LR, fused=True) for net in (self.task, self.theirs))
        samples = self.samples()

        def by_zoo() -> Tensor:
            batch = {"image": self.image.float().div_(255), "boxes": self.corners, "classes": self.classes}
            loss: Tensor = self.task(batch)["loss"]
            return update(ours, loss)

        def by_them() -> Tensor:
            found = self.theirs.loss(*self.theirs.data_preprocessor(samples, True).values())
            return update(other, self.theirs.parse_losses(found)[0])

        torch.testing.assert_close(by_zoo(), by_them(), rtol=1e-4, atol=1e-5)
        return by_zoo, by_them

    def targets(self) -> tuple[Work, Work]:
        head, boxes, classes = self.theirs.bbox_head, list(self.corners), list(self.classes)
        return (
            lambda: losses.targets(self.corners, self.classes, self.shape, 4),
            lambda: head.get_targets(boxes, classes, (BATCH, *self.shape), (SIZE, SIZE)),
        )

    def decoding(self) -> tuple[Work, Work]:
        metas = [{"batch_input_shape": (SIZE, SIZE), "border": (0, SIZE, 0, SIZE)}] * BATCH
        lists = [[each] for each in self.maps]

        def by_zoo() -> Tensor:
            boxes, _, _ = decode(self.maps[0], self.maps[1].clamp_min(0), self.maps[2], 4)
            return torch.stack([side.clamp(0, SIZE) for side in boxes.unbind(2)], 2)

        return by_zoo, lambda: self.theirs.bbox_head.predict_by_feat(*lists, metas, rescale=False)

    def batched(self) -> tuple[Work, Work]:
        return lambda: decode(*self.maps, 4), lambda: self.theirs.bbox_head._decode_heatmap(*self.maps, (SIZE, SIZE))


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """The same on both sides."""
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


# ---------------------------------------------------------------- measuring

TIMES = {"step": 2, "targets": 20, "decoding": 20, "batched": 20}
"""How often each is done in a round."""


def timed(work: Work, times: int) -> tuple[float, float]:
    """Wall-clock and CPU time of one, in milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        work()
    return (time.perf_counter() - wall) * 1e3 / times, (time.process_time() - cpu) * 1e3 / times


def measured(part: str, pair: tuple[Work, Work], rounds: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Of each round what zoo and they took."""
    kept = []
    for number in range(-1, rounds):
        print(f"\r{part}: round {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
        order = (0, 1) if number % 2 else (1, 0)
        found = {side: timed(pair[side], TIMES[part]) for side in order}
        if number >= 0:
            kept.append((found[0], found[1]))
    print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    return kept


def table(part: str, rounds: list[tuple[tuple[float, float], tuple[float, float]]]) -> str:
    """What a person reads."""
    lines = [f"{part}: {len(rounds)} rounds; milliseconds for {BATCH} pictures of {SIZE}x{SIZE}"]
    for index, kind in enumerate(("wall", "CPU")):
        ours, theirs = ([side[index] for side in sides] for sides in zip(*rounds, strict=True))
        ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
        low, high = interval(ratios)
        medians = f"zoo {statistics.median(ours):9.3f}   mmdet {statistics.median(theirs):9.3f}"
        lines.append(f"  {kind:<5}{medians}   zoo / mmdet {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}]")
    return "\n".join(lines)


def main() -> None:
    """Time the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="at least 6, for an interval of 95 %%")
    parser.add_argument("--part", nargs="+", choices=tuple(TIMES), default=list(TIMES))
    parser.add_argument("--boxes", type=int, default=20, help="in each picture")
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--deformable", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sides = Sides(arguments.labels, arguments.boxes, arguments.deformable)
    for part in arguments.part:
        pair = getattr(sides, part)()
        with torch.set_grad_enabled(part == "step"):
            print(table(part, measured(part, pair, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
