"""Clothes of 28 x 28 pixels: Fashion-MNIST, in the IDX files that torchvision reads.

H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms. 2017.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from zoo.datasets import idx
from zoo.datasets.source import Record, Source, known_fields

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class FashionMNIST(Source):
    """Sixty thousand pictures of clothes to train and ten thousand to test, grey, bright on black.

    Args:
        root: the folder that holds `FashionMNIST/raw/`, `FashionMNIST` or `raw` itself.

    Raises:
        DataError: a file is missing or broken, or labels do not go with their pictures.
    """

    title: ClassVar[str] = "Fashion-MNIST (clothes)"
    obtain: ClassVar[str] = "`python -m zoo.download fashion_mnist` fetches the real files (31 MB) into fashion_mnist/ of the data folder."
    layout: ClassVar[str] = """\
  FashionMNIST/raw/                   (or its content directly in the root)
    train-images-idx3-ubyte.gz        each unpacked or as it is
    train-labels-idx1-ubyte.gz
    t10k-images-idx3-ubyte.gz
    t10k-labels-idx1-ubyte.gz
"""
    version: ClassVar[int] = 1
    # The authors' own bucket speaks plain HTTP only; their repository holds the same files.
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    files: ClassVar[dict[str, str]] = {
        "FashionMNIST/raw/train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "FashionMNIST/raw/train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    }

    def __init__(self, root: Path) -> None:
        super().__init__(root, LABELS, idx.parts(FashionMNIST, root, "FashionMNIST", len(LABELS)), channels=1)

    def read(self, record: Record) -> tuple[Image.Image, dict[str, Any]]:
        """The piece of clothing, and its label."""
        return idx.picture(record), known_fields(record)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw 1,400 silhouettes of the ten kinds of clothes, 1,200 to train and 200 to test, in the real files."""
        from zoo.datasets.drawn.fashion_mnist import write

        write(root, seed)
