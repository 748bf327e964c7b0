"""The labelling page, driven by keys in a headless Chromium over its own pipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import CHROMIUM, appears, chromium
from PIL import Image

from zoo.datasets.amended import read_labelled
from zoo.datasets.pictures import jpeg
from zoo.pages.labelling import KEYS, Asked, page, relative

LABELS = ["cat", "</script><b>dog", "owl"]


def asked() -> list[Asked]:
    return [Asked(f"{n}.png", jpeg(Image.new("RGB", (40, 30), (60 * n, 90, 120)), 30), LABELS[n % 3], 0.5 + n / 10) for n in range(4)]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_keys_make_the_labels_file(tmp_path: Path) -> None:
    file = tmp_path / "label.html"
    file.write_text(page("Four <pictures>", LABELS, asked(), [{"path": "old.png", "label": "owl"}]), encoding="utf-8")
    with chromium(tmp_path) as browser:
        browser.open(file)
        browser.press("1", "3", "u", "2", "s")  # cat; owl, undone; dog; skipped
        browser.open(file)  # goes on where it was
        assert browser.value("document.getElementById('progress').textContent") == "3 of 4 done, 1 skipped"
        browser.press("p", "Enter")
        saved = appears(tmp_path / "labels.json")
    found = json.loads(saved.read_text(encoding="utf-8"))
    assert (found["zoo"], found["version"], found["labels"]) == ("labels", 1, LABELS)
    assert [one["label"] for one in found["pictures"]] == ["owl", "cat", LABELS[1], None, "cat"]
    assert [one["path"] for one in found["pictures"]] == ["old.png", *(f"{n}.png" for n in range(4))]
    records, skipped = read_labelled(saved, LABELS)
    assert skipped == 1 and [(record.path, record.label) for record in records][1:3] == [(tmp_path / "0.png", 0), (tmp_path / "1.png", 1)]


def test_no_key_has_two_meanings() -> None:
    assert len(set(KEYS)) == len(KEYS)
    assert not set(KEYS) & set("sup")


def test_names_from_outside_stay_names() -> None:
    text = page("<i>", LABELS, asked())
    assert "<b>dog" not in text and "<i>" not in text


def test_paths_are_relative_below_the_folder_only(tmp_path: Path) -> None:
    assert relative(tmp_path / "a" / "1.png", tmp_path) == "a/1.png"
    assert relative(tmp_path / "1.png", tmp_path / "a") == str(tmp_path / "1.png")
