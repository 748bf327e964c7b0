"""Say what a recipe will do: the model, its parameters, what a step costs; with --data what its files hold.

    python -m zoo.describe recipes/simpsons_mobilenetv2.yaml [--data] [key=value ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo describe", description="Say what a recipe will do: model, parameters, cost; its data with --data.")
    parser.add_argument("recipe", help="a recipe's file or name")
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--data", action="store_true", help="only look at the data: files, classes, sizes, splits")
    arguments = parser.parse_intermixed_args(argv)

    from zoo import build
    from zoo.estimate import estimate
    from zoo.recipe import Recipe

    recipe = Recipe.read(arguments.recipe, arguments.changes)
    data = build.loaders(build.source(recipe), recipe)
    _print_data(data, counts=arguments.data)
    task = build.task(recipe, data.spec, trained=True)
    if not arguments.data:
        total = sum(weight.numel() for weight in task.parameters())
        print(f"model: {recipe.task.name}{f' over {recipe.backbone.name}' if recipe.backbone else ''}, {total:,} parameters")
        for name, child in task.named_children():
            print(f"  {name}: {sum(weight.numel() for weight in child.parameters()):,}")
    print(f"estimate: {estimate(task, data, recipe)}")
    return 0


def _print_data(data: object, counts: bool) -> None:
    from zoo.datasets.loaders import Loaders, class_counts

    assert isinstance(data, Loaders)
    print(f"data: {data.source.title} in {data.source.root}: {data.preflight.summary()}")
    labels, parts = data.spec.labels, data.parts()
    print("parts: " + ", ".join(f"{part} {len(records):,}" for part, records in parts.items()) + f"; unlabelled {len(data.unlabelled):,}")
    groups = {part: len({record.group for record in records if record.group is not None}) for part, records in parts.items()}
    if data.source.groups:
        print(f"groups ({data.source.groups}): " + ", ".join(f"{part} {count:,}" for part, count in groups.items()))
    for note in data.notes:
        print(f"note: {note}")
    if counts and labels:
        columns = {part: class_counts(records, len(labels)) for part, records in parts.items()}
        width = max(map(len, labels))
        print(f"{'class':{width}}  " + "  ".join(f"{part:>7}" for part in columns))
        for index, label in enumerate(labels):
            print(f"{label:{width}}  " + "  ".join(f"{column[index]:7,}" for column in columns.values()))
    if counts and data.preflight.sizes:
        common = ", ".join(f"{width}x{height} ({count})" for (width, height), count in data.preflight.sizes.most_common(5))
        print(f"sizes: {len(data.preflight.sizes)} different, most often {common}")


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("describe", sys.argv[1:]))
