"""The paper's networks at 128 and 256 pixels: twenty steps of the recipes in a process of their own, with their time and memory."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = 20
GIGABYTES = {128: 2.5, 256: 3.5}
"""Most memory of the whole process; docs/gan.md says what was measured."""
PARAMETERS = {
    128: {"discriminator": 6_960_961, "generator": 7_772_035},
    256: {"discriminator": 11_156_289, "generator": 11_967_363},
}

CODE = """
import json, re, sys, time
from pathlib import Path
from zoo import build
from zoo.engines.fit import Fit
from zoo.recipe import Recipe
from zoo.run import Run

recipe = Recipe.read(sys.argv[1], sys.argv[3:])
data = build.loaders(build.source(recipe), recipe)
task = build.task(recipe, data.spec)
losses, begun = [], time.perf_counter()
with Fit(task, data, Run.open(recipe)) as fit:
    for batch in fit.batches():
        losses.append({name: float(value) for name, value in fit.step(batch).items()})
        if len(losses) == int(sys.argv[2]):
            break
told = {
    "losses": losses,
    "seconds": time.perf_counter() - begun,
    # Not what getrusage says: there a process begins with the most that its parent had.
    "gigabytes": int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e6,
    "parameters": {name: sum(each.numel() for each in player.parameters()) for name, player in task.players().items()},
}
print(json.dumps(told))
"""


@pytest.mark.slow
@pytest.mark.parametrize("side", [128, 256])
def test_twenty_steps_of_the_papers_networks(side: int) -> None:
    changes = ["data.synthetic=always", "train.batch_size=4", "train.device=cpu", "backbone.pretrained=false", "data.workers=0"]
    full = ["task.generator_widths=[]", "task.discriminator_widths=[]"]  # not the narrow ones that drawn data is given
    recipe = ROOT / "recipes" / f"faces_dcgan_{side}.yaml"
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(recipe), str(STEPS), *changes, *full], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"{side} pixels, batch 4: {told['seconds']:.0f} s for {STEPS} steps, {told['gigabytes']:.2f} GB, {told['parameters']}")
    assert told["parameters"] == PARAMETERS[side]
    assert len(told["losses"]) == STEPS
    assert all(math.isfinite(value) for losses in told["losses"] for value in losses.values())
    first, last = (sum(losses["discriminator/loss"] for losses in part) for part in (told["losses"][:3], told["losses"][-3:]))
    assert last < first, "the discriminator learns"
    assert told["gigabytes"] < GIGABYTES[side]
