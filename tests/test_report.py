"""The report escapes everything, loads nothing, judges rightly, and survives whatever is missing."""

from __future__ import annotations

import base64
import io
import json
import math
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from zoo import report
from zoo.__main__ import run_command
from zoo.errors import RecipeError
from zoo.pages.markup import amount
from zoo.report import judge, main, write_report

HOSTILE = [
    "<script>alert(1)</script>",
    "../x",
    "two\nlines",
    '"onload=alert(1) x="',
    "犬 é \u202e",
    "</style><img src=x onerror=y>",
    "nul\x00",
]
VOID = {"meta", "img", "wbr"}
ALLOWED = VOID | {
    "html",
    "head",
    "title",
    "style",
    "body",
    "main",
    "header",
    "footer",
    "section",
    "figure",
    "figcaption",
    "div",
    "p",
    "h1",
    "h2",
}
ALLOWED |= {"ul", "li", "dl", "dt", "dd", "span", "strong", "b", "small", "abbr", "code", "pre", "details", "summary", "svg", "rect"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that every element is closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def find(self, tag: str, class_: str | None = None) -> list[dict[str, str]]:
        return [given for name, given in self.tags if name == tag and (class_ is None or class_ in given.get("class", "").split())]


def png(width: int = 4, height: int = 4) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    pixels = zlib.compress(b"".join(b"\0" + b"\xff" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def make_run(folder: Path, recipe: dict[str, Any] | None = None, **metrics: Any) -> Path:
    """A whole run folder in which every text that can be hostile is."""
    bad = HOSTILE[0]
    whole = {
        "question": f"Which class is it? {bad}",
        "monitor": {"metric": "val/accuracy", "mode": "max"},
        "expect": {"synthetic": {"val/accuracy": {"min": 0.9, "max": None}}, "real": {"val/accuracy": {"min": 0.95, "max": 0.99}}},
        "reference": [{"metric": f"Kaggle {bad}", "value": 0.98512, "source": f"a page {bad}", "certainty": "V"}],
    }
    files: dict[str, Any] = {
        "spec.json": {"channels": 3, "size": [64, 64], "labels": HOSTILE, "counts": [1] * 7},
        "split.json": {
            "fingerprint": "f00d",
            "seed": 0,
            "by": bad,
            "sizes": {"train": 80, bad: 20},
            "notes": [f"no labelled test split {bad}"],
        },
        "metrics.json": {"val/accuracy": 0.93, f"val/{bad}": 0.5, "synthetic": True, "epochs": 2, "seconds": 75.0, **metrics},
        "environment.json": {"python": "3.11", "command": bad, "packages": {bad: "1.0"}},
        "figures/index.json": [
            {"file": "other.png", "title": bad, "caption": '" onload="x'},
            {"file": "mistakes.png", "title": "Mistakes"},
            {"file": "curves.png", "title": "Curves", "caption": "Loss"},
        ],
        "tables/index.json": [{"file": "per_class.csv", "title": "Per class", "caption": bad}],
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(whole if recipe is None else {**whole, **recipe}, allow_unicode=True))
    (folder / "history.jsonl").write_text(
        "".join(json.dumps({"epoch": e, "val/accuracy": a, bad: 1}) + "\n" for e, a in ((1, 0.93), (2, 0.9)))
    )
    for name in ("other.png", "mistakes.png", "curves.png"):
        (folder / "figures" / name).write_bytes(png())
    rows = "".join(f'"{name.replace(chr(34), chr(34) * 2)}",{index},{index / 10}\n' for index, name in enumerate(HOSTILE))
    (folder / "tables/per_class.csv").write_text("class,pictures,f1\n" + rows, newline="")
    return folder


def page(folder: Path) -> Page:
    return Page(write_report(folder))


def test_no_text_from_outside_becomes_markup(tmp_path: Path) -> None:
    read = page(make_run(tmp_path / "run"))
    assert {tag for tag, _ in read.tags} <= ALLOWED
    assert not [name for _, given in read.tags for name in given if name.startswith("on") or name in ("style", "srcset", "href")]
    assert "<script>alert(1)</script>" in read.text
    assert '"onload=alert(1) x="' in read.text
    assert "犬 é" in read.text
    assert "\x00" not in read.source


def test_the_page_loads_nothing_from_outside(tmp_path: Path) -> None:
    read = page(make_run(tmp_path / "run"))
    assert all(given["src"].startswith("data:image/png;base64,") for _, given in read.tags if "src" in given)
    policy = next(given["content"] for given in read.find("meta") if given.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    style = read.source.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert read.source.count("<style") == 1


def test_pictures_are_embedded_as_they_are_and_in_the_order_of_a_reader(tmp_path: Path) -> None:
    read = page(make_run(tmp_path / "run"))
    images = read.find("img")
    assert base64.b64decode(images[0]["src"].partition(",")[2]) == png()
    assert [image["alt"].partition(".")[0] for image in images] == ["Curves", "Mistakes", HOSTILE[0]]
    assert read.text.index("Curves") < read.text.index("Per class") < read.text.index("Mistakes")


def test_names_in_an_index_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "secret.csv").write_text("SECRET,1\n")
    (folder / "figures/link.png").symlink_to(tmp_path / "secret.png")
    (folder / "tables/link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "figures/page.png").write_text("<svg onload='x'/>")
    named = [
        "../../secret.png",
        str(tmp_path / "secret.png"),
        "..\\secret.png",
        "link.png",
        "page.png",
        "gone.png",
        "nul\0.png",
        "x.svg",
        7,
    ]
    (folder / "figures/index.json").write_text(json.dumps([{"file": name} for name in named] + ["odd"]))
    (folder / "tables/index.json").write_text(json.dumps([{"file": "../../secret.csv"}, {"file": "link.csv"}]))
    read = page(folder)
    assert read.find("img") == []
    assert "SECRET" not in read.text
    for note in ("page.png was ignored: it is no PNG", "link.png was ignored: it is a link", "gone.png is not there", "not the plain name"):
        assert note in read.text


@pytest.mark.parametrize(
    ("value", "bounds", "state"),
    [
        (0.9, {"min": 0.9, "max": None}, "met"),
        (0.9, {"min": None, "max": 0.9}, "met"),
        (0.8999, {"min": 0.9, "max": 0.95}, "missed"),
        (0.96, {"min": 0.9, "max": 0.95}, "missed"),
        (math.nan, {"min": 0.9}, "missed"),
        (math.inf, {"min": 0.9}, "missed"),
        (None, {"min": 0.9}, "open"),
        ("0.95", {"min": 0.9}, "open"),
        (10**400, {"min": 0.9}, "open"),
        (0.9, {"min": None, "max": None}, "none"),
        (0.9, "nonsense", "none"),
    ],
)
def test_judge(value: object, bounds: object, state: str) -> None:
    assert judge({"val/accuracy": value}, {"val/accuracy": bounds}).state == state


def test_one_missed_bound_misses_the_whole() -> None:
    verdict = judge({"a": 1.0, "b": 1.0}, {"a": {"min": 0}, "b": {"min": 2}, "c": {"min": 0}})
    assert verdict.state == "missed"
    assert [line.endswith("missed") for line in verdict.lines] == [False, True, False]
    assert judge({}, None).state == "none"


@pytest.mark.parametrize(
    ("synthetic", "accuracy", "words"),
    [
        (True, 0.93, "Expectation met on drawn data"),
        (True, 0.89, "Expectation missed on drawn data"),
        (False, 0.97, "Expectation met on real data"),
        (False, 0.93, "Expectation missed on real data"),
        (None, 0.93, "Expectations stated, not measured yet"),
    ],
)
def test_verdict_fits_the_data_that_were_read(tmp_path: Path, synthetic: bool | None, accuracy: float, words: str) -> None:
    metrics: dict[str, Any] = {"synthetic": synthetic, "val/accuracy": accuracy}
    read = page(make_run(tmp_path / "run", **metrics))
    assert words in read.text
    assert ("Drawn (synthetic) data" in read.text) == (synthetic is True)


def test_no_expectation_is_said(tmp_path: Path) -> None:
    assert "No expectation stated" in page(make_run(tmp_path / "bare", {"expect": {"synthetic": {}, "real": {}}}, synthetic=None)).text
    assert "No expectation stated on real data" in page(make_run(tmp_path / "run", {"expect": {}}, synthetic=False)).text


def test_a_number_from_the_part_that_chose_the_epoch_is_called_optimistic(tmp_path: Path) -> None:
    assert "an optimistic number" in page(make_run(tmp_path / "a")).text
    metrics: dict[str, Any] = {"test/accuracy": 0.91}
    tested = page(make_run(tmp_path / "b", **metrics)).text
    assert "an optimistic number" not in tested
    assert "test/accuracy" in tested
    assert "Best epoch 1 of 2, 1 min 15 s." in tested


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "also chose the members’ best epochs, as far as they share this split: an optimistic number."),
        ({"weights": "fitted"}, "also chose the members’ best epochs and how they are put together, as far"),
        ({"average": "greedy"}, "best epochs and how they are put together"),
    ],
)
def test_an_ensemble_chose_no_epoch(tmp_path: Path, options: dict[str, str], words: str) -> None:
    task = {"name": "ensemble", "members": ["a", "b"], "weights": "equal", "average": "none"} | options
    text = page(make_run(tmp_path / "run", {"task": task})).text
    assert words in text and "chose the best epoch:" not in text


def test_the_main_settings_are_a_table(tmp_path: Path) -> None:
    recipe = {"train": {"lr": 0.25, "optimizer": {"name": "sgd <b>"}}, "data": {"size": [8, 9], "augment": [{"name": "flip"}, "turn", [1]]}}
    odd = {"backbone": {"pretrained": False, "name": {"name": [1]}}}
    text = "".join(page(make_run(tmp_path / "run", recipe | odd)).text.partition("As it was run")[2].partition("recipe.yaml")[0].split())
    for words in ("train.lr0.25", "train.optimizersgd<b>", "data.size8,9", "data.augmentflip,turn", "backbone.pretrainedfalse"):
        assert words in text
    assert "backbone.name" not in text


def test_costs_are_said_as_far_as_they_are_known(tmp_path: Path) -> None:
    costs: dict[str, Any] = {"megabytes": 8.94, "milliseconds": 21.34, "parameters": 2_230_277, "macs": 312_900_000}
    text = page(make_run(tmp_path / "a", **costs, train_seconds=150.0, peak_megabytes=812.3)).text
    assert "Weights of 8.9 MB (2.23 M parameters); one picture takes 21.3 ms on the machine that trained and 313 M multiply-" in text
    assert "Training alone took 2 min 30 s and at most 812 MB of memory." in text
    older = page(make_run(tmp_path / "b", megabytes=8.94, milliseconds=21.34, macs="<b>", peak_megabytes=None)).text
    assert "Weights of 8.9 MB; one picture takes 21.3 ms on the machine that trained." in older and "memory" not in older


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (999.4, "999"), (999.6, "1.00 k"), (99_951, "100 k"), (999_500, "1.00 M"), (2_230_277, "2.23 M"), (7e16, "70000 T")],
)
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert amount(value) == text


def test_numbers_of_others_are_explained_and_never_in_a_table_with_ours(tmp_path: Path) -> None:
    read = page(make_run(tmp_path / "run"))
    assert "0.9851" in read.text
    assert "verified: read in the original code" in read.text
    assert "on real data" in read.text
    assert "0.9851" not in "".join(table.partition("</table>")[0] for table in read.source.split("<table")[1:])


@pytest.mark.parametrize("left", [(), ("metrics.json",), ("history.jsonl",), ("figures",), ("split.json", "environment.json")])
def test_a_run_with_little_in_it_says_what_is_missing(tmp_path: Path, left: tuple[str, ...]) -> None:
    whole, part = make_run(tmp_path / "whole"), tmp_path / "part"
    part.mkdir()
    for name in ("recipe.yaml", *left):
        (whole / name).rename(part / name)
    read = page(part)
    assert "Not in this report" in read.text
    for name in {"metrics.json", "history.jsonl", "split.json", "environment.json"} - set(left):
        assert f"{name} is not there" in read.text
    assert ("no figures and no tables yet" in read.text) == ("figures" not in left)


@pytest.mark.parametrize(
    "content", ["", "[1, 2]", "{", "null", '{"a": ' * 5000, '"\\ud800"', '{"val/accuracy": NaN, "x": [[1]], "synthetic": 3}', "\xff"]
)
def test_broken_files_are_survived(tmp_path: Path, content: str) -> None:
    folder = make_run(tmp_path / "run")
    for name in (
        "spec.json",
        "split.json",
        "metrics.json",
        "environment.json",
        "history.jsonl",
        "figures/index.json",
        "tables/per_class.csv",
    ):
        (folder / name).write_text(content, encoding="latin-1")
    page(folder)
    (folder / "recipe.yaml").write_text(content, encoding="latin-1")
    page(folder)


LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
ODD = {
    "date": "question: 2024-99-99",
    "laughs": LAUGHS
    + "question: *a11\nmonitor: {metric: *a11, mode: *a11}\nreference: [{value: *a11, source: *a11, certainty: *a11}]\nexpect: *a11",
    "types": "reference: {}\nexpect: 3\nmonitor: []",
    "key": "? [1]\n: 2",
}


@pytest.mark.parametrize("recipe", ODD.values(), ids=ODD)
def test_odd_recipes_are_survived(tmp_path: Path, recipe: str) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "recipe.yaml").write_text(recipe)
    assert page(folder).find("h1")


def test_long_tables_collapse_and_numbers_stand_right(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    rows = "".join(f"class {index},{index},{index / 100}\n" for index in range(61))
    (folder / "tables/per_class.csv").write_text("class,pictures,f1,only in the head\n" + rows + "ragged\n")
    (folder / "history.jsonl").unlink()
    read = page(folder)
    assert "62 rows" in read.text
    assert "0.600" in read.text
    assert len(read.find("td", "number")) == 2 * 62
    assert len(read.find("svg", "bar")) == 61
    assert len(read.find("th", "number")) == 2


def test_a_table_shows_its_first_rows_and_names_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_MOST_ROWS", 2)
    folder = make_run(tmp_path / "run")
    (folder / "tables/per_class.csv").write_text("class,pictures\n'=first,1\nsecond,2\nthird,3\n")
    text = page(folder).text
    assert "=first" in text and "'=first" not in text, "on a page it is no formula"
    assert "second" in text and "third" not in text and "The first 2 of 3 rows" in text


def test_figures_are_as_wide_as_drawn_for_dense_screens(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "figures" / "confusion.png").write_bytes(png(300, 200))
    (folder / "figures" / "index.json").write_text('[{"file": "confusion.png"}]')
    assert 'width="150" height="100"' in write_report(folder).read_text(encoding="utf-8")


def test_a_folder_of_figures_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert "<img" in write_report(folder).read_text(encoding="utf-8")
    (folder / "figures").rename(tmp_path / "elsewhere")
    (folder / "figures").symlink_to(tmp_path / "elsewhere")
    assert "<img" not in write_report(folder).read_text(encoding="utf-8")


def test_a_column_of_slivers_has_no_bars(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "tables/per_class.csv").write_text("way,mse,ssim\nnetwork,0.004,0.02\nmean,0.047,0.4\n")
    (folder / "history.jsonl").unlink()
    assert len(page(folder).find("svg", "bar")) == 2


def test_command_prints_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "run")
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_open_shows_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    assert main([str(make_run(tmp_path / "run")), "--open"]) == 0
    assert shown == [(tmp_path / "run" / "report.html").resolve().as_uri()]


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_what_is_no_run_folder_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run_command("report", [str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "expected a run folder" in said.err
    assert list((tmp_path / "empty").iterdir()) == []
    with pytest.raises(RecipeError):
        write_report(tmp_path / name)


def test_the_command_needs_neither_torch_nor_matplotlib(tmp_path: Path) -> None:
    code = "import sys, zoo.report; zoo.report.write_report(sys.argv[1]); print({'torch', 'matplotlib', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, str(make_run(tmp_path / "run"))], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- films and alarms


def gif(width: int = 30, height: int = 20) -> bytes:
    content = io.BytesIO()
    frames = [Image.new("L", (width, height), value) for value in (0, 255)]
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return content.getvalue()


def test_a_film_is_shown_when_it_is_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "figures" / "film.gif").write_bytes(gif())
    (run / "figures" / "index.json").write_text(json.dumps([{"file": "film.gif", "title": "Film", "caption": "What became of it."}]))
    page = Page(write_report(run))
    (image,) = [given for given in page.find("img") if given["src"].startswith("data:image/gif;base64,")]
    assert (image["width"], image["height"]) == ("30", "20"), "a pixel of the file is one of the page"
    assert base64.b64decode(image["src"].partition(",")[2]) == gif()
    assert "<summary>Play</summary>" in page.source, "what moves is not forced on a reader"


@pytest.mark.parametrize("content", [b"GIF89a", b"GIF88a" + gif()[6:], png()[:20], b"<svg/>"])
def test_what_is_no_film_is_left_out(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path / "run")
    (run / "figures" / "film.gif").write_bytes(content)
    (run / "figures" / "index.json").write_text(json.dumps([{"file": "film.gif"}]))
    page = Page(write_report(run))
    assert not [given for given in page.find("img") if "gif" in given["src"]]
    assert "figures/film.gif was ignored: it is no PNG and no GIF" in page.text


def test_alarms_stand_under_the_number(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = [{"epoch": epoch, "step": 10 * epoch, "val/accuracy": 0.5, "alarm": f"collapse {epoch} <b>"} for epoch in (2, 3)]
    (run / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = Page(write_report(run))
    assert "ALARM after 2 epochs, 2, 3. The last: collapse 3 <b>" in page.text
    (run / "history.jsonl").write_text(json.dumps(rows[0]) + "\n")
    assert "ALARM after epoch 2. The last: collapse 2 <b>" in Page(write_report(run)).text
