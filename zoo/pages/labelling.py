"""The labelling page: one HTML file with the pictures in it, a key for each class, and a JSON of labels to download.

It asks no server for anything. What was labelled is kept in the browser's localStorage where there is one, under a name made of the
page's own pictures, so that a page that is opened again goes on. `data.labelled: FILE` reads the JSON into training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.datasets.source import Record
from zoo.pages import markup
from zoo.pages.markup import Markup, embedded, tag

SIDE = 320
"""Pixels of the longer side of an embedded picture."""
KEYS = "1234567890qwertyadfghjklzxcvbnm"
"""Of the classes, in order; those beyond are clicked. U, S and P are undo, skip and the suggestion."""
FORMAT = {"zoo": "labels", "version": 1}


@dataclass(frozen=True)
class Asked:
    """A picture to be labelled: `path` as in the labels file, the `jpeg` that is shown, `suggestion` what the model takes it for."""

    path: str
    jpeg: bytes
    suggestion: str
    probability: float


def page(title: str, labels: Sequence[str], asked: Sequence[Asked], before: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page as HTML.

    Args:
        title: above it.
        labels: class index -> name.
        asked: in the order to ask.
        before: pictures of an earlier labels file, which the new one begins with; see `again`.
    """
    pictures = [
        {"path": one.path, "said": one.suggestion, "sure": round(one.probability, 4), "src": embedded(one.jpeg, "jpeg")} for one in asked
    ]
    name = hashlib.sha256(json.dumps([list(labels), [one.path for one in asked]]).encode()).hexdigest()[:16]
    facts = {
        "name": f"zoo-labels-{name}",
        "head": FORMAT,
        "labels": list(labels),
        "keys": KEYS,
        "before": list(before),
        "pictures": pictures,
    }
    style, script = (Path(__file__).with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".css", ".js"))
    data = json.dumps(facts).replace("<", "\\u003c")  # no name can end the script
    body = tag(
        "main",
        tag("header", tag("h1", title), tag("p", "", id="progress", role="status"), tag("div", tag("div", "", id="bar"), id="track")),
        tag("figure", tag("img", id="picture", alt="the picture to label"), tag("figcaption", "", id="said"), id="sheet"),
        tag("div", "", id="classes"),
        tag(
            "nav",
            tag("button", tag("kbd", "P"), " as suggested", id="accept"),
            tag("button", tag("kbd", "S"), " skip", id="skip"),
            tag("button", tag("kbd", "U"), " undo", id="undo"),
            tag("button", tag("kbd", "Enter"), " save labels.json", id="save"),
        ),
        tag("p", "Kept in this browser until saved; put labels.json beside this page: its paths are relative to that folder.", id="hint"),
    )
    return markup.page(title, style, body, tag("script", Markup(data), type="application/json", id="facts"), script=script)


def relative(path: Path, folder: Path) -> str:
    """A picture's path as the labels file in `folder` names it: relative where it lies below, else absolute."""
    whole, base = path.resolve(), folder.resolve()
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)


def again(record: Record, labels: Sequence[str], folder: Path) -> dict[str, Any]:
    """A picture that was labelled before, as the labels file in `folder` names it."""
    assert record.label is not None  # of a labels file only pictures with one are read
    crop = {"crop": list(record.crop)} if record.crop is not None else {}
    return {"path": relative(record.path, folder), "label": labels[record.label], **crop}
