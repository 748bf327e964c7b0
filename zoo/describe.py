"""Say what a recipe will do: the model, its parameters, what a step costs; with --data what its files hold.

python -m zoo.describe recipes/simpsons_mobilenetv2.yaml [--data] [key=value ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from zoo.datasets.loaders import Loaders
    from zoo.recipe import Recipe
    from zoo.tasks.task import Task


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo describe", description="Say what a recipe will do: model, parameters, cost, data.")
    parser.add_argument("recipe", help="a recipe's file or name")
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--data", action="store_true", help="look closer at the data (classes, picture sizes), not at the model")
    arguments = parser.parse_intermixed_args(argv)

    from zoo import build
    from zoo.estimate import described
    from zoo.recipe import Recipe

    recipe = Recipe.read(arguments.recipe, arguments.changes)
    data = build.loaders(build.source(recipe), recipe)
    task = build.task(recipe, data.spec, trained=True)
    _print_data(data)
    if arguments.data:
        _print_classes(data)
        _print_sizes(data)
    else:
        _print_model(recipe, task)
    print(f"estimate: {described(task, data, recipe)}")
    return 0


def _print_data(data: Loaders) -> None:
    parts = data.parts()
    print(f"data: {data.source.title} in {data.source.root}: {data.preflight.summary()}")
    sizes = ", ".join(f"{part} {len(records):,}" for part, records in parts.items())
    print(f"parts: {sizes}; unlabelled {len(data.unlabelled):,}")
    if data.source.groups:
        groups = {part: len({record.group for record in records if record.group is not None}) for part, records in parts.items()}
        print(f"groups ({data.source.groups}): " + ", ".join(f"{part} {count:,}" for part, count in groups.items()))
    for note in data.notes:
        print(f"note: {note}")


def _print_classes(data: Loaders) -> None:
    """A line a class with its pictures in each part."""
    from zoo.datasets.loaders import class_counts
    from zoo.errors import shown

    if not data.spec.counts:
        return
    labels = [shown(label) for label in data.spec.labels]
    columns = {part: class_counts(records, len(labels)) for part, records in data.parts().items()}
    width = max(len("class"), *map(len, labels))
    print(f"{'class':{width}}  " + "  ".join(f"{part:>7}" for part in columns))
    for index, label in enumerate(labels):
        print(f"{label:{width}}  " + "  ".join(f"{column[index]:7,}" for column in columns.values()))


def _print_sizes(data: Loaders) -> None:
    found = data.preflight.sizes
    common = ", ".join(f"{width}x{height} ({count})" for (width, height), count in found.most_common(5))
    print(f"sizes (width x height): {len(found)} different, most often {common}")


def _print_model(recipe: Recipe, task: Task) -> None:
    print(f"model: {recipe.task.name}{f' over {recipe.backbone.name}' if recipe.backbone else ''}, {_parameters(task):,} parameters")
    for name, child in task.named_children():
        print(f"  {name}: {_parameters(child):,}")


def _parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("describe", sys.argv[1:]))
