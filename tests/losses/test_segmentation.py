"""The contract that all losses of segmentation keep, whatever they measure."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from zoo.losses import segmentation
from zoo.losses.segmentation import IGNORE, NAMES, build, options

names = pytest.mark.parametrize("name", NAMES)
several = pytest.mark.parametrize("classes", [1, 3])
PLACED = ("total_variation", "boundary")
"""Those to whom it matters where a pixel lies."""


def case(classes: int, pictures: int = 3, size: tuple[int, int] = (5, 4)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(10 + classes)
    logits = 2 * torch.randn(pictures, classes, *size, generator=generator)
    mask = torch.randint(max(classes, 2), (pictures, *size), generator=generator)
    mask[torch.rand(mask.shape, generator=generator) < 0.3] = IGNORE
    return logits.requires_grad_(), mask


def sure(mask: Tensor, classes: int, scale: float = 1.0) -> Tensor:
    """Logits that say the truth, `scale` apart from 0; ignored pixels say class 0."""
    known = mask.where(mask != IGNORE, torch.zeros_like(mask))
    hot = torch.nn.functional.one_hot(known, max(classes, 2)).movedim(3, 1).float()
    return scale * (2 * hot[:, -classes:] - 1)


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, logits)
    return found


@names
@several
@pytest.mark.parametrize("value", [0.3, -1e4, float("inf"), float("nan")])
def test_ignored_pixels_change_nothing(name: str, classes: int, value: float) -> None:
    logits, mask = case(classes)
    ignored = (mask == IGNORE)[:, None].expand_as(logits)
    other = logits.detach().masked_fill(ignored, value).requires_grad_()
    loss, changed = build(name)(logits, mask), build(name)(other, mask)
    assert torch.equal(loss, changed)
    before, after = gradient(loss, logits), gradient(changed, other)
    assert torch.equal(before, after) and not after[ignored].any() and after[~ignored].any()


@names
@several
def test_any_value_can_be_the_ignored_one(name: str, classes: int) -> None:
    logits, mask = case(classes)
    expected = build(name)(logits, mask)
    assert torch.equal(build(name)(logits, mask.where(mask != IGNORE, -100), ignore=-100), expected)
    for value in range(max(classes, 2)):  # a class that the loss shall not see
        expected = build(name)(logits, mask.masked_fill(mask == value, IGNORE))
        assert torch.equal(build(name)(logits, mask.masked_fill(mask == IGNORE, value), ignore=value), expected)


@names
@several
def test_batches_may_be_divided(name: str, classes: int) -> None:
    logits, mask = case(classes, 4)
    mask[2] = IGNORE
    loss = build(name)
    losses = loss(logits, mask, reduction="none")
    alone = torch.cat([loss(logits[row : row + 1], mask[row : row + 1], reduction="none") for row in range(4)])
    assert losses.shape == (4,) and torch.allclose(losses, alone, rtol=1e-6)
    assert not losses[2]
    assert float(loss(logits, mask)) == pytest.approx(float(losses[[0, 1, 3]].mean()), rel=1e-6)
    assert float(loss(logits[[3, 1, 2, 0]], mask[[3, 1, 2, 0]])) == pytest.approx(float(loss(logits, mask)), rel=1e-6)


@names
@several
def test_nothing_known_is_nothing_learnt(name: str, classes: int) -> None:
    logits, mask = case(classes)
    loss = build(name)(logits, torch.full_like(mask, IGNORE))
    assert float(loss) == 0 and loss.requires_grad
    assert not gradient(loss, logits).any()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PLACED])
@several
def test_pixels_in_any_order(name: str, classes: int) -> None:
    logits, mask = case(classes)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    mixed = build(name)(logits.flatten(2)[..., order].view_as(logits), mask.flatten(1)[:, order].view_as(mask))
    assert float(mixed) == pytest.approx(float(build(name)(logits, mask)), rel=1e-6)


@names
@several
def test_pictures_may_be_turned_and_laid_out_anyhow(name: str, classes: int) -> None:
    logits, mask = case(classes)
    expected = pytest.approx(float(build(name)(logits, mask)), rel=1e-6)
    assert float(build(name)(logits.flip(2), mask.flip(1))) == expected
    assert float(build(name)(logits.mT, mask.mT)) == expected
    assert float(build(name)(logits.contiguous(memory_format=torch.channels_last), mask)) == expected


@pytest.mark.parametrize("name", [name for name in NAMES if name != "focal_course"])
def test_classes_in_any_order(name: str) -> None:
    """But for the course's focal loss, to which class 0 is the background."""
    logits, mask = case(3)
    renamed = torch.tensor([2, 0, 1])
    known = mask != IGNORE
    other = mask.clone()
    other[known] = renamed[mask[known]]
    assert float(build(name)(logits[:, renamed.argsort()], other)) == pytest.approx(float(build(name)(logits, mask)), rel=1e-6)


@names
@several
def test_the_better_the_lower(name: str, classes: int) -> None:
    mask = torch.zeros(1, 8, 8).long()
    mask[0, 2:6, 1:5], mask[0, 7] = classes - 1 or 1, IGNORE
    losses = [float(build(name)(sure(mask, classes, scale), mask)) for scale in (-3.0, -1.0, -0.3, 0.0, 0.3, 0.9)]
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == len(losses)


@names
@several
def test_it_teaches_the_mask(name: str, classes: int) -> None:
    _, mask = case(classes)
    logits = torch.zeros(3, classes, 5, 4)
    loss = build(name, weight=0.3 if name == "total_variation" else None)  # enough to cost lone pixels, not to paint them over
    for _ in range(12):
        logits.requires_grad_()
        logits = (logits - 0.5 * gradient(loss(logits, mask), logits).sign()).detach()
    said = logits[:, 0] > 0 if classes == 1 else logits.argmax(1)
    assert (said == mask)[mask != IGNORE].all()


@names
@several
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_finite_however_sure(name: str, classes: int, dtype: torch.dtype) -> None:
    """Surely right, surely wrong and undecided, of pictures with, without and full of each class."""
    _, mask = case(classes, 5)
    mask[1], mask[2], mask[3] = 0, 1, IGNORE
    logits = torch.cat([sure(mask, classes, scale) for scale in (0.0, 30.0, 1e4, -30.0, -1e4)]).to(dtype).requires_grad_()
    extremes = {"smoothing": 0.0, "gamma": 0.5, "alpha": 0.0, "beta": 0.0, "weight": 1.0}
    for given in ({}, {"gamma": 3.0, "smoothing": 0.0}, *({option: extremes[option]} for option in options(name))):
        losses = build(name, **given)(logits, mask.repeat(5, 1, 1), reduction="none")
        assert losses.dtype == torch.float32 and losses.isfinite().all() and (losses >= 0).all(), given
        assert gradient(losses.sum(), logits).isfinite().all(), given


@names
@several
def test_perfect_is_nought_and_wrong_is_not(name: str, classes: int) -> None:
    _, mask = case(classes, 5)
    mask[1], mask[2] = 0, 1
    plain = build(name, weight=0 if name == "total_variation" else None, smoothing=0)
    assert plain(sure(mask, classes, 1e4), mask, reduction="none").tolist() == pytest.approx([0] * 5, abs=1e-12)
    wrong = plain(sure(mask, classes, -1e4), mask, reduction="none")
    floor = 0.5 if name != "boundary" else 0.3
    assert (wrong >= floor).all()


@names
@several
def test_half_floats_are_added_up_in_float32(name: str, classes: int) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(1, classes, 90, 120, generator=generator).half()
    mask = torch.randint(max(classes, 2), (1, 90, 120), generator=generator)
    expected = float(build(name)(logits.double(), mask))
    assert float(build(name)(logits, mask)) == pytest.approx(expected, rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(build(name)(logits, mask)) == pytest.approx(expected, rel=1e-5)


@names
@several
def test_gradients_by_differences(name: str, classes: int) -> None:
    logits, mask = case(classes, 2, (3, 4))
    loss = build(name)
    assert torch.autograd.gradcheck(lambda x: loss(x, mask, reduction="none"), logits.detach().double().requires_grad_())


@names
@several
def test_sums_have_an_order_and_nothing_waits_for_the_device(name: str, classes: int) -> None:
    """No operation that adds up in whatever order threads arrive on a device; and traced without values, where reading one is an error."""
    traced = make_fx(lambda x, mask: gradient(build(name)(x, mask), x), tracing_mode="fake")(*case(classes))
    operations = {str(node.target).removeprefix("aten.").partition(".")[0]: node for node in traced.graph.nodes}
    unordered = {"scatter_add", "scatter_reduce", "index_add", "index_put", "bincount", "histc", "kthvalue", "median"}
    assert operations and not unordered & set(operations)
    if "cumsum" in operations:
        assert not operations["cumsum"].meta["val"].is_floating_point()
    if "nll_loss2d_forward" in operations:
        assert operations["nll_loss2d_forward"].args[3] == 0, "CUDA reduces it in no fixed order"


@names
def test_compiled_in_one_piece(name: str) -> None:
    torch.compiler.reset()
    logits, mask = case(1)
    loss: Callable[[Tensor, Tensor], Tensor] = build(name)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(logits, mask), loss(logits, mask))
    assert torch.allclose(gradient(compiled(logits, mask), logits), gradient(loss(logits, mask), logits), atol=1e-7)


@pytest.mark.parametrize(
    ("logits", "mask", "said"),
    [
        (torch.zeros(2, 3, 4), torch.zeros(2, 3, 4).long(), r"logits \(2, 3, 4\).*expected floats of shape \(B, K, H, W\)"),
        (torch.zeros(2, 1, 3, 4).long(), torch.zeros(2, 3, 4).long(), "logits .* of torch.int64: expected floats"),
        (torch.zeros(2, 0, 3, 4), torch.zeros(2, 3, 4).long(), "at least one class"),
        (torch.zeros(2, 1, 3, 4), torch.zeros(2, 4, 3).long(), r"mask \(2, 4, 3\).*expected torch.int64 of shape \(2, 3, 4\)"),
        (torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4).long(), r"mask \(2, 1, 3, 4\)"),
        (torch.zeros(2, 1, 3, 4), torch.zeros(2, 3, 4), "mask .* of torch.float32: expected torch.int64"),
        (torch.zeros(2, 1, 3, 4), torch.zeros(2, 3, 4).byte(), "of torch.uint8: expected torch.int64"),
    ],
)
@names
def test_wrong_tensors_are_refused(name: str, logits: Tensor, mask: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(name)(logits, mask)


@names
def test_wrong_reductions_are_refused(name: str) -> None:
    wrong: Any = "sum"
    with pytest.raises(ValueError, match="reduction='sum': expected 'none' or 'mean'"):
        build(name)(*case(1), reduction=wrong)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("dice", "smoothing", -1),
        ("soft_bce", "smoothing", -0.1),
        ("soft_bce", "smoothing", 1),  # dice's default: it would leave nothing to learn
        ("focal", "gamma", -1),
        ("focal", "alpha", 1.1),
        ("focal_course", "gamma", -1),
        ("tversky", "alpha", -1),
        ("tversky", "beta", float("nan")),
        ("tversky", "smoothing", -1),
        ("focal_tversky", "gamma", 0),
        ("focal_tversky", "beta", -1),
        ("total_variation", "weight", -1),
        ("boundary", "weight", 1.5),
        ("boundary", "smoothing", -1),
    ],
)
def test_options_out_of_range_are_refused_before_training(name: str, option: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{option}={value}: expected "):
        build(name, **{option: value})


def test_names() -> None:
    assert len(set(NAMES)) == len(NAMES) == 10
    with pytest.raises(ValueError, match="loss='dise': expected one of bce, dice, "):
        build("dise")


@names
def test_build_gives_each_loss_what_it_reads(name: str) -> None:
    logits, mask = case(1)
    function: Callable[..., Tensor] = getattr(segmentation, name)
    every = {"smoothing": 0.4, "gamma": 1.5, "alpha": 0.6, "beta": 0.9, "weight": 0.8}
    read = {option: every[option] for option in options(name)}
    chosen = pickle.loads(pickle.dumps(build(name, **every)))
    assert torch.equal(chosen(logits, mask), function(logits, mask, **read))
    assert torch.equal(build(name)(logits, mask), function(logits, mask))
    for option in read:
        assert not torch.equal(chosen(logits, mask), build(name, **{**every, option: None})(logits, mask)), option


def test_the_table_says_what_each_loss_reads() -> None:
    rows = [line.strip("| ").split("|") for line in (segmentation.__doc__ or "").splitlines() if line.startswith("|")]
    header = [cell.strip() for cell in rows[0]]
    told = {
        name: {option for option, cell in zip(header[1:], row[1:], strict=False) if cell.strip()}
        for row in rows[2:]
        for name in row[0].strip().split(", ")
    }
    assert told == {name: set(options(name)) for name in NAMES}
