"""Cut trainings at random moments, let them go on, and compare with the unbroken ones: all must be equal to the bit.

    python tests/resume/cuts.py [--cuts 100] [--seed 0]

A cut is SIGKILL or SIGTERM at the n-th of the moments at which something happens: a loss is computed, a batch of validation is
predicted, a file is flushed to the disk or gets its name. The training goes on under another engine with another number of workers,
and may be cut again. This process has imported everything and computed nothing, so that a fork of it can begin at once. Prints a
table, and ends with 1 if any training differed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a fork would not have the threads that compute
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from PIL import Image
from small_tasks import Game

from zoo import build, registry
from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.loaders import Loaders
from zoo.engines.fit import StoppedError
from zoo.files import read_json
from zoo.recipe import Recipe
from zoo.run import Run, going_on, weights_sha256
from zoo.tasks.task import Task

ENGINES = ("lightning", "mmengine", "loop")
SMALL = (
    *("data.augment=[]", "train.device=cpu", "train.epochs=3", "train.batch_size=16"),
    *("backbone.name=test_resnet", "backbone.pretrained=false", "data.size=16", "train.optimizer=adamw"),
)
PLATEAU = "train.schedule={name: plateau, patience: 0, factor: 0.5, metric: val/loss, mode: max, warmup: 0.5}"
LOWEST = "monitor={metric: val/loss, mode: min, patience: 3}"
SETTINGS: dict[str, tuple[str, ...]] = {
    "dropout, shuffle": ("task.dropout=0.5", "data.augment=[{name: flip}]"),
    "EMA, accumulation, plateau, early stopping, mixup": (
        *("train.ema=0.9", "train.accumulate=3", PLATEAU, LOWEST, "task.mixup=0.4", "task.dropout=0.3", "checkpoint.every=3 steps"),
    ),
    "two players": ("data.size=8", LOWEST, "train.ema=0.9", "train.accumulate=2", "train.players.generator.lr=2e-4"),
}


@dataclass(frozen=True)
class Cut:
    """What is cut how: the setting, the signals with their moments, and engine and workers of each part."""

    setting: str
    signals: tuple[tuple[int, int], ...]
    parts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        cuts = ", ".join(f"{signal.Signals(number).name} at {moment}" for number, moment in self.signals)
        return f"{self.setting} | {cuts} | {' > '.join(f'{engine} ({workers})' for engine, workers in self.parts)}"


def draw(root: Path) -> None:
    """320 pictures as small as they are asked for, so that reading them is not what takes longest."""
    drawn = root.with_name("drawn")
    ImageFolder.write_synthetic(drawn, 0)
    for file in drawn.rglob("*.png"):
        small = root / file.relative_to(drawn)
        small.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as picture:
            picture.resize((16, 16)).save(small)


# ---------------------------------------------------------------- in the fork


def train(setting: str, engine: str, workers: int, folder: Path | None, tick: Callable[[], None], told: Path) -> None:
    """Train a setting from the start, or go on in a folder; the folder's path is written to `told` as soon as it is known."""
    changes = (f"train.engine={engine}", f"data.workers={workers}")
    if folder is None:
        recipe, forced = Recipe.read("image_folder", [*SMALL, *SETTINGS[setting], *changes]), []
    else:
        recipe, forced = going_on(Run.read(folder), changes)
    with Run.open(recipe, folder, forced) as run:
        told.write_text(str(run.folder))
        data = build.loaders(build.source(recipe), recipe)
        task = game(recipe, data) if setting == "two players" else build.task(recipe, data.spec)
        watch(task, tick)
        registry.load("engines", engine)().fit(task, data, run)
        (run.folder / "found.json").write_text(json.dumps(facts(run, task)))


def game(recipe: Recipe, data: Loaders) -> Task:
    torch.manual_seed(recipe.seed)
    return Game(data.spec, every=4)


def watch(task: Task, tick: Callable[[], None]) -> None:
    """Tick before losses, before predictions, and before files reach the disk or their name."""

    def ticking(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            tick()
            return real(*arguments, **named)

        return call

    for name in ("losses", "predict"):
        setattr(task, name, ticking(getattr(task, name)))
    os.fsync = ticking(os.fsync)
    real = Path.replace
    Path.replace = lambda self, target: ticking(partial(real, self))(target)


def facts(run: Run, task: Task) -> dict[str, Any]:
    """All that must be equal: weights, history, the training state with optimisers and random states, the best epoch."""
    state = run.checkpoint()
    assert state
    state = {key: value for key, value in state.items() if key not in ("seconds", "spent")}
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in run.history()]
    tensors: dict[str, torch.Tensor] = {}
    return {
        "weights": weights_sha256(task.state_dict()),
        "state": repr(plain(state, tensors, "")),
        "tensors": weights_sha256(tensors),
        "history": rows,
        "best": run.checkpoints.manifest.best,
    }


def plain(value: Any, tensors: dict[str, torch.Tensor], name: str) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner, tensors, f"{name}/{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, tensors, f"{name}/{number}") for number, inner in enumerate(value)]
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return name
    return value


# ---------------------------------------------------------------- outside of it


def forked(work: Callable[[], None], log: Path) -> int:
    """Do it in a fork of this process, with its output in a file; returns the exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = 0
            work()
        except StoppedError as error:
            code = error.exit_code
        except BaseException:
            traceback.print_exc()
            code = 99
        finally:
            sys.stderr.flush()
            os._exit(code)  # without what the parent would do at its end
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Bomb:
    """Sends this process a signal at a moment; counts moments into a file if there is none to send."""

    def __init__(self, number: int = 0, moment: int = 0) -> None:
        self.number, self.moment, self.passed = number, moment, 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            os.kill(os.getpid(), self.number)


def whole(setting: str, place: Path) -> tuple[dict[str, Any], int]:
    """The unbroken training, and how many moments it has."""
    place.mkdir()
    bomb = Bomb()

    def work() -> None:
        train(setting, "loop", 0, None, bomb, place / "folder")
        (place / "moments").write_text(str(bomb.passed))

    code = forked(work, place / "log")
    if code:
        raise SystemExit(f"{setting}: the unbroken training ended with {code}\n{(place / 'log').read_text()}")
    return read_json(Path((place / "folder").read_text()) / "found.json"), int((place / "moments").read_text())


def cut(plan: Cut, expected: dict[str, Any], place: Path) -> str:
    """Carry out a plan; returns what was found: "equal", or what was not."""
    place.mkdir()
    told, log = place / "folder", place / "log"
    folder: Path | None = None
    for (engine, workers), (number, moment) in zip(plan.parts, (*plan.signals, (0, 0)), strict=True):
        code = forked(partial(train, plan.setting, engine, workers, folder, Bomb(number, moment), told), log)
        folder = Path(told.read_text()) if told.exists() else None
        expected_codes = (-number, 128 + number) if number else (0,)
        if code not in (*expected_codes, 0):
            return f"ended with {code}:\n{log.read_text()}"
        if folder and not (folder / "recipe.yaml").is_file():
            folder = None  # nothing worth keeping was in it yet, so it was removed
    assert folder
    found = read_json(folder / "found.json")
    return "equal" if found == expected else f"other {', '.join(key for key in expected if found[key] != expected[key])}"


def plans(cuts: int, seed: int, moments: dict[str, int]) -> list[Cut]:
    """Random plans; settings, signals, engines and workers come in turn, so that few plans hold all of them."""
    dice = random.Random(seed)
    made = []
    for number in range(cuts):
        setting = list(SETTINGS)[number % len(SETTINGS)]
        signals = [(signal.SIGKILL, signal.SIGTERM)[number % 2]]
        if number % 3 == 0:
            signals.append(dice.choice((signal.SIGKILL, signal.SIGTERM)))
        engines = [ENGINES[(number + part) % 3] for part in range(len(signals) + 1)]
        workers = [(number // 3 + part) % 3 for part in range(len(signals) + 1)]
        made.append(
            Cut(
                setting,
                tuple((int(sent), dice.randint(1, moments[setting] // len(signals))) for sent in signals),
                tuple(zip(engines, workers, strict=True)),
            )
        )
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for kind, name in (*product(["engines"], ENGINES), ("backbones", "test_resnet"), ("tasks", "classification")):
        registry.load(kind, name)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ZOO_HOME"] = os.environ["ZOO_DATA"] = scratch
        draw(Path(scratch, "image_folder"))
        unbroken = {name: whole(name, Path(scratch, f"whole-{number}")) for number, name in enumerate(SETTINGS)}
        print("| setting | cuts (signal at which moment) | engines (workers) | found |\n|---|---|---|---|")
        found: Counter[bool] = Counter()
        for number, plan in enumerate(plans(arguments.cuts, arguments.seed, {name: total for name, (_, total) in unbroken.items()})):
            result = cut(plan, unbroken[plan.setting][0], Path(scratch, str(number)))
            found[result == "equal"] += 1
            print(f"| {plan} | {result} |", flush=True)
    totals = ", ".join(f"{name}: {total} moments" for name, (_, total) in unbroken.items())
    print(f"\n{found[True]} of {arguments.cuts} equal to the bit ({totals})")
    return 0 if not found[False] else 1


if __name__ == "__main__":
    sys.exit(main())
