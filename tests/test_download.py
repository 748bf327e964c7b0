"""`zoo download`: the right files or none, taken up where they broke off, and a sentence where there is no network."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from zoo import download, fetching, registry
from zoo.__main__ import main
from zoo.datasets import idx
from zoo.datasets.mnist import MNIST
from zoo.datasets.source import Source

NAMES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
LAST = "t10k-labels-idx1-ubyte.gz"
FETCHABLE = ["fashion_mnist", "mnist"]


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `files` below /good/; below /bad/ others, below /breaks/ half of what is asked for."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        begin = int((self.headers["Range"] or "bytes=0-")[6:-1])
        self.asked.append((self.path, begin))
        kind, _, name = self.path.strip("/").partition("/")
        content = self.files.get(name)
        if kind == "none" or content is None:
            return self.send_error(404)
        content = b"?" * len(content) if kind == "bad" else content
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin : begin + len(content) // 2] if kind == "breaks" else content[begin:])

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(download, "SECONDS", 2.0)
    files = tmp_path / "files"
    files.mkdir()
    for number, name in enumerate(NAMES):
        idx.write(files / name, np.full((3, 8, 8) if "images" in name else 3, number, np.uint8))
    Server.files = {name: (files / name).read_bytes() for name in NAMES}
    Server.asked = []
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def offered(monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    """Let `mnist` say that these addresses hold the files of this test."""
    files = {f"MNIST/raw/{name}": hashlib.sha256(content).hexdigest() for name, content in Server.files.items()}
    said = {"files": files, "mirrors": tuple(f"{mirror}/" for mirror in mirrors)}
    monkeypatch.setattr(registry, "attribute", lambda kind, name, attribute: said[attribute])


def lying(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_come_where_recipes_look(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(monkeypatch, f"{server}/good")
    assert main(["download", "mnist"]) == 0
    folder = tmp_path / "data" / "mnist"
    said = capsys.readouterr()
    assert said.out == f"{folder}\n" and said.err.count(": fetched\n") == 4
    assert lying(folder) == Server.files
    assert {part: len(records) for part, records in MNIST(folder).records.items()} == {"train": 3, "test": 3}
    Server.asked.clear()
    assert main(["download", "mnist", "--to", str(folder)]) == 0
    assert Server.asked == [] and capsys.readouterr().err.count(": is there already\n") == 4


def test_another_file_of_the_name_is_left_as_it_is(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(monkeypatch, f"{server}/good")
    mine = tmp_path / "mine" / "MNIST" / "raw" / LAST
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"digits of my own")
    assert main(["download", "mnist", "--to", str(tmp_path / "mine")]) == 1
    found = hashlib.sha256(b"digits of my own").hexdigest()
    assert f"{mine}: is another file than the one to be fetched (SHA-256 {found}, expected " in capsys.readouterr().err
    assert mine.read_bytes() == b"digits of my own"


def test_the_next_address_is_asked(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, f"{server}/none", f"{server}/bad", f"{server}/good")
    assert main(["download", "mnist"]) == 0
    assert lying(tmp_path / "data") == Server.files
    assert [path for path, _ in Server.asked if path.endswith(LAST)] == [f"/{kind}/{LAST}" for kind in ("none", "bad", "good")]


def test_what_is_not_the_file_is_not_kept(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(monkeypatch, f"{server}/bad")
    assert main(["download", "mnist"]) == 1
    said = capsys.readouterr().err
    expected = hashlib.sha256(Server.files[NAMES[0]]).hexdigest()
    assert re.search(rf"{server}/bad/{NAMES[0]}: what came has SHA-256 [0-9a-f]{{64}}, expected {expected}, and was not kept", said)
    assert not (tmp_path / "data" / "mnist").exists()  # a recipe still draws its data


def test_a_broken_download_goes_on_in_the_next_command(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, f"{server}/breaks")
    with monkeypatch.context() as once:
        once.setattr(fetching, "TRIES", 1)
        assert main(["download", "mnist"]) == 1
    assert list(lying(tmp_path / "data")) == [f".{NAMES[0]}.part"]
    offered(monkeypatch, f"{server}/good")
    assert main(["download", "mnist"]) == 0
    half = len(Server.files[NAMES[0]]) // 2
    assert Server.asked[:2] == [(f"/breaks/{NAMES[0]}", 0), (f"/good/{NAMES[0]}", half)]
    assert lying(tmp_path / "data") == Server.files


@pytest.mark.parametrize("there", [False, True])
def test_without_network_it_says_what_to_do_by_hand(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    offered(monkeypatch, "http://127.0.0.1:9/a", "http://127.0.0.1:9/b")
    folder = tmp_path / "data" / "mnist"
    if there:
        folder.mkdir(parents=True)
    assert main(["download", "mnist"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    by_hand = f"into {folder}: {', '.join(f'MNIST/raw/{name}' for name in NAMES)}\n"
    for text in (f"http://127.0.0.1:9/a/{NAMES[0]}: ", f"http://127.0.0.1:9/b/{NAMES[0]}: ", by_hand):
        assert text in said.err
    assert folder.exists() == there and not (folder / "MNIST").exists()


def test_a_folder_that_cannot_be_written(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(monkeypatch, f"{server}/good")
    (tmp_path / "file").write_text("x")
    assert main(["download", "mnist", "--to", str(tmp_path / "file" / "inside")]) == 1
    assert "cannot be written" in capsys.readouterr().err and Server.asked == []


def test_plain_http_is_not_asked(server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    offered(monkeypatch, "http://example.com")
    assert main(["download", "mnist"]) == 2
    assert "only https is fetched" in capsys.readouterr().err


def test_what_has_no_download_says_where_it_is_to_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "ph2"]) == 2
    assert "ph2 has no download: PH2 is to be had from the ADDI project" in capsys.readouterr().err
    assert main(["download", "mnits"]) == 2
    assert "'mnits' is not one of the datasets" in capsys.readouterr().err


def test_without_a_name_it_lists_what_can_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download"]) == 0
    assert capsys.readouterr().out == "fashion_mnist  Fashion-MNIST (clothes)\nmnist          MNIST (handwritten digits)\n"


@pytest.mark.parametrize("name", FETCHABLE)
def test_what_sources_declare(name: str) -> None:
    cls: type[Source] = registry.load("datasets", name)
    files, mirrors = registry.attribute("datasets", name, "files"), registry.attribute("datasets", name, "mirrors")
    assert f"`python -m zoo.download {name}`" in cls.obtain
    assert [Path(path).name for path in files] == NAMES
    assert all(f"  {path.rpartition('/')[0]}/ " in cls.layout for path in files)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in files.values()) and len(set(files.values())) == 4
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mirrors)
