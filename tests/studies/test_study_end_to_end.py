"""Two real cells: one process or two, cut or not, the numbers are the same; and the page shows pictures under the models."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import warm
from PIL import Image

import zoo
from zoo import study
from zoo.run import Run
from zoo.studies import definition, outcomes
from zoo.studies.pictures import gallery
from zoo.studies.plan import Plan
from zoo.train import train

STUDY = """
recipe: image_folder
axes:
  loss:
    plain: {task.loss: cross_entropy}
    focal: {task.loss: focal}
changes:
  data: {synthetic: always, workers: 0, augment: [flip]}
  backbone: {name: test_resnet, pretrained: false}
  train: {device: cpu, engine: loop, epochs: 3, lr: 0.01, batch_size: 64}
  checkpoint.every: 2 steps
synthetic:
  data.size: 32
"""
CELLS = ("plain-0", "focal-0")


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def digests(home: Path, name: str) -> list[str]:
    return [Run.read(home / "runs" / name / cell).metrics["weights_sha256"] for cell in CELLS]


@pytest.mark.usefixtures("one_thread")
def test_processes_and_kills_change_no_number(tmp_path: Path, home: Path) -> None:
    """Two processes at once, killed on the way, against one that trains cell after cell without a cut."""
    for name in ("alone", "together"):
        (tmp_path / f"{name}.yaml").write_text(STUDY)
    for cell in Plan(definition.read(tmp_path / "alone.yaml")).cells:
        outcomes.prepare(cell, home / "runs" / "alone" / cell.id)
        train("", resume=home / "runs" / "alone" / cell.id)
    command = ("-m", "zoo.study", tmp_path / "together.yaml", "--jobs", "2")
    killed = warm.Process(*command)
    history = home / "runs" / "together" / "plain-0" / "history.jsonl"
    while not (history.is_file() and history.read_text()):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    killed.kill()  # its cells, which have sessions of their own, notice, save and end
    killed.communicate()
    again = warm.run(*command)
    logs = home / "runs" / "together" / "logs"
    assert again.returncode == 0, again.stderr
    assert "interrupted and saved" in (logs / "plain-0.log").read_text()
    assert digests(home, "alone") == digests(home, "together")
    assert len(set(digests(home, "alone"))) == 2
    assert len({Run.read(home / "runs" / "together" / cell).split["fingerprint"] for cell in CELLS}) == 1
    check_page(Path(again.stdout.splitlines()[-1]))
    assert zoo.load("together:focal-0").labels == zoo.load("together").labels


def check_page(file: Path) -> None:
    page = file.read_text(encoding="utf-8")
    assert "Not in this report" not in page
    tiles = page[page.index('<table class="tiles">') :]
    assert tiles.count("<img") == 2 * 6
    assert tiles.count("✓") + tiles.count("✗") == 2 * 6
    assert "val/accuracy" in tiles
    assert "Pictures of “val”" in page


@pytest.mark.usefixtures("one_thread")
def test_parts_may_differ_between_cells(tmp_path: Path, home: Path) -> None:
    """One that has no test part cannot show its pictures beside the others."""
    text = STUDY.replace("axes:", "axes:\n  split.test: [0.2, 0.0]").replace("epochs: 3", "epochs: 1, max_steps: 1")
    (tmp_path / "parts.yaml").write_text(text)
    plan = Plan(definition.read(tmp_path / "parts.yaml"))
    cells = [plan.cells[0], plan.cells[2]]
    for cell in cells:
        outcomes.prepare(cell, home / "runs" / "parts" / cell.id)
        train("", resume=home / "runs" / "parts" / cell.id)
    found = gallery([outcome for outcome in outcomes.outcomes(plan) if outcome.state == "finished"])
    assert list(found.strips) == [cells[0].id]
    assert found.caption == "Pictures of “test”, spread evenly over it, under each cell’s model."
    assert found.notes[0].startswith(f"{cells[1].id} is not among the pictures: its split differs, and ")


def test_a_cell_that_cannot_be_drawn_is_named(tmp_path: Path, home: Path) -> None:
    folder = home / "runs" / "x" / "a-0"
    folder.mkdir(parents=True)
    found = gallery([outcomes.Outcome("a-0", {"loss": "a"}, 0, folder, "finished")])
    assert found.strips == {}
    assert found.notes[0].startswith("a-0 is not among the pictures: ")
    assert "no run folder" in found.notes[0]


WALL = """
recipe: mnist_vae
axes:
  task.latent: [5]
changes:
  data: {synthetic: always, workers: 0}
  train: {device: cpu, engine: loop, epochs: 1, max_steps: 2}
  task.samples: 1
"""


@pytest.mark.usefixtures("one_thread")
def test_cells_that_make_pictures_up_show_their_samples(tmp_path: Path, home: Path) -> None:
    """The same that the model makes up when it is loaded."""
    file = tmp_path / "wall.yaml"
    file.write_text(WALL)
    for cell in Plan(definition.read(file)).cells:
        outcomes.prepare(cell, home / "runs" / "wall" / cell.id)
        train("", resume=home / "runs" / "wall" / cell.id)
    page = study.report(file).read_text(encoding="utf-8")
    assert "Samples of each cell" in page and "Not in this report" not in page
    tiles = page[page.index('<table class="tiles wall">') :]
    assert tiles.count("<img") == 10
    content = io.BytesIO(base64.b64decode(re.findall(r'base64,([^"]+)" alt="latent5-0: sample 1 ?"', tiles)[0]))
    with Image.open(content) as first:
        assert (np.asarray(first) == np.asarray(zoo.load("wall:latent5-0", device="cpu").sample(1)[0])).all()
