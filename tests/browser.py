"""A page in a headless Chromium, driven over its own pipe."""

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

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


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


def appears(file: Path, seconds: float = 20) -> Path:
    """A file that the page saves, when it is there."""
    end = time.monotonic() + seconds
    while not file.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    return file
