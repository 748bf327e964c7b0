"""JSON beside the weights: data, whatever stands in it, and no more of it than fits."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from trained import rewrite, run

import zoo
from security.hostile import Sample, bounded, cases, refusal, sparse

__all__ = ["run"]

NAMES = ("metrics.json", "spec.json", "split.json")
BROKEN = {
    "JSON nested 10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "objects nested 10,000 deep and never closed": b'{"a":' * 10_000,
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "JSON of another kind": b'["a list"]',
    "bytes that are no text": b"\xff\xfe\x00",
}
HEADER = "tests/test_packing.py::test_headers_that_are_none"


@cases(
    "JSON",
    *[
        Sample(what, f"`{name}` of a run, `zoo.load(RUN)`", "refused", (name, content))
        for what, content in BROKEN.items()
        for name in NAMES
    ],
    Sample("JSON nested 10,000 deep", "the header of a packed file", "refused", test=f"{HEADER}[deep]"),
    Sample("a number of 5,000 digits", "the header of a packed file", "refused", test=f"{HEADER}[long number]"),
    Sample(
        "values of wrong types and sizes",
        "the header of a packed file",
        "refused",
        test="tests/test_packing.py::test_headers_of_wrong_types",
    ),
    Sample(
        "any of these",
        "`zoo report RUN`",
        "the page is drawn without it and says so",
        test="tests/test_report.py::test_broken_files_are_survived",
    ),
)
def test_broken_json_is_refused(sample: Sample, run: Path) -> None:
    name, content = sample.make
    (run / name).write_bytes(content)
    refusal(lambda: zoo.load(run), name)


@cases(
    "JSON",
    *[Sample("100 MB of JSON", f"`{name}` of a run, `zoo.load(RUN)`", "refused by its size", name, "more than the") for name in NAMES],
)
def test_huge_json_is_refused_unread(sample: Sample, run: Path) -> None:
    sparse(run / sample.make, 100 * 2**20, b"[")
    begun = time.monotonic()
    refusal(lambda: zoo.load(run), sample.make, sample.says)
    assert time.monotonic() - begun < 2


@cases(
    "JSON",
    *[Sample("code in strings", f"`{name}` of a run, `zoo.load(RUN)`", "loaded; the strings stay strings", name) for name in NAMES],
)
def test_code_in_strings_stays_text(sample: Sample, run: Path, sentinel: Path) -> None:
    code = f"__import__('os').system('touch {sentinel}')"
    notes = {"metrics.json": {code: code}, "split.json": {"notes": [code], code: code}, "spec.json": {}}[sample.make]
    rewrite(run / sample.make, lambda data: data | notes)
    if sample.make == "spec.json":
        rewrite(run / "spec.json", lambda data: data | {"labels": [code, *data["labels"][1:]]})
    model = zoo.load(run)
    held = {"metrics.json": [*model.metrics], "spec.json": model.labels, "split.json": [*model.split]}[sample.make]
    assert code in held and not sentinel.exists()


REPORT = "import sys, pathlib, zoo.report as r; print(r.write_report(pathlib.Path(sys.argv[1])))"
PAGES = {
    "a table 200,000 columns wide and 5,000 rows long": ("tables/per_class.csv", lambda: b"a" + b",b" * 200_000 + b"\n" + b"x,1\n" * 4999),
    "a history whose 20,000 rows share no column": (
        "history.jsonl",
        lambda: "".join(json.dumps({"epoch": row, f"k{row}": 1}) + "\n" for row in range(20_000)).encode(),
    ),
    "an index that names one figure 20,000 times": ("figures/index.json", lambda: json.dumps([{"file": "a.png"}] * 20_000).encode()),
    "100 MB of JSON": ("metrics.json", lambda: b"[" + b" " * 100 * 2**20),
}


@cases("JSON", *[Sample(what, "`zoo report RUN`", "drawn in bounds, within 1 GB and 30 s", make) for what, make in PAGES.items()])
def test_reports_stay_in_bounds(sample: Sample, run: Path) -> None:
    name, content = sample.make
    (run / "figures").mkdir()
    (run / "figures" / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + bytes(3) + b"\4" + bytes(3) + b"\4" + bytes(100_000)
    )
    (run / name).write_bytes(content())
    bounded(REPORT, run, megabytes=1024)
    assert (run / "report.html").stat().st_size < 60 * 2**20


@pytest.fixture(autouse=True)
def no_report_left(run: Path) -> None:
    """The run was copied without its page."""
    assert not (run / "report.html").exists()
