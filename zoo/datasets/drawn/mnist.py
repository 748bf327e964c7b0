"""Real digits in place of MNIST's: those that come with scikit-learn, brought to MNIST's form and written in its files.

E. Alpaydin, C. Kaynak: Optical recognition of handwritten digits. UCI Machine Learning Repository, 1998: 1,797 digits of 8 x 8 pixels
in 17 greys. As in MNIST a digit fills 20 x 20 pixels, and its centre of mass lies in the middle of 28 x 28.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.datasets import idx
from zoo.datasets.idx import Array

SIDE, INNER, TEST = 28, 20, 297


def write(root: Path, seed: int) -> None:
    """Write the digits into `<root>/MNIST/raw/`; `seed` tells which of them are kept for a test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.stack([centred(image) for image in digits.images])
    order = np.random.default_rng(seed).permutation(len(images))
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for start, chosen in (("train", order[TEST:]), ("t10k", order[:TEST])):
        idx.write(folder / f"{start}-images-idx3-ubyte.gz", images[chosen])
        idx.write(folder / f"{start}-labels-idx1-ubyte.gz", digits.target[chosen].astype(np.uint8))


def centred(image: Array) -> Array:
    """An (8, 8) digit of values from 0 to 16 as MNIST has it: (28, 28), from 0 to 255."""
    small = Image.fromarray((image * (255 / 16)).round().astype(np.uint8))
    large = np.asarray(small.resize((INNER, INNER), Image.Resampling.BICUBIC))
    mass = large / large.sum()
    y, x = (int((mass * grid).sum().round()) for grid in np.indices(large.shape))
    whole = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (min(max(SIDE // 2 - middle, 0), SIDE - INNER) for middle in (y, x))
    whole[top : top + INNER, left : left + INNER] = large
    return whole
