"""A packed run is the whole model in one file; a file of a stranger is opened without trust, from disk or from the web."""

from __future__ import annotations

import hashlib
import http.server
import json
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from trained import pictures, run

import zoo
from zoo import build, packing
from zoo.__main__ import run_command
from zoo.errors import RecipeError, ZooError
from zoo.latent.space import Latent
from zoo.run import Run

__all__ = ["pictures", "run"]


@pytest.fixture
def packed(run: Path, tmp_path: Path) -> Path:
    return packing.pack(Run.read(run), tmp_path / "shared.zoo")


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def header_of(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as content:
        header: dict[str, Any] = json.loads(content.metadata()["zoo"])
        return header


def repack(file: Path, header: Any = None, tensors: dict[str, torch.Tensor] | None = None, **changes: Any) -> Path:
    """The same file with another header or other tensors."""
    text = header if isinstance(header, str) else json.dumps(header_of(file) | changes if header is None else header)
    save_file(load_file(file) if tensors is None else tensors, file, metadata={"zoo": text})
    return file


# ---------------------------------------------------------------- there and back


def test_there_and_back_in_a_new_process(run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "my model.zoo"
    assert run_command("pack", ["image_folder", "--to", str(to)]) == 0
    done = capsys.readouterr()
    assert done.out == f"{to}\n"
    assert f'zoo.load("{to}", sha256="{sha256(to)}")' in done.err
    code = (
        "import sys, zoo; m = zoo.load(sys.argv[1], sys.argv[2]); print(m.predict(sys.argv[3]).score, m.labels, m.metrics['val/accuracy'])"
    )
    words = [sys.executable, "-c", code, str(to), sha256(to).upper(), str(pictures / "star" / "star_00.png")]
    there = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert there.returncode == 0, there.stderr
    here = zoo.load(str(run))
    expected = here.predict(pictures / "star" / "star_00.png")
    assert not isinstance(expected, list)
    score, _, rest = there.stdout.partition(" ")
    assert float(score) == pytest.approx(expected.score, rel=1e-5)
    assert rest == f"{here.labels} {here.metrics['val/accuracy']}\n"


def test_all_of_the_run_but_the_names_of_pictures_is_in_the_file(run: Path, packed: Path) -> None:
    model = zoo.load(packed, device="cpu")
    there = zoo.load(str(run), device="cpu")
    assert (model.spec, model.metrics, model.labels) == (there.spec, there.metrics, there.labels)
    assert model.recipe.to_yaml() == there.recipe.to_yaml() and model.recipe.name == "image_folder"
    assert model.split == {"fingerprint": there.split["fingerprint"], "sizes": there.split["sizes"]}
    assert all(torch.equal(value, there.task.state_dict()[key]) for key, value in model.task.state_dict().items())
    assert b"star_00" not in packed.read_bytes() and b"star_00" in (run / "split.json").read_bytes()


def test_the_card(packed: Path, run: Path) -> None:
    card = packing.unpack(packed).card
    accuracy = json.loads((run / "metrics.json").read_text())["val/accuracy"]
    for part in (
        "# image_folder",
        "What is in these pictures?",
        f"- val/accuracy: {accuracy:.4f}",
        "SYNTHETIC",
        "test_resnet, 32x32 pixels",
    ):
        assert part in card
    assert "Labels: circle, crescent, cross, diamond" in card


def test_evaluating_a_packed_model_on_another_split_warns(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("evaluate", [str(packed), "split.seed=1"]) == 0
    assert "WARNING: a packed file does not say which pictures it was trained on" in capsys.readouterr().err


# ---------------------------------------------------------------- writing


def test_a_target_that_exists_is_replaced_whole(run: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed.write_bytes(b"old")
    packing.pack(Run.read(run), packed)
    assert zoo.load(packed).labels
    packed.write_bytes(b"old")

    def full(tensors: Any, to: Path, metadata: Any) -> None:
        Path(to).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ZooError, match=r"shared\.zoo: cannot be written .*No space left"):
        packing.pack(Run.read(run), packed)
    assert packed.read_bytes() == b"old"
    assert [path.name for path in packed.parent.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("to", ["", "file/x.zoo", "nowhere/x.zoo"])
def test_targets_that_cannot_be_written(run: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run_command("pack", [str(run), "--to", str(tmp_path / to)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(run: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    try:
        (tmp_path / "locked" / "probe").touch()
        pytest.skip("this user may write everywhere")
    except OSError:
        pass
    with pytest.raises(ZooError, match="cannot be written"):
        packing.pack(Run.read(run), tmp_path / "locked" / "x.zoo")


def test_what_cannot_be_packed(run: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("pack", ["mpii_activity"]) == 2
    assert run_command("pack", [str(home)]) == 2
    (run / "metrics.json").write_text("[]")
    assert run_command("pack", [str(run)]) == 1
    (run / "metrics.json").unlink()
    assert run_command("pack", [str(run)]) == 2
    errors = capsys.readouterr().err
    for part in ("was not trained here", "no run folder", "metrics.json: damaged", "not finished"):
        assert part in errors


def test_a_damaged_code_space_is_not_shared(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Packing believes of a run's files what loading does, so that no packed file is refused by whoever gets it."""
    kept, file, to = Latent.measure(np.random.default_rng(0).normal(size=(20, 5))), run / "latent.safetensors", tmp_path / "x.zoo"
    other = Latent(kept.mean[:3], kept.covariance, kept.directions)
    for content, words in (
        (kept.to_bytes()[:-9], "cannot be read as safetensors"),
        (other.to_bytes(), "no code space of this run (covariance is float32 (5, 5); expected float32 (3, 3))"),
        (Latent.measure(np.eye(5), np.eye(5)[:, :1], ("Smiling",)).to_bytes(), "its attributes are ['Smiling'], those of the run []"),
        (save({"mean": torch.zeros(2), "evil": torch.zeros(9)}, {"names": "[]"}), "not known ['evil']"),
    ):
        file.write_bytes(content)
        assert run_command("pack", [str(run), "--to", str(to)]) == 1
        said = capsys.readouterr()
        assert "latent.safetensors" in said.err and words in said.err and not said.out and not to.exists()
    file.write_bytes(kept.to_bytes())
    assert run_command("pack", [str(run), "--to", str(to)]) == 0
    found = packing.unpack(to).latent
    assert found is not None and found.codes is None and found.labels is None
    np.testing.assert_array_equal(found.covariance, kept.covariance)
    assert not [name for name in load_file(to) if name.startswith("latent:codes")], "codes of training pictures are given away"


# ---------------------------------------------------------------- files of strangers


def test_the_digest_is_checked(packed: Path) -> None:
    assert zoo.load(packed, sha256=f" {sha256(packed).upper()}\n").labels
    with pytest.raises(ZooError, match=f"its sha256 is {sha256(packed)}, expected 0000"):
        zoo.load(packed, sha256="0" * 64)
    for digest in ("", "abc", "../x", "g" * 64):
        with pytest.raises(RecipeError, match="expected 64 hexadecimal digits"):
            zoo.load(packed, sha256=digest)


class Sentinel:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    sentinel = tmp_path / "it ran"
    (tmp_path / "plain.zoo").write_bytes(pickle.dumps(Sentinel(sentinel)))
    torch.save(Sentinel(sentinel), tmp_path / "torch.zoo")
    for name in ("plain.zoo", "torch.zoo"):
        with pytest.raises(ZooError, match=f"{name}: .*safetensors"):
            zoo.load(str(tmp_path / name))
    assert not sentinel.exists()
    pickle.loads((tmp_path / "plain.zoo").read_bytes())
    assert sentinel.exists(), "the pickle is harmless: it would prove nothing"


def test_other_files(packed: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"not packed by zoo: load the folder of its run, or pack that with `zoo pack RUN`"):
        zoo.load(str(run / "weights.safetensors"))
    picture = tmp_path / "x.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(ZooError, match=r"x\.png: not a safetensors file"):
        zoo.load(str(picture))
    with pytest.raises(RecipeError, match="no run folder"):
        zoo.load(str(tmp_path))


def lie(packed: Path, tensors: dict[str, Any], data: bytes = b"") -> None:
    """A safetensors file whose header says what we like."""
    text = json.dumps(tensors | {"__metadata__": {"zoo": json.dumps(header_of(packed))}}).encode()
    packed.write_bytes(struct.pack("<Q", len(text)) + text + data)


F32 = {"dtype": "F32", "shape": [2]}


@pytest.mark.parametrize(
    ("tensors", "data"),
    [
        ({"a": F32 | {"data_offsets": [0, 8]}}, b""),
        ({"a": F32 | {"data_offsets": [0, 8]}, "b": F32 | {"data_offsets": [4, 12]}}, bytes(12)),
        ({"a": F32 | {"data_offsets": [8, 0]}}, bytes(8)),
        ({"a": F32 | {"data_offsets": [0, 2**63]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, bytes(8)),
        ({"a": {"dtype": "EVIL", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        ({"a": F32 | {"data_offsets": [0, 8]}}, bytes(80)),
        ({"a": 3}, bytes(8)),
    ],
    ids=["beyond", "overlapping", "backwards", "huge", "overflow", "negative", "dtype", "rest", "types"],
)
def test_headers_that_lie(packed: Path, tensors: dict[str, Any], data: bytes) -> None:
    lie(packed, tensors, data)
    with pytest.raises(ZooError, match=r"shared\.zoo"):
        zoo.load(str(packed))


@pytest.mark.parametrize("length", [2**63 - 1, 2**64 - 1, 10**9, 16 * 2**20 + 1])
def test_a_header_of_huge_length(packed: Path, length: int) -> None:
    packed.write_bytes(struct.pack("<Q", length) + packed.read_bytes()[8:])
    with pytest.raises(ZooError, match=f"header claims {length} bytes"):
        zoo.load(str(packed))


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1, -5000])
def test_a_file_that_was_cut(packed: Path, keep: int) -> None:
    packed.write_bytes(packed.read_bytes()[:keep])
    with pytest.raises(ZooError, match=r"shared\.zoo"):
        zoo.load(str(packed))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("[" * 10_000 + "]" * 10_000, "not what zoo packs"),
        ("{", "not what zoo packs"),
        ("[]", "not what zoo packs"),
        ("null", "not what zoo packs"),
        ("{}", "KeyError: 'format'"),
        ('{"format": 2}', "packed in format 2, this zoo reads 1: install a newer zoo"),
        ('{"format": ' + "9" * 5000 + "}", "not what zoo packs"),
    ],
    ids=["deep", "cut", "list", "null", "empty", "newer", "long number"],
)
def test_headers_that_are_none(packed: Path, header: str, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        zoo.load(str(repack(packed, header)))


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": None},
        {"spec": {"channels": 3, "size": [10**9, 10**9]}},
        {"spec": {"channels": 10**9, "size": [32, 32]}},
        {"spec": {"channels": 3, "size": [32, 32], "labels": ["a"] * 2}},
        {"spec": {"channels": 3, "size": [1e999, 32]}},
        {"metrics": []},
        {"metrics": "x"},
        {"split": {"fingerprint": 3}},
        {"split": []},
        {"name": "../../x"},
        {"name": "a\x1b[2Jb"},
        {"name": ""},
        {"name": 3},
        {"name": "x" * 101},
        {"recipe": None},
        {"recipe": "# " + "x" * 300_000},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_headers_of_wrong_types(packed: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ZooError, match=r"shared\.zoo: its header is not what zoo packs"):
        zoo.load(str(repack(packed, **changes)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: classification", "name: os.system", "unknown name `os.system` in `task`"),
        ("name: classification", "name: tests.test_packing:Sentinel", "unknown name"),
        ("name: test_resnet", "name: hf_hub:evil/model", "unknown name"),
        ("name: image_folder", "name: zoo.datasets.image_folder", "unknown name"),
        ("engine: lightning", "engine: subprocess.Popen", "unknown name"),
        ("seed: 0", "seed: !!python/object/apply:os.getcwd []", "tag"),
        ("seed: 0", "seed: " + "[" * 5000 + "]" * 5000, "nested"),
        ("seed: 0", "seed: " + "9" * 5000, r"shared\.zoo"),
        ("root: null", "root: ~nobody-of-this-name/x", None),
    ],
)
def test_recipes_of_strangers(packed: Path, old: str, new: str, message: str | None) -> None:
    recipe = header_of(packed)["recipe"]
    assert old in recipe
    repack(packed, recipe=recipe.replace(old, new, 1) if "image_folder" not in old else recipe.replace(old, new))
    if message is None:
        assert zoo.load(str(packed)).labels, "the place of its data is not ours to judge"
        return
    with pytest.raises(ZooError, match=message) as caught:
        zoo.load(str(packed))
    assert "shared.zoo" in str(caught.value) and len(str(caught.value)) < 20_000


def test_a_crop_that_would_enlarge_pictures_beyond_memory(packed: Path) -> None:
    recipe = header_of(packed)["recipe"]
    assert "crop: 0.875" in recipe
    with pytest.raises(ZooError, match=r"data\.crop"):
        zoo.load(str(repack(packed, recipe=recipe.replace("crop: 0.875", "crop: 1.0e-09"))))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: test_resnet", "name: resnet18", r"do not fit their recipe\. missing: .*and \d+ more.*not known: "),
        ("name: test_resnet", "name: vit_giant_patch14_dinov2", "missing"),
        ("name: test_resnet", "name: vit_7b_patch16_dinov3", "missing"),
    ],
)
def test_networks_of_strangers_take_no_memory(packed: Path, old: str, new: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes are compared before anything is built in memory: the last of these networks would take 27 GB."""
    recipe, build_task = header_of(packed)["recipe"], build.task

    def watched(*words: Any, **more: Any) -> Any:
        assert torch.empty(0).device.type == "meta", "built for real"
        return build_task(*words, **more)

    monkeypatch.setattr(build, "task", watched)
    with pytest.raises(ZooError, match=message):
        zoo.load(str(repack(packed, recipe=recipe.replace(old, new))))


def test_many_labels_take_no_memory(packed: Path) -> None:
    spec = {"channels": 3, "size": [4096, 4096], "labels": [str(number) for number in range(100_000)]}
    with pytest.raises(ZooError, match=r"of another shape: head\.1\.weight \(8, 96\) instead of \(100000, 96\)"):
        zoo.load(str(repack(packed, spec=spec)))


def test_networks_that_cannot_be_built(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "task", lambda *_, **__: 1 // 0)
    with pytest.raises(ZooError, match=r"shared\.zoo: its network cannot be built .ZeroDivisionError"):
        zoo.load(str(packed))


def test_tensors_of_another_shape(packed: Path) -> None:
    tensors = load_file(packed)
    tensors["head.1.weight"] = torch.zeros(9, 96)
    del tensors["head.1.bias"]
    with pytest.raises(ZooError, match=r"missing: head\.1\.bias; of another shape: head\.1\.weight \(9, 96\) instead of \(8, 96\)"):
        zoo.load(str(repack(packed, tensors=tensors)))


# ---------------------------------------------------------------- from the web


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as the path says."""

    content = b""
    asked: ClassVar[list[str]] = []
    hurry = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        kind = self.path.strip("/")
        if kind == "missing":
            self.send_error(404)
        elif kind.startswith("to="):
            self.send_response(302)
            self.send_header("Location", kind[3:])
            self.end_headers()
        elif kind == "nonsense":
            self.wfile.write(b"\0\1\2 this is no HTTP\r\n\r\n")
        else:
            self.answer(kind)

    def answer(self, kind: str) -> None:
        claimed = {"large": 10**12, "words": "many"}.get(kind, len(self.content))
        self.send_response(200)
        if kind != "unsized":
            self.send_header("Content-Length", str(claimed))
        self.end_headers()
        half = len(self.content) // 2
        self.wfile.write(self.content[:half])
        if kind == "stalled":
            self.hurry.wait(10)
        elif kind == "wrong":
            self.wfile.write(bytes(len(self.content) - half))
        elif kind != "truncated":
            self.wfile.write(self.content[half:])

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    Server.content, Server.asked = packed.read_bytes(), []
    Server.hurry.clear()
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    Server.hurry.set()
    served.shutdown()
    served.server_close()


def cached(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "cache" / "zoo").iterdir()]


@pytest.mark.parametrize("kind", ["good", "unsized"])
def test_a_download_is_cached(server: str, packed: Path, tmp_path: Path, kind: str) -> None:
    digest = sha256(packed)
    assert zoo.load(f"{server}/{kind}", sha256=digest).labels == zoo.load(str(packed)).labels
    assert [path.name for path in cached(tmp_path)] == [f"{digest}.zoo"]
    zoo.load(f"{server}/{kind}", sha256=digest.upper())
    zoo.load(f"{server}/missing", sha256=digest)
    assert Server.asked == [f"/{kind}"], "the digest is the file, wherever it lies"
    cached(tmp_path)[0].write_bytes(b"damaged")
    assert zoo.load(f"{server}/{kind}", sha256=digest).labels
    assert Server.asked == [f"/{kind}"] * 2


def test_redirects_within_this_machine_are_followed(server: str, packed: Path) -> None:
    assert zoo.load(f"{server}/to={server}/good", sha256=sha256(packed)).labels


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot be fetched .*404"),
        ("wrong", "what came has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}, and was not kept"),
        ("truncated", r"cut off after [\d,]+ of [\d,]+ bytes"),
        ("large", "larger than 4 GB"),
        ("words", "cannot be fetched"),
        ("nonsense", "cannot be fetched"),
        ("to=http://example.com/x.zoo", "redirected to http://example.com/x.zoo, which is not https"),
        ("to=file:///etc/passwd", "cannot be fetched .*file:///etc/passwd. is not allowed"),
        ("to=ftp://127.0.0.1/x", "cannot be fetched .*redirected to ftp"),
        ("to=//[", "cannot be fetched"),
    ],
)
def test_bad_answers_leave_nothing_behind(server: str, packed: Path, tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        zoo.load(f"{server}/{kind}", sha256=sha256(packed))
    assert [name for name in cached(tmp_path) if kind != "truncated" or name.suffix != ".part"] == []


def test_a_stalled_server_is_given_up(server: str, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CONNECT_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(ZooError, match=r"cannot be fetched .timed out.: check the address and the connection"):
        zoo.load(f"{server}/stalled", sha256=sha256(packed))
    assert time.monotonic() - begun < 5
    assert all(name.suffix == ".part" for name in cached(tmp_path)), "what came waits for the next try"


def test_a_file_that_grows_too_large(server: str, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_BYTES", 2**20)
    with pytest.raises(ZooError, match="larger than"):
        zoo.load(f"{server}/unsized", sha256=sha256(packed))
    assert cached(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x.zoo",
        "http://localhost.example.com/x.zoo",
        "http://127.0.0.1@example.com/x.zoo",
        "ftp://localhost/x.zoo",
        "file://localhost/etc/passwd",
        "file:///etc/passwd",
        "HTTP://example.com/x.zoo",
        "s3://bucket/x.zoo",
        "https://[x.zoo",
    ],
)
def test_other_addresses_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.build_opener", lambda *_: pytest.fail("it went there"))
    with pytest.raises(RecipeError, match=r"only https is fetched|no address of a file"):
        zoo.load(url, sha256="0" * 64)


def test_a_download_needs_a_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("urllib.request.build_opener", lambda *_: pytest.fail("it went there"))
    with pytest.raises(RecipeError, match="give the file's digest"):
        zoo.load("https://example.com/x.zoo")
    precious = tmp_path / "precious.zoo"
    precious.write_bytes(b"keep me")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match="64 hexadecimal digits"):
        zoo.load("https://example.com/x.zoo", sha256="../precious")
    assert precious.exists()
