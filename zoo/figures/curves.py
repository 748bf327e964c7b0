"""Curves of a training: losses, metrics and learning rate over the epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.figures.style import COLOURS, INK, SOFT, dress, new_figure, note_figure, plain, with_style

History = Sequence[Mapping[str, float]]
_PARTS = ("train", "val", "test")
_MOST_PANELS = 8
_CROWD = 3  # more lines than these have their names under the panel, where they hide none
_ROW = 0.17  # inches of a row of names


@with_style
def training_curves(history: History, monitor: str | None = None, mode: Literal["min", "max"] = "max") -> Figure:
    """Panels for the losses, the metrics between 0 and 1, every metric on a scale of its own, and the learning rate.

    Args:
        history: one row per epoch with `epoch`, `lr` and `<part>/<quantity>`; values that are not finite leave a gap.
        monitor: the quantity whose best epoch is marked; without it the first validation metric (highest) or loss (lowest).
        mode: whether the best of `monitor` is its "max" or its "min".
    """
    panels = _panels(history)
    if not panels:
        return note_figure("no epoch has ended yet")
    if monitor is None:
        monitor, mode = _guess_monitor(history)
    best = best_epoch(history, monitor, mode)
    heights = [0.6 if title == "learning rate" else 1.0 for title in panels]
    rows = sum(-(-len(names) // 2) for names in panels.values() if len(names) > _CROWD)
    figure = new_figure(height=0.5 + 2.0 * sum(heights) + _ROW * rows)
    columns = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, names) in zip(columns, panels.items(), strict=True):
        _draw_panel(axes, title, names, history)
        _mark_best(axes, best, names, monitor, history)
    columns[-1].set_xlabel("epoch")
    columns[-1].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return figure


def best_epoch(history: History, monitor: str, mode: Literal["min", "max"]) -> float | None:
    """The epoch with the best finite value of `monitor`, the earliest among equals; None when there is none."""
    sign = -1.0 if mode == "max" else 1.0
    points = [(sign * value, epoch) for epoch, value in _line(history, monitor) if math.isfinite(value)]
    return min(points)[1] if points else None


def _panels(history: History) -> dict[str, list[str]]:
    """Title -> names of the lines drawn under it."""
    names = list(dict.fromkeys(name for row in history for name in row if _finite(history, name)))
    measured = [name for name in names if name.partition("/")[0] in _PARTS and "/" in name]
    panels: dict[str, list[str]] = {"loss": [], "metrics": []}
    for name in measured:
        quantity = name.partition("/")[2]
        unit = all(0 <= value <= 1 for other in measured if other.endswith(f"/{quantity}") for value in _finite(history, other))
        kind = "loss" if "loss" in quantity else "scores" if quantity.endswith("_score") else "metrics" if unit else quantity
        panels.setdefault(kind, []).append(name)
    panels = dict([(title, lines) for title, lines in panels.items() if lines][: _MOST_PANELS - 1])
    rates = [name for name in names if name == "lr" or name.startswith("lr/")]
    return panels | ({"learning rate": rates} if rates else {})


def _draw_panel(axes: Axes, title: str, names: Sequence[str], history: History) -> None:
    dress(axes)
    axes.set_title(plain(title, 40))
    values = [value for name in names for value in _finite(history, name)]
    if title != "metrics" and min(values) > 0 and max(values) / min(values) > 20:
        axes.set_yscale("log")
    quantities = list(dict.fromkeys(_quantity(name) for name in names))
    for name in names:
        points = _line(history, name)
        colour = COLOURS[quantities.index(_quantity(name)) % len(COLOURS)]
        train = name.startswith("train/")
        axes.plot(
            [epoch for epoch, _ in points],
            [value if math.isfinite(value) else math.nan for _, value in points],
            color=_lighter(colour) if train else colour,
            linestyle=(0, (4, 1.5)) if train else "solid",
            marker="o" if len(points) <= 30 else None,  # a point between two gaps has no line that would show it
            markersize=3,
            drawstyle="steps-mid" if title == "learning rate" else "default",
            label=plain(name, 28),
        )
    if len(names) > _CROWD and title != "learning rate":  # under the last panel stand the epochs
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.03), ncols=2, frameon=False, borderaxespad=0, handlelength=2.2)
    elif len(names) > 1:
        axes.legend(frameon=True, framealpha=0.85, edgecolor="none", borderpad=0.2, handlelength=2.2)


def _mark_best(axes: Axes, best: float | None, names: Sequence[str], monitor: str, history: History) -> None:
    if best is None:
        return
    axes.axvline(best, color=SOFT, linewidth=1, linestyle=":")
    if monitor in names:
        value = dict(_line(history, monitor))[best]
        axes.plot([best], [value], marker="*", markersize=11, color=INK, markeredgecolor="white", markeredgewidth=0.7, zorder=5)
        axes.set_title(f"★ {plain(monitor, 24)} {value:.4g}, epoch {best:g}", loc="right", fontsize=8.5, color=SOFT, fontweight="normal")


def _guess_monitor(history: History) -> tuple[str, Literal["min", "max"]]:
    names = [name for row in history for name in row if name.startswith("val/")]
    metrics = [name for name in names if "loss" not in name and all(0 <= value <= 1 for value in _finite(history, name))]
    return (metrics[0], "max") if metrics else ("val/loss", "min")


def _line(history: History, name: str) -> list[tuple[float, float]]:
    return [(_number(row.get("epoch", index)), _number(row[name])) for index, row in enumerate(history, 1) if name in row]


def _finite(history: History, name: str) -> list[float]:
    return [value for value in _numbers(row[name] for row in history if name in row) if math.isfinite(value)]


def _numbers(values: Iterable[object]) -> list[float]:
    return [_number(value) for value in values]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _quantity(name: str) -> str:
    return name.partition("/")[2] if name.partition("/")[0] in _PARTS else name


def _lighter(colour: str) -> tuple[float, float, float]:
    red, green, blue = (1 - 0.55 * (1 - part) for part in to_rgb(colour))
    return red, green, blue
