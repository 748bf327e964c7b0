"""Several trainings in one figure: their curves, and what each axis of a study does to the result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from zoo.figures.style import COLOURS, FAINT, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

Point = tuple[float, float]
Dash = Literal["solid"] | tuple[int, tuple[float, ...]]
_DASHES: tuple[Dash, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (5, 1.5, 1.2, 1.5)),
    (0, (7, 1.5, 1.2, 1.5, 1.2, 1.5)),
)
_PANEL = 2.5
_MOST_WORDS = 12


@dataclass(frozen=True)
class Curve:
    """A line over the epochs.

    Attributes:
        colour, dash: what the line stands for on the first and on the second axis; equal words are drawn equal.
        points: (epoch, value); values that are not finite leave a gap.
    """

    colour: str
    dash: str
    points: Sequence[Point]


@with_style
def compared_curves(
    panels: Mapping[str, Sequence[Curve]], titles: tuple[str, str] = ("", ""), limits: Mapping[str, Point] | None = None
) -> Figure:
    """A panel for each quantity, with a line for each training.

    Args:
        panels: quantity -> its lines.
        titles: what colours and dashes stand for.
        limits: quantity -> lowest and highest value to show.
    """
    drawn = {title: [curve for curve in curves if curve.points] for title, curves in panels.items()}
    drawn = {title: curves for title, curves in drawn.items() if curves}
    if not drawn:
        return note_figure("no epoch has ended yet")
    colours = list(dict.fromkeys(curve.colour for curves in drawn.values() for curve in curves))
    dashes = list(dict.fromkeys(curve.dash for curves in drawn.values() for curve in curves))
    figure = new_figure(1.29 * WIDTH, 0.5 + _PANEL * len(drawn) + 0.17 * (1 + min(_MOST_WORDS + 1, max(len(colours), len(dashes)))))
    for axes, (title, curves) in zip(figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0], drawn.items(), strict=True):
        dress(axes)
        axes.set_title(plain(title, 40))
        for curve in curves:
            epochs, values = zip(*((epoch, value if math.isfinite(value) else math.nan) for epoch, value in curve.points), strict=True)
            axes.plot(
                epochs,
                values,
                color=_colour(colours, curve.colour),
                linestyle=_dash(dashes, curve.dash) if len(dashes) > 1 else _dash_of_colour(colours, curve.colour),
                linewidth=1.5,
                marker="o" if len(epochs) == 1 else None,
            )
        if limits and title in limits:
            axes.set_ylim(*limits[title])
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if all(len(curve.points) == 1 for curve in curves):
            axes.set_xlim(curves[0].points[0][0] - 1, curves[0].points[0][0] + 1)
    axes.set_xlabel("epoch")
    _legend(figure, colours, dashes, titles)
    return figure


def _colour(words: Sequence[str], word: str) -> str:
    return COLOURS[list(words).index(word) % len(COLOURS)]


def _dash(words: Sequence[str], word: str) -> Dash:
    return _DASHES[list(words).index(word) % len(_DASHES)]


def _dash_of_colour(words: Sequence[str], word: str) -> Dash:
    """Of lines that differ in colour alone: those of the second round of colours are dashed."""
    return _DASHES[list(words).index(word) // len(COLOURS) % len(_DASHES)]


def _legend(figure: Figure, colours: Sequence[str], dashes: Sequence[str], titles: tuple[str, str]) -> None:
    """Above the panels a column for the colours and, where there are several, one for the dashes; of very many words only the first."""
    shown, two = _MOST_WORDS, len(dashes) > 1
    styles = {word: _DASHES[0] if two else _dash_of_colour(colours, word) for word in colours[:shown]}
    groups = [(titles[0], colours, [Line2D([], [], color=_colour(colours, word), linestyle=style) for word, style in styles.items()])]
    if two:
        groups.append((titles[1], dashes, [Line2D([], [], color=SOFT, linestyle=_dash(dashes, word)) for word in dashes[:shown]]))
    handles, rows = [], max(len(lines) for _, _, lines in groups) + 2
    for title, words, lines in groups:
        for line, word in zip(lines, words, strict=False):
            line.set_label(plain(word, 24))
        more = f"and {len(words) - shown} more" if len(words) > shown else " "
        rest = [Line2D([], [], linestyle="none", label=more if place == 0 else " ") for place in range(rows - 1 - len(lines))]
        handles += [Line2D([], [], linestyle="none", label=plain(title, 24)), *lines, *rest]
    legend = figure.legend(handles=handles, loc="outside upper left", ncols=len(groups), frameon=False, handlelength=3.2)
    for place, text in enumerate(legend.get_texts()):
        text.set_fontweight("bold" if place % rows == 0 else "normal")


@dataclass(frozen=True)
class Effect:
    """One axis of a study.

    Attributes:
        name: of the axis.
        places: where each point stands: a name, or a number of a range.
        values: what was reached there, one for each place.
        log: of a range.
    """

    name: str
    places: Sequence[str | float]
    values: Sequence[float]
    log: bool = False


@with_style
def axis_panels(effects: Sequence[Effect], metric: str, best: int | None = None) -> Figure:
    """A panel for each axis: a point for each cell, and for named values a bar at their mean. `best` is the point with a star."""
    if not effects or not effects[0].values:
        return note_figure("no cell is finished yet")
    columns = min(2, len(effects))
    rows = math.ceil(len(effects) / columns)
    figure = new_figure(WIDTH * 1.29, 0.2 + _PANEL * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axes, effect in zip(panels, effects, strict=False):
        dress(axes)
        axes.set_title(plain(effect.name, 34))
        places = _places(axes, effect)
        axes.plot(places, effect.values, linestyle="none", marker="o", markersize=5, color=COLOURS[0], alpha=0.65, markeredgecolor="none")
        if best is not None:
            axes.plot([places[best]], [effect.values[best]], marker="*", markersize=13, color=INK, markeredgecolor="white", zorder=5)
    for axes in panels[len(effects) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(plain(metric, 30))
    return figure


def _places(axes: Axes, effect: Effect) -> list[float]:
    """Where the points stand; a log scale or names are set on the way."""
    if not any(isinstance(place, str) for place in effect.places):
        places = [float(place) for place in effect.places]
        if effect.log and max(places) > min(places) > 0:
            axes.set_xscale("log")
            ticks = [min(places), math.sqrt(min(places) * max(places)), max(places)]  # of a decade or less, matplotlib's own run together
            axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
        return places
    names = list(dict.fromkeys(map(str, effect.places)))
    slanted = sum(map(len, names)) > 30
    axes.set_xticks(
        range(len(names)), [plain(name, 18) for name in names], rotation=30 if slanted else 0, ha="right" if slanted else "center"
    )
    axes.set_xlim(-0.6, len(names) - 0.4)
    for number, name in enumerate(names):
        own = [value for place, value in zip(effect.places, effect.values, strict=True) if str(place) == name]
        axes.hlines(sum(own) / len(own), number - 0.25, number + 0.25, color=FAINT, linewidth=5, zorder=1)
    return [float(names.index(str(place))) for place in effect.places]
