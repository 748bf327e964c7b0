"""Masks on pictures: contours of truth and prediction, errors, galleries of both, and what a threshold changes.

Truth is sky blue and prediction orange throughout, so missed pixels are sky blue and false alarms orange. Every line has a dark edge:
it shows on light pictures, its bright core on dark ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from zoo.figures.grid import picture_grid
from zoo.figures.style import COLOURS, FAINT, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

IGNORE = 255
Picture = NDArray[np.uint8]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.integer[Any]]
Region = NDArray[np.bool_]

TRUTH, SAID, HIT, WRONG = COLOURS[5], COLOURS[4], COLOURS[2], COLOURS[6]
_CLASSES = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
_SHARP = 400  # pixels that the longer side of a picture has at least when lines are drawn on it
_GAP = 0.07
_SIDE = (WIDTH - 4 * _GAP) / 3  # inches of width per picture of the gallery
_LINE = 0.16  # inches of height per line of text


def class_colour(index: int) -> str:
    """The colour of a class, counted from 1; after seven they come again, lighter, then darker."""
    again, place = divmod(index - 1, len(_CLASSES))
    strength, towards = ((0.0, 0.0), (0.5, 1.0), (0.35, 0.0))[again % 3]
    red, green, blue = (part + strength * (towards - part) for part in to_rgb(_CLASSES[place]))
    return to_hex((red, green, blue))


def _bytes(colour: str) -> Bytes:
    return np.array([round(255 * part) for part in to_rgb(colour)], np.uint8)


_PALETTE = np.stack([_bytes(class_colour(index)) for index in range(256)])


def outlined(picture: Picture, mask: Mask | None, truth: Mask | None = None, classes: int = 2, scale: int = 1) -> Picture:
    """The picture with contours of what was predicted and of the truth.

    Of two classes the truth's line runs just outside of it and the prediction's just inside, so that both are seen where they agree.
    Of more, what was predicted (the truth, if nothing was) is tinted and lined in its class's colour, and the truth's line is white.
    Pixels without truth are hatched.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        mask: (H, W), decided classes, 0 the background, or None.
        truth: (H, W), classes or 255, or None.
        classes: their number.
        scale: enlarge so many times first, which makes lines on small pictures fine.

    Returns:
        (H * scale, W * scale, 3) uint8.
    """
    image = _enlarged(_colours(picture, mask, truth), scale)
    said, true = (None if labels is None else _enlarged(labels, scale) for labels in (mask, truth))
    width = max(1, round(max(image.shape) / 120))
    if true is not None:
        image = _hatched(image, true == IGNORE)
    lines: list[tuple[Region, Bytes]] = []
    if classes == 2:
        if true is not None:
            lines.append((_grown(true == 1, width) & (true != 1), _bytes(TRUTH)))
        if said is not None:
            lines.append((_inside(said, width), _bytes(SAID)))
    else:
        shown = true if said is None else said
        if shown is not None:
            image = _tinted(image, shown)
            lines.append((_inside(shown, width), _PALETTE[shown]))
        if true is not None and said is not None:
            lines.append((_inside(true, (width + 1) // 2), _bytes("white")))
    return _with_lines(image, lines, max(1, width // 3))


def error_map(picture: Picture, mask: Mask, truth: Mask) -> Picture:
    """The picture in grey with missed pixels, false alarms, wrong classes and hits in colours; pixels without truth are hatched.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        mask: (H, W), decided classes, 0 the background.
        truth: (H, W), classes or 255.

    Returns:
        (H, W, 3) uint8.
    """
    grey = _colours(picture, mask, truth) @ np.array([0.299, 0.587, 0.114])
    image = np.repeat((40 + grey * 0.7)[..., None], 3, axis=2)
    there, said, valid = truth != 0, mask != 0, truth != IGNORE
    kinds = {
        HIT: (there & (mask == truth), 0.35),
        TRUTH: (there & ~said, 0.75),
        SAID: (~there & said, 0.75),
        WRONG: (there & said & (mask != truth), 0.75),
    }
    for colour, (region, strength) in kinds.items():
        image[region & valid] += strength * (_bytes(colour) - image[region & valid])
    return _hatched(image.astype(np.uint8), ~valid)


@dataclass(frozen=True)
class Case:
    """One picture of a gallery.

    Attributes:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        mask: (H, W), decided classes.
        truth: (H, W), classes or 255.
        name: a file or id.
        iou: of the picture, 0 to 1; NaN where there is no truth.
        group: what it is of, such as a diagnosis.
    """

    picture: Picture
    mask: Mask
    truth: Mask
    name: str
    iou: float
    group: str = ""


def worst_first(ious: Sequence[float]) -> list[int]:
    """Places of the IoUs from the lowest to the highest, the first given first among equals, NaN last."""
    return sorted(range(len(ious)), key=lambda place: (math.isnan(ious[place]), ious[place]))


@with_style
def overlay_gallery(cases: Sequence[Case], labels: Sequence[str] = ("background", "foreground"), most: int = 8) -> Figure:
    """A row for each case, lowest IoU first: the picture (of more than two classes with its truth), the contours, the errors.

    Args:
        cases: in any order.
        labels: names of the classes, the background first.
        most: rows at most.
    """
    rows = [cases[place] for place in worst_first([case.iou for case in cases])[:most]]
    if not rows:
        return note_figure("no masks to show")
    legend = _legend(rows, labels)
    head = _LINE * (1 + max(len(entries) for entries in legend.values())) + 0.12
    heights = [_SIDE * min(1.4, case.picture.shape[0] / case.picture.shape[1]) for case in rows]
    top = head + sum(heights) + (_LINE + 0.12) * len(rows)
    figure = new_figure(WIDTH, top)
    figure.set_layout_engine("none")
    _write_legend(figure, legend)
    top -= head
    for case, tall in zip(rows, heights, strict=True):
        _draw_case(figure, case, len(labels), top, tall)
        top -= tall + _LINE + 0.12
    return figure


def _draw_case(figure: Figure, case: Case, classes: int, top: float, tall: float) -> None:
    """A line of text, `top` inches above the figure's lower edge, and below it three pictures `tall` inches high."""
    width, height = figure.get_size_inches()
    score = f"IoU {case.iou:.3f}" if math.isfinite(case.iou) else "no truth"
    note = f"{plain(case.group, 20)}   {score}" if case.group else score
    figure.text(_GAP / width, (top - 0.14) / height, plain(case.name, 28), fontsize=8)
    figure.text(1 - _GAP / width, (top - 0.14) / height, note, fontsize=8, ha="right")
    scale = _fine(case.picture)
    pictures = (
        _colours(case.picture) if classes == 2 else outlined(case.picture, None, case.truth, classes, scale),
        outlined(case.picture, case.mask, case.truth, classes, scale),
        error_map(case.picture, case.mask, case.truth),
    )
    for column, picture in enumerate(pictures):
        left = _GAP + column * (_SIDE + _GAP)
        axes = figure.add_axes((left / width, (top - 0.2 - tall) / height, _SIDE / width, tall / height), anchor="N")
        axes.imshow(picture)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FAINT)


def _legend(rows: Sequence[Case], labels: Sequence[str]) -> dict[str, list[Artist]]:
    """Title of each column -> what its colours mean."""
    errors: list[Artist] = [Patch(color=TRUTH, label="missed"), Patch(color=SAID, label="false alarm")]
    errors += [Patch(color=WRONG, label="another class")] if len(labels) > 2 else []
    errors.append(Patch(facecolor=HIT, alpha=0.6, linewidth=0, label="hit"))
    if any((case.truth == IGNORE).any() for case in rows):
        errors.append(Patch(facecolor=FAINT, edgecolor=SOFT, hatch="////", linewidth=0, label="no truth"))
    if len(labels) == 2:
        return {"picture": [], "contours": [_line_entry("truth", TRUTH), _line_entry("prediction", SAID)], "errors": errors}
    occurring = {int(index) for case in rows for mask in (case.mask, case.truth) for index in np.unique(mask)} - {0}
    classes: list[Artist] = [
        Patch(color=class_colour(index), label=plain(labels[index], 18)) for index in sorted(occurring) if index < len(labels)
    ]
    classes.append(Patch(facecolor="white", edgecolor=INK, linewidth=0.7, label="line of the truth"))
    half = (len(classes) + 1) // 2
    return {"truth": classes[:half], "prediction": classes[half:], "errors": errors}


def _line_entry(label: str, colour: str) -> Line2D:
    return Line2D([], [], color=colour, linewidth=2, label=label)


def _write_legend(figure: Figure, legend: Mapping[str, Sequence[Artist]]) -> None:
    height = figure.get_size_inches()[1]
    for column, (title, entries) in enumerate(legend.items()):
        left = (_GAP + column * (_SIDE + _GAP)) / WIDTH
        figure.text(left, 1 - 0.15 / height, title, fontsize=8.5, fontweight="bold")
        figure.legend(
            handles=entries,
            loc="upper left",
            bbox_to_anchor=(left, 1 - 0.23 / height),
            frameon=False,
            fontsize=8,
            borderpad=0,
            borderaxespad=0,
            handlelength=1.4,
            handletextpad=0.5,
            labelspacing=0.35,
        )


@with_style
def threshold_sweep(thresholds: ArrayLike, iou: ArrayLike, dice: ArrayLike, chosen: float) -> Figure:
    """Mean IoU and Dice by the threshold, the highest IoU marked by a star and the chosen threshold by a line.

    Args:
        thresholds: (T,), 0 to 1.
        iou: (T,), at each of the thresholds; values that are not finite leave a gap.
        dice: (T,), likewise.
        chosen: the threshold the masks were decided with.
    """
    at, lines = np.asarray(thresholds, np.float64), {"IoU": np.asarray(iou, np.float64), "Dice": np.asarray(dice, np.float64)}
    for name, values in lines.items():
        if values.shape != at.shape:
            raise ValueError(f"{name} of shape {values.shape} for {at.size} thresholds; expected one value for each")
    if not np.isfinite(lines["IoU"]).any():
        return note_figure("no threshold was measured")
    figure = new_figure(height=2.6)
    axes = figure.subplots()
    dress(axes)
    for colour, (name, values) in zip(COLOURS, lines.items(), strict=False):
        axes.plot(at, values, color=colour, marker="o", markersize=3, label=name)
    best = int(np.nanargmax(lines["IoU"]))
    value = lines["IoU"][best]
    axes.plot(at[best], value, marker="*", markersize=11, color=INK, markeredgecolor="white", markeredgewidth=0.7, zorder=5)
    axes.axvline(chosen, color=SOFT, linewidth=1, linestyle=":", label=f"chosen: {chosen:g}")
    axes.set_title(f"★ IoU {value:.4g} at {at[best]:.2g}", loc="right", fontsize=8.5, color=SOFT, fontweight="normal")
    axes.set_xlim(0, 1)
    axes.set_xlabel("foreground from this probability on")
    axes.legend(frameon=True, framealpha=0.85, edgecolor="none", borderpad=0.2, handlelength=2.2)
    return figure


def mask_grid(pictures: Sequence[Picture], masks: Sequence[Mask], titles: Sequence[str] = (), classes: int = 2, columns: int = 4) -> Figure:
    """Pictures with the contours of their true masks, each with its title above.

    Args:
        pictures: as `picture_grid` takes them.
        masks: one each, (H, W), classes or 255.
        titles: one each, or none at all.
        classes: their number.
        columns: pictures in a row.
    """
    if len(masks) != len(pictures):
        raise ValueError(f"{len(masks)} masks for {len(pictures)} pictures; expected one each")
    drawn = [outlined(picture, None, mask, classes, _fine(picture)) for picture, mask in zip(pictures, masks, strict=True)]
    return picture_grid(drawn, titles, columns)


def _fine(picture: Picture) -> int:
    """How many times to enlarge a picture before lines are drawn on it."""
    longer: int = max(picture.shape[:2])
    return math.ceil(_SHARP / longer)


def _colours(picture: Picture, *masks: Mask | None) -> Picture:
    """Any picture as (H, W, 3)."""
    image = np.asarray(picture)
    image = image[:, :, None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.size == 0 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"picture of {image.dtype} {picture.shape}; expected uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    for mask in masks:
        if mask is not None and mask.shape != image.shape[:2]:
            raise ValueError(f"mask of shape {mask.shape} on a picture of {image.shape[:2]}; expected equal sizes")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3]


def _enlarged(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """Every pixel `scale` times in each direction: nothing invented. A copy."""
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _grown(region: Region, by: int) -> Region:
    """All pixels at most `by` away in each direction; what lies outside of the picture counts as not in the region."""
    grown = region.copy()
    for axis in (0, 1):
        reach = 0
        while reach < by:  # windows of 2 * reach + 1 pixels side by side make one three times as long
            step = min(2 * reach + 1, by - reach)
            before = np.moveaxis(grown, axis, 0).copy()
            after = np.moveaxis(grown, axis, 0)
            after[step:] |= before[:-step]
            after[:-step] |= before[step:]
            reach += step
    return grown


def _inside(labels: Mask, width: int) -> Region:
    """(H, W), whether a pixel of a class other than 0 is at most `width` pixels from another class."""
    line = np.zeros(labels.shape, np.bool_)
    for index in set(np.unique(labels).tolist()) - {0, IGNORE}:
        region = labels == index
        line |= region & _grown(~region, width)
    return line


def _tinted(image: Picture, labels: Mask) -> Picture:
    region = ((labels != 0) & (labels != IGNORE))[..., None]
    return np.where(region, 0.6 * image + 0.4 * _PALETTE[labels], image).astype(np.uint8)


def _with_lines(image: Picture, lines: Sequence[tuple[Region, Bytes]], edge: int) -> Picture:
    """Lines in their colours, (3,) or (H, W, 3), the later over the earlier, all with a dark edge so many pixels wide."""
    drawn = np.logical_or.reduce([np.zeros(image.shape[:2], np.bool_), *(line for line, _ in lines)])
    image = np.where((_grown(drawn, edge) & ~drawn)[..., None], image // 5, image)
    for line, colours in lines:
        image = np.where(line[..., None], colours, image)
    return image


def _hatched(image: Picture, region: Region) -> Picture:
    """The region dimmed, with diagonal stripes."""
    if not region.any():
        return image
    down, right = np.indices(region.shape)
    period = max(4, max(region.shape) // 40)
    stripes = np.where((down + right) % period < period / 2, 90.0, 165.0)[..., None]
    return np.where(region[..., None], 0.4 * image + 0.6 * stripes, image).astype(np.uint8)
