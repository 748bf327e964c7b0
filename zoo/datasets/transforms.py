"""From a picture to the tensor a model sees, and the augmentations a recipe can name on the way.

Pictures stay uint8 until they are on the device; nothing here normalises. The functions in `__all__` are what
`data.augment` offers: each returns a transform of a picture, or of a pair (picture, mask): what moves pixels moves those of both
alike, the mask's to the nearest place; what changes colours leaves the mask alone. Their options are checked with the recipe, by
the bounds in the annotations; what only building or calling a transform shows is told by its name.
"""

# mypy: disable-error-code="no-any-return"
# torchvision ships no types: all that it returns is Any.

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from zoo.datasets.masks import IGNORE
from zoo.errors import RecipeError

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
    "occlude",
    "perspective",
    "randaugment",
    "rotation",
    "salt_and_pepper",
    "trivial_augment",
    "vertical_flip",
]

Fit = Literal["crop", "squash", "pad"]
Transform = Callable[[Any], Any]


def flip(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Mirror left and right with probability p."""
    return v2.RandomHorizontalFlip(p)


def vertical_flip(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Mirror top and bottom with probability p."""
    return v2.RandomVerticalFlip(p)


def crop(
    scale: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.8, 1.0),
    ratio: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.75, 1.333),
) -> Transform:
    """A random part of the picture, `scale` of its area and width / height in `ratio`, resized to the whole (Szegedy 2014)."""
    return _RandomPart(_rising("scale", scale), _rising("ratio", ratio))


def rotation(degrees: Annotated[float, Ge(0), Le(180)] = 15.0) -> Transform:
    """Turn by a random angle in +-degrees; the corners become grey."""
    return v2.RandomRotation(degrees, interpolation=v2.InterpolationMode.BILINEAR, fill=_fills())


def affine(
    degrees: Annotated[float, Ge(0), Le(180)] = 15.0,
    shift: Annotated[float, Ge(0), Le(1)] = 0.1,
    scale: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.9, 1.1),
    shear: Annotated[float, Ge(0), Le(90)] = 0.0,
) -> Transform:
    """Random turn (degrees), shift (part of the side), scale and shear (degrees)."""
    shears = [-shear, shear] if shear else None
    scale = _rising("scale", scale)
    return v2.RandomAffine(degrees, (shift, shift), scale, shears, interpolation=v2.InterpolationMode.BILINEAR, fill=_fills())


def perspective(distortion: Annotated[float, Ge(0), Le(1)] = 0.1, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Move the corners by up to `distortion` of half the side, with probability p."""
    return v2.RandomPerspective(distortion, p, fill=_fills())


def color(
    brightness: Annotated[float, Ge(0)] = 0.2,
    contrast: Annotated[float, Ge(0)] = 0.2,
    saturation: Annotated[float, Ge(0)] = 0.2,
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.1,
) -> Transform:
    """Random factors in 1 +- brightness, contrast, saturation; hue turned by up to +-hue of the circle."""
    return _PictureOnly(v2.ColorJitter(brightness, contrast, saturation, hue))


def blur(
    kernel: Literal[3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23] = 5,
    sigma: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.1, 2.0),
    p: Annotated[float, Ge(0), Le(1)] = 0.5,
) -> Transform:
    """Gaussian blur of `sigma` pixels over `kernel` x `kernel` pixels with probability p."""
    return _PictureOnly(v2.RandomApply([v2.GaussianBlur(kernel, list(_rising("sigma", sigma)))], p))


def noise(sigma: Annotated[float, Ge(0), Le(1)] = 0.05, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Add Gaussian noise; `sigma` is a part of the full range."""
    return _PictureOnly(v2.RandomApply([_Noise(sigma)], p))


def salt_and_pepper(share: Annotated[float, Ge(0), Le(1)] = 0.05, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Make a random `share` of the pixels white or black, evenly, with probability p."""
    return _PictureOnly(v2.RandomApply([_SaltAndPepper(share)], p))


def occlude(side: Annotated[float, Gt(0), Le(1)] = 0.3, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Cover a random square, `side` of the picture's shorter side long and whole within it, with grey, with probability p."""
    return _PictureOnly(v2.RandomApply([_Cover(side)], p))


def grey(p: Annotated[float, Ge(0), Le(1)] = 0.1) -> Transform:
    """Take the colour out with probability p."""
    return _PictureOnly(v2.RandomGrayscale(p))


def autocontrast(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Stretch to the full range with probability p."""
    return _PictureOnly(v2.RandomAutocontrast(p))


def erase(
    p: Annotated[float, Ge(0), Le(1)] = 0.25,
    scale: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.02, 0.2),
) -> Transform:
    """Blank a random rectangle of `scale` of the area with probability p (Zhong 2017); a mask still tells what was there."""
    return _PictureOnly(v2.RandomErasing(p, _rising("scale", scale), value=_FILL))


def randaugment(operations: Annotated[int, Ge(1)] = 2, magnitude: Annotated[int, Ge(0), Le(30)] = 9) -> Transform:
    """RandAugment (Cubuk 2019): `operations` random changes of strength `magnitude` of 30. Not for masks."""
    return v2.RandAugment(operations, magnitude, fill=_FILL)


def trivial_augment() -> Transform:
    """TrivialAugment (Mueller 2021): one random change of random strength. Not for masks."""
    return v2.TrivialAugmentWide(fill=_FILL)


_FILL = 128
"""What corners turned in from outside are filled with; in masks these are `IGNORE`."""

IN_PLACE = ("autocontrast", "blur", "color", "erase", "grey", "noise", "occlude", "salt_and_pepper")
"""What changes values and moves nothing."""

NOT_FOR_MASKS = ("randaugment", "trivial_augment")
"""Torchvision's forms of these refuse masks: they would move the picture without its mask."""


def _fills() -> dict[Any, int]:
    return {tv_tensors.Image: _FILL, tv_tensors.Mask: IGNORE}


def _rising(name: str, pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"`{name}`: expected [smallest, largest], found {list(pair)}")
    return pair


class _PictureOnly(nn.Module):
    """A transform of colours: of a pair, the mask stays as it is."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, sample: Any) -> Any:
        if isinstance(sample, tuple):
            picture, mask = sample
            return self.transform(picture), mask
        return self.transform(sample)


class _Noise(nn.Module):
    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, picture: Any) -> Any:
        noisy = picture.float() + torch.randn(picture.shape) * (255 * self.sigma)
        return tv_tensors.wrap(noisy.round_().clamp_(0, 255).to(torch.uint8), like=picture)


class _SaltAndPepper(nn.Module):
    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, picture: Any) -> Any:
        drawn = torch.rand(picture.shape[-2:])  # one number a pixel: all its colours go together
        spoilt = picture.masked_fill(drawn < self.share / 2, 0).masked_fill(drawn >= 1 - self.share / 2, 255)
        return tv_tensors.wrap(spoilt, like=picture)


class _Cover(nn.Module):
    def __init__(self, side: float) -> None:
        super().__init__()
        self.side = side

    def forward(self, picture: Any) -> Any:
        height, width = picture.shape[-2:]
        side = max(1, round(self.side * min(height, width)))
        top, left = (int(torch.randint(0, whole - side + 1, ())) for whole in (height, width))
        covered = picture.clone()
        covered[..., top : top + side, left : left + side] = _FILL
        return tv_tensors.wrap(covered, like=picture)


class _RandomPart(nn.Module):
    """`RandomResizedCrop` to the size that came in, whatever it is."""

    def __init__(self, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
        super().__init__()
        self.draw = v2.RandomResizedCrop(1, scale, ratio)

    def forward(self, sample: Any) -> Any:
        picture = sample[0] if isinstance(sample, tuple) else sample
        params = self.draw.make_params([picture])
        size = list(picture.shape[-2:])
        part = v2.functional.resized_crop(picture, **params, size=size, antialias=True)
        if not isinstance(sample, tuple):
            return part
        mask = v2.functional.crop(sample[1], **params)
        return part, tv_tensors.wrap(nearest(mask, picture.shape[-2:]), like=mask)


def nearest(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Resize masks (..., H, W) to `size`: each pixel becomes the one at its centre.

    Torchvision resizes masks by "nearest", which takes the corner's pixel and so shifts a mask against its picture by up to half a pixel.
    """
    return v2.functional.resize_image(mask.as_subclass(Tensor), list(size), v2.InterpolationMode.NEAREST_EXACT)


class Preprocess:
    """Bring any picture to a fixed size, with its mask if it has one: the one way for training, validation and prediction.

    Args:
        size: height and width of the result in pixels.
        fit: `crop` resizes the short side and crops the centre, `squash` ignores the aspect, `pad` resizes the long side and
            fills up with grey.
        fraction: with `crop`, the part of the resized picture that the crop keeps.
    """

    def __init__(self, size: tuple[int, int], fit: Fit = "crop", fraction: float = 0.875) -> None:
        self.size, self.fit, self.fraction = size, fit, fraction

    def __call__(self, picture: Image.Image, augment: Transform | None = None) -> Tensor:
        """An upright picture -> (C, H, W) uint8; `augment` works on the resized picture: before the crop, after the padding."""
        tensor = self._enlarge(tv_tensors.Image(v2.functional.pil_to_tensor(self._resize(picture))), _FILL)
        return self._cut(tensor if augment is None else augment(tensor))

    def pair(self, picture: Image.Image, mask: Image.Image, augment: Transform | None = None) -> tuple[Tensor, Tensor]:
        """An upright picture and its mask (mode "L", of the same size) -> (C, H, W) uint8 and (H, W) uint8.

        Both go the same way. What the picture does not show (a border, corners turned in) is `IGNORE` in the mask.
        """
        tensor = self._enlarge(tv_tensors.Image(v2.functional.pil_to_tensor(self._resize(picture))), _FILL)
        places = self._enlarge(tv_tensors.Mask(v2.functional.pil_to_tensor(self._resize(mask, mask=True))), IGNORE)
        if augment is not None:
            tensor, places = augment((tensor, places))
        return self._cut(tensor), self._cut(places)[0]

    def restore(self, mask: Tensor, size: tuple[int, int]) -> Tensor:
        """The way back: a mask (H, W) uint8 as `pair` gives it -> (height, width) uint8 over the whole picture it belongs to.

        Args:
            mask: of this size, such as a network's decided classes.
            size: height and width of the upright picture. What the crop cut off is `IGNORE`.
        """
        (left, top, right, bottom), (columns, rows) = self._way(size[1], size[0])
        if self.fit == "pad":
            before, above, *_ = _border((rows, columns), self.size)
            seen = mask[above : above + rows, before : before + columns]
        else:
            above, before = (round((have - kept) / 2) for have, kept in zip((rows, columns), self.size, strict=True))  # as `center_crop`
            seen = torch.full((rows, columns), IGNORE, dtype=torch.uint8)
            seen[above : above + self.size[0], before : before + self.size[1]] = mask
        whole = torch.full(size, IGNORE, dtype=torch.uint8)
        whole[top:bottom, left:right] = nearest(seen[None], (bottom - top, right - left))[0]
        return whole

    def _resize(self, picture: Image.Image, mask: bool = False) -> Image.Image:
        box, goal = self._way(picture.width, picture.height)
        picture = picture if box == (0, 0, *picture.size) else picture.crop(box)
        if goal == picture.size:
            return picture
        if mask:
            return picture.resize(goal, Image.Resampling.NEAREST)
        # reducing_gap shrinks huge photographs by whole factors first: several times faster, and no visible difference
        return picture.resize(goal, Image.Resampling.BILINEAR, reducing_gap=3.0)

    def _way(self, columns: int, rows: int) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
        """What of a picture is used (left, top, right, bottom) and the size (width, height) that this is resized to."""
        height, width = self.size
        if self.fit == "squash":
            return (0, 0, columns, rows), (width, height)
        box = self._without_ends(columns, rows) if self.fit == "crop" else (0, 0, columns, rows)
        columns, rows = box[2] - box[0], box[3] - box[1]
        ratios = (height / rows, width / columns)
        ratio = max(ratios) / self.fraction if self.fit == "crop" else min(ratios)
        return box, (max(1, round(columns * ratio)), max(1, round(rows * ratio)))

    def _without_ends(self, columns: int, rows: int) -> tuple[int, int, int, int]:
        """Cut off what lies far outside the centre crop: a picture of 1 x 5000 pixels would become one of 256 x 1,280,000."""
        height, width = self.size
        kept = min(columns, ceil(_LONGEST * rows * width / height)), min(rows, ceil(_LONGEST * columns * height / width))
        left, top = (columns - kept[0]) // 2, (rows - kept[1]) // 2
        return left, top, left + kept[0], top + kept[1]

    def _enlarge(self, tensor: Any, fill: int) -> Any:
        if self.fit != "pad":
            return tensor
        return v2.functional.center_crop(v2.functional.pad(tensor, _border(tensor.shape[-2:], self.size), fill=fill), list(self.size))

    def _cut(self, tensor: Any) -> Tensor:
        if self.fit == "crop":
            tensor = v2.functional.center_crop(tensor, list(self.size))
        plain: Tensor = tensor.as_subclass(Tensor)
        return plain.contiguous()


_LONGEST = 8
"""With fit `crop`, how many times longer than the crop the resized picture may be."""


def _border(have: Sequence[int], goal: Sequence[int]) -> list[int]:
    """Left, top, right and bottom of what is missing around `have` (height, width) in the middle of `goal`."""
    rows, columns = (max(0, wished - there) for wished, there in zip(goal, have, strict=True))
    return [columns // 2, rows // 2, columns - columns // 2, rows - rows // 2]


def binarized(image: Tensor) -> Tensor:
    """(..., H, W) uint8 -> 0 or 255 for each value, by chance: 255 with probability value / 255 (Salakhutdinov 2008)."""
    return (torch.rand(image.shape) * 255 < image).to(torch.uint8) * 255


class Augmentation:
    """The transforms of a recipe's list, one after the other.

    Args:
        steps: each has a `name` of `__all__` and that function's options.
        key: of the recipe, for errors.

    Raises:
        RecipeError: the options of a step do not go together, or (when called) do not suit the pictures; names it.
    """

    def __init__(self, steps: Sequence[Any], key: str = "data.augment") -> None:
        self.steps: list[tuple[str, Transform]] = []
        for number, step in enumerate(steps):
            where = f"{key}.{number} ({step.name})"
            try:
                self.steps.append((where, globals()[step.name](**step.model_dump(exclude={"name"}))))
            except (ValueError, TypeError) as error:
                raise RecipeError(f"{where}: {error}") from error

    def __call__(self, sample: Any) -> Any:
        """A picture, or a pair (picture, mask), as torchvision's tensors."""
        for where, transform in self.steps:
            try:
                sample = transform(sample)
            except (ValueError, TypeError, RuntimeError) as error:
                picture = sample[0] if isinstance(sample, tuple) else sample
                shape = f"{picture.shape[-2]}x{picture.shape[-1]}"
                raise RecipeError(f"{where} cannot be applied to a picture of {shape} pixels: {error}") from error
        return sample


def augmentation(steps: Sequence[Any], key: str = "data.augment") -> Augmentation | None:
    """The transform for a list of a recipe; None for an empty one."""
    return Augmentation(steps, key) if steps else None
