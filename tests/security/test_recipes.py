"""YAML of a stranger: no tags, no aliases, nothing twice, nothing deep, nothing large. By itself and in a run's folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import yaml
from trained import run

import zoo
from security.hostile import REFUSED, Sample, bounded, cases, command, refusal, sparse
from security.test_metadata import REPORT

__all__ = ["run"]

LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
MERGES = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10))

Plant = Callable[[Path, Path], object]
KINDS: dict[str, tuple[Plant, str]] = {
    "a tag that calls a function": (
        lambda file, sentinel: file.write_text(f"seed: !!python/object/apply:os.system ['touch {sentinel}']\n"),
        "tags",
    ),
    "a tag of zoo's own modules": (
        lambda file, _: file.write_text("task: !!python/name:zoo.tasks.classification.Classification\n"),
        "tags",
    ),
    "an alias bomb": (lambda file, _: file.write_text(LAUGHS), "anchors and aliases"),
    "a bomb of merge keys": (lambda file, _: file.write_text(MERGES), "anchors and aliases"),
    "a key that stands twice": (lambda file, _: file.write_text("seed: 1\nseed: 2\n"), "stands twice"),
    "YAML nested 10,000 deep": (lambda file, _: file.write_text("seed: " + "[" * 10_000), "nested deeper"),
    "100 MB of YAML": (lambda file, _: sparse(file, 100 * 2**20, b"seed: 1\n"), "larger than 64 KB"),
    "bytes that are no text": (lambda file, _: file.write_bytes(b"seed: \xff\xfe\n"), "not UTF-8"),
}


@cases(
    "YAML",
    *[Sample(what, "`zoo check FILE`, `zoo train FILE`", REFUSED, make, make[1]) for what, make in KINDS.items()],
    Sample("code and tags", "`key=value` of the command line", test="tests/test_document.py::test_tags_run_nothing"),
    Sample(
        "names of functions and modules for task, backbone, engine",
        "the recipe of a packed file",
        test="tests/test_packing.py::test_recipes_of_strangers",
    ),
)
def test_hostile_recipes(sample: Sample, tmp_path: Path, sentinel: Path) -> None:
    file = tmp_path / "hostile.yaml"
    sample.make[0](file, sentinel)
    begun = time.monotonic()
    refusal(lambda: command("check", file), "hostile.yaml", sample.says)
    refusal(lambda: command("train", file), "hostile.yaml", sample.says)
    assert time.monotonic() - begun < 3


@cases(
    "YAML",
    *[Sample(what, "`recipe.yaml` of a run, `zoo.load(RUN)`", REFUSED, make, make[1]) for what, make in KINDS.items()],
)
def test_hostile_recipes_of_runs(sample: Sample, run: Path, sentinel: Path) -> None:
    sample.make[0](run / "recipe.yaml", sentinel)
    begun = time.monotonic()
    refusal(lambda: zoo.load(run), "recipe.yaml", sample.says)
    assert time.monotonic() - begun < 3


@cases(
    "YAML",
    *[Sample(what, "`recipe.yaml` of a run, `zoo report RUN`", "drawn, within 1 GB and 10 s", make) for what, make in KINDS.items()],
)
def test_hostile_recipes_in_reports(sample: Sample, run: Path, sentinel: Path) -> None:
    sample.make[0](run / "recipe.yaml", sentinel)
    bounded(REPORT, run, megabytes=1024, seconds=10)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<h1>" in page and len(page) < 2**20


def test_the_tag_does_run_where_it_is_trusted(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    yaml.unsafe_load(f"!!python/object/apply:os.system ['touch {proof}']")
    assert proof.exists(), "the sample is harmless: it would prove nothing"


def test_the_bomb_does_burst_where_aliases_are_followed() -> None:
    node = yaml.compose(MERGES.partition("a6")[0], yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode) and len(MERGES) < 1000
    yaml.SafeLoader("").construct_document(node)
    assert max(len(value.value) for _, value in node.value) >= 9**5, "the sample is harmless: it would prove nothing"
