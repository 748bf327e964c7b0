"""SegNet against what can be counted by hand and a forward written anew; the places of the maxima."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.backbones.segnet import SegNet

# Channels into and out of VGG16's convolutions by level, and of their mirror image.
ENCODER = [
    [(3, 64), (64, 64)],
    [(64, 128), (128, 128)],
    [(128, 256), (256, 256), (256, 256)],
    [(256, 512), (512, 512), (512, 512)],
    [(512, 512), (512, 512), (512, 512)],
]
DECODER = [
    [(512, 512), (512, 512), (512, 512)],
    [(512, 512), (512, 512), (512, 256)],
    [(256, 256), (256, 256), (256, 128)],
    [(128, 128), (128, 64)],
    [(64, 64), (64, 64)],
]


def test_layers_and_parameters() -> None:
    backbone = SegNet()
    for half, expected in ((backbone.encoder, ENCODER), (backbone.decoder, DECODER)):
        found = [[(conv.in_channels, conv.out_channels) for conv in level.modules() if isinstance(conv, nn.Conv2d)] for level in half]
        assert found == expected
    layers = [layer for level in ENCODER + DECODER for layer in level]
    parameters = sum(9 * inside * outside + 2 * outside for inside, outside in layers)
    assert sum(weight.numel() for weight in backbone.parameters()) == parameters
    # The 13 of VGG16 hold 14,714,688 numbers with their 4,224 biases, which stand here as shifts of the normalisation.
    encoder = sum(weight.numel() for weight in backbone.encoder.parameters())
    assert encoder == 14_714_688 + 4_224


def test_shapes_of_the_levels() -> None:
    backbone = SegNet(width=1)
    found: list[tuple[int, ...]] = []
    for level in (*backbone.encoder, *backbone.decoder):
        level.register_forward_hook(lambda module, inputs, output: found.append(tuple(output.shape[1:])))
    assert backbone.maps(torch.rand(1, 3, 97, 131))[0].shape == (1, 1, 97, 131)
    down = [(1, 128, 160), (2, 64, 80), (4, 32, 40), (8, 16, 20), (8, 8, 10)]
    assert found == [*down, (8, 8, 10), (4, 16, 20), (2, 32, 40), (1, 64, 80), (1, 128, 160)]


def windows(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H / 2, W / 2, 4): the numbers of each 2x2 window, row by row."""
    batch, channels, height, width = x.shape
    return x.view(batch, channels, height // 2, 2, width // 2, 2).transpose(3, 4).reshape(batch, channels, height // 2, width // 2, 4)


def spread(values: Tensor, corner: Tensor) -> Tensor:
    """The inverse: each value in the corner of its window that is named, zeros in the others."""
    batch, channels, height, width = values.shape
    filled = values[..., None] * (corner[..., None] == torch.arange(4))
    return filled.view(batch, channels, height, width, 2, 2).transpose(3, 4).reshape(batch, channels, 2 * height, 2 * width)


def reference(backbone: SegNet, image: Tensor, turn: int = 0) -> Tensor:
    """The forward in float64 from the weights alone; `turn` moves every maximum to another corner of its window."""
    state = {name: value.double() for name, value in backbone.state_dict().items()}

    def convs(x: Tensor, level: str, depth: int) -> Tensor:
        for number in range(depth):
            name = f"{level}.{number}"
            y = F.conv2d(x, state[f"{name}.0.weight"], padding=1)
            y = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
            x = (y * state[f"{name}.1.weight"].view(-1, 1, 1) + state[f"{name}.1.bias"].view(-1, 1, 1)).clamp(min=0)
        return x

    x, corners = (image - state["normalize.mean"]) / state["normalize.std"], []
    for number, depth in enumerate((2, 2, 3, 3, 3)):
        x, corner = windows(convs(x, f"encoder.{number}", depth)).max(-1)
        corners.append((corner + turn) % 4)
    for number, depth in enumerate((3, 3, 3, 2, 2)):
        x = convs(spread(x, corners[4 - number]), f"decoder.{number}", depth)
    return x


def drawn() -> SegNet:
    torch.manual_seed(0)
    backbone = SegNet(width=4)
    for name, weight in backbone.named_parameters():
        if weight.ndim == 1:
            nn.init.uniform_(weight, *((0.5, 1.5) if "weight" in name else (0.5, 1.0)))  # few zeros, so that few maxima are tied
    return backbone.double()


def test_forward_is_the_formula_and_other_places_give_another_map() -> None:
    backbone = drawn()
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    (found,) = backbone.maps(image)
    torch.testing.assert_close(found, reference(backbone, image))
    assert (found - reference(backbone, image, turn=1)).abs().mean() > 0.1 * found.abs().mean()


def test_values_return_to_the_places_of_their_maxima() -> None:
    """Seen at the first unpooling, whose values stand in the deepest map: not zero exactly where its maxima were."""
    backbone = drawn()
    maps: dict[str, Tensor] = {}
    backbone.encoder[-1].register_forward_hook(lambda module, inputs, output: maps.update(deepest=output))
    backbone.decoder[0].register_forward_hook(lambda module, inputs, output: maps.update(unpooled=inputs[0]))
    backbone.maps(torch.rand(2, 3, 64, 96, dtype=torch.float64))
    deepest, unpooled = windows(maps["deepest"]), windows(maps["unpooled"])
    assert torch.equal(unpooled.amax(-1), deepest.amax(-1))
    assert torch.equal(unpooled.argmax(-1), deepest.argmax(-1))
    assert (unpooled != 0).sum(-1).max() == 1
