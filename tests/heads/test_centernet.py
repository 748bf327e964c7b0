"""CenterNet's head: its shapes, how it begins, deformable convolutions, peaks and boxes, and the names of MMDetection's weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from zoo.datasets import boxes as data
from zoo.heads import centernet
from zoo.heads.centernet import TOP, CenterHead, DeformableConv, decode, from_mmdet


def head(deformable: bool = False, labels: int = 3) -> CenterHead:
    torch.manual_seed(0)
    return CenterHead((8, 12), (16, 32), labels, (8, 8, 4), 6, deformable)


@pytest.mark.parametrize("deformable", [False, True])
def test_the_coarsest_map_is_doubled_three_times(deformable: bool) -> None:
    net = head(deformable)
    found = net([torch.rand(2, 8, 4, 6), torch.rand(2, 12, 2, 3)])
    assert net.stride == 4
    assert [tuple(each.shape) for each in found] == [(2, 3, 16, 24), (2, 2, 16, 24), (2, 2, 16, 24)]


def test_it_begins_with_few_centres_and_small_boxes() -> None:
    heat, size, offset = head()([torch.rand(2, 12, 4, 4)])
    assert 0.05 < heat.sigmoid().min() < 0.1 < heat.sigmoid().max() < 0.2
    assert max(size.abs().max(), offset.abs().max()) < 0.05


@pytest.mark.parametrize(("stride", "widths"), [(1, (8, 8, 8)), (4, (8, 8, 8)), (14, (8, 8))])
def test_a_map_that_is_too_fine_is_refused(stride: int, widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"found {stride}: take another backbone, such as resnet18, or fewer widths"):
        CenterHead((8,), (stride,), 1, widths)


def test_fewer_doublings() -> None:
    assert CenterHead((8,), (8,), 1, (8,)).stride == 4
    assert CenterHead((8,), (4,), 1, ()).stride == 4


def test_a_deformable_convolution_begins_as_half_a_plain_one() -> None:
    torch.manual_seed(0)
    conv, x = DeformableConv(4, 5), torch.rand(2, 4, 6, 7)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, padding=1) / 2)


def test_a_deformable_convolution_looks_elsewhere() -> None:
    """All places one cell to the right (each has its offset down, then to the right), with all their weight."""
    conv, x = DeformableConv(4, 5), torch.rand(2, 4, 6, 7)
    with torch.no_grad():
        assert conv.offset.bias is not None
        conv.offset.bias[1:18:2] = 1.0
        conv.offset.bias[18:] = 100.0
    torch.testing.assert_close(conv(x)[..., :-2], F.conv2d(x, conv.weight, padding=1)[..., 1:-1])


def test_a_deformable_convolution_keeps_its_precision() -> None:
    conv, x = DeformableConv(4, 5), torch.rand(2, 4, 6, 7).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv(x), conv(x.float())) and conv(x).dtype == torch.float32


def test_boxes_around_a_peak() -> None:
    heat, size, offset = torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16)
    heat[0, 1, 3, 5], heat[0, 0, 10, 2] = 0.5, 0.75
    size[0, :, 3, 5], offset[0, :, 3, 5] = torch.tensor([2.0, 4.0]), torch.tensor([0.25, 0.5])
    boxes, scores, classes = decode(heat, size, offset, 4)
    assert boxes.shape == (1, TOP, 4) and scores.shape == classes.shape == (1, TOP)
    assert scores[0, :3].tolist() == [0.75, 0.5, 0.0] and classes[0, :3].tolist() == [0, 1, centernet.NONE]
    assert boxes[0, :3].tolist() == [[8, 40, 8, 40], [4 * (5.25 - 1), 4 * (3.5 - 2), 4 * (5.25 + 1), 4 * (3.5 + 2)], [0, 0, 0, 0]]


def test_only_peaks_count() -> None:
    """As many as max-pooling leaves, the hundred highest of them, on maps without equal values."""
    heat = torch.rand(2, 3, 24, 20, generator=torch.Generator().manual_seed(0))
    kept = torch.where(F.max_pool2d(heat, 3, 1, 1) == heat, heat, 0)
    _, scores, classes = decode(heat, torch.rand(2, 2, 24, 20), torch.rand(2, 2, 24, 20), 4)
    assert torch.equal(scores, kept.flatten(1).sort(1, descending=True).values[:, :TOP])
    assert ((classes >= 0) == (scores > 0)).all()


def test_a_map_of_few_cells_has_empty_rows() -> None:
    heat = torch.full((1, 1, 3, 3), 0.1)
    heat[0, 0, 1, 1] = 0.9
    boxes, scores, classes = decode(heat, torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), 4)
    assert boxes.shape == (1, TOP, 4) and not boxes[0, 1:].any()
    assert scores[0].count_nonzero() == 1 and (classes[0] == centernet.NONE).sum() == TOP - 1
    assert centernet.NONE == data.NONE


@pytest.mark.parametrize("deformable", [False, True])
def test_every_weight_has_a_name_in_mmdetection(deformable: bool) -> None:
    """Counted by hand: six layers with normalisation in the neck, two convolutions in each branch."""
    places = [f"neck.deconv_layers.{number}.conv.weight" for number in range(6)]
    places += [f"neck.deconv_layers.{number}.conv.conv_offset.{kind}" for number in (0, 2, 4) for kind in ("weight", "bias") if deformable]
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    places += [f"neck.deconv_layers.{number}.bn.{kind}" for number in range(6) for kind in statistics]
    branches = ("heatmap_head", "wh_head", "offset_head")
    places += [f"bbox_head.{branch}.{number}.{kind}" for branch in branches for number in (0, 2) for kind in ("weight", "bias")]
    found = from_mmdet({place: torch.zeros(()) for place in places})
    assert set(found) == {f"head.{name}" for name in head(deformable).state_dict()}


def test_other_weights_are_refused() -> None:
    assert list(from_mmdet({"backbone.layer1.0.bn1.weight": torch.ones(1)})) == ["backbone.net.layer1.0.bn1.weight"]
    for name in ("neck.fpn_convs.0.conv.weight", "bbox_head.cls_convs.0.weight", "rpn_head.x", "bbox_head.heatmap_heads.0.0.weight"):
        with pytest.raises(ValueError, match=f"'{name}' is no weight of MMDetection's CenterNet"):
            from_mmdet({name: torch.ones(1)})


def test_lateral_maps_are_added() -> None:
    """With them each of the pyramid's maps that has a stride of the way up matters; without, the coarsest alone does."""
    maps = [torch.randn(2, 4 * 2**level, 64 // 2**level, 64 // 2**level) for level in range(5)]
    channels, strides = tuple(each.shape[1] for each in maps), (2, 4, 8, 16, 32)
    for lateral, wanted in ((False, [False, False, False, False, True]), (True, [False, True, True, True, True])):
        torch.manual_seed(0)
        head = CenterHead(channels, strides, 3, widths=(8, 6, 4), width=4, lateral=lateral).eval()
        before = head(maps).heat
        assert before.shape == (2, 3, 32, 32) and head.stride == 4
        assert [not torch.equal(head([*maps[:n], maps[n] + 1, *maps[n + 1 :]]).heat, before) for n in range(5)] == wanted


def test_of_maps_of_one_stride_the_deepest_is_added() -> None:
    maps = [torch.randn(1, channels, side, side) for channels, side in ((4, 8), (6, 8), (8, 4))]
    head = CenterHead((4, 6, 8), (8, 8, 16), 1, widths=(6,), width=4, lateral=True).eval()
    before = head(maps).heat
    assert torch.equal(head([maps[0] + 1, *maps[1:]]).heat, before)
    assert not torch.equal(head([maps[0], maps[1] + 1, maps[2]]).heat, before)


@pytest.mark.parametrize(("strides", "widths"), [((16, 16, 16), (8, 6, 4)), ((4, 8), ())])
def test_lateral_maps_that_are_not_there_are_refused(strides: tuple[int, ...], widths: tuple[int, ...]) -> None:
    """A ViT's maps are all of one stride: the option would do nothing."""
    with pytest.raises(ValueError, match=r"lateral: the backbone has no map of stride .* to be added"):
        CenterHead((8,) * len(strides), strides, 1, widths, lateral=True)
