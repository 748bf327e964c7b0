"""What a training found, written into its run: metrics, predictions, figures and tables."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from zoo import epochs, packing
from zoo.cells import guarded
from zoo.cost import prediction_cost
from zoo.datasets.loaders import collate, to_device
from zoo.errors import DivergedError
from zoo.evaluate import Evaluation, evaluate
from zoo.film import write_film
from zoo.overview import overview, to_picture
from zoo.progress import Progress, say, track
from zoo.run import SNAPSHOTS
from zoo.tasks.task import Classifies, Decodes, Detects, Drawing, Embeds, Examples, Table

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders, Pictures
    from zoo.recipe import Recipe
    from zoo.run import Run
    from zoo.tasks.task import Task


def write_results(task: Task, data: Loaders, run: Run, peak: float | None = None) -> None:
    """Measure the trained task on val and, where there is one, on test; write everything the report is drawn from.

    Args:
        task: with the weights that were kept.
        data: its pictures.
        run: to write into.
        peak: megabytes of memory that the training took (`zoo.memory`); None where it is not known, as when none was left to train.
    """
    device = next(task.parameters()).device
    task.eval()  # what is drawn is of the trained network, and changes none of its statistics
    metrics: dict[str, Any] = {}
    drawings = overview(data)
    history = run.history()
    if history:
        from zoo.figures.curves import training_curves

        curves = training_curves(history, run.recipe.monitor.metric, run.recipe.monitor.mode)
        drawings = {
            "curves": Drawing("Training", curves, "Losses and metrics by epoch; the star marks the epoch that was kept."),
            **drawings,
        }
    tables: dict[str, Table] = {}
    training = cache(partial(_training, data))  # figures and tables of both parts ask for the same
    parts: tuple[Literal["val", "test"], ...] = ("val", "test")
    for part in parts:
        if part not in data.parts():
            continue
        found = evaluate(task, data.evaluation(part), device, keep=True)
        metrics |= {f"{part}/{name}": value for name, value in found.metrics.items()}
        if part == "val":
            refuse_diverged(task, data, run.recipe, metrics)
        pictures = data.pictures(part)
        again = partial(_again, task, pictures, found, device)
        examples = Examples(found.truth, found.predictions, _shower(pictures, found), found.metrics, found.details, again, training, part)
        suffix = "" if part == "val" else f"_{part}"
        drawings |= {f"{name}{suffix}": _titled(drawing, part) for name, drawing in task.figures(examples).items()}
        tables |= {f"{name}{suffix}": _titled(table, part) for name, table in task.tables(examples).items()}
        write_predictions(run, part, task, found, data)
    write_drawings(run, drawings | epochs.drawings(run.confusions(), data.spec.labels, run.checkpoints.manifest.best or None))
    add_film(run)
    write_tables(run, tables)
    run.write_json("spec.json", data.spec.to_json())
    run.write_json("split.json", split_json(data))
    if history:
        header = list(dict.fromkeys(key for row in history for key in row))
        run.write_rows("history.csv", header, [[row.get(key, "") for key in header] for row in history])
    digest = run.save_weights(task)
    write_latent(task, data, run)
    facts = {
        "synthetic": run.recipe.synthetic,
        "data_fingerprint": data.fingerprint(),
        "epochs": history[-1]["epoch"] if history else 0,
        "best_epoch": run.checkpoints.manifest.best or None,
        "seconds": round(sum(row["seconds"] for row in history), 1),
        "train_seconds": round(sum(row["train_seconds"] for row in history), 3),  # without the measuring after each epoch
        "megabytes": round((run.folder / "weights.safetensors").stat().st_size / 1e6, 3),
        **prediction_cost(task, data),
        "weights_sha256": digest,
    }
    if (taken := run.metrics.get("peak_megabytes") if peak is None else round(peak, 1)) is not None:
        facts["peak_megabytes"] = taken
    run.write_json("metrics.json", metrics | facts)  # last: a run with metrics is a finished one


def refuse_diverged(task: Task, data: Loaders, recipe: Recipe, metrics: Mapping[str, float]) -> None:
    """Raise DivergedError if the last step has spoilt the weights: no loss of the training was computed after it.

    That a metric is no number does not show it: there may be nothing to measure, such as masks without a valid pixel, or no two pictures
    of one kind. That the monitored one is a number does not rule it out: an answer of nothing but NaN has an accuracy too. So what counts
    are the weights, and what the network says of pictures alone.

    Args:
        task: with the weights that were kept.
        data: its pictures.
        recipe: of the run.
        metrics: of val, by their names in `metrics.json`.
    """
    broken = [name for name, weight in task.named_parameters() if not bool(weight.isfinite().all())]
    strange = [name for name, value in metrics.items() if not math.isfinite(value)]
    if broken or (strange and not _says_numbers(task, data)):
        names = ", ".join([*strange[:3], *broken[:1]])
        raise DivergedError(
            f"{names}: not a finite number with the weights that were kept, though every loss of the training was finite: its last step "
            f"went too far. Try a lower rate (train.lr={recipe.train.lr / 10:g}) or gradient clipping (train.clip=1.0)"
        )
    if math.isnan(metrics[recipe.monitor.metric]):
        say(f"WARNING: {recipe.monitor.metric} is not a number: val has nothing to measure by it, so the first epoch was kept")


@torch.inference_mode()
def _says_numbers(task: Task, data: Loaders) -> bool:
    """Whether all that is predicted for the first pictures of val, without their truth, is finite."""
    device = next(task.parameters()).device
    image = to_device(next(iter(data.evaluation("val"))), device)["image"]
    return all(bool(said.isfinite().all()) for said in task.eval().predict({"image": image}).values())


def split_json(data: Loaders) -> dict[str, Any]:
    """Which picture was in which part, by the data set's own ids; and how many of each class an epoch trains on, as balanced."""
    parts = {part: [record.id for record in records] for part, records in data.parts().items()}
    sizes = {part: len(ids) for part, ids in parts.items()}
    about = {"fingerprint": data.split.fingerprint, "by": data.split.by, "sizes": sizes, "notes": data.notes}
    return about | ({"epoch_counts": data.epoch_counts()} if data.spec.counts else {}) | parts


def write_latent(task: Task, data: Loaders, run: Run) -> None:
    """Write what the training pictures tell of the code space, for tasks that embed and decode; see `zoo.latent.space`."""
    if not (isinstance(task, Embeds) and isinstance(task, Decodes)) or task.conditional:  # its codes mean nothing without their labels
        return
    from zoo.latent.space import MOST_WIDTH, Latent

    device = next(task.parameters()).device
    found: dict[str, list[torch.Tensor]] = {"codes": [], "attributes": [], "label": []}
    task.eval()
    with Progress("embedding training pictures", len(data.parts()["train"]), "pictures") as progress, torch.inference_mode():
        for batch in data.evaluation("train"):
            found["codes"].append(task.embed(to_device(batch, device)["image"]).float().cpu())
            progress.advance(len(batch["path"]))
            for key in ("attributes", "label"):
                found[key] += [batch[key]] if key in batch else []
    codes, attributes, labels = (torch.cat(parts).numpy() if parts else None for parts in found.values())
    assert codes is not None  # there is always something to train on
    if codes.shape[1] > MOST_WIDTH or not np.isfinite(codes).all():  # too much for a file beside the weights; a network that diverged
        return
    run.write_bytes(packing.LATENT, Latent.measure(codes, attributes, data.spec.attributes, labels).to_bytes())


def _shower(pictures: Pictures, found: Evaluation) -> Any:
    return lambda row: to_picture(pictures[int(found.truth["index"][row])]["image"])


def _again(
    task: Task, pictures: Pictures, found: Evaluation, device: torch.device, row: int
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A sample read once more and what the task predicts for it."""
    fields = pictures[int(found.truth["index"][row])]
    with torch.inference_mode():
        predictions = task.eval().predict(to_device(collate([fields]), device))
    return fields, {name: value[0].cpu() for name, value in predictions.items()}


def _training(data: Loaders, most: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """At most so many samples of the training part as evaluation sees them, evenly chosen, joined; see `Examples.training`."""
    pictures = data.pictures("train")
    chosen = range(0, len(pictures), max(1, -(-len(pictures) // most)))
    batch = collate([pictures[index] for index in track(chosen, "reading training pictures", len(chosen), "pictures")])
    if "error" in batch:
        raise batch["error"]
    return batch.pop("image"), batch


def _titled(item: Any, part: str) -> Any:
    from dataclasses import replace

    return item if part == "val" else replace(item, title=f"{item.title} ({part})")


def write_drawings(run: Run, drawings: Mapping[str, Drawing]) -> None:
    """Write figures as PNG with their words in `figures/index.json`."""
    from zoo.figures.style import save

    index = []
    with Progress("drawing figures", len(drawings), "figures") as progress:
        for name, drawing in drawings.items():
            content = io.BytesIO()
            save(drawing.figure, content)
            run.write_bytes(f"figures/{name}.png", content.getvalue())
            index.append({"file": f"{name}.png", "title": drawing.title, "caption": drawing.caption})
            progress.advance()
    run.write_json("figures/index.json", index)


def add_film(run: Run) -> None:
    """Join what a task made after each epoch, if it was kept, to a film beside the figures."""
    frames = write_film(run.folder / SNAPSHOTS, run.folder / "figures" / "film.gif")
    if frames:
        words = {
            "title": "Film of the training",
            "caption": f"What became of the same codes, in {frames} epochs from the first to the last.",
        }
        run.write_json("figures/index.json", [*run.read_json("figures/index.json"), {"file": "film.gif"} | words])


def write_tables(run: Run, tables: Mapping[str, Table]) -> None:
    """Write tables as CSV with their words in `tables/index.json`."""
    for name, table in tables.items():
        run.write_rows(f"tables/{name}.csv", table.header, [[guarded(cell) for cell in row] for row in table.rows])
    run.write_json(
        "tables/index.json", [{"file": f"{name}.csv", "title": table.title, "caption": table.caption} for name, table in tables.items()]
    )


def write_predictions(run: Run, part: str, task: Task, found: Evaluation, data: Loaders) -> None:
    """Write one row a picture: what a classifier says, or the numbers that other tasks give for it; see `zoo.cells` for its texts.

    Of a detector there is one row a box that it shows, in pixels of the picture as the model sees it.
    """
    records = data.parts()[part]
    ids = [guarded(records[int(index)].id) for index in found.truth["index"]]
    if isinstance(task, Detects):
        rows = list(_shown_boxes(task.threshold, found, ids, data.spec.labels))
        run.write_rows(f"predictions_{part}.csv", ("id", "label", "score", "left", "top", "right", "bottom"), rows)
        return
    columns: dict[str, Sequence[object]]
    if isinstance(task, Classifies):
        score, said = found.predictions["probabilities"].max(1)
        labels = [guarded(label) for label in data.spec.labels]
        columns = {
            "truth": [labels[int(truth)] for truth in found.truth["label"]],
            "prediction": [labels[int(answer)] for answer in said],
            "score": _printed(score),
        }
    else:
        columns = {"group": [guarded(group) for group in found.truth["group"]]} if "group" in found.truth else {}
        columns |= {name: _printed(values) for name, values in found.predictions.items() if values.ndim == 1}
    if columns:
        run.write_rows(f"predictions_{part}.csv", ("id", *columns), list(zip(ids, *columns.values(), strict=True)))


def _shown_boxes(threshold: float, found: Evaluation, ids: Sequence[object], labels: Sequence[str]) -> Iterator[tuple[object, ...]]:
    scores, classes, boxes = (found.predictions[name] for name in ("scores", "classes", "boxes"))
    for row, place in ((scores >= threshold) & (classes >= 0)).nonzero().tolist():
        corners = (f"{side:.2f}" for side in boxes[row, place].tolist())
        yield ids[row], guarded(labels[int(classes[row, place])]), f"{scores[row, place]:.6f}", *corners


def _printed(values: torch.Tensor) -> list[str]:
    return [f"{value:.6f}" for value in values.tolist()]
