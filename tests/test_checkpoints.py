"""Checkpoints: whole or not there, the newest whole one is found, and only what is needed is kept."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo import checkpoints as module
from zoo.checkpoints import Checkpoints
from zoo.errors import ZooError


@pytest.fixture
def run(tmp_path: Path) -> Checkpoints:
    (tmp_path / "run").mkdir()
    return Checkpoints(tmp_path / "run" / "checkpoints")


def weights(value: float) -> dict[str, Tensor]:
    return {"w": torch.full((3,), value)}


def save(run: Checkpoints, step: int, best: int = 0, keep: tuple[int, ...] = ()) -> None:
    run.save({"step": step, "w": torch.full((5,), float(step))}, best, keep)


def files(run: Checkpoints) -> list[str]:
    return sorted(file.name for file in run.folder.iterdir())


def test_state_comes_back_as_it_was(run: Checkpoints) -> None:
    state: dict[str, Any] = {
        "step": 3,
        "best": math.nan,
        "level": -math.inf,
        "none": None,
        "flag": True,
        "deep": {"list": [1, 2.5, {"t": torch.randn(2, 3)}], 7: "number as key", "empty": {}},
        "scalar": torch.tensor(3.0),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "rate": 0.1 + 0.2,
        "same": [],
    }
    state["alias"] = state["scalar"]
    run.save(state, 0)
    found = run.read()
    assert found is not None
    assert math.isnan(found["best"]) and found["level"] == -math.inf and found["rate"] == 0.1 + 0.2
    assert found["deep"][7] == "number as key" and found["deep"]["list"][:2] == [1, 2.5]
    assert torch.equal(found["deep"]["list"][2]["t"], state["deep"]["list"][2]["t"])
    assert torch.equal(found["alias"], found["scalar"]) and found["half"].dtype == torch.bfloat16
    assert list(found) == list(state)


def test_nothing_yet(run: Checkpoints) -> None:
    assert run.newest() is None
    assert run.read() is None
    assert (run.manifest.last, run.manifest.best) == (0, 0)


def test_two_states_are_kept(run: Checkpoints) -> None:
    for step in (9, 10, 100):
        save(run, step)
    assert files(run) == ["10.json", "10.safetensors", "100.json", "100.safetensors", "manifest.json"]
    assert run.newest() == 100
    assert json.loads((run.folder / "manifest.json").read_text())["last"] == 100


def test_weights_of_the_best_and_of_chosen_epochs_are_kept(run: Checkpoints) -> None:
    for epoch in range(1, 8):
        run.save_weights(weights(epoch), epoch)
        save(run, 10 * epoch, best=min(epoch, 5), keep=(2, 40))
    assert sorted(run.manifest.weights) == [2, 5]
    assert run.manifest.best == 5
    assert torch.equal(run.read_weights(2)["w"], weights(2)["w"])
    with pytest.raises(ZooError, match=r"weights of epoch 3 are not kept; kept are 2, 5 \(best\). checkpoint.keep_epochs=\[3\] keeps them"):
        run.read_weights(3)


def test_the_best_of_the_state_before_is_kept_with_it(run: Checkpoints) -> None:
    """Were the newest damaged, the one before would need it."""
    for epoch in (1, 2):
        run.save_weights(weights(epoch), epoch)
        save(run, epoch, best=epoch)
    assert sorted(run.manifest.weights) == [1, 2]
    save(run, 3, best=2)
    assert sorted(run.manifest.weights) == [2]


def test_weights_that_no_state_knows_of_are_left_when_another_course_is_taken(run: Checkpoints) -> None:
    run.save_weights(weights(1), 1)
    save(run, 5, best=1)
    run.save_weights(weights(2), 2)  # and killed here
    again = Checkpoints(run.folder)
    assert again.manifest.best == 1
    assert torch.equal(again.read_weights(1)["w"], weights(1)["w"])
    with pytest.raises(ZooError, match="epoch 2 are not kept"):
        again.read_weights(2)
    save(again, 6, best=1)
    assert "epoch-2.safetensors" not in files(again)


def test_states_of_a_course_that_was_left_go(run: Checkpoints) -> None:
    for step in (5, 10, 7):
        save(run, step)
    assert sorted(run.manifest.states) == [5, 7]
    assert run.newest() == 7


@pytest.mark.parametrize("name", ["10.safetensors", "10.json"])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-3]), r"has \d+ bytes and should have \d+"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"), r"was changed or damaged \(its SHA-256 is another\)"),
    ],
)
def test_a_damaged_state_is_left_out_and_said(
    name: str, harm: Any, said: str, run: Checkpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    save(run, 5)
    save(run, 10)
    harm(run.folder / name)
    state = run.read()
    assert state
    assert state["step"] == 5
    assert torch.equal(state["w"], torch.full((5,), 5.0))
    message = capsys.readouterr().err
    assert re.search(f"WARNING: a newer checkpoint is left out: .*{name} {said}", message), message


def test_when_none_is_whole_that_is_an_error(run: Checkpoints) -> None:
    save(run, 5)
    save(run, 10)
    for step in (5, 10):
        (run.folder / f"{step}.safetensors").write_bytes(b"")
    with pytest.raises(ZooError, match=r"no checkpoint of this run is whole: .*10.safetensors has 0 bytes.*5.safetensors .*Remove"):
        run.read()


def elsewhere(name: str) -> str:
    return json.dumps({"states": {}, "weights": {"1": {"name": name, "size": 1, "sha256": ""}}})


BROKEN = ["", "[]", "{}", '{"states": 3, "weights": {}}', '{"states": {"x": {}}, "weights": {}}', "[" * 100_000]


@pytest.mark.parametrize("text", [*BROKEN, *map(elsewhere, ("../a", "/etc/passwd", "a/b", ".."))])
def test_a_broken_or_hostile_manifest_is_refused(text: str, run: Checkpoints) -> None:
    run.folder.mkdir()
    (run.folder / "manifest.json").write_text(text)
    with pytest.raises(ZooError, match=r"manifest.json: (no manifest of checkpoints|not readable as JSON)"):
        run.read()


def test_damaged_weights_are_named(run: Checkpoints) -> None:
    run.save_weights(weights(1), 1)
    path = run.folder / "epoch-1.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ZooError, match=r"epoch-1.safetensors has \d+ bytes"):
        run.read_weights(1)


def test_saved_weights_are_a_copy(run: Checkpoints) -> None:
    live = weights(1)
    run.save_weights(live, 4)
    live["w"].add_(1)
    assert torch.equal(run.read_weights(4)["w"], weights(1)["w"])


@pytest.mark.parametrize("at", range(12))
def test_a_cut_at_any_operation_leaves_a_whole_checkpoint(at: int, run: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power fails at the `at`-th call by which a file becomes visible, or vanishes, while the third checkpoint is saved."""
    for epoch in (1, 2):
        run.save_weights(weights(epoch), epoch)
        save(run, 10 * epoch, best=epoch)
    calls = 0

    def failing(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > at:
                raise KeyboardInterrupt  # whatever comes after does not happen
            return real(*arguments, **named)

        return call

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "replace", failing(Path.replace))
    monkeypatch.setattr(Path, "unlink", failing(Path.unlink))
    done = False
    try:
        run.save_weights(weights(3), 3)
        save(run, 30, best=3)
        done = True
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    again = Checkpoints(run.folder)
    state = again.read()
    assert state
    assert state["step"] == 30 if done else state["step"] in (20, 30)
    best = again.manifest.best
    assert best == state["step"] // 10
    assert torch.equal(again.read_weights(best)["w"], weights(best)["w"])


def test_the_manifest_comes_last(run: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = module.write_bytes

    def note(path: Path, content: bytes) -> None:
        written.append(path.name)
        real(path, content)

    monkeypatch.setattr(module, "write_bytes", note)
    save(run, 5)
    assert written == ["5.safetensors", "5.json", "manifest.json"]
