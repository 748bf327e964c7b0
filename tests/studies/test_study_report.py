"""The study's page: what it says, that it is safe, and that it can be drawn at any time."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faked import CELLS, STUDY, Trainings, write
from PIL import Image

from zoo import study
from zoo.errors import RecipeError
from zoo.studies import definition, report, work
from zoo.studies.pictures import Gallery, Tile
from zoo.studies.plan import Plan


@pytest.fixture(autouse=True)
def without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles in place of pictures under models, which these cells do not have."""
    content = io.BytesIO()
    Image.fromarray(np.zeros((8, 16, 3), dtype=np.uint8)).save(content, format="png")

    def gallery(cells: list[report.Outcome]) -> Gallery:
        strips = {cell.id: [Tile(content.getvalue(), "<b>cat 90%", True), Tile(content.getvalue())] for cell in cells}
        heads = [("1<i>.png", "cat"), ("2.png", "")]
        return Gallery("The <b>same", "Of “test”.", heads, strips, ["one <u>cell</u> is not among the pictures"])

    monkeypatch.setattr(report, "gallery", gallery)


@pytest.fixture
def drawn(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(tmp_path, home, monkeypatch)


class Page:
    """A study with such trainings, and its page."""

    def __init__(self, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.home, self.monkeypatch = folder, home / "runs" / "mine", monkeypatch

    def __call__(self, body: str = "", text: str = STUDY) -> str:
        self.monkeypatch.setattr(work, "subprocess", SimpleNamespace(Popen=Trainings(body), DEVNULL=subprocess.DEVNULL))
        file = write(self.folder, text)
        study.study(file)
        return self.again(file)

    def again(self, file: Path) -> str:
        return study.report(file).read_text(encoding="utf-8")


BEST = 'value = {"a-lr0.01-0": 0.61, "a-lr0.001-0": 0.72, "b-lr0.01-0": 0.93, "b-lr0.001-0": 0.54}[name]'


class Words(HTMLParser):
    """Tags, and texts outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.tags or self.tags[-1] not in ("style", "script"):
            self.text += data


# ---------------------------------------------------------------- what it says


def test_the_page_says_what_was_asked_and_found(drawn: Page) -> None:
    page = drawn(BEST)
    text = Words(page).text
    assert "Which is best?" in text
    assert "Drawn (synthetic) data" in text
    assert "b + lr 0.01 has the highest value, val/accuracy 0.93, with one seed" in text
    assert "is the best" not in text
    assert "DIFFERENT SPLITS" not in text
    assert "4 of 4 cells finished; seed 0; 8 s of training." in text
    assert "Measured on the 40 pictures of “val”, which also chose the best epoch of each cell" in text
    assert "On pictures that chose nothing, b + lr 0.01 reaches test/accuracy 0.92." in text
    assert "network, mean val/accuracy over the other axes: a 0.665, b 0.735" in text
    assert "val/accuracy by network and train.lr" in text
    assert page.count("data:image/png;base64,") == 2 + 4 * 2  # heat map, curves, two pictures for each cell
    assert (drawn.home / "report.html").is_file()


def test_pictures_stand_under_their_title_best_cells_first(drawn: Page) -> None:
    page = drawn(BEST)
    assert "The <b>same" in Words(page).text and "Of “test”. Best cells first." in Words(page).text
    assert "Of each setting the cell of one seed." not in page
    tiles = page[page.index('<table class="tiles">') :]
    assert re.findall(r'alt="([^"]+-0): 2.png', tiles) == ["b-lr0.01-0", "a-lr0.001-0", "a-lr0.01-0", "b-lr0.001-0"]
    assert tiles.count('width="112" height="56"') == 8


def test_narrow_pictures_make_a_wall(drawn: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = report.gallery
    monkeypatch.setattr(report, "gallery", lambda cells: replace(whole(cells), width=76))
    page = drawn(BEST, STUDY.replace("[1e-2, 1e-3]", "[1e-2]") + "seeds: [0, 1]\n")
    tiles = page[page.index('<table class="tiles wall">') :]
    assert tiles.count('width="76" height="38"') == 4 and "width: 66px" in page
    assert "Best cells first. Of each setting the cell of one seed." in Words(page).text


def test_the_table_stands_sorted_by_the_monitor_and_can_be_sorted_by_all(drawn: Page) -> None:
    page = drawn(BEST)
    table = page[page.index('<table class="sortable">') : page.index("</table>")]
    assert re.findall(r'<td data-value="([^"]+-0)"', table) == ["b-lr0.01-0", "a-lr0.001-0", "a-lr0.01-0", "b-lr0.001-0"]
    assert [re.sub("<[^>]*>", "", head) for head in re.findall(r"<th[^>]*>(.*?)</th>", table)] == [
        "cell",
        "val/accuracy",
        "test/accuracy",
        "time",
    ]
    assert "Equal in all: parameters 7." in Words(page).text
    assert 'aria-sort="descending"><a' not in table
    assert re.search(r'<th [^>]*aria-sort="descending">val/', table)
    assert '<td class="number" data-value="0.93">0.9300' in table
    assert 'href="b-lr0.01-0/report.html"' in table


def test_seeds_give_a_mean_and_a_spread(drawn: Page) -> None:
    body = 'value = {"a": 0.5, "b": 0.9}[name[0]] + 0.01 * int(name[-1])'
    page = drawn(body, STUDY.replace("[1e-2, 1e-3]", "[1e-2]") + "seeds: [0, 1, 2]\n")
    text = Words(page).text
    assert "b + lr 0.01 is the best: val/accuracy 0.91 ± 0.01 over 3 seeds. It leads a + lr 0.01 by 0.4" in text
    assert "reaches test/accuracy 0.9 ± 0.01" in text
    assert "0.910 ± 0.010" in text
    assert "All numbers of the 6 cells" in text
    assert "6 of 6 cells finished; seeds 0, 1, 2" in text


def test_failed_and_missing_cells_are_said(drawn: Page) -> None:
    body = """
        if name == "a-lr0.01-0": sys.exit("<script>alert(1)</script> in the data")
        if name == "b-lr0.01-0": os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)
    """
    page = drawn(body)
    assert "<script>alert" not in page
    text = Words(page).text
    assert "2 of 4 cells finished, 1 failed, 1 half trained" in text
    assert "a-lr0.01-0: <script>alert(1)</script> in the data output" in text
    assert 'href="logs/a-lr0.01-0.log"' in page


def test_a_study_with_nothing_finished_has_a_page(drawn: Page) -> None:
    text = Words(drawn("sys.exit(1)")).text
    assert "No cell is finished yet, so nothing can be said." in text


def test_different_splits_are_said_on_the_page(drawn: Page) -> None:
    assert "DIFFERENT SPLITS" in drawn("split = name[0]")


@pytest.mark.parametrize(
    "text",
    [
        "recipe: image_folder\naxes: {train.lr: [0.1, 0.2, 0.3]}\nchanges: {data.synthetic: always}\n",
        "recipe: image_folder\naxes: {train.lr: {low: 0.001, high: 0.1, log: true}}\nsearch: random\nsettings: 3\n"
        "changes: {data.synthetic: always}\n",
        STUDY.replace("changes:", "  data.size: [32, 64]\nchanges:"),
    ],
    ids=["one axis", "a range", "three axes"],
)
def test_other_numbers_of_axes_have_panels(text: str, drawn: Page) -> None:
    words = Words(drawn("value = 0.5 + len(name) / 1000", text)).text
    assert "val/accuracy by axis" in words
    assert ("Each field is the best over the other axes." in words) == ("data.size" in text)


def test_references_stand_apart(drawn: Page) -> None:
    text = STUDY.replace("image_folder", "simpsons_mobilenetv2")
    assert "This study read drawn data: the numbers cannot be compared." in Words(drawn("", text)).text


def test_a_study_that_was_not_begun_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="was not begun here"):
        study.report(write(tmp_path))


# ---------------------------------------------------------------- safety


def test_hostile_names_stay_text(drawn: Page) -> None:
    evil = '<img src=x onerror=alert(1)>"&'
    text = STUDY.replace("    a: {", f"    '{evil}': {{").replace("question: Which is best?", f"question: '{evil}'")
    drawn("", text)
    for folder in drawn.home.glob("*-0"):
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(metrics | {f"val/{evil}": 0.5, "=cmd|x": 1.0}))
    page = drawn.again(drawn.folder / "mine.yaml")
    assert "<img src=x" not in page
    words = Words(page)
    assert words.text.count(evil) > 3
    assert set(words.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2", "section", "ul", "li", "div", "figure"),
        *("figcaption", "img", "table", "thead", "tbody", "tr", "th", "td", "a", "small", "wbr", "br", "details", "summary", "pre", "code"),
        *("footer", "script", "strong", "span", "b"),
    }
    assert "'=cmd|x" in (drawn.home / "results.csv").read_text().splitlines()[0]


def test_only_our_style_and_script_run(drawn: Page) -> None:
    page = drawn()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    policy = policy.replace("&#x27;", "'")
    for name, kind in (("style", "style-src"), ("script", "script-src")):
        ((content),) = re.findall(f"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="https?:', page)
    assert "style=" not in page


def test_the_page_shows_what_was_trained_and_how_to_draw_it_again(drawn: Page) -> None:
    drawn()
    recipe, file = drawn.home / CELLS[0] / "recipe.yaml", drawn.folder / "mine.yaml"
    recipe.write_text(re.sub(r"epochs: \d+", "epochs: 777", recipe.read_text()))  # as `train.epochs=777` would
    text = Words(drawn.again(file)).text
    assert "epochs: 777" in text
    assert f"python -m zoo.study {file} --report" in text


def test_results_are_a_row_a_cell(drawn: Page) -> None:
    drawn(BEST)
    lines = (drawn.home / "results.csv").read_text().splitlines()
    assert lines[0] == "cell,network,train.lr,seed,state,test/accuracy,val/accuracy,seconds,parameters,split,error"
    assert lines[1].startswith("a-lr0.01-0,a,0.01,0,finished,0.6")
    assert len(lines) == 1 + len(CELLS)


def test_cells_of_an_earlier_form_are_left_out_and_named(drawn: Page) -> None:
    drawn()
    file = write(drawn.folder, STUDY.replace("[1e-2, 1e-3]", "[1e-2]"))
    text = Words(drawn.again(file)).text
    assert "2 of 2 cells finished" in text
    assert "cells of an earlier form of the study: a-lr0.001-0, b-lr0.001-0" in text
    assert Plan(definition.read(file)).cells[0].id == "a-lr0.01-0"
