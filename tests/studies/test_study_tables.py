"""The tables of a study's page, drawn from cells' folders that no training has written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faked import write

from zoo.pages.markup import Markup
from zoo.studies import definition, outcomes, report, tables
from zoo.studies.classes import balances
from zoo.studies.drawn import Drawn, gathered
from zoo.studies.pictures import Gallery
from zoo.studies.plan import Cell, Plan

STUDY = """
recipe: image_folder
axes:
  balance:
    none: {data.balance: none}
    loss_weights: {data.balance: loss_weights}
    sampler: {data.balance: sampler}
seeds: [0, 1, 2]
changes: {data.synthetic: always, monitor.metric: val/f1_macro}
"""
LABELS = ["rare<b>", "=often", "empty"]
VALUES = {"none": 0.50, "loss_weights": 0.52, "sampler": 0.80}
AFTER = {"none": [10, 90, 0], "loss_weights": [10, 90, 0], "sampler": [52, 48, 0]}


def told(cell: Cell) -> dict[str, Any]:
    """The numbers of a cell: `sampler` is better in each seed, `loss_weights` by chance."""
    value = VALUES[str(cell.setting["balance"])] + 0.1 * cell.seed + (0.03 * (-1) ** cell.seed if "loss_weights" in cell.id else 0.0)
    value += 0.001 * cell.seed * ("sampler" in cell.id)
    measured = {"loss": 1.0, "accuracy": value, "f1_macro": value - 0.02, "f1_micro": value}
    both = {f"{part}/{name}": number for part in ("val", "test") for name, number in measured.items()}
    costs = {"epochs": 2, "seconds": 99.0, "train_seconds": 75.0, "parameters": 2_230_277, "macs": 312_900_000, "milliseconds": 21.34}
    return both | costs | {"peak_megabytes": 812.3 + cell.seed, "megabytes": 9.0, "best_epoch": 1}


def made(folder: Path, text: str = STUDY, numbers: Callable[[Cell], dict[str, Any]] = told) -> Plan:
    """A study whose cells are finished."""
    plan = Plan(definition.read(write(folder, text)))
    for cell in plan.cells:
        at = plan.study.folder / cell.id
        outcomes.prepare(cell, at)
        way = cell.recipe.data.balance
        split = {"fingerprint": "one", "sizes": {"val": 40}, "epoch_counts": AFTER[way], "train": ["a"]}
        weights = [5.0, 5 / 9, 0.0] if way == "loss_weights" else []
        spec = {"channels": 3, "size": [32, 32], "labels": LABELS, "counts": [10, 90, 0], "weights": weights}
        for name, content in {"metrics": numbers(cell), "split": split, "spec": spec}.items():
            (at / f"{name}.json").write_text(json.dumps(content))
        (at / "weights.safetensors").write_bytes(b"")
        rows = [f"rare<b>,3,0,0,{0.1 * cell.seed:.1f}", "'=often,5,0,0,0.9", "empty,0,0,0,0.0"]
        (at / "tables").mkdir()
        (at / "tables" / "per_class_test.csv").write_text("\n".join(["class,pictures,precision,recall,f1", *rows]))
    return plan


@pytest.fixture
def drawn(tmp_path: Path, home: Path) -> Drawn:
    return gathered(made(tmp_path))


def rewrite(drawn: Drawn, name: str, **changes: Any) -> None:
    """Change a file of all cells."""
    for cell in drawn.cells:
        file = cell.folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def heads(table: str) -> list[str]:
    return [re.sub("<[^>]*>", "", head) for head in re.findall(r"<th[^>]*>(.*?)</th>", table.partition("</table>")[0])]


def rows(table: str) -> list[list[str]]:
    body = table.partition("<tbody>")[2].partition("</tbody>")[0]
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall("<td.*?</td>", row)] for row in re.findall("<tr>.*?</tr>", body)]


# ---------------------------------------------------------------- results


def test_one_table_tells_what_settings_reach_and_cost(drawn: Drawn) -> None:
    table = tables.results(drawn)
    assert heads(table) == ["setting", "val/f1_macro", "test/f1_macro", "test/accuracy", "training", "a picture", "memory"]
    assert rows(table)[0] == ["sampler", "0.881 ± 0.101", "0.881 ± 0.101", "0.901 ± 0.101", "1 min 15 s", "21.3 ms", "813 MB"]
    assert "Equal in all: parameters 2.23 M, MACs 313 M, epochs 2." in table
    assert "Training: without the measuring after each epoch." in table and "MACs: multiply" not in table
    assert 'data-value="75.0"' in table, "sorted by seconds, not by words"


def test_settings_with_fewer_seeds_are_told_apart(drawn: Drawn) -> None:
    (drawn.cells[-1].folder / "metrics.json").unlink()
    table = tables.results(gathered(drawn.plan))
    assert heads(table)[:2] == ["setting", "seeds"] and [row[1] for row in rows(table)] == ["2", "3", "3"]


def test_costs_that_differ_are_columns(tmp_path: Path, home: Path) -> None:
    drawn = gathered(made(tmp_path, numbers=lambda cell: told(cell) | {"macs": 1e9 * (1 + cell.seed), "test/loss": 0.5}))
    table = tables.results(drawn)
    assert heads(table)[4] == "MACs" and [row[4] for row in rows(table)] == ["2.00 G"] * 3
    assert "MACs: multiply-accumulates of a prediction for one picture." in table


def test_the_fold_and_the_csv_have_every_number(drawn: Drawn, tmp_path: Path) -> None:
    fold = tables.results(drawn).partition("<details>")[2]
    assert set(heads(fold)) > {"val/loss", "test/f1_micro", "megabytes", "val/accuracy", "MACs"} and len(rows(fold)) == 9
    outcomes.write_table(drawn.cells, tmp_path / "results.csv")
    assert {"macs", "train_seconds", "peak_megabytes"} < set((tmp_path / "results.csv").read_text().splitlines()[0].split(","))


def test_with_one_seed_cells_are_compared(tmp_path: Path, home: Path) -> None:
    drawn = gathered(made(tmp_path, STUDY.replace("[0, 1, 2]", "[0]")))
    table = tables.results(drawn)
    assert heads(table)[:3] == ["cell", "val/f1_macro", "test/f1_macro"] and rows(table)[0][0] == "sampler-0 "
    assert tables.differences(drawn) == ""


def test_numbers_that_are_added_to_runs_later_are_columns(drawn: Drawn) -> None:
    assert "knn" not in tables.results(drawn)
    rewrite(drawn, "metrics.json", **{"val/knn_20_accuracy": 0.88, "val/linear_probe_accuracy": 0.84})
    table = tables.results(gathered(drawn.plan))
    assert heads(table)[4:6] == ["val/knn_20_accuracy", "val/linear_probe_accuracy"] and rows(table)[0][4] == "0.880 ± 0.000"


# ---------------------------------------------------------------- differences


def test_settings_are_compared_with_the_first_by_seed(drawn: Drawn) -> None:
    table = tables.differences(drawn)
    assert "Differences to balance none" in table
    assert heads(table) == ["setting", "seeds", "val/f1_macro", "test/f1_macro"]
    assert rows(table)[0] == ["sampler", "3", "+0.301 [0.299, 0.303]", "+0.301 [0.299, 0.303]"]
    assert rows(table)[1][2] == "+0.030 [-0.056, 0.116]"
    assert table.count("<b>") == 2, "only what leaves zero out"


def test_the_page_answers(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "gallery", lambda cells: Gallery("", "", [], {}, []))
    said = (
        "Against balance none, seed by seed over 3 seeds, in val/f1_macro: sampler is better by 0.301 [0.299, 0.303]; loss_weights cannot"
    )
    page = report.write_report(drawn.plan).read_text(encoding="utf-8")
    assert said in page and "Classes before and after balancing" in page and "F1 of each class" in page
    assert page.index("Differences to") < page.index("before and after") < page.index("F1 of each class")
    assert "rare<b>" not in page


def test_of_cells_that_should_share_a_split_nothing_is_compared(drawn: Drawn) -> None:
    (drawn.cells[0].folder / "split.json").write_text('{"fingerprint": "other"}')
    mixed = gathered(drawn.plan)
    assert mixed.splits == "mixed" and tables.differences(mixed) == tables.splits(mixed) == ""


def test_an_axis_of_splits_is_shown_side_by_side(tmp_path: Path, home: Path) -> None:
    text = STUDY.replace("    sampler: {data.balance: sampler}\n", "").replace("loss_weights}", "none, split.val: 0.3}")
    plan = made(tmp_path, text, lambda cell: told(cell) | {"val/f1_macro": 0.9 - 0.2 * ("none" in cell.id) + 0.01 * cell.seed})
    for cell in plan.cells:
        split = {"fingerprint": cell.id[:4], "by": "group" if "none" in cell.id else None, "sizes": {"val": 40, "train": 60}}
        (plan.study.folder / cell.id / "split.json").write_text(json.dumps(split | {"notes": ["12 near <duplicates>"]}))
    drawn = gathered(plan)
    assert drawn.splits == "apart" and not drawn.found.leader
    table = tables.splits(drawn)
    assert rows(table) == [
        ["balance none", "group", "40", "60", "12 near &lt;duplicates&gt;"],
        ["loss_weights", "nothing", "40", "60", "12 near &lt;duplicates&gt;"],
    ]
    assert "no interval" in tables.differences(drawn), "each seed differs by the same"
    assert "is the best" not in drawn.found.sentence


# ---------------------------------------------------------------- classes


def test_each_class_has_its_f1_by_setting(drawn: Drawn) -> None:
    table = tables.classes(drawn)
    assert heads(table) == ["class", "to train on", "in test", "balance none", "loss_weights", "sampler"]
    assert [row[:4] for row in rows(table)] == [["=often", "90", "5", "0.900 ± 0.000"], ["rare&lt;b&gt;", "10", "3", "0.100 ± 0.100"]]
    assert table.count("shade7") == table.count("shade1") == 3
    assert "On the pictures of “test”, mean ± standard deviation over the seeds" in table


DAMAGE = (
    *("", "class,pictures\na,1", "class,pictures,f1\na,many,0.5", "class,pictures,f1\na,1,nan", "class,pictures,f1\na,1,inf\n", '"\0'),
    "class,pictures,f1\na,1,0.5\n" + "\n" * 1_000_000,
)


def test_damaged_tables_are_left_out(drawn: Drawn) -> None:
    files = [cell.folder / "tables" / "per_class_test.csv" for cell in drawn.cells]
    whole = files[0].read_text()
    for file in files:
        file.unlink()
    for damage in DAMAGE:
        files[0].write_text(damage)
        assert tables.classes(drawn) == Markup(), damage[:40]
    files[0].unlink()
    (drawn.plan.study.folder / "elsewhere.csv").write_text(whole)
    files[0].symlink_to(drawn.plan.study.folder / "elsewhere.csv")
    assert tables.classes(drawn) == Markup(), "a link"
    files[1].write_text(whole)
    assert "0.900" in tables.classes(drawn)


def test_many_classes_are_folded(drawn: Drawn) -> None:
    text = "class,pictures,f1\n" + "".join(f"c{number},1,0.5\n" for number in range(31))
    for cell in drawn.cells:
        (cell.folder / "tables" / "per_class_test.csv").write_text(text)
        (cell.folder / "spec.json").write_text("{}")
    table = tables.classes(drawn)
    assert "<summary>31 classes</summary>" in table and heads(table)[:3] == ["class", "in test", "balance none"]


def test_balances_are_before_and_after(drawn: Drawn) -> None:
    found = balances(drawn)
    assert found is not None and list(found.before) == [10, 90, 0]
    assert found.after == {"none": [10, 90, 0], "loss_weights": [50, 50, 0], "sampler": [52, 48, 0]}


def test_counts_that_do_not_fit_are_left_out(drawn: Drawn) -> None:
    for counts in (None, [1, 2], [1, 2, "x"], [1, 2, -3], [1, 2, 3, "x"], "abc"):
        rewrite(drawn, "split.json", epoch_counts=counts)
        assert balances(gathered(drawn.plan)) is None, counts


def test_without_a_choice_of_balance_there_is_no_histogram(tmp_path: Path, home: Path) -> None:
    text = STUDY.replace("data.balance: loss_weights", "train.lr: 0.1").replace("data.balance: sampler", "train.lr: 0.2")
    assert balances(gathered(made(tmp_path, text))) is None
