"""An estimate leaves no trace, is made of trials that do what training does, and follows the line through them."""

from __future__ import annotations

import sys
import warnings
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from alone import alone
from small import Convolution, recipe, same, spec
from small import Memory as InMemory
from small_tasks import Game
from torch import Tensor
from trained import CHANGES

from zoo import build
from zoo.errors import DataError
from zoo.estimate import FEW, Cost, Estimate, TooLargeError, Trial, along, described, estimate
from zoo.memory import Memory
from zoo.ranks import Ranks
from zoo.recipe import Recipe
from zoo.tasks.classification import Classification
from zoo.tasks.task import Task

CPU = torch.device("cpu")
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell")


class Kept(InMemory):
    """What an estimate asks of `Loaders`, over pictures in memory, of which 20 train and 10 validate."""

    def __init__(self, samples: int = 20, batch_size: int = 4, workers: int = 0) -> None:
        super().__init__(samples, batch_size)
        self.workers = workers
        self.read: list[object] = []
        self.sampler = SimpleNamespace(epoch=lambda epoch: [(epoch, index, 0) for index in range(samples)])

    def training_pictures(self) -> Any:
        return self

    def pictures(self, part: str) -> Any:
        assert part == "val"
        return self

    def parts(self) -> dict[str, Any]:
        return {"train": range(len(self)), "val": range(len(self) // 2)}

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, key: Any) -> dict[str, Any]:
        self.read.append(key)
        row = key if isinstance(key, int) else key[1]
        return {"image": self.image[row], "label": int(self.label[row]), "index": row}


def net(**options: Any) -> Classification:
    return Classification(spec(), Convolution(norm=False), **options)


def estimated(data: Any, *changes: str, task: Task | None = None) -> Estimate:
    return estimate(task or net(), data, recipe(*changes))


def trial(*changes: str, task: Task | None = None, data: Any = None) -> Trial:
    return Trial(task or net(), data or Kept(), recipe(*changes), CPU)


# ---------------------------------------------------------------- the line


def test_a_line_through_two_costs() -> None:
    few, more = Cost(2, 0.2, 0.4, 1.0, 3.0, 100, 50, 30), Cost(6, 0.6, 1.2, 2.0, 2.0, 180, 90, 30)
    assert along(few, more, 8) == Cost(8, *map(pytest.approx, (0.8, 1.6, 2.5, 2.0, 220, 110, 30))), "validation got cheaper by chance"
    assert along(few, more, 6) == more
    assert along(few, more, 2).step == pytest.approx(1.0)
    assert along(more, more, 3).step == pytest.approx(1.0), "one cost alone is all for its pictures"
    assert along(Cost(2, 0.0, 0.0, 0.1, 0.0), Cost(6, 0.0, 0.0, 2.0, 0.0), 1).step == 0, "nothing takes less than no time"


def scripted(monkeypatch: pytest.MonkeyPatch, free: int = 10**9, saving: int = 0, scale: float = 1.0) -> list[int]:
    """Trials by formula; returns the numbers of pictures asked for."""
    tried: list[int] = []

    def cost(self: Trial, pictures: int) -> Cost:
        tried.append(pictures)
        n = pictures
        return Cost(n, 0.01 * n, 0.02 * n, scale * (0.1 + 0.02 * n), 0.3 + 0.01 * n, 500 + 100 * n, 800 + 10 * n, 400 + 2 * n)

    monkeypatch.setattr(Trial, "cost", cost)
    monkeypatch.setattr(Trial, "saving", lambda self: saving)
    monkeypatch.setattr(Memory, "free", lambda self: free)
    return tried


def test_an_epoch_is_its_batches_and_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = scripted(monkeypatch)
    found = estimated(Kept(batch_size=8), "train.epochs=6")
    assert tried == [FEW, FEW, 8]
    assert found.epoch_seconds == pytest.approx(2 * (0.08 + 0.26) + 10 * 0.02 + 0.3 + 0.1)
    assert found.seconds == pytest.approx(6 * found.epoch_seconds)
    assert (found.batch, found.tried, found.gpu) == (8, 8, False)


def test_each_process_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    monkeypatch.setattr("zoo.estimate.ranks", lambda: Ranks(0, 3))
    found = estimated(Kept(batch_size=12), "train.accumulate=2")
    assert (found.batch, found.step) == (4, 24)
    assert found.epoch_seconds == pytest.approx((0.04 + 0.18) + 4 * 0.02 + 0.3 + 0.04), "of ten pictures to validate one has four"
    assert estimated(Kept(batch_size=2)).batch == 1


def test_readers_of_their_own_work_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    two = estimated(Kept(batch_size=10, workers=2)).epoch_seconds
    assert two == pytest.approx(2 * 0.3 + 0.4), "computing takes longer than reading"
    scripted(monkeypatch, scale=0.1)
    one = estimated(Kept(batch_size=10, workers=1)).epoch_seconds
    assert one == pytest.approx(2 * 0.1 + 0.4), "reading takes longer"
    shared = estimated(Kept(batch_size=10, workers=2)).epoch_seconds
    assert shared == pytest.approx(2 * 0.05 + 0.4), "each of two reads half"


def test_as_many_steps_as_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    found = estimated(Kept(), "train.max_steps=10")
    assert found.seconds == pytest.approx(2 * found.epoch_seconds), "an epoch has five batches"


def test_the_peak_is_the_highest_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    assert estimated(Kept(batch_size=10)).memory == 1500, "the step"
    assert estimated(Kept(batch_size=2), "train.epochs=1").memory == 820, "validation"
    scripted(monkeypatch, saving=2000)
    assert estimated(Kept(batch_size=10)).memory == 2420, "saving, above what is left when all is done"


def test_the_second_trial_has_what_time_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Kept(samples=2000, batch_size=1000)
    tried = scripted(monkeypatch)
    assert estimated(data).tried == tried[-1] == int(2 * 3.0 / (0.02 + 0.04 + 2 * 0.14 + 0.32)), "three seconds"
    tried = scripted(monkeypatch, free=5000)
    found = estimated(data)
    assert tried[-1] == int(2 * 2500 / 820), "half of what is free"
    assert found.memory == pytest.approx(500 + 100 * 1000), "and the line from there"
    tried = scripted(monkeypatch, free=1)
    estimated(data)
    assert tried[-1] == 2 * FEW, "two numbers make a line"


@pytest.mark.parametrize(("batch", "expected"), [(2, [FEW, FEW]), (3, [FEW, FEW, 3])])
def test_no_trial_is_larger_than_the_batch(batch: int, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    tried = scripted(monkeypatch, free=1)
    estimated(Kept(batch_size=batch))
    assert tried == expected


# ---------------------------------------------------------------- trials do what training does


def test_an_estimate_leaves_no_trace() -> None:
    made = Recipe.read("image_folder", [*CHANGES, "task.mixup=0.2", "task.frozen_epochs=1"])
    loaders = build.loaders(build.source(made), made)
    task = build.task(made, loaders.spec, trained=True)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    random = torch.get_rng_state()
    estimate(task, loaders, made)
    assert torch.equal(random, torch.get_rng_state())
    assert same(before, task.state_dict()), "batch statistics count too"
    assert all(weight.grad is None and weight.requires_grad for weight in task.parameters())
    assert task.training


def test_pictures_are_read_as_in_training_and_validation() -> None:
    data = Kept()
    trial(data=data).cost(3)
    assert data.read == [(0, 0, 0), (0, 1, 0), (0, 2, 0), 0, 1, 2], "keys of the sampler are augmented, numbers are not"


def test_a_cost_is_what_each_part_of_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = trial()
    clock = accumulate([0.0, 1.0, 0.0, 2.0, 0.0, 5.0, 0.0, 3.0, 0.0, 4.0])
    monkeypatch.setattr("zoo.estimate.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    asked: list[str] = []
    peaks = iter([100, 50])
    told = SimpleNamespace(begin=lambda: asked.append("begin"), peak=lambda: asked.append("peak") or next(peaks), now=lambda: 30)
    tried.memory = cast("Any", told)
    assert tried.cost(3) == Cost(3, 1.0, 2.0, 3.0, 4.0, 100, 50, 30), "of two steps the quicker"
    assert asked == ["begin", "peak"] * 2


def test_of_two_steps_one_updates_where_batches_are_accumulated() -> None:
    tried = trial("train.optimizer=adam", "train.accumulate=7")
    tried.cost(2)
    (player,) = tried.updater.players.values()
    assert {int(state["step"]) for state in player.optimizer.state.values()} == {1}


def test_one_picture_is_enough() -> None:
    """Batch statistics need two."""
    task = Classification(spec(), Convolution())
    assert estimated(Kept(samples=1, batch_size=1), task=task).tried == 2


def test_a_broken_file_is_named() -> None:
    class Broken(Kept):
        def __getitem__(self, row: Any) -> dict[str, Any]:
            return {"error": DataError("cut.jpg: broken or truncated")}

    with pytest.raises(DataError, match=r"cut\.jpg"):
        estimated(Broken())


WEIGHTS = (3 * 9 * 6 + 6) + (6 * 3 + 3)  # a convolution to 6 maps, a linear head of 3 classes
STEPS = 4  # of Adam, a number for each of four tensors


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        (["train.optimizer={name: sgd, momentum: 0.0}"], WEIGHTS),
        (["train.optimizer=sgd"], 2 * WEIGHTS),
        (["train.optimizer=adamw"], 3 * WEIGHTS + STEPS),
        (["train.optimizer=adam", "train.ema=0.9"], 4 * WEIGHTS + STEPS),
        (["train.optimizer=adamw", "train.accumulate=7"], 3 * WEIGHTS + STEPS),
    ],
)
def test_saving_takes_the_training_state_twice(changes: list[str], numbers: int) -> None:
    """The optimiser's is there after one cost, however many batches a step waits for."""
    tried = trial(*changes)
    tried.cost(2)
    assert tried.saving() == 2 * 4 * numbers


def test_all_players_have_their_turn() -> None:
    tried = trial("monitor.metric=val/loss", task=Game(spec()))
    tried.cost(2)
    assert all(player.optimizer.state for player in tried.updater.players.values())
    assert len(tried.updater.players) == 2


@pytest.mark.parametrize(("frozen", "learns"), [(-1, False), (2, True)])
def test_the_last_epoch_is_tried(frozen: int, learns: bool) -> None:
    """It is the dearest: by then everything that will ever learn does."""
    tried = trial("train.epochs=3", task=net(frozen_epochs=frozen))
    assert all(weight.requires_grad == learns for weight in tried.task.backbone.parameters())


class Watching(Classification):
    """Keeps what its computations happened under."""

    def start_batch(self, number: int) -> None:
        self.begun = [*getattr(self, "begun", []), number]

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        self.seen = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None, self.training
        self.channels_last = batch["image"].is_contiguous(memory_format=torch.channels_last)
        return super().losses(batch, player)


@pytest.mark.parametrize(("precision", "half"), [("bf16", torch.bfloat16), ("16", torch.float16), ("32", None)])
def test_precision_and_batches_are_those_of_training(precision: str, half: torch.dtype | None) -> None:
    tried = trial(f"train.precision={precision}", task=Watching(spec(), Convolution()).eval())
    tried.cost(2)
    assert tried.task.seen == (half, True) and tried.task.begun == [0, 1]


@pytest.mark.parametrize("wished", [True, False])
def test_pictures_lie_in_memory_as_in_training(wished: bool) -> None:
    tried = trial(f"train.channels_last={str(wished).lower()}", task=Watching(spec(), Convolution()))
    tried.cost(2)
    assert tried.task.channels_last == wished


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_classes_that_two_pictures_do_not_have() -> None:
    class Doubting(Classification):
        def predict(self, batch: Any) -> dict[str, Tensor]:
            warnings.warn("a class has no pictures", stacklevel=1)
            return super().predict(batch)

    trial(task=Doubting(spec(), Convolution())).cost(2)


# ---------------------------------------------------------------- memory


class Hungry(Classification):
    """Takes so many more bytes for each picture while it computes losses, and gives them back."""

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        torch.ones(len(batch["image"]), 2**22)  # 16 MiB
        return super().losses(batch, player)


@linux
@alone
def test_temporaries_of_a_step_count() -> None:
    found = estimated(Kept(batch_size=8), task=Hungry(spec(), Convolution())).memory
    assert found is not None and 0.9 * 8 * 2**24 < found < 2.5 * 8 * 2**24, "libraries may be loaded meanwhile"


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("zoo.memory.PROCESS", tmp_path / "none")
    found = estimated(Kept())
    assert found.memory is None and found.epoch_seconds > 0
    assert "memory unknown on this system" in str(found)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_no_memory_for_a_trial(error: Exception) -> None:
    class Large(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            if len(batch["image"]) > FEW:
                raise error
            return super().losses(batch, player)

    task, data = Large(spec(), Convolution()), cast("Any", Kept(batch_size=4))
    assert described(task, data, recipe()) == "none: there is no memory for a batch of 4 pictures"
    with pytest.raises(TooLargeError):
        estimated(data, task=task)


def test_other_errors_are_not_hidden() -> None:
    class Wrong(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            raise RuntimeError("sizes do not match")

    with pytest.raises(RuntimeError, match="sizes do not match"):
        estimated(Kept(), task=Wrong(spec(), Convolution()))


# ---------------------------------------------------------------- in words


def test_of_what_learns_nothing_there_is_no_estimate() -> None:
    class Still(Classification):
        learns = False

    assert described(Still(spec(), Convolution()), cast("Any", Kept()), recipe()).startswith("none: nothing is learnt")


def test_in_words() -> None:
    assert str(Estimate(65, 3700, 1.52e9, False, 32, 32, 32)) == (
        "about 1 min 05 s an epoch, 1 h 01 min in all; 1.52 GB beyond what it has now at the peak, for batches of 32 pictures"
    )
    assert str(Estimate(65, 3700, 1.52e9, True, 32, 12, 128)) == (
        "about 1 min 05 s an epoch, 1 h 01 min in all; 1.52 GB on the GPU at the peak, for batches of 32 pictures, by trials of up to 12; "
        "128 to a step of the optimiser"
    )


def test_accumulated_batches_are_told() -> None:
    assert str(estimated(Kept(), "train.accumulate=3")).endswith("for batches of 4 pictures; 12 to a step of the optimiser")
    assert str(estimated(Kept())).endswith("for batches of 4 pictures")
