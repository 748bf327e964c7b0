"""Predict pictures or a folder with a trained model.

    python -m zoo.predict RUN FOLDER
    python -m zoo.predict RUN FOLDER --csv predictions.csv
    python -m zoo.predict RUN FOLDER --submission out.csv
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo predict", description="Predict pictures or a folder with a trained model.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("pictures", nargs="+", type=Path, help="picture files, or one folder")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write path, label and score there instead of printing them")
    parser.add_argument("--submission", metavar="FILE", type=Path, help="write the data set's own submission file, with its ids")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)

    from zoo.errors import DataError
    from zoo.model import load
    from zoo.progress import say

    missing = [path for path in arguments.pictures if not path.exists()]
    if missing:
        raise DataError(f"{missing[0]}: no such file or folder")
    model = load(arguments.run, device=arguments.device)
    pictures = arguments.pictures[0] if len(arguments.pictures) == 1 else arguments.pictures
    found = model.predict(pictures, arguments.batch_size)
    predictions = found if isinstance(found, list) else [found]
    if arguments.submission:
        from zoo import registry

        files = [prediction.path for prediction in predictions if prediction.path]
        indices = [model.labels.index(prediction.label) for prediction in predictions]
        registry.load("datasets", model.recipe.data.name).write_submission(arguments.submission, files, indices, model.labels)
        say(f"wrote {len(files)} rows to {arguments.submission}")
        return 0
    rows = [(prediction.path, prediction.label, f"{prediction.score:.6f}") for prediction in predictions]
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            csv.writer(file, lineterminator="\n").writerows([("path", "label", "score"), *rows])
        say(f"wrote {len(rows)} rows to {arguments.csv}")
    else:
        for path, label, score in rows:
            print(f"{score}  {label}  {path}")
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("predict", sys.argv[1:]))
