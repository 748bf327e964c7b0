"""Do strategies spare labels on Fashion-MNIST? 200 to 2,000 labels, three seeds, each training from the start. By hand.

    python tests/benchmarks/active_learning.py FOLDER --out OUT [--strategies random,margin,entropy] [--seeds 3]

FOLDER holds FashionMNIST/raw/. 24,000 pictures to reveal labels of, 10,000 test pictures measure; the network and its training are in
active_learning.yaml beside. Seven to fifteen seconds of one core a training; what is finished in OUT is not trained again.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from zoo.mine import main as mine


def main() -> None:
    """Play the rounds; the page, the CSV files and the sentence come from `zoo mine --replay`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--out", required=True)
    parser.add_argument("--strategies", default="random,margin,entropy,least_confident,spread")
    parser.add_argument("--seeds", default="3")
    arguments = parser.parse_args()
    recipe = Path(__file__).with_suffix(".yaml")
    budgets = ["--begin", "200", "--end", "2000", "--step", "200", "--seeds", arguments.seeds, "--strategies", arguments.strategies]
    mine(["--replay", str(recipe), *budgets, "--out", arguments.out, f"data.root={os.path.abspath(arguments.folder)}"])


if __name__ == "__main__":
    main()
