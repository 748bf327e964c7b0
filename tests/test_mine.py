"""`zoo mine`: what a run confuses, which pictures of a pool come first, and that what it writes is read again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from trained import copy_run, pictures, rewrite, run

from zoo.__main__ import run_command
from zoo.curation.mining import collect_next, confused, galleries, rank
from zoo.datasets.amended import read_labelled
from zoo.datasets.image_folder import ImageFolder
from zoo.errors import DataError, RecipeError
from zoo.mine import MOST, main
from zoo.model import Model, load
from zoo.pages import mining_page

__all__ = ["pictures", "run"]
LABELS = ("a", "<b>", "c")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


# ---------------------------------------------------------------- errors

TRUTH = [0] * 10 + [1] * 10 + [2] * 10
SAID = [0] * 3 + [1] * 6 + [2] + [1] * 8 + [0] * 2 + [2] * 10


def test_the_planted_pair_comes_first() -> None:
    assert confused(TRUTH, SAID) == [((0, 1), 6), ((1, 0), 2), ((0, 2), 1)]


def test_what_to_collect_is_said_for_each_class_with_errors() -> None:
    first, second = collect_next(TRUTH, SAID, LABELS)  # c is always known: more of it would settle nothing
    assert (first.label, first.errors, first.caused, first.taken_for) == ("a", 7, 2, "<b>")
    assert f"{first.ask}: {first.why}" == (
        "Record more a: 6 of 10 were taken for <b>, 1 for other classes; 2 of other classes were taken for a."
    )
    assert second.why == "2 of 10 were taken for a; 6 of other classes were taken for <b>."
    assert collect_next([0, 1], [0, 1], LABELS) == []


def test_galleries_are_bounded_and_begin_with_the_surest() -> None:
    sure = [row / 30 for row in range(30)]
    first, second = galleries(TRUTH, SAID, sure, pairs=2, most=4)
    assert (first.truth, first.said, first.errors, first.rows) == (0, 1, 6, (8, 7, 6, 5))
    assert (second.truth, second.said, second.rows) == (1, 0, (19, 18))


@pytest.fixture
def seen(tmp_path: Path) -> tuple[mining_page.Seen, ImageFolder]:
    for label in LABELS:
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (20, 10), (20 * number, 90, 0)).save(tmp_path / "set" / label / f"{number}.png")
    source = ImageFolder(tmp_path / "set")
    records = sorted(source.records["labelled"], key=lambda record: record.label or 0)
    return mining_page.Seen(records, TRUTH, SAID, [0.5] * 30, LABELS), source


def test_the_page_says_what_to_collect_and_shows_it(seen: tuple[mining_page.Seen, ImageFolder]) -> None:
    text = mining_page.page(*seen, "runs/<x>", "val", synthetic=False)
    assert "9 of 30 pictures of val are taken for another class" in text
    assert '<a href="#pair-0">Record more a that looks like these</a>: 6 of 10 were taken for &lt;b&gt;, 1 for other' in text
    assert [int(number) for number in re.findall(r"<h2>\S+ taken for \S+: (\d+) of 10</h2>", text)] == [6, 2, 1]
    assert text.count("<img ") == 9 and 'id="pair-0"' in text and text.index("Collect next") < text.index("<img ")
    assert "<b>" not in text and "<x>" not in text and "Drawn (synthetic)" not in text
    assert not re.search(r"https?:|<script|<link", text)


def test_a_page_without_errors(seen: tuple[mining_page.Seen, ImageFolder]) -> None:
    text = mining_page.page(replace(seen[0], said=TRUTH), seen[1], "run", "val", synthetic=True)
    assert "None of 30 pictures of val is taken for another class" in text and "Drawn (synthetic)" in text
    assert "Collect next" not in text and "<img " not in text


def test_a_runs_errors_are_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run_command("mine", [str(run), "--out", str(out)]) == 0
    said = capsys.readouterr()
    found = rows(out / "collect_next.csv")
    assert said.out.splitlines() == [row["say"] for row in found[:5]] and f"wrote {out / 'errors.html'}" in said.err
    assert [str(fact["errors"]) for fact in json.loads((out / "collect_next.json").read_text())] == [row["errors"] for row in found]
    wrong = [row for row in rows(run / "predictions_val.csv") if row["truth"] != row["prediction"]]
    pairs = rows(out / "confused.csv")
    assert sum(int(row["errors"]) for row in pairs) == len(wrong) == sum(int(row["errors"]) for row in found)
    page = (out / "errors.html").read_text(encoding="utf-8")
    assert f"{pairs[0]['truth']} taken for {pairs[0]['predicted']}: {pairs[0]['errors']} of 8" in page and "Drawn (synthetic)" in page


def test_errors_of_a_test_part_come_with_a_warning(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = run / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    assert "  test: 0.0" in text
    recipe.write_text(text.replace("  test: 0.0", "  test: 0.1"), encoding="utf-8")
    for part, warned in (("val", False), ("test", True)):
        assert run_command("mine", [str(run), "--part", part, "--out", str(tmp_path / part)]) == 0
        told = capsys.readouterr().err
        assert ("is no test any more" in told) == warned and "another split than the model was trained on" in told
    assert "pictures of test are taken" in (tmp_path / "test" / "errors.html").read_text(encoding="utf-8")


# ---------------------------------------------------------------- a pool


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Pictures whose brightness says how sure a stand-in is: the middle of the scale is unsure."""
    (tmp_path / "pool" / "sub").mkdir(parents=True)
    for level in (0, 50, 128, 200, 255):
        Image.new("RGB", (24, 24), (level,) * 3).save(tmp_path / "pool" / "sub" / f"{level}.png")
    (tmp_path / "pool" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "pool"


class ByLight(torch.nn.Module):
    """A classifier of two classes by brightness, which takes pictures as bright as `contrary` (0 to 255) for the other one."""

    def __init__(self, contrary: int) -> None:
        super().__init__()
        self.contrary, self.weight = contrary / 255, torch.nn.Parameter(torch.zeros(1))

    def classify(self, image: Tensor) -> Tensor:
        light = image.mean((1, 2, 3))
        light = torch.where((light - self.contrary).abs() < 0.01, 1 - light, light)
        return torch.stack([light, 1 - light], 1)

    def embed(self, image: Tensor) -> Tensor:
        return image.mean((2, 3))


def by_light(run: Path, contrary: int = -100) -> Model:
    model: Any = load(run, device="cpu")
    model.task, model.labels = ByLight(contrary), ("light", "dark")
    found: Model = model
    return found


def test_unsure_pictures_come_first_and_a_broken_one_is_left_out(run: Path, pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = by_light(run)
    for strategy in ("margin", "entropy", "least_confident"):
        found = rank([model], pool, strategy, 3)
        assert [(one.path.stem, one.rank) for one in found] == [("128", 1), ("200", 2), ("50", 3)]
        assert found[0].score > found[1].score and found[2].predicted == "dark"
        assert found[2].probability == pytest.approx(1 - 50 / 255, abs=1e-3)
    assert str(pool / "broken.png") in capsys.readouterr().err
    assert len(rank([model], pool, "margin", 100)) == 5


def test_far_pictures_come_first(run: Path, pool: Path) -> None:
    assert [one.path.stem for one in rank([by_light(run)], pool, "diversity", 3)] == ["128", "0", "255"]
    assert {one.path.stem for one in rank([by_light(run)], pool, "spread", 5)} == {"0", "50", "128", "200", "255"}


@pytest.mark.parametrize("strategy", ["committee", "vote_entropy"])
def test_a_committee_asks_for_what_it_disagrees_on(run: Path, pool: Path, strategy: str) -> None:
    first, *others = rank([by_light(run), by_light(run, 200)], pool, strategy, 5)
    assert first.path.stem == "200" and first.score > 0.2 and first.probability == pytest.approx(0.5)
    assert all(one.score < 1e-6 for one in others)


def test_the_labels_of_the_page_join_a_training(run: Path, pictures: Path, home: Path, tmp_path: Path) -> None:
    """As a person does it: rank, label (as the page's script does, see test_labelling.py), and read the file back."""
    other, out = copy_run(run, home, "20250101-000001"), tmp_path / "out"
    pool = pictures / "circle"
    assert (
        run_command("mine", [str(run), str(other), "--pool", str(pool), "--strategy", "committee", "--count", "4", "--out", str(out)]) == 0
    )
    ranked, page = rows(out / "ranked.csv"), (out / "label.html").read_text(encoding="utf-8")
    found = re.search(r'id="facts">(.*?)</script>', page)
    assert found
    facts = json.loads(found[1])
    assert [one["path"] for one in facts["pictures"]] == [row["path"] for row in ranked] and [row["rank"] for row in ranked] == list("1234")
    labels = ["circle", "star", None, "circle"]
    given = [{"path": one["path"], "label": label} for one, label in zip(facts["pictures"], labels, strict=True)]
    (out / "labels.json").write_text(json.dumps({**facts["head"], "labels": facts["labels"], "pictures": given}), encoding="utf-8")
    records, skipped = read_labelled(out / "labels.json", load(run, device="cpu").labels)
    assert skipped == 1 and [facts["labels"][record.label or 0] for record in records] == ["circle", "star", "circle"]
    assert [record.path.resolve() for record in records] == [Path(ranked[place]["path"]).resolve() for place in (0, 1, 3)]


def test_a_second_round_goes_on_from_the_first(run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures labelled before are not asked for again, and the new file holds their labels too."""
    pool, out = pictures / "circle", tmp_path / "two"
    files = sorted(pool.iterdir())
    (tmp_path / "one").mkdir()
    crop = [0.0, 0.0, 0.5, 0.5, True]
    before = [{"path": str(files[0]), "label": "star", "crop": crop}, {"path": str(files[1]), "label": None}]
    content = {"zoo": "labels", "version": 1, "labels": ["circle", "star"], "pictures": before}
    (tmp_path / "one" / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    recipe = run / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    assert "  labelled: null" in text
    recipe.write_text(text.replace("  labelled: null", f"  labelled: {tmp_path / 'one' / 'labels.json'}"), encoding="utf-8")
    assert run_command("mine", [str(run), "--pool", str(pool), "--out", str(out)]) == 0
    asked = [row["path"] for row in rows(out / "ranked.csv")]
    assert str(files[0]) not in asked and str(files[1]) in asked and len(asked) == len(files) - 1
    assert f"left out: 1 of {len(files)} pictures" in capsys.readouterr().err
    found = re.search(r'id="facts">(.*?)</script>', (out / "label.html").read_text(encoding="utf-8"))
    assert found and json.loads(found[1])["before"] == [{"path": str(files[0].resolve()), "label": "star", "crop": crop}]


def test_without_the_file_of_earlier_labels_all_are_asked_for(
    run: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("  labelled: null", "  labelled: gone/labels.json"), encoding="utf-8")
    assert run_command("mine", [str(run), "--pool", str(pool), "--out", str(tmp_path / "out")]) == 0
    assert "gone/labels.json, which the model was trained with, is not here" in capsys.readouterr().err
    assert len(rows(tmp_path / "out" / "ranked.csv")) == 5


def test_a_pool_that_is_labelled_already_is_named(run: Path, pool: Path) -> None:
    known = {path.resolve() for path in pool.rglob("*.png")}
    with pytest.raises(DataError, match="all of its pictures are labelled already"):
        rank([by_light(run)], pool, "margin", 3, known)


# ---------------------------------------------------------------- what people are told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nothing"], 2, "no such recipe, file or folder"),
        (["RUN", "--pool", "nowhere"], 3, "--pool nowhere: no such folder"),
        (["RUN", "--pool", "EMPTY"], 3, "holds no pictures"),
        (["RUN", "--pool", "BROKEN"], 3, "none of its 1 pictures can be read"),
        (["RUN", "--count", "0"], 2, "--count 0: expected a number of pictures from 1 to 2,000"),
        (["RUN", "--count", str(MOST + 1)], 2, "--count 2001: expected a number of pictures from 1 to 2,000"),
        (["RUN", "--pool", "EMPTY", "--strategy", "luck"], 2, "--strategy luck: expected one of margin, entropy"),
        (["RUN", "--pool", "EMPTY", "--strategy", "committee"], 2, "one model cannot disagree with itself"),
        (["RUN", "RUN"], 2, "the errors of one run"),
        (["RUN", "--part", "test"], 2, "--part test: this data has train, val"),
        (["RUN", "--out", "no/such/place"], 2, "--out no/such/place: there is no folder"),
    ],
)
def test_errors_for_people(
    run: Path,
    tmp_path: Path,
    words: Sequence[str],
    code: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_bytes(b"no picture")
    places = {"RUN": str(run), "EMPTY": "empty", "BROKEN": "broken"}
    assert run_command("mine", [places.get(word, word) for word in words]) == code
    assert told in capsys.readouterr().err
    assert not (tmp_path / "mined").exists()


@pytest.mark.parametrize("pooled", [False, True])
def test_a_model_without_classes_is_refused(run: Path, pool: Path, pooled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = load(run, device="cpu")
    model.task = torch.nn.Identity()  # as a detector's, it has no `classify`
    monkeypatch.setattr("zoo.model.load", lambda *_, **__: model)
    with pytest.raises(RecipeError, match=r"image_folder \(classification\) predicts no classes"):
        main([str(run), *(["--pool", str(pool)] if pooled else [])])


def test_a_committee_has_one_set_of_classes(run: Path, pool: Path) -> None:
    other = by_light(run)
    other.labels = ("dark", "light")
    with pytest.raises(RecipeError, match="has other classes than"):
        rank([by_light(run), other], pool, "committee", 3)


def test_data_with_other_classes_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(run / "spec.json", lambda spec: spec | {"labels": [*spec["labels"][1:], spec["labels"][0]]})
    assert run_command("mine", [str(run), "--out", str(tmp_path / "out")]) == 2
    assert "its data has other classes now" in capsys.readouterr().err and not (tmp_path / "out").exists()
