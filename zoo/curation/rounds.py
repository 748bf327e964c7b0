"""The loop of active learning played again on pictures whose labels are known: labels are revealed in rounds, as a person would give them.

Each strategy begins with the same pictures, drawn at random; after each round a model is trained from the start ("cold"), measured, and
asked which pictures to reveal next. What is finished is kept in a file a round, so that a replay can be stopped at any time.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo import build
from zoo.datasets.loaders import Endless, collate, seeded, to_device
from zoo.device import compute_device
from zoo.engines.engine import training_step
from zoo.engines.update import Updater
from zoo.errors import RecipeError, ZooError, shown
from zoo.files import read_json
from zoo.metrics import uncertainty
from zoo.metrics.label_cost import Cost, labels_needed, rising
from zoo.nearest import nearest
from zoo.progress import Progress
from zoo.recipe import Recipe
from zoo.studies.findings import student
from zoo.tasks.task import Classifies, Embeds

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders
    from zoo.tasks.task import Task

STRATEGIES = ("random", "least_confident", "margin", "entropy", "diversity", "spread", "committee")
"""What can choose the next pictures; see docs/mining.md."""
MEMBERS = 3
"""Networks of a committee, one of them the model that is measured."""
MOST_BYTES = 4 * 2**30
"""Of all pictures, which are held in memory at the recipe's size."""
AT_ONCE = 500


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes:
        recipe: of the trainings; its `seed` is replaced.
        begin, end, step: labels at first, at last, and revealed in each round between.
        seeds: so many times over, each with other first pictures and other weights.
        strategies: of `STRATEGIES`.
    """

    recipe: Recipe
    begin: int
    end: int
    step: int
    seeds: int
    strategies: tuple[str, ...]

    @property
    def budgets(self) -> list[int]:
        """Labels in each round; the last is `end`."""
        return [*range(self.begin, self.end, self.step), self.end]


@dataclass(frozen=True)
class Cell:
    """A finished round: `value` is the accuracy reached with `labels` labels."""

    strategy: str
    seed: int
    labels: int
    value: float
    seconds: float


class Shown:
    """Pictures (N, C, H, W) uint8 and labels (N,) of the training part, to reveal from, and of the part that measures."""

    def __init__(self, data: Loaders) -> None:
        self.data = data
        self.part = "test" if "test" in data.parts() else "val"
        self.pool, self.labels = self._read("train")
        self.images, self.truth = self._read(self.part)
        self.training = data.training_pictures() if data.augment is not None else None

    def _read(self, part: str) -> tuple[Tensor, Tensor]:
        count, (height, width) = len(self.data.parts()[part]), self.data.spec.size
        if count * self.data.spec.channels * height * width > MOST_BYTES:
            raise ZooError(
                f"{part}: {count:,} pictures of {height}x{width} pixels take more than the {MOST_BYTES / 2**30:.0f} GiB of memory that a "
                "replay holds: set a smaller data.size, or take fewer pictures (split.val, split.test)"
            )
        with Progress(f"reading {part}", count, "pictures") as progress:
            batches = []
            for batch in self.data.evaluation(part):
                batches.append((batch["image"], batch["label"]))
                progress.advance(len(batch["label"]))
        return torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches])

    def batch(self, epoch: int, rows: Sequence[int], copies: Sequence[int]) -> dict[str, Any]:
        """Training pictures of these rows, augmented as the recipe says."""
        if self.training is not None:
            return collate([self.training[epoch, row, copy] for row, copy in zip(rows, copies, strict=True)])
        return {"image": self.pool[list(rows)], "label": self.labels[list(rows)]}


def play(plan: Plan, folder: Path) -> Iterator[Cell]:
    """Play all rounds, budget after budget and seed after seed; each is given as it is finished, or found finished in `folder`.

    Raises:
        RecipeError: the data has no classes or too few pictures, or `folder` holds another replay.
    """
    data = build.loaders(build.source(plan.recipe), plan.recipe)
    _refuse(plan, data)
    _claim(plan, data, folder)
    pictures: Shown | None = None
    lines = [(strategy, seed) for seed in range(plan.seeds) for strategy in plan.strategies]
    with Progress("replaying", len(lines) * len(plan.budgets), "trainings") as progress:
        for strategy, seed in lines:
            order = torch.randperm(len(data.parts()["train"]), generator=torch.Generator().manual_seed(seed)).tolist()
            chosen = order[: plan.begin]
            for labels, following in zip(plan.budgets, [*plan.budgets[1:], None], strict=True):
                file = folder / "rounds" / f"{strategy}-{seed}-{labels}.json"
                kept = read_json(file)
                if kept is None:
                    pictures = pictures or Shown(data)
                    kept = _round(plan, pictures, strategy, seed, chosen, (following or labels) - labels, order)
                    _keep(file, kept)
                chosen = chosen + kept["picked"]
                progress.advance(1, f"{strategy} {labels} labels: {kept['value']:.3f}")
                yield Cell(strategy, seed, labels, kept["value"], kept["seconds"])


def _refuse(plan: Plan, data: Loaders) -> None:
    for name in plan.strategies:
        if name not in STRATEGIES:
            raise RecipeError(f"strategy {shown(name)!r}: no such one{nearest(name, STRATEGIES)}; expected some of {', '.join(STRATEGIES)}")
    if data.spec.truth != "label":
        raise RecipeError(
            f"data {data.data.name!r} has no class for each picture: a replay needs a recipe with classes, such as image_folder"
        )
    pool = len(data.parts()["train"])
    if not 1 <= plan.begin < plan.end <= pool or plan.step < 1 or plan.seeds < 1:
        raise RecipeError(
            f"--begin {plan.begin} --end {plan.end} --step {plan.step} --seeds {plan.seeds}: expected 1 <= begin < end <= {pool} (the "
            "training pictures), and a step and seeds from 1 on"
        )


def _claim(plan: Plan, data: Loaders, folder: Path) -> None:
    """Note what is played in `folder`, or refuse one where something else is."""
    settings = {
        "recipe": plan.recipe.to_dict() | {"expect": None, "reference": None},
        "data": data.fingerprint(),
        **{name: getattr(plan, name) for name in ("begin", "end", "step")},
    }
    kept = read_json(folder / "replay.json")
    if kept is None:
        _keep(folder / "replay.json", settings)
    elif kept != settings:
        raise RecipeError(f"--out {folder}: another replay was begun there (other recipe, data or budgets); choose another folder")


def _keep(file: Path, value: object) -> None:
    import json

    from zoo.files import write_bytes

    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, (json.dumps(value, sort_keys=True) + "\n").encode())


def _round(plan: Plan, shown: Shown, strategy: str, seed: int, chosen: Sequence[int], count: int, order: Sequence[int]) -> dict[str, Any]:
    """Train with the chosen labels, measure, and pick the next `count` pictures."""
    begun = time.monotonic()
    device = compute_device(plan.recipe.train.device)
    task = trained(plan, shown, seed, chosen, device)
    said, _ = _answers(task, shown.images, device)
    value = float((said.argmax(1) == shown.truth).double().mean())
    rest = torch.tensor(sorted(set(range(len(shown.pool))) - set(chosen)))
    if not count:
        picked: list[int] = []
    elif strategy == "random":
        picked = list(order[len(chosen) : len(chosen) + count])
    else:
        others = range(1, MEMBERS) if strategy == "committee" else ()
        tasks = [task, *(trained(plan, shown, seed + 1000 * number, chosen, device) for number in others)]
        picked = rest[_picked(strategy, tasks, shown, rest, chosen, count, device)].tolist()
    return {"value": value, "seconds": round(time.monotonic() - begun, 2), "picked": picked}


def _picked(
    strategy: str, tasks: Sequence[Task], shown: Shown, rest: Tensor, chosen: Sequence[int], count: int, device: torch.device
) -> Tensor:
    """(count,) places in `rest`."""
    answers = [_answers(task, shown.pool[rest], device) for task in tasks]
    probabilities, vectors = answers[0]
    if strategy in ("diversity", "spread"):
        known = _answers(tasks[0], shown.pool[list(chosen)], device)[1]
        if strategy == "diversity":
            return uncertainty.k_centre(vectors, count, known)[0]
        return uncertainty.spread(uncertainty.margin(probabilities), vectors, count, known)
    if strategy == "committee":
        scores = uncertainty.disagreement(torch.stack([said for said, _ in answers]))
    else:
        scores = getattr(uncertainty, strategy)(probabilities)
    return scores.argsort(descending=True, stable=True)[:count]


def trained(plan: Plan, shown: Shown, seed: int, chosen: Sequence[int], device: torch.device) -> Task:
    """A task trained on these rows, in evaluation mode.

    Every training takes as many steps as the recipe's epochs have with `plan.end` labels, so that few labels are not trained on for less
    long; its schedule runs over these steps. Nothing is validated meanwhile: the last weights count (the averaged ones of `train.ema`),
    a plateau never ends, and 32-bit floats are used.
    """
    recipe = plan.recipe.changed([f"seed={seed}"])
    options = (recipe.train.batch_size, seed, recipe.data.balance, recipe.data.max_repeats, recipe.data.repeat)
    batches = max(1, plan.end * recipe.data.repeat // recipe.train.batch_size)
    labels = shown.labels[list(chosen)].tolist()
    with seeded(seed, len(chosen)):
        task = build.task(recipe, shown.data.spec).to(device).train()
        updater = Updater(task, recipe.train, recipe.monitor, batches, device)
        for step, keys in enumerate(islice(Endless(labels, *options), recipe.train.epochs * batches)):
            if step % batches == 0:
                task.start_epoch(step // batches)
            task.start_batch(step)
            epoch, rows, copies = keys[0][0], [chosen[row] for _, row, _ in keys], [copy for _, _, copy in keys]
            training_step(task, task.players(), to_device(shown.batch(epoch, rows, copies), device), updater.update)
            updater.end_batch()
    for average in updater.averages:
        average.swap()
    return task.eval()


def _answers(task: Task, images: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Probabilities (N, C) and vectors (N, D) of pictures (N, C, H, W) uint8, on the CPU."""
    assert isinstance(task, Classifies) and isinstance(task, Embeds)  # as `_refuse` saw
    said, vectors = [], []
    with torch.inference_mode():
        for begin in range(0, len(images), AT_ONCE):
            given = images[begin : begin + AT_ONCE].to(device).float().div_(255)
            said.append(task.classify(given).float().cpu())
            vectors.append(task.embed(given).float().cpu())
    return torch.cat(said), torch.cat(vectors)


def curves(plan: Plan, cells: Sequence[Cell]) -> dict[tuple[str, int], list[float]]:
    """(strategy, seed) -> accuracies over the budgets, of those whose rounds are all finished."""
    lines: dict[tuple[str, int], list[float]] = {}
    for cell in cells:
        lines.setdefault((cell.strategy, cell.seed), []).append(cell.value)
    return {key: line for key, line in lines.items() if len(line) == len(plan.budgets)}


def needs(plan: Plan, cells: Sequence[Cell]) -> dict[str, Cost]:
    """By strategy the labels it needs for what random choice reaches at the end, in each seed that both have finished."""
    lines = curves(plan, cells)
    found: dict[str, Cost] = {}
    for name in plan.strategies:
        seeds = [seed for seed in range(plan.seeds) if (name, seed) in lines and ("random", seed) in lines]
        targets = {seed: rising(lines["random", seed])[-1] for seed in seeds}
        own = tuple(labels_needed(plan.budgets, lines[name, seed], targets[seed]) for seed in seeds)
        random = tuple(labels_needed(plan.budgets, lines["random", seed], targets[seed]) or plan.end for seed in seeds)
        if seeds:
            found[name] = Cost(own, random, plan.end)
    return found


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean and Student's 95 % interval of it; of one value the ends are NaN."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan, math.nan
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def costs(plan: Plan, cells: Sequence[Cell]) -> list[tuple[str, int, str, str, str]]:
    """By strategy: over how many seeds, and its labels as a share of random's own, paired by seed, with the interval.

    Where a seed does not get there by `plan.end` the share is a lower bound ("at least"), and its interval is unknown.
    """
    table = []
    for name, cost in needs(plan, cells).items():
        mean, low, high = interval(cost.shares)
        ends = ("unknown", "unknown") if cost.missed or math.isnan(low) else (f"{low:.3f}", f"{high:.3f}")
        table.append((name, len(cost.shares), f"{'at least ' if cost.missed else ''}{mean:.3f}", *ends))
    return table
