"""Any pictures with masks: `<root>/images/` and `<root>/masks/`, where a picture and its mask have names that go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from zoo.datasets.image_folder import PARTS
from zoo.datasets.masks import IGNORE, MaskValues
from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Record, Source, layout_error
from zoo.errors import DataError, RecipeError, shown

IMAGES, MASKS, UNLABELLED = "images", "masks", "unlabelled"


class ImageMasks(Source):
    """Pictures with a mask each, paired by their names.

    Names go together if they are equal but for their endings, or but for a beginning or an end that all pictures or all masks share
    (`photo_7.jpg` and `photo_7_mask.png`, `img_7.png` and `mask_7.png`). In subfolders, their folders are equal too. With train/, val/
    and test/ (above or below images/ and masks/) these parts are kept. Pictures in `unlabelled/`, and in a test part that has no masks,
    are to be predicted.

    Args:
        root: the folder that holds `images/` and `masks/`.
        classes: what the values of the masks stand for, in their order.
        values: `binary`: 0 is the first of two classes and 255 (or 1) the second; `indexed`: the value, or a palette's index, is the
            class, and 255 is to be ignored.
        unexpected: what becomes of other values. `half` (binary only): from 128 on they count as the second class; `ignore`: losses and
            metrics pass over such pixels; `error`: the mask is bad.
        unpaired: what becomes of pictures without a mask and masks without a picture.

    Raises:
        DataError: the layout is not there, or files are without their counterpart.
        RecipeError: the options do not go together.
    """

    title: ClassVar[str] = "pictures with masks"
    obtain: ClassVar[str] = "Any pictures of your own will do: a mask for each, whose pixels are class numbers."
    layout: ClassVar[str] = (
        "  <root>/images/1.jpg  <root>/masks/1.png ...\n"
        "  or <root>/train/images/1.jpg  <root>/train/masks/1.png  <root>/val/images/2.jpg ...\n"
        "  or <root>/images/train/1.jpg  <root>/masks/train/1.png ..."
    )
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        classes: tuple[str, ...] = ("background", "foreground"),
        values: Literal["binary", "indexed"] = "binary",
        unexpected: Literal["error", "half", "ignore"] = "error",
        unpaired: Literal["error", "skip"] = "error",
    ) -> None:
        _check_options(classes, values, unexpected)
        records: dict[str, list[Record]] = {"unlabelled": [Record(path, path.name) for path in _pictures(root / UNLABELLED)]}
        notes: list[str] = []
        for part, (images, masks) in _parts(root).items():
            if masks is None:
                records["unlabelled"] += [Record(path, path.relative_to(root).as_posix()) for path in _pictures(images)]
                notes.append(f"{images.relative_to(root)}/ has no masks: its pictures are to be predicted")
                continue
            pairs, left = pair(_stems(images), _stems(masks))
            if left:
                notes.append(_left_over(root, left, unpaired))
            records[part] = [Record(path, path.relative_to(root).as_posix(), mask=mask) for path, mask in pairs]
        if not (records.get("labelled") or records.get("train")):
            raise layout_error(ImageMasks, root, "no picture with a mask")
        super().__init__(root, classes, records, notes=notes, masks=MaskValues(len(classes), values == "binary", unexpected))

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw 160 leaves on littered ground, as `images/leaf_007.jpg` with `masks/leaf_007_mask.png`."""
        from zoo.datasets.drawn.image_masks import write

        write(root, seed)


def _check_options(classes: tuple[str, ...], values: str, unexpected: str) -> None:
    if len(set(classes)) != len(classes) or not 2 <= len(classes) <= IGNORE:
        raise RecipeError(f"data.classes={list(classes)}: expected from 2 to {IGNORE} different names, in the order of the masks' values")
    if values == "binary" and len(classes) != 2:
        raise RecipeError(f"data.classes: {len(classes)} names, but binary masks tell two classes; set data.values=indexed")
    if values == "indexed" and unexpected == "half":
        raise RecipeError("data.unexpected=half suits binary masks only; with data.values=indexed say ignore or error")


def _parts(root: Path) -> dict[str, tuple[Path, Path | None]]:
    """Part -> its folders of pictures and of masks."""
    tops = _folders(root)
    if IMAGES not in tops:
        above = {name: _folders(top) for name, top in tops.items() if name in PARTS}
        found = [(name, inner[IMAGES], inner.get(MASKS)) for name, inner in above.items() if IMAGES in inner]
    else:
        images, masks = _folders(tops[IMAGES]), _folders(tops[MASKS]) if MASKS in tops else {}
        found = [(name, images[name], masks.get(name)) for name in images if name in PARTS]
        if not {"train", "training"} & {name for name, *_ in found}:  # subfolders that only happen to be called so
            found = [("", tops[IMAGES], tops.get(MASKS))]
    parts: dict[str, tuple[Path, Path | None]] = {}
    for name, images_folder, masks_folder in found:
        part = PARTS[name] if name else "labelled"
        if part in parts:
            raise layout_error(ImageMasks, root, f"two folders are its {part} part: {parts[part][0].name}/ and {images_folder.name}/")
        if masks_folder is None and part != "test":
            raise layout_error(ImageMasks, root, f"no folder {MASKS}/ for {shown(images_folder)}")
        parts[part] = (images_folder, masks_folder)
    return parts


def _folders(root: Path) -> dict[str, Path]:
    """Folders by their names in small letters."""
    return {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith((".", "__"))}


def _pictures(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if is_picture(path) and not path.is_dir()]


def _stems(folder: Path) -> dict[Path, tuple[str, str]]:
    """File -> its folder within `folder`, and its name without ending."""
    return {path: (path.parent.relative_to(folder).as_posix(), path.stem) for path in _pictures(folder)}


Names = Mapping[Path, tuple[str, str]]


def pair(images: Names, masks: Names) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pairs of a picture and its mask, in the pictures' order, and the files that are left.

    Of the ways to cut off what all names of one kind share, the one that gives most pairs is taken; the plainest, if several do.
    """
    ways = [(one, other) for one in _cut_names(images) for other in _cut_names(masks)]
    pairs = max((_matched(one, other) for one, other in ways), key=len)
    used = {path for both in pairs for path in both}
    return pairs, [path for path in (*images, *masks) if path not in used]


def _cut_names(names: Names) -> list[dict[tuple[str, str], list[Path]]]:
    """The files by folder and name: as it is, and without the end, the beginning or both that all names share."""
    stems = [stem for _, stem in names.values()]
    start, end = _shared(stems), _shared([stem[::-1] for stem in stems])
    cuts: Iterable[Callable[[str], str]] = (
        lambda stem: stem,
        lambda stem: stem[: len(stem) - end],
        lambda stem: stem[start:],
        lambda stem: stem[start : len(stem) - end],
    )
    ways = []
    for cut in cuts:
        way: dict[tuple[str, str], list[Path]] = {}
        for path, (folder, stem) in names.items():
            way.setdefault((folder, cut(stem)), []).append(path)
        ways.append(way)
    return ways


def _shared(stems: list[str]) -> int:
    """With how many letters all names begin; digits at the end of that may be part of a number. Of a single name nothing is shared."""
    if len(stems) < 2:
        return 0
    first, last = min(stems), max(stems)
    same = next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return len(first[:same].rstrip("0123456789"))


def _matched(images: Mapping[tuple[str, str], list[Path]], masks: Mapping[tuple[str, str], list[Path]]) -> list[tuple[Path, Path]]:
    """Pairs of equal names; a name that two files share is no one's."""
    both = [(paths, masks.get(name, ())) for name, paths in images.items() if name[1]]
    return [(paths[0], others[0]) for paths, others in both if len(paths) == len(others) == 1]


def _left_over(root: Path, left: list[Path], unpaired: str, most: int = 8) -> str:
    """The note about files without their counterpart.

    Raises:
        DataError: `unpaired` is "error".
    """
    lists: dict[str, list[str]] = {"pictures without a mask": [], "masks without a picture": []}
    for path in left:
        is_mask = MASKS in [name.lower() for name in path.relative_to(root).parts[:-1]]
        lists["masks without a picture" if is_mask else "pictures without a mask"].append(shown(path.relative_to(root)))
    told = [
        f"{what}: {len(names)} ({', '.join(names[:most])}{' ...' if len(names) > most else ''})" for what, names in lists.items() if names
    ]
    if unpaired == "skip":
        return f"left out (data.unpaired: skip): {'; '.join(told)}"
    raise DataError(
        f"{shown(root)}: {'; '.join(told)}. A picture and its mask have equal names, but for their endings and for a beginning or an "
        "end that all masks (or all pictures) share, and no third file has that name. Rename or add files, or set data.unpaired=skip to "
        "leave these out."
    )
