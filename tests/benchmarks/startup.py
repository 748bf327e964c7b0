"""CPU seconds of importing zoo and of the commands that must be light, each in fresh processes, by hand.

python tests/benchmarks/startup.py [--rounds 10]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

CALLS = {
    "import zoo (at most 0.15 s)": ["-c", "import zoo"],
    "zoo --help (at most 0.35 s)": ["-m", "zoo", "--help"],
    "zoo train --help": ["-m", "zoo", "train", "--help"],
    "zoo list": ["-m", "zoo", "list"],
    "zoo list backbones": ["-m", "zoo", "list", "backbones"],
    "zoo schema": ["-m", "zoo", "schema"],
    "zoo check, all recipes": ["-m", "zoo", "check", "simpsons_mobilenetv2", "mpii_activity", "mpii_se_resnet18", "image_folder"],
}


def cpu_seconds(words: list[str]) -> float:
    """CPU time of one process."""
    before = os.times()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    for title, words in CALLS.items():
        cpu_seconds(words)
        times = [cpu_seconds(words) for _ in range(rounds)]
        print(f"{title}: median {statistics.median(times):.3f} s CPU ({min(times):.3f} to {max(times):.3f}), {rounds} rounds")


if __name__ == "__main__":
    main()
