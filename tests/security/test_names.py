"""Names of files and classes: they reach paths, pages, tables, figures and the terminal, and mean nothing there."""

from __future__ import annotations

import csv
import os
import random
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from trained import CHANGES

from security.hostile import Sample, cases, command
from zoo.cells import bare, is_formula
from zoo.run import Run
from zoo.train import train

CLASSES = {
    "a class with a newline": "two\nlines",
    "a class with a leading dash": "-rf",
    "a class that is no UTF-8": os.fsdecode(b"caf\xe9"),
    "a class of HTML": "<b onclick=x>bold",
    "a class with a script": '"><script>alert(1)<',
    "a class of terminal commands": "\x1b[2Jclear",
    "a class of broken mathematics for the figures": "$\\frac{$",
}
FORMULAS = {
    "a class that begins with `=`": "=cmd|'x'!A1",
    "a class that begins with `@`": "@SUM(1)",
    "a class that begins with `+`": "+1+cmd",
    "a class that begins with an apostrophe before `=`": "'=1+1",
}
FILE = "=1+1\n<script>\udcff.png"
ONE = FORMULAS["a class that begins with `=`"]
ALL = [*CLASSES.values(), *FORMULAS.values()]


@cache
def _trained(base: Path) -> Run:
    """One run on a data set in which every name is hostile."""
    root = base / "names"
    dice = random.Random(0)
    for name in ALL:
        (root / name).mkdir(parents=True)
        for number in range(6):
            file = root / name / (f"{number}.png" if number else FILE)
            Image.new("RGB", (40, 40), tuple(dice.randrange(256) for _ in range(3))).save(str(file), format="PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(base / "named"))
        return train("image_folder", [*CHANGES, "train.max_steps=1", f"data.root={root}", "data.synthetic=never"])


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _trained(tmp_path_factory.getbasetemp())


class _Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
        return list(csv.reader(text))


@cases(
    "Names",
    *[
        Sample(what, "`zoo train`, its report, tables and figures", "a name like any other, escaped", name)
        for what, name in {**CLASSES, **FORMULAS}.items()
    ],
)
def test_names_of_classes(sample: Sample, run: Run) -> None:
    source = (run.folder / "report.html").read_text(encoding="utf-8")
    page = _Page(source)
    assert not page.tags & {"script", "iframe", "a", "link"}
    assert not [name for name in page.attributes if name.startswith("on")]
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\udc80-\udcff]", "\ufffd", sample.make)
    assert shown in page.text and "\x1b" not in source
    assert sample.make in run.spec.labels
    assert sample.make in [bare(row[0]) for row in _rows(run.folder / "tables" / "per_class.csv")]


@cases("Names", Sample("a file named `=1+1`, newline, `<script>`, no UTF-8", "`zoo train`, `zoo describe`", "a name like any other", FILE))
def test_names_of_files(sample: Sample, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [identity for part in ("train", "val") for identity in run.split[part]]
    assert f"-rf/{sample.make}" in ids
    root = run.recipe.root()
    broken = root / "-rf" / "\x1b[2J\n.png"
    broken.write_bytes(b"")
    try:
        assert command("describe", "image_folder", *CHANGES, f"data.root={root}", "data.synthetic=never", "data.bad_files=skip") == 0
    finally:
        broken.unlink()
    said = capsys.readouterr()
    assert r"\x1b[2J\n.png (the file is empty" in said.err and "\x1b" not in said.err + said.out


def test_nothing_lies_beside_the_run(run: Run) -> None:
    base = run.folder.parents[2]
    assert [path.name for path in base.parent.iterdir() if path.name in ("x", "rf", "outside")] == []
    assert {path.name for path in base.iterdir()} == {"runs"} and {path.name for path in run.folder.parent.iterdir()} == {run.folder.name}
    inside = {path.relative_to(run.folder).parts[0] for path in run.folder.rglob("*")}
    assert not [name for name in inside if not re.fullmatch(r"[\w.]+", name)]


PATHS = ["../../x", "/etc/x", "=1+1", "two\nlines"]


@cases(
    "Names",
    Sample("categories named `../../x`, `/etc/x`, `=1+1`, newline", "`activity_categories.csv`, `zoo train`", "names like any other"),
)
def test_names_of_categories(sample: Sample, tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, home = tmp_path / "mpii", tmp_path / "deep" / "er"
    (root / "img_train").mkdir(parents=True)
    home.mkdir(parents=True)
    monkeypatch.setenv("ZOO_HOME", str(home))
    for number in range(24):
        Image.new("RGB", (40, 40)).save(root / "img_train" / f"{number}.jpg")
    _write(root / "activity_categories.csv", [("id", "category"), *enumerate(PATHS)])
    _write(root / "train_answers.csv", [("img_id", "target_feature"), *((number, number % 4) for number in range(24))])
    before = {path for path in tmp_path.rglob("*") if home not in path.parents}
    done = train("mpii_activity", [*CHANGES, "train.max_steps=1", f"data.root={root}", "data.synthetic=never"])
    assert {path for path in tmp_path.rglob("*") if home not in path.parents} == before
    assert {path.parent.parent.parent for path in home.rglob("report.html")} == {home / "runs"}
    assert {bare(row[0]) for row in _rows(done.folder / "tables" / "per_class.csv")[1:]} == set(PATHS)


def _write(file: Path, rows: list[tuple[object, ...]]) -> None:
    with file.open("w", newline="") as text:
        csv.writer(text).writerows(rows)


WRITTEN = ("predictions_val.csv", "tables/per_class.csv")


@cases(
    "Cells of CSV files",
    *[
        Sample("cells that begin with `=`, `+`, `-`, `@`", f"`{name}` of a run", "an apostrophe in front, numbers excepted", name)
        for name in WRITTEN
    ],
)
def test_tables_hold_no_formulas(sample: Sample, run: Run) -> None:
    rows = _rows(run.folder / sample.make)
    assert not [cell for row in rows for cell in row if is_formula(cell) and not cell.startswith("'")]
    if "per_class" in sample.make:
        assert {bare(row[0]) for row in rows[1:]} == set(ALL), "classes are given back exactly"
    if "predictions" in sample.make:
        assert {bare(row[0]) for row in rows[1:]} == set(run.split["val"]), "ids are given back exactly"


@cases(
    "Cells of CSV files",
    Sample("a class that begins with `=`", "`zoo predict --csv`", "an apostrophe in front of classes, `./` in front of paths"),
)
def test_predictions_hold_no_formulas(sample: Sample, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_only(run, tmp_path))
    assert command("predict", run.folder, "=1.png", "--csv", "out.csv") == 0
    (_, (path, label, _)) = _rows(Path("out.csv"))
    assert path == "./=1.png" and label == f"'{ONE}"


@cases(
    "Cells of CSV files",
    Sample("ids and classes that begin with `=`", "`zoo predict --submission`", "written to the letter; a sentence warns"),
)
def test_submissions_are_exact(
    sample: Sample, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(_only(run, tmp_path))
    assert command("predict", run.folder, "=1.png", "--submission", "out.csv") == 0
    assert _rows(Path("out.csv"))[1] == ["=1.png", ONE]
    assert "out.csv: names that begin with =" in capsys.readouterr().err


def _only(run: Run, folder: Path) -> Path:
    """A folder with a picture, and a model that finds nothing but `ONE` in it."""
    Image.new("RGB", (40, 40)).save(folder / "=1.png")
    return folder


@pytest.fixture(autouse=True)
def _one_answer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.function.__name__ not in ("test_predictions_hold_no_formulas", "test_submissions_are_exact"):
        return
    from zoo.model import Model, Prediction

    def answer(self: Model, item: object, row: object) -> Prediction:
        return Prediction(ONE, 1.0, {}, Path(str(item)))

    monkeypatch.setattr(Model, "_prediction", answer)


@pytest.mark.parametrize("cell", ["=1", "'=1", "''=1", "-x", "+", "@a", "\t=1", "-0.5", "+1", "'s-Gravenhage", "a=1", "", "-inf", "＝1"])
def test_guarded_cells_are_given_back(cell: str) -> None:
    from zoo.cells import guarded

    written = guarded(cell)
    assert isinstance(written, str) and bare(written) == cell
    assert not is_formula(written) or written.startswith("'")
