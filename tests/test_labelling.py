"""The labelling page, driven by keys in a headless Chromium over its own pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from zoo.datasets.amended import read_labelled
from zoo.labelling import KEYS, Asked, page, relative

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
LABELS = ["cat", "</script><b>dog", "owl"]


def asked() -> list[Asked]:
    return [Asked(f"{n}.png", Image.new("RGB", (40, 30), (60 * n, 90, 120)), LABELS[n % 3], 0.5 + n / 10) for n in range(4)]


class Browser:
    """A page of Chromium: JSON messages that end with NUL, on two pipes."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back, self.number, self.rest, self.session = to, back, 0, b"", {}
        target = next(one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self.session = {"sessionId": self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]}

    def __call__(self, method: str, **params: Any) -> Any:
        self.number += 1
        os.write(self.to, json.dumps({"id": self.number, "method": method, "params": params, **self.session}).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                self.rest += os.read(self.back, 2**16)
            text, _, self.rest = self.rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression: str) -> Any:
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, file: Path) -> None:
        self("Page.navigate", url=file.as_uri())
        while self.value("document.readyState + typeof facts") != "completeobject":
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                self("Input.dispatchKeyEvent", type=kind, key=key)


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    assert CHROMIUM
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder / 'profile'}", "about:blank"]
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    words = ["bash", "-c", shell, "bash", CHROMIUM, "--remote-debugging-pipe", *flags]
    process = subprocess.Popen(words, pass_fds=[theirs_in, theirs_out], stderr=subprocess.DEVNULL)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        browser = Browser(ours_out, ours_in)
        browser("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        yield browser
    finally:
        process.kill()
        process.wait()
        os.close(ours_out)
        os.close(ours_in)


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
        saved, end = tmp_path / "labels.json", time.monotonic() + 20
        while not saved.is_file() and time.monotonic() < end:
            time.sleep(0.05)
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
