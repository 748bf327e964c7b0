"""From a picture to the tensor a model sees, and the augmentations a recipe can name on the way.

Pictures stay uint8 until they are on the device; nothing here normalises. The functions in `__all__` are what
`data.augment` offers: each returns a transform of a picture, or of a pair (picture, mask) or (picture, boxes): what moves pixels moves
those of both alike, the mask's to the nearest place; what changes colours leaves masks and boxes alone. Their options are checked with
the recipe, by the bounds in the annotations; what only building or calling a transform shows is told by its name.
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

from zoo.datasets.boxes import seen
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
    "photometric",
    "randaugment",
    "rotation",
    "salt_and_pepper",
    "trivial_augment",
    "vertical_flip",
    "zoom",
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


def zoom(
    scale: tuple[Annotated[float, Gt(0), Le(4)], Annotated[float, Gt(0), Le(4)]] = (0.6, 1.3), p: Annotated[float, Ge(0), Le(1)] = 1.0
) -> Transform:
    """A random window, `scale` times as wide and as high as the picture, resized to the whole, with probability p (Law & Deng 2018).

    A window above 1 holds the whole picture with grey around it, one below 1 a part.
    """
    return v2.RandomApply([_Zoom(_rising("scale", scale))], p)


def rotation(degrees: Annotated[float, Ge(0), Le(180)] = 15.0) -> Transform:
    """Turn by a random angle in +-degrees; the corners become grey."""
    return v2.RandomRotation(degrees, interpolation=v2.InterpolationMode.BILINEAR, fill=_fills())


def affine(
    degrees: Annotated[float, Ge(0), Le(180)] = 15.0,
    shift: Annotated[float, Ge(0), Le(1)] = 0.1,
    scale: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.9, 1.1),
    shear: Annotated[float, Ge(0), Le(90)] = 0.0,
    p: Annotated[float, Ge(0), Le(1)] = 1.0,
) -> Transform:
    """Random turn (degrees), shift (part of the side), scale and shear (degrees) with probability p."""
    shears = [-shear, shear] if shear else None
    scale = _rising("scale", scale)
    return _at_times(v2.RandomAffine(degrees, (shift, shift), scale, shears, v2.InterpolationMode.BILINEAR, _fills()), p)


def perspective(distortion: Annotated[float, Ge(0), Le(1)] = 0.1, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Move the corners by up to `distortion` of half the side, with probability p."""
    return v2.RandomPerspective(distortion, p, fill=_fills())


def color(
    brightness: Annotated[float, Ge(0)] = 0.2,
    contrast: Annotated[float, Ge(0)] = 0.2,
    saturation: Annotated[float, Ge(0)] = 0.2,
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.1,
    p: Annotated[float, Ge(0), Le(1)] = 1.0,
) -> Transform:
    """Random factors in 1 +- brightness, contrast, saturation and hue turned by up to +-hue of the circle, with probability p."""
    return _PictureOnly(_at_times(v2.ColorJitter(brightness, contrast, saturation, hue), p))


def photometric(p: Annotated[float, Ge(0), Le(1)] = 0.5) -> Transform:
    """Brightness, contrast, saturation, hue and the order of the channels, each changed with probability p (Liu 2016, SSD)."""
    return _PictureOnly(v2.RandomPhotometricDistort(p=p))


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

IN_PLACE = ("autocontrast", "blur", "color", "erase", "grey", "noise", "occlude", "photometric", "salt_and_pepper")
"""What changes values and moves nothing."""

COLOURS_AND_PLACES = ("randaugment", "trivial_augment")
"""Torchvision's forms of these refuse masks and boxes: they would move the picture alone."""


def _at_times(transform: nn.Module, p: float) -> nn.Module:
    """Where it is certain nothing is drawn for it."""
    return transform if p == 1 else v2.RandomApply([transform], p)


def _fills() -> dict[Any, int]:
    return {tv_tensors.Image: _FILL, tv_tensors.Mask: IGNORE}


def _rising(name: str, pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"`{name}`: expected [smallest, largest], found {list(pair)}")
    return pair


class _PictureOnly(nn.Module):
    """A transform of colours: of a pair, mask or boxes stay as they are."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, sample: Any) -> Any:
        if isinstance(sample, tuple):
            picture, places = sample
            return self.transform(picture), places
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
        return part, _resized_part(sample[1], params, size)


class _Zoom(nn.Module):
    def __init__(self, scale: tuple[float, float]) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, sample: Any) -> Any:
        picture = sample[0] if isinstance(sample, tuple) else sample
        height, width = picture.shape[-2:]
        scale = float(torch.empty(()).uniform_(*self.scale))
        window = max(1, round(scale * height)), max(1, round(scale * width))
        top, left = (_somewhere(inside, whole) for inside, whole in zip(window, (height, width), strict=True))
        border = [max(0, -left), max(0, -top), max(0, left + window[1] - width), max(0, top + window[0] - height)]
        part = {"top": top + border[1], "left": left + border[0], "height": window[0], "width": window[1]}
        enlarged = [v2.functional.pad(item, border, fill=_fills().get(type(item), 0)) for item in _items(sample)]
        parts = [_resized_part(item, part, [height, width]) for item in enlarged]
        return tuple(parts) if isinstance(sample, tuple) else parts[0]


def _somewhere(window: int, whole: int) -> int:
    """Where a window of the side begins so that the larger of both, window and picture, holds the other."""
    room = whole - window
    drawn = int(torch.randint(0, abs(room) + 1, ()))
    return drawn if room >= 0 else -drawn


def _items(sample: Any) -> tuple[Any, ...]:
    return sample if isinstance(sample, tuple) else (sample,)


def _resized_part(item: Any, part: dict[str, int], size: list[int]) -> Any:
    """A part (top, left, height, width) of a picture, a mask or boxes, resized to `size`."""
    if isinstance(item, tv_tensors.Mask):
        return tv_tensors.wrap(nearest(v2.functional.crop(item, **part), size), like=item)
    return v2.functional.resized_crop(item, **part, size=size, antialias=True)


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

    def boxed(
        self, picture: Image.Image, corners: Tensor, classes: Tensor, augment: Transform | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """An upright picture, its boxes (N, 4) and their classes (N,) -> (C, H, W) uint8, (M, 4) and (M,) in pixels of the result.

        All go the same way; see `zoo.datasets.boxes.seen` for boxes that are cut.
        """
        (left, top, right, bottom), (columns, rows) = self._way(*picture.size)
        moved = (corners - _twice(left, top)) * _twice(columns / (right - left), rows / (bottom - top))
        places = tv_tensors.BoundingBoxes(moved, format="XYXY", canvas_size=(rows, columns), clamping_mode=None)
        places = self._enlarge(places, _FILL)
        tensor = self._enlarge(tv_tensors.Image(v2.functional.pil_to_tensor(self._resize(picture))), _FILL)
        if augment is not None:
            tensor, places = augment((tensor, places))
        image = self._cut(tensor)
        return image, *seen(self._cut(places), classes, self.size)

    def unboxed(self, corners: Tensor, size: tuple[int, int]) -> Tensor:
        """The way back: boxes (N, 4) in pixels of the result -> in pixels of the upright picture of `size` (height, width), within it."""
        (left, top, right, bottom), (columns, rows) = self._way(size[1], size[0])
        before, above = self._shift(rows, columns)
        moved = (corners - _twice(before, above)) / _twice(columns / (right - left), rows / (bottom - top)) + _twice(left, top)
        return moved.clamp(min=0).minimum(_twice(size[1], size[0]))

    def restore(self, mask: Tensor, size: tuple[int, int]) -> Tensor:
        """The way back: a mask (H, W) uint8 as `pair` gives it -> (height, width) uint8 over the whole picture it belongs to.

        Args:
            mask: of this size, such as a network's decided classes.
            size: height and width of the upright picture. What the crop cut off is `IGNORE`.
        """
        (left, top, right, bottom), (columns, rows) = self._way(size[1], size[0])
        before, above = self._shift(rows, columns)
        if self.fit == "pad":
            found = mask[above : above + rows, before : before + columns]
        else:
            found = torch.full((rows, columns), IGNORE, dtype=torch.uint8)
            found[-above : self.size[0] - above, -before : self.size[1] - before] = mask
        whole = torch.full(size, IGNORE, dtype=torch.uint8)
        whole[top:bottom, left:right] = nearest(found[None], (bottom - top, right - left))[0]
        return whole

    def _shift(self, rows: int, columns: int) -> tuple[int, int]:
        """Where the left upper corner of the resized picture of so many pixels comes to lie in the result: x, y, negative if it is cut."""
        if self.fit == "pad":
            before, above, *_ = _border((rows, columns), self.size)
            return before, above
        return -round((columns - self.size[1]) / 2), -round((rows - self.size[0]) / 2)  # as `center_crop`

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
        border = _border(v2.functional.get_size(tensor), self.size)
        return v2.functional.center_crop(v2.functional.pad(tensor, border, fill=fill), list(self.size))

    def _cut(self, tensor: Any) -> Tensor:
        if self.fit == "crop":
            tensor = v2.functional.center_crop(tensor, list(self.size))
        plain: Tensor = tensor.as_subclass(Tensor)
        return plain.contiguous()


def _twice(x: float, y: float) -> Tensor:
    """(4,): for both corners of a box."""
    return torch.tensor([x, y, x, y], dtype=torch.float32)


_LONGEST = 8
"""With fit `crop`, how many times longer than the crop the resized picture may be."""


def _border(have: Sequence[int], goal: Sequence[int]) -> list[int]:
    """Left, top, right and bottom of what is missing around `have` (height, width) in the middle of `goal`."""
    rows, columns = (max(0, wished - there) for wished, there in zip(goal, have, strict=True))
    return [columns // 2, rows // 2, columns - columns // 2, rows - rows // 2]


def mosaic(quarters: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Four pictures in one, each seen through its quarter; the quarters meet in a random place near the middle (Bochkovskiy 2020).

    Args:
        quarters: of left upper, right upper, left lower and right lower: picture (C, H, W), boxes (N, 4) and classes (N,), of equal size.

    Returns:
        The same of the whole; its boxes are those of the parts that are seen.
    """
    whole = torch.empty_like(quarters[0][0])
    height, width = whole.shape[-2:]
    down, across = (int(torch.randint(side // 4, side - side // 4, ())) for side in (height, width))
    corners, classes = [], []
    for number, (picture, places, kinds) in enumerate(quarters):
        top, bottom = ((0, down), (down, height))[number // 2]
        left, right = ((0, across), (across, width))[number % 2]
        above, before = (int(torch.randint(0, side + 1, ())) for side in (height - (bottom - top), width - (right - left)))
        whole[..., top:bottom, left:right] = picture[..., above : above + bottom - top, before : before + right - left]
        places, kinds = seen(places - _twice(before, above), kinds, (bottom - top, right - left))
        corners.append(places + _twice(left, top))
        classes.append(kinds)
    return whole, torch.cat(corners), torch.cat(classes)


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
