"""From a picture to the tensor a model sees, and the augmentations a recipe can name on the way.

Pictures stay uint8 until they are on the device; nothing here normalises. The functions in `__all__` are what
`data.augment` offers: each returns a torchvision v2 transform that works on pictures, masks and boxes alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

__all__ = [
    "affine",
    "autocontrast",
    "blur",
    "color",
    "crop",
    "erase",
    "flip",
    "grey",
    "noise",
    "perspective",
    "randaugment",
    "rotation",
    "trivial_augment",
    "vertical_flip",
]

Fit = Literal["crop", "squash", "pad"]


def flip(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> nn.Module:
    """Mirror left and right with probability p."""
    return v2.RandomHorizontalFlip(p)


def vertical_flip(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> nn.Module:
    """Mirror top and bottom with probability p."""
    return v2.RandomVerticalFlip(p)


def crop(scale: tuple[float, float] = (0.8, 1.0), ratio: tuple[float, float] = (0.75, 1.333)) -> nn.Module:
    """A random part of the picture, `scale` of its area and width / height in `ratio`, resized to the whole (Szegedy 2014)."""
    return _RandomPart(scale, ratio)


def rotation(degrees: Annotated[float, Ge(0), Le(180)] = 15.0) -> nn.Module:
    """Turn by a random angle in +-degrees; the corners become grey."""
    return v2.RandomRotation(degrees, interpolation=v2.InterpolationMode.BILINEAR, fill=_FILL)


def affine(
    degrees: Annotated[float, Ge(0), Le(180)] = 15.0,
    shift: Annotated[float, Ge(0), Le(1)] = 0.1,
    scale: tuple[float, float] = (0.9, 1.1),
    shear: Annotated[float, Ge(0), Le(90)] = 0.0,
) -> nn.Module:
    """Random turn (degrees), shift (part of the side), scale and shear (degrees)."""
    shears = [-shear, shear] if shear else None
    return v2.RandomAffine(degrees, (shift, shift), scale, shears, interpolation=v2.InterpolationMode.BILINEAR, fill=_FILL)


def perspective(distortion: Annotated[float, Ge(0), Le(1)] = 0.1, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> nn.Module:
    """Move the corners by up to `distortion` of half the side, with probability p."""
    return v2.RandomPerspective(distortion, p, fill=_FILL)


def color(
    brightness: Annotated[float, Ge(0)] = 0.2,
    contrast: Annotated[float, Ge(0)] = 0.2,
    saturation: Annotated[float, Ge(0)] = 0.2,
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.1,
) -> nn.Module:
    """Random factors in 1 +- brightness, contrast, saturation; hue turned by up to +-hue of the circle."""
    return v2.ColorJitter(brightness, contrast, saturation, hue)


def blur(kernel: Annotated[int, Ge(1)] = 5, sigma: tuple[float, float] = (0.1, 2.0), p: Annotated[float, Ge(0), Le(1)] = 0.5) -> nn.Module:
    """Gaussian blur of `sigma` pixels with probability p; `kernel` is odd."""
    return v2.RandomApply([v2.GaussianBlur(kernel, list(sigma))], p)


def noise(sigma: Annotated[float, Ge(0), Le(1)] = 0.05, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> nn.Module:
    """Add Gaussian noise; `sigma` is a part of the full range."""
    return v2.RandomApply([_Noise(sigma)], p)


def grey(p: Annotated[float, Ge(0), Le(1)] = 0.1) -> nn.Module:
    """Take the colour out with probability p."""
    return v2.RandomGrayscale(p)


def autocontrast(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> nn.Module:
    """Stretch to the full range with probability p."""
    return v2.RandomAutocontrast(p)


def erase(p: Annotated[float, Ge(0), Le(1)] = 0.25, scale: tuple[float, float] = (0.02, 0.2)) -> nn.Module:
    """Blank a random rectangle of `scale` of the area with probability p (Zhong 2017)."""
    return v2.RandomErasing(p, scale, value=128)


def randaugment(operations: Annotated[int, Ge(1)] = 2, magnitude: Annotated[int, Ge(0), Le(30)] = 9) -> nn.Module:
    """RandAugment (Cubuk 2019): `operations` random changes of strength `magnitude` of 30."""
    return v2.RandAugment(operations, magnitude, fill=_FILL)


def trivial_augment() -> nn.Module:
    """TrivialAugment (Mueller 2021): one random change of random strength."""
    return v2.TrivialAugmentWide(fill=_FILL)


_FILL = 128
"""What corners turned in from outside are filled with."""


class _Noise(nn.Module):
    def __init__(self, sigma: Annotated[float, Gt(0)]) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, picture: Any) -> Any:
        noisy = picture.float() + torch.randn(picture.shape) * (255 * self.sigma)
        return tv_tensors.wrap(noisy.round_().clamp_(0, 255).to(torch.uint8), like=picture)


class _RandomPart(nn.Module):
    """`RandomResizedCrop` to the size that came in, whatever it is."""

    def __init__(self, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
        super().__init__()
        self.draw = v2.RandomResizedCrop(1, scale, ratio)

    def forward(self, picture: Any) -> Any:
        params = self.draw.make_params([picture])
        size = list(picture.shape[-2:])
        return v2.functional.resized_crop(picture, **params, size=size, antialias=True)


class Preprocess:
    """Bring any picture to a fixed size: the one way for training, validation and prediction.

    Args:
        size: height and width of the result in pixels.
        fit: `crop` resizes the short side and crops the centre, `squash` ignores the aspect, `pad` resizes the long side and
            fills up with grey.
        fraction: with `crop`, the part of the resized picture that the crop keeps.
    """

    def __init__(self, size: tuple[int, int], fit: Fit = "crop", fraction: float = 0.875) -> None:
        self.size, self.fit, self.fraction = size, fit, fraction

    def __call__(self, picture: Image.Image, augment: Callable[[Any], Any] | None = None) -> Tensor:
        """An upright picture -> (C, H, W) uint8; `augment` works on the resized picture, before the crop."""
        tensor = tv_tensors.Image(v2.functional.pil_to_tensor(self._resize(picture)))
        if augment is not None:
            tensor = augment(tensor)
        if self.fit == "crop":
            tensor = v2.functional.center_crop(tensor, list(self.size))
        elif self.fit == "pad":
            tensor = _pad(tensor, self.size)
        return tensor.as_subclass(Tensor).contiguous()

    def _resize(self, picture: Image.Image) -> Image.Image:
        height, width = self.size
        if self.fit == "squash":
            goal = (width, height)
        else:
            ratios = (height / picture.height, width / picture.width)
            ratio = max(ratios) / self.fraction if self.fit == "crop" else min(ratios)
            goal = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
        # reducing_gap shrinks huge photographs by whole factors first: several times faster, and no visible difference
        return picture if goal == picture.size else picture.resize(goal, Image.Resampling.BILINEAR, reducing_gap=3.0)


def _pad(tensor: Any, size: tuple[int, int]) -> Any:
    rows, columns = (max(0, goal - have) for goal, have in zip(size, tensor.shape[-2:], strict=True))
    border = [columns // 2, rows // 2, columns - columns // 2, rows - rows // 2]
    return v2.functional.center_crop(v2.functional.pad(tensor, border, fill=_FILL), list(size))


def augmentation(steps: Sequence[Any]) -> v2.Compose | None:
    """The transform for a recipe's `data.augment`: each step has a `name` of `__all__` and that function's options."""
    if not steps:
        return None
    return v2.Compose([globals()[step.name](**step.model_dump(exclude={"name"})) for step in steps])
