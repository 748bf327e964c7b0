"""Handwritten digits of 28 x 28 pixels: MNIST, in the IDX files that torchvision reads.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. Proceedings of the IEEE, 1998.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from zoo.datasets import idx, synthetic
from zoo.datasets.source import Record, Source, known_fields

LABELS = tuple("0123456789")

STAND_IN = "the digits are the 1,797 real ones of scikit-learn's optical recognition set, enlarged from 8x8 pixels; they are not MNIST's"


class MNIST(Source):
    """Sixty thousand digits to train and ten thousand to test, grey, white on black.

    Args:
        root: the folder that holds `MNIST/raw/`, `MNIST` or `raw` itself.

    Raises:
        DataError: a file is missing or broken, or labels do not go with their pictures.
    """

    title: ClassVar[str] = "MNIST (handwritten digits)"
    obtain: ClassVar[str] = (
        "What stands in for MNIST's digits are other real ones, the 1,797 of scikit-learn's optical recognition set, enlarged from 8x8 "
        "pixels. `python -m zoo.download mnist` fetches MNIST's own files (12 MB) into mnist/ of the data folder."
    )
    layout: ClassVar[str] = """\
  MNIST/raw/                          (or its content directly in the root)
    train-images-idx3-ubyte.gz        each unpacked or as it is
    train-labels-idx1-ubyte.gz
    t10k-images-idx3-ubyte.gz
    t10k-labels-idx1-ubyte.gz
"""
    version: ClassVar[int] = 1
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    files: ClassVar[dict[str, str]] = {
        "MNIST/raw/train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "MNIST/raw/train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "MNIST/raw/t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "MNIST/raw/t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    }

    def __init__(self, root: Path) -> None:
        notes = [STAND_IN] if synthetic.is_synthetic(root) else []
        super().__init__(root, LABELS, idx.parts(MNIST, root, "MNIST", len(LABELS)), channels=1, notes=notes)

    def read(self, record: Record) -> tuple[Image.Image, dict[str, Any]]:
        """The digit, and its label."""
        return idx.picture(record), known_fields(record)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Write scikit-learn's real digits as MNIST's files, 1,500 to train and 297 to test."""
        from zoo.datasets.drawn.mnist import write

        write(root, seed)
