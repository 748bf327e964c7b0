"""What comes from the web, from a server that truncates, stalls, drips, lies and redirects; it is on this machine."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from trained import run

import zoo
from security.hostile import Sample, cases, refusal
from zoo import fetching, packing
from zoo.backbones import weights
from zoo.backbones.weights import IMAGENET, Checkpoint, NoWeightsError
from zoo.errors import ZooError
from zoo.run import Run

__all__ = ["run"]

LOADED, FETCHED = "`zoo.load(URL, sha256)`", "pretrained weights"
BOTH = f"{LOADED}, {FETCHED}"
KEPT = "refused, nothing kept"
ASKED = "refused, nobody is asked"
AGAIN = "its SHA-256 is checked, it is fetched again"
PACKED, WEIGHTS = "tests/test_packing.py::test", "tests/backbones/test_weights.py::test"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as the path says; `asked` holds the first byte that each request wished."""

    content = b""
    asked: ClassVar[list[int]] = []
    done = threading.Event()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        kind = self.path.strip("/").partition("-")[0]
        begin = int((self.headers["Range"] or "bytes=0-")[6:-1])
        self.asked.append(begin)
        if begin >= len(self.content):
            self.send_error(416)
        elif kind == "to":
            self.send_response(302)
            self.send_header("Location", "http://example.com/x.zoo")
            self.end_headers()
        elif kind == "drips":
            self.drip()
        else:
            self.send(kind, begin)

    def send(self, kind: str, begin: int) -> None:
        begin = 0 if kind == "anew" else begin
        told = begin + 1 if kind == "lies" and begin else begin
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {told}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        rest = self.content[begin:]
        cut = len(rest) if kind == "whole" or (kind in ("anew", "lies") and len(self.asked) % 2 == 0) else max(len(self.content) // 3, 1)
        if kind != "ever":
            self.wfile.write(rest[:cut])
        if kind == "stalls":
            self.wfile.flush()
            self.done.wait(5)

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.done.wait(0.05):
            try:
                self.wfile.write(b"x")
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(packing, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(weights, "READ_SECONDS", 0.3)
    Server.content = packing.pack(Run.read(run), tmp_path / "shared.zoo").read_bytes()
    Server.asked = []
    Server.done.clear()
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    Server.done.set()
    served.shutdown()
    served.server_close()


def _load(server: str, kind: str) -> zoo.Model:
    return zoo.load(f"{server}/{kind}", sha256=hashlib.sha256(Server.content).hexdigest())


def _checkpoint(server: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setattr(weights, "OFFICIAL", f"{server}/")
    return Checkpoint(f"{kind}-{hashlib.sha256(Server.content).hexdigest()[:8]}.pth", "torchvision", "name", IMAGENET)


def _kept(folder: Path) -> list[str]:
    return [name for top in ("cache", "hub") for _, _, names in os.walk(folder / top) for name in names]


@cases(
    "Downloads",
    Sample("a server that breaks off again and again", BOTH, "taken up where it broke", "breaks"),
    Sample("one that cannot go on in the middle", BOTH, "fetched from the beginning", "anew"),
)
def test_a_download_is_resumed(sample: Sample, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    third = len(Server.content) // 3
    expected = {"breaks": [0, third, 2 * third, 3 * third], "anew": [0, third]}[sample.make]
    expected = expected if len(Server.content) % 3 or sample.make == "anew" else expected[:3]
    assert _load(server, sample.make).labels
    assert Server.asked == expected
    Server.asked.clear()
    assert weights.fetch(_checkpoint(server, sample.make, monkeypatch)).read_bytes() == Server.content
    assert Server.asked == expected


@cases(
    "Downloads",
    Sample("the command interrupted, and given again", BOTH, "taken up where it was interrupted", "breaks"),
    Sample("what an earlier try left is of another file", BOTH, "fetched from the beginning", "whole"),
    Sample("what an earlier try left is longer than the file", BOTH, "fetched from the beginning", "whole-long"),
)
def test_a_download_goes_on_in_the_next_command(sample: Sample, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    third = len(Server.content) // 3
    wanted = _checkpoint(server, sample.make, monkeypatch)
    with monkeypatch.context() as once:
        once.setattr(fetching, "TRIES", 1)
        with pytest.raises(ZooError):
            _load(server, "breaks")
        with pytest.raises(ZooError):
            weights.fetch(_checkpoint(server, "breaks", monkeypatch))
    left = sorted(tmp_path.rglob("*.part"))
    assert [path.stat().st_size for path in left] == [third, third]
    size = {"breaks": third, "whole": third, "whole-long": 4 * third}[sample.make]
    if sample.make != "breaks":
        for path, name in zip(left, (left[0].name, f".{wanted.file}.part"), strict=True):
            path.unlink()
            path.with_name(name).write_bytes(b"0" * size)
    Server.asked.clear()
    assert _load(server, sample.make).labels
    assert weights.fetch(wanted).read_bytes() == Server.content
    went_on = [third, 2 * third] + [3 * third] * (len(Server.content) % 3 > 0)
    assert Server.asked == (went_on if sample.make == "breaks" else [size, 0]) * 2
    assert list(tmp_path.rglob("*.part")) == []


def test_two_downloads_at_once_do_not_share_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with fetching._growing(target) as (one, path), fetching._growing(target) as (other, elsewhere):
        assert path != elsewhere
        one.write(b"1")
        other.write(b"2")
    assert list(tmp_path.glob("*file*")) == []


@cases(
    "Downloads",
    Sample("one that sends another part than it says", BOTH, KEPT, "lies", "(?i)sha-?256"),
    Sample("one that stalls", BOTH, "given up after seconds of silence", "stalls"),
    Sample(
        "one that drips a byte now and then",
        BOTH,
        "given up",
        "drips",
        "slower than",
    ),
    Sample("one that redirects to plain HTTP", BOTH, ASKED, "to", "not https"),
    *[
        Sample(what, where, promise, test=test)
        for what, where, promise, test in (
            (
                "redirects to files, FTP and nonsense",
                LOADED,
                KEPT,
                f"{PACKED}_bad_answers_leave_nothing_behind",
            ),
            (
                "another file than promised",
                LOADED,
                "refused by its SHA-256",
                f"{PACKED}_bad_answers_leave_nothing_behind",
            ),
            ("more than 4 GB, said or sent", LOADED, "refused", f"{PACKED}_a_file_that_grows_too_large"),
            (
                "plain HTTP, FTP and other addresses",
                LOADED,
                ASKED,
                f"{PACKED}_other_addresses_are_refused",
            ),
            (
                "no SHA-256, or none that is one",
                "`zoo.load(URL)`",
                ASKED,
                f"{PACKED}_a_download_needs_a_digest",
            ),
            (
                "a damaged file in the cache",
                LOADED,
                AGAIN,
                f"{PACKED}_a_download_is_cached",
            ),
            (
                "a damaged file in the cache",
                FETCHED,
                AGAIN,
                f"{WEIGHTS}_a_damaged_file_in_the_cache_is_replaced",
            ),
            (
                "wrong, cut or too large files",
                FETCHED,
                KEPT,
                f"{WEIGHTS}_a_bad_answer_never_enters_the_cache",
            ),
            (
                "a package with another hash",
                FETCHED,
                "refused",
                f"{WEIGHTS}_a_package_with_another_hash_is_refused",
            ),
        )
    ],
)
def test_bad_servers(sample: Sample, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TRIES", 2)
    begun = time.monotonic()
    refusal(lambda: _load(server, sample.make), f"{server}/{sample.make}", sample.says)
    wanted = _checkpoint(server, sample.make, monkeypatch)
    with pytest.raises(NoWeightsError, match=sample.says or None):
        weights.fetch(wanted)
    assert time.monotonic() - begun < 6
    assert all(name.endswith(".part") for name in _kept(tmp_path)) if sample.make in ("stalls", "drips") else _kept(tmp_path) == []
