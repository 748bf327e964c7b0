"""Mine a trained classifier for what to label or record next, or play the loop again on labelled data.

python -m zoo.mine RUN [--part val]
python -m zoo.mine RUN [RUN ...] --pool FOLDER [--strategy margin] [--count 100] [--out DIR]
python -m zoo.mine --replay RECIPE [key=value ...] [--begin 200 --end 2000 --step 200 --seeds 3 --strategies random,margin]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import RecipeError, shown
from zoo.progress import say


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo mine", description="What to label or record next, to make a classifier better.")
    parser.add_argument("words", nargs="*", metavar="RUN", help="trained runs, several for a committee; with --replay key=value changes")
    parser.add_argument("--pool", type=Path, metavar="FOLDER", help="unlabelled pictures to rank")
    parser.add_argument("--part", default="val", choices=("val", "test"), help="whose errors to look at without --pool (default: val)")
    parser.add_argument("--strategy", default="margin", help="margin, entropy, least_confident, diversity, spread, committee, vote_entropy")
    parser.add_argument("--count", type=int, default=100, help="pictures to label (default: 100)")
    parser.add_argument("--out", type=Path, default=Path("mined"), metavar="DIR", help="folder to write (default: mined)")
    parser.add_argument("--replay", metavar="RECIPE", help="play the loop again on this recipe's labelled data")
    for name, value in (("begin", 200), ("end", 2000), ("step", 200), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"of a replay (default: {value})")
    parser.add_argument("--strategies", default="random,margin,entropy", help="of a replay, with commas; random is always among them")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.replay is None and not arguments.words:
        parser.error("give a run, or --replay RECIPE")
    if arguments.count < 1:
        raise RecipeError(f"--count {arguments.count}: expected a number of pictures from 1 on")
    if not arguments.out.absolute().parent.is_dir():
        raise RecipeError(f"--out {arguments.out}: there is no folder {arguments.out.absolute().parent}")
    if arguments.replay is not None:
        return _replay(arguments)
    return _pool(arguments) if arguments.pool is not None else _errors(arguments)


def _pool(arguments: argparse.Namespace) -> int:
    from zoo import labelling, mining
    from zoo.given import to_pil
    from zoo.model import load

    if arguments.strategy not in mining.STRATEGIES:
        raise RecipeError(f"--strategy {arguments.strategy}: expected one of {', '.join(mining.STRATEGIES)}")
    models = [load(run, device=arguments.device) for run in arguments.words]
    found = mining.rank(models, arguments.pool, arguments.strategy, arguments.count)
    rows = [(str(one.path), one.rank, f"{one.score:.6f}", one.predicted, f"{one.probability:.6f}") for one in found]
    _write_csv(arguments.out / "ranked.csv", ("path", "rank", "score", "predicted", "probability"), rows)
    asked = [
        labelling.Asked(labelling.relative(one.path, arguments.out), to_pil(one.path, 3), one.predicted, one.probability) for one in found
    ]
    _write(arguments.out / "label.html", labelling.page(f"{len(found)} pictures for {models[0].recipe.name}", models[0].labels, asked))
    say(f"open {arguments.out / 'label.html'}, save labels.json beside it, and train with data.labelled={arguments.out / 'labels.json'}")
    return 0


def _errors(arguments: argparse.Namespace) -> int:
    from zoo import build, mining
    from zoo.abilities import refusal
    from zoo.evaluate import evaluate
    from zoo.model import load
    from zoo.tasks.task import Classifies

    if len(arguments.words) != 1:
        raise RecipeError("without --pool the errors of one run are looked at: give one")
    model = load(arguments.words[0], device=arguments.device)
    if not isinstance(model.task, Classifies):
        raise refusal(model, "predicts no classes")
    data = build.loaders(build.source(model.recipe), model.recipe)
    for warning in model.split_warnings(data.split):
        say(f"WARNING: {warning}")
    if arguments.part not in data.parts():
        raise RecipeError(f"--part {arguments.part}: this data has {', '.join(data.parts())}")
    found = evaluate(model.task, data.evaluation(arguments.part), model.device, keep=True)
    truth, said = found.truth["label"].tolist(), found.predictions["probabilities"].argmax(1).tolist()
    wanted = mining.collect_next(truth, said, model.labels)
    facts = [{"class": one.label, "pictures": one.pictures, "errors": one.errors, "caused": one.caused, "say": one.words} for one in wanted]
    _write_csv(arguments.out / "collect_next.csv", ("class", "pictures", "errors", "caused", "say"), [tuple(one.values()) for one in facts])
    _write(arguments.out / "collect_next.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    pairs = [(model.labels[one], model.labels[other], count) for (one, other), count in mining.confused(truth, said)]
    _write_csv(arguments.out / "confused.csv", ("truth", "predicted", "errors"), pairs)
    for one in wanted[:5]:
        sys.stdout.write(f"{shown(one.words)}\n")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from zoo import rounds
    from zoo.recipe import Recipe

    strategies = tuple(dict.fromkeys(["random", *arguments.strategies.split(",")]))
    wrong = [name for name in strategies if name not in rounds.STRATEGIES]
    if wrong:
        raise RecipeError(f"--strategies {wrong[0]}: expected some of {', '.join(rounds.STRATEGIES)}")
    recipe = Recipe.read(arguments.replay, arguments.words)
    plan = rounds.Plan(recipe, arguments.begin, arguments.end, arguments.step, arguments.seeds, strategies)
    cells = list(rounds.play(plan, arguments.out))
    rows = [(one.strategy, one.seed, one.labels, f"{one.value:.4f}", one.seconds) for one in cells]
    _write_csv(arguments.out / "replay.csv", ("strategy", "seed", "labels", "accuracy", "seconds"), rows)
    table = rounds.costs(plan, cells)
    _write_csv(arguments.out / "labels_needed.csv", ("strategy", "seeds", "share", "low", "high"), table)
    for name, seeds, share, low, high in table:
        sys.stdout.write(f"{name}: {share} of the labels of random choice (95 % interval {low} to {high}, {seeds} seeds)\n")
    return 0


def _write(path: Path, text: str) -> None:
    from zoo.files import write_bytes

    write_bytes(path, text.encode("utf-8", "surrogateescape"))
    say(f"wrote {path}")


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from zoo.cells import guarded

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *([guarded(cell) for cell in row] for row in rows)])
    _write(path, text.getvalue())


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("mine", sys.argv[1:]))
