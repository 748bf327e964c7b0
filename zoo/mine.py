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
from typing import TYPE_CHECKING

from zoo.errors import RecipeError, shown
from zoo.progress import say

if TYPE_CHECKING:
    from zoo.datasets.source import Record, Source
    from zoo.model import Model
    from zoo.pages.mining_page import Seen

MOST = 2_000
"""Pictures of a labelling page: about 40 MB."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo mine", description="What to label or record next, to make a classifier better.")
    parser.add_argument("words", nargs="*", metavar="RUN", help="trained runs, several for a committee; with --replay key=value changes")
    parser.add_argument("--pool", type=Path, metavar="FOLDER", help="unlabelled pictures to rank")
    parser.add_argument("--part", default="val", choices=("val", "test"), help="whose errors to look at without --pool (default: val)")
    parser.add_argument("--strategy", default="margin", help="margin, entropy, least_confident, diversity, spread, committee, vote_entropy")
    parser.add_argument("--count", type=int, default=100, help=f"pictures to label (default: 100, at most {MOST})")
    parser.add_argument("--out", type=Path, default=Path("mined"), metavar="DIR", help="folder to write (default: mined)")
    parser.add_argument("--replay", metavar="RECIPE", help="play the loop again on this recipe's labelled data")
    for name, value in (("begin", 200), ("end", 2000), ("step", 200), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"of a replay (default: {value})")
    parser.add_argument("--strategies", default="random,margin,entropy", help="of a replay, with commas; random is always among them")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.replay is None and not arguments.words:
        parser.error("give a run, or --replay RECIPE")
    if not 1 <= arguments.count <= MOST:
        raise RecipeError(f"--count {arguments.count}: expected a number of pictures from 1 to {MOST:,}, all of which are in one page")
    if not arguments.out.absolute().parent.is_dir():
        raise RecipeError(f"--out {arguments.out}: there is no folder {arguments.out.absolute().parent}")
    if arguments.replay is not None:
        return _replay(arguments)
    return _pool(arguments) if arguments.pool is not None else _errors(arguments)


def _pool(arguments: argparse.Namespace) -> int:
    from zoo.curation import mining
    from zoo.datasets.pictures import jpeg
    from zoo.given import to_pil
    from zoo.model import load
    from zoo.pages import labelling

    if arguments.strategy not in mining.STRATEGIES:
        raise RecipeError(f"--strategy {arguments.strategy}: expected one of {', '.join(mining.STRATEGIES)}")
    models = [load(run, device=arguments.device) for run in arguments.words]
    before = _labelled(models[0])
    known = {record.path.resolve() for record in before}
    found = mining.rank(models, arguments.pool, arguments.strategy, arguments.count, known)
    rows = [(str(one.path), one.rank, f"{one.score:.6f}", one.predicted, f"{one.probability:.6f}") for one in found]
    _write_csv(arguments.out / "ranked.csv", ("path", "rank", "score", "predicted", "probability"), rows)
    asked = [
        labelling.Asked(
            labelling.relative(one.path, arguments.out), jpeg(to_pil(one.path, 3), labelling.SIDE), one.predicted, one.probability
        )
        for one in found
    ]
    kept = [labelling.again(record, models[0].labels, arguments.out) for record in before]
    title = f"{len(found)} pictures for {models[0].recipe.name}"
    _write(arguments.out / "label.html", labelling.page(title, models[0].labels, asked, kept))
    labels = shown((arguments.out / "labels.json").resolve())
    say(f"open {arguments.out / 'label.html'}, save labels.json beside it, and train with data.labelled={labels}")
    return 0


def _labelled(model: Model) -> list[Record]:
    """The pictures that a labels file added to the model's training; [] where the file is gone."""
    from zoo import paths
    from zoo.datasets.amended import read_labelled

    given = model.recipe.data.labelled
    if given is None:
        return []
    file = paths.data() / Path(given).expanduser()
    if not file.is_file():
        say(f"WARNING: {shown(file)}, which the model was trained with, is not here: its pictures may be asked for again")
        return []
    return read_labelled(file, model.labels)[0]


def _errors(arguments: argparse.Namespace) -> int:
    from zoo.curation import mining
    from zoo.pages import mining_page

    if len(arguments.words) != 1:
        raise RecipeError("without --pool the errors of one run are looked at: give one")
    seen, source, synthetic = _looked_at(arguments.words[0], arguments.part, arguments.device)
    wanted = mining.collect_next(seen.truth, seen.said, seen.labels)
    rows = [(one.label, one.pictures, one.errors, one.caused, f"{one.ask}: {one.why}") for one in wanted]
    columns = ("class", "pictures", "errors", "caused", "say")
    _write_csv(arguments.out / "collect_next.csv", columns, rows)
    facts = [dict(zip(columns, row, strict=True)) for row in rows]
    _write(arguments.out / "collect_next.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    pairs = [(seen.labels[one], seen.labels[other], count) for (one, other), count in mining.confused(seen.truth, seen.said)]
    _write_csv(arguments.out / "confused.csv", ("truth", "predicted", "errors"), pairs)
    _write(arguments.out / "errors.html", mining_page.page(seen, source, arguments.words[0], arguments.part, synthetic))
    for row in rows[:5]:
        sys.stdout.write(f"{shown(row[-1])}\n")
    return 0


def _looked_at(run: str, part: str, device: str) -> tuple[Seen, Source, bool]:
    """What a run's model says of a part of its data, the data's source, and whether it was drawn."""
    from zoo import build
    from zoo.abilities import refusal
    from zoo.evaluate import evaluate
    from zoo.model import load
    from zoo.pages.mining_page import Seen
    from zoo.tasks.task import Classifies

    model = load(run, device=device)
    if not isinstance(model.task, Classifies):
        raise refusal(model, "predicts no classes")
    data = build.loaders(build.source(model.recipe), model.recipe)
    if data.spec.labels != model.labels:
        raise RecipeError(f"{run}: its data has other classes now than it was trained on; train it again")
    for warning in model.split_warnings(data.split):
        say(f"WARNING: {warning}")
    if part not in data.parts():
        raise RecipeError(f"--part {part}: this data has {', '.join(data.parts())}")
    if part == "test":
        say("WARNING: a test part whose errors choose what is recorded is no test any more: its figure becomes too good")
    found = evaluate(model.task, data.evaluation(part), model.device, keep=True)
    sure, said = found.predictions["probabilities"].max(1)
    records = [data.parts()[part][int(index)] for index in found.truth["index"]]
    seen = Seen(records, found.truth["label"].tolist(), said.tolist(), sure.tolist(), model.labels)
    return seen, data.source, model.recipe.synthetic


def _replay(arguments: argparse.Namespace) -> int:
    from zoo.curation import rounds
    from zoo.pages import rounds_page
    from zoo.recipe import Recipe

    strategies = tuple(dict.fromkeys(["random", *arguments.strategies.split(",")]))
    recipe = Recipe.read(arguments.replay, arguments.words)
    plan = rounds.Plan(recipe, arguments.begin, arguments.end, arguments.step, arguments.seeds, strategies)
    cells = list(rounds.play(plan, arguments.out))
    rows = [(one.strategy, one.seed, one.labels, f"{one.value:.4f}", one.seconds) for one in cells]
    _write_csv(arguments.out / "replay.csv", ("strategy", "seed", "labels", "accuracy", "seconds"), rows)
    table = rounds.costs(plan, cells)
    _write_csv(arguments.out / "labels_needed.csv", ("strategy", "seeds", "share", "low", "high"), table)
    _write(arguments.out / "replay.html", rounds_page.page(plan, cells))
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
