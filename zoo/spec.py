"""DataSpec: all that a task must know of the data it will see. No torch here, so that it can be read anywhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DataSpec:
    """The shape and the classes of a data set, after its transforms.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        size: height and width in pixels of the pictures that reach the model.
        labels: class index -> name, in the data set's own order; never re-encoded, so empty classes keep their place.
        counts: training pictures per class; `()` when not counted.
        weights: weight of each class in the loss, mean 1 over the training pictures; `()` for equal weights.
        groups: what keeps samples together in a split ("video", "person"), or None.
        truth: the field of a sample that says what is right: "label", one of the labels for the picture, "mask", one for each pixel,
            "boxes", one for each of some rectangles, or "none" where pictures are all there is.
        attributes: names of the real values that each picture has ("Smiling"), positive where it is present.
    """

    channels: int
    size: tuple[int, int]
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    groups: str | None = None
    truth: str = "label"
    attributes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DataSpec:
        """Read what `to_json` wrote; raises ValueError or TypeError on anything else."""
        return cls(
            channels=int(data["channels"]),
            size=(int(data["size"][0]), int(data["size"][1])),
            labels=tuple(str(name) for name in data.get("labels", ())),
            counts=tuple(int(count) for count in data.get("counts", ())),
            weights=tuple(float(weight) for weight in data.get("weights", ())),
            groups=data.get("groups"),
            truth=str(data.get("truth", "label")),
            attributes=tuple(str(name) for name in data.get("attributes", ())),
        )
