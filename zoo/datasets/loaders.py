"""Loaders: a source and a recipe -> batches for training from any point on, and batches for evaluation.

Batches are dicts: `image` (B, C, H, W) uint8, `label` (B) int64, `index` (B) int64 into the part's records, `path` list of str; of
pictures with masks `mask` (B, H, W) uint8, 255 to be ignored; of pictures with boxes `boxes` (B, M, 4) float32 in pixels of `image` and
`classes` (B, M) int64, see `zoo.datasets.boxes`; `group` (list of str) where the data set says what each is of; `attributes`
(B, A) float32 where it gives values; `clean` (B, C, H, W) uint8, the whole picture, where `image` is spoilt on purpose.
What a sample looks like depends on (seed, epoch, index, copy) alone, so batches are equal for any number of workers, and the
stream can begin at any batch of any epoch without reading those before it. Where several processes train together, each reads its
share of every batch, and together they read what one alone would.
"""

from __future__ import annotations

import copy
import hashlib
import multiprocessing
import os
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import tv_tensors

from zoo.datasets import amended, boxes, leaks, preflight, splits
from zoo.datasets.source import Record, Source
from zoo.datasets.transforms import COLOURS_AND_PLACES, IN_PLACE, Preprocess, Transform, augmentation, binarized, mosaic
from zoo.errors import RecipeError, ZooError
from zoo.ranks import Ranks, ranks
from zoo.spec import DataSpec

Batch = dict[str, Any]
Key = tuple[int, int, int]
"""(epoch, index of the record, number of the copy within the epoch)."""


@contextmanager
def seeded(*parts: int) -> Iterator[None]:
    """Draw from `torch.default_generator` seeded by `parts`, and put its state back afterwards.

    Only this one generator is touched: `torch.manual_seed` would restart those of the devices as well.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(int.from_bytes(digest, "little") >> 1)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


class Pictures(Dataset[Batch]):
    """The records of one part as samples.

    Args:
        source: reads a record.
        records: of this part.
        preprocess: to the fixed size.
        augment, augment_rare: for first copies and for further ones; None for no change.
        seed: of the run.
        finish: what is done to every picture last, also for evaluation.
        repeat: copies in an epoch that count as first ones, as `data.repeat`.
        mosaic: as `data.mosaic`.
    """

    def __init__(
        self,
        source: Source,
        records: Sequence[Record],
        preprocess: Preprocess,
        augment: Transform | None = None,
        augment_rare: Transform | None = None,
        seed: int = 0,
        finish: Finish | None = None,
        repeat: int = 1,
        mosaic: float = 0.0,
    ) -> None:
        self.mosaic = mosaic
        self.source, self.records, self.preprocess = source, records, preprocess
        self.augment, self.augment_rare, self.seed, self.finish, self.repeat = augment, augment_rare, seed, finish, repeat

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: int | Key) -> Batch:
        """The sample of a key; an int is the record as evaluation sees it.

        A broken file comes back as `{"error": ...}`: it is raised where the batch is used, without a worker's stack around it.
        """
        epoch, index, number = (0, key, 0) if isinstance(key, int) else key
        record = self.records[index]
        try:
            picture, fields = self.source.read(record)
            with seeded(self.seed, epoch, index, number):
                augment = self.augment_rare if number >= self.repeat and self.augment_rare else self.augment
                if "mask" in fields:
                    image, fields["mask"] = self.preprocess.pair(picture, fields["mask"], augment)
                elif "boxes" in fields:
                    image, fields["boxes"], fields["classes"] = self._boxed(picture, fields, augment)
                else:
                    image = self.preprocess(picture, augment)
                if self.finish is not None:
                    image, fields = self.finish(image, fields)
        except ZooError as error:
            return {"error": error}
        return {"image": image, **fields, "index": index, "path": record.address}

    def _boxed(self, picture: Image.Image, fields: Batch, augment: Transform | None) -> tuple[Tensor, Tensor, Tensor]:
        """A picture with boxes, or by the chance of `mosaic` four in one, the others drawn at random."""
        first = self.preprocess.boxed(picture, fields["boxes"], fields["classes"], augment)
        if not self.mosaic or float(torch.rand(())) >= self.mosaic:
            return first
        others = []
        for index in torch.randint(len(self.records), (3,)).tolist():
            picture, fields = self.source.read(self.records[index])
            others.append(self.preprocess.boxed(picture, fields["boxes"], fields["classes"], augment))
        quarters = [first, *others]
        return mosaic([quarters[place] for place in torch.randperm(4).tolist()])


class Finish:
    """What is done to every picture last, in training and evaluation alike, by the random numbers of its own sample.

    Args:
        binarize: as `data.binarize`.
        corrupt: spoils a picture; the whole one is kept in the field `clean`.
    """

    def __init__(self, binarize: bool, corrupt: Transform | None) -> None:
        self.binarize, self.corrupt = binarize, corrupt

    def __call__(self, image: Tensor, fields: Batch) -> tuple[Tensor, Batch]:
        """(C, H, W) uint8 and the other fields of a sample."""
        if self.binarize:
            image = binarized(image)
        if self.corrupt is None:
            return image, fields
        spoilt: Tensor = self.corrupt(tv_tensors.Image(image)).as_subclass(Tensor)
        return spoilt.contiguous(), {**fields, "clean": image}


def collate(samples: Sequence[Batch]) -> Batch:
    """Samples -> batch: tensors are stacked, numbers become a tensor, everything else a list."""
    for sample in samples:
        if "error" in sample:
            return sample
    batch = {key: _join([sample[key] for sample in samples]) for key in samples[0] if key not in BOXES}
    if all(key in samples[0] for key in BOXES):
        corners, classes = ([sample[key] for sample in samples] for key in BOXES)
        batch |= dict(zip(BOXES, boxes.joined(corners, classes), strict=True))
    return batch


BOXES = ("boxes", "classes")
"""Fields of a sample whose first dimension is not the same for all."""


def _join(values: list[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.stack(values)
    if isinstance(values[0], int | float | tuple):
        return torch.tensor(values)
    return values


class Endless(Sampler[list[Key]]):
    """Batches of keys, epoch after epoch, from a given batch on.

    Args:
        labels: class of each record (None: unlabelled).
        batch_size: keys in a batch, of which each rank is given its share; an epoch's last, smaller batch is left out unless it is the
            only one.
        seed: of the run; an epoch's order depends on it and on the epoch alone.
        balance: as `data.balance`.
        max_repeats: most copies of one record in an epoch, for `augmented_sampler`.
        repeat: all of that so many times over; of a record's copies the first so many are not for balance.
        weights: how often each record comes, relative to others (with balance `sampler`: to others of its class); an epoch is no longer
            for it. None: all alike.

    Raises:
        RecipeError: weights with `augmented_sampler`.
    """

    def __init__(
        self,
        labels: Sequence[int | None],
        batch_size: int,
        seed: int,
        balance: str = "none",
        max_repeats: int = 10,
        repeat: int = 1,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.batch_size, self.seed, self.balance = batch_size, seed, balance
        weights = [1.0] * len(labels) if weights is None else weights
        self.weighted = len(set(weights)) > 1
        if self.weighted and balance == "augmented_sampler":
            raise RecipeError(
                "data.balance=augmented_sampler repeats whole classes and knows no weights of single pictures; "
                "set data.balance=sampler, or leave the weights out"
            )
        counts, shares = Counter(labels), class_weights(zip(labels, weights, strict=True))
        self.weights = torch.tensor([weight / shares[label] for label, weight in zip(labels, weights, strict=True)], dtype=torch.float64)
        self.expected = torch.tensor(weights, dtype=torch.float64) * (len(labels) * repeat / sum(weights))
        largest = max(counts.values())
        repeats = [min(max_repeats, max(1, round(largest / counts[label]))) if balance == "augmented_sampler" else 1 for label in labels]
        self.copies = [(index, number) for index, copies in enumerate(repeats) for number in range(copies * repeat)]
        self.batches = max(1, len(self.copies) // batch_size)
        self.start = (0, 0)
        self.ranks = ranks()

    def epoch(self, epoch: int) -> list[Key]:
        """All keys of an epoch, in order."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        if self.balance == "sampler":
            return _numbered(epoch, torch.multinomial(self.weights, len(self.copies), replacement=True, generator=generator).tolist())
        if self.weighted:
            return _numbered(epoch, self._systematic(generator))
        order = torch.randperm(len(self.copies), generator=generator).tolist()
        return [(epoch, *self.copies[position]) for position in order]

    def _systematic(self, generator: torch.Generator) -> list[int]:
        """Records in random order, each as often as its weight says, rounded up or down by chance.

        Systematic sampling (W. G. Madow and L. H. Madow, Annals of Mathematical Statistics 15, 1944): marks at equal distances over records
        of unequal lengths. Drawn one by one, a third of the records of usual weight would be missing in each epoch.
        """
        order = torch.randperm(len(self.expected), generator=generator)
        ends = self.expected[order].cumsum(0)
        marks = torch.arange(len(self.copies), dtype=torch.float64) + torch.rand((), dtype=torch.float64, generator=generator)
        drawn = order[torch.searchsorted(ends, marks, right=True).clamp(max=len(order) - 1)]
        shuffled: list[int] = drawn[torch.randperm(len(drawn), generator=generator)].tolist()
        return shuffled

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, batch = self.start
        while True:
            keys = self.epoch(epoch)
            for number in range(batch, self.batches):
                yield list(self.ranks.share(keys[number * self.batch_size : (number + 1) * self.batch_size]))
            epoch, batch = epoch + 1, 0


def _numbered(epoch: int, drawn: Iterable[int]) -> list[Key]:
    """Keys of records that may come more than once: copies are numbered, so that they differ."""
    seen: Counter[int] = Counter()
    keys = []
    for index in drawn:
        keys.append((epoch, index, seen[index]))
        seen[index] += 1
    return keys


class Loaders:
    """All that training and evaluation read, after a look at every file.

    Args:
        source: of the records.
        recipe: its `seed`, `split`, `data` and `train.batch_size` are used.
        device_type: "cuda" pins memory and allows more workers.

    Attributes:
        source: as given.
        split: which record is in which part.
        spec: the data as the task sees it.
        notes: what a person should know (from the source, the pre-flight, the split and what its parts share).
        preflight: what the look at the files found.
        batches: training batches in an epoch.
        workers: processes that read.

    Raises:
        DataError: broken files (unless `data.bad_files: skip`), or nothing to train or validate on.
    """

    def __init__(self, source: Source, recipe: Any, device_type: str = "cpu") -> None:
        data = recipe.data
        self.augment = augmentation(data.augment)  # before the files are looked at: a wrong option is told at once
        self.augment_rare = augmentation(data.augment_rare, "data.augment_rare")
        corrupt = corruption(data.corrupt)
        self.finish = Finish(data.binarize, corrupt) if data.binarize or corrupt else None
        self.source, self.data, self.seed, self.batch_size = source, data, recipe.seed, recipe.train.batch_size
        self.pinned = device_type == "cuda"
        self.workers = automatic_workers(device_type) if data.workers == "auto" else data.workers
        self._kept: dict[tuple[str, Ranks], DataLoader[Batch]] = {}
        amendments = amended.read(source, data.quarantine, data.labelled)
        records, self.preflight, notes = usable(source, data.bad_files, amendments)
        self.unlabelled = records.pop("unlabelled", [])
        split = recipe.split
        self.split = splits.divide(records, split.val, split.test, split.seed, split.by, source.labels, source.groups)
        self.notes = [*source.notes, *notes, *self.split.notes, *amendments.apply(source, self.split)]
        if source.masks is not None or source.boxed:
            refuse_for_places(data, "masks" if source.masks is not None else "boxes")
        size = data.size if isinstance(data.size, tuple) else (data.size, data.size)
        self.preprocess = Preprocess(size, data.fit, data.crop)
        train = self.split.parts["train"]
        labels, shown = [record.label for record in train], [record.weight for record in train]
        self.sampler = Endless(labels, self.batch_size, self.seed, data.balance, data.max_repeats, data.repeat, shown)
        if data.mosaic and not source.boxed:
            raise RecipeError(f"data.mosaic={data.mosaic:g}: it is for pictures with boxes, and these have none; leave it out")
        truth = "mask" if source.masks is not None else "boxes" if source.boxed else "label" if source.labels else "none"
        counts = class_counts(train, len(source.labels)) if truth in ("label", "none") else ()
        shares = class_weights(zip(labels, shown, strict=True))
        weights = loss_weights([shares[label] for label in range(len(counts))]) if data.balance == "loss_weights" else ()
        if truth == "none" and data.balance != "none":
            raise RecipeError(f"data.balance={data.balance}: these pictures have no labels, so there is nothing to balance; leave it out")
        self.spec = DataSpec(source.channels, size, source.labels, counts, weights, source.groups, truth, source.attributes)
        self.notes += leaks.notes(source, self.split, data.duplicates)

    @property
    def batches(self) -> int:
        """Training batches in an epoch."""
        return self.sampler.batches

    def stream(self, epoch: int = 0, batch: int = 0) -> Iterator[Batch]:
        """Training batches without end, from batch `batch` of epoch `epoch` on; nothing before it is read."""
        sampler = copy.copy(self.sampler)
        sampler.start = (epoch, batch)
        return checked(DataLoader(self.training_pictures(), batch_sampler=sampler, **self._options()))

    def training_pictures(self) -> Pictures:
        """The samples of the training part as training sees them; `sampler` gives their keys."""
        records, changes = self.split.parts["train"], (self.augment, self.augment_rare)
        return Pictures(self.source, records, self.preprocess, *changes, self.seed, self.finish, self.data.repeat, self.data.mosaic)

    def pictures(self, part: str) -> Pictures:
        """The samples of a part as evaluation sees them."""
        records = self.unlabelled if part == "unlabelled" else self.split.parts[part]
        return Pictures(self.source, records, self.preprocess, finish=self.finish)

    def evaluation(self, part: str, shared: bool = False) -> Iterable[Batch]:
        """The batches of a part in order, without augmentation; each call of `iter` goes through it once.

        Args:
            part: of the data.
            shared: among the processes that train together; this one then sees every `world`-th record only.
        """
        me = ranks() if shared else Ranks()
        if (part, me) not in self._kept:
            pictures = self.pictures(part)
            options = self._options() | {"persistent_workers": self.workers > 0, "sampler": range(me.rank, len(pictures), me.world)}
            self._kept[part, me] = DataLoader(pictures, batch_size=max(1, self.batch_size // me.world), **options)
        return _Checked(self._kept[part, me])

    def parts(self) -> dict[str, list[Record]]:
        """Records by part."""
        return self.split.parts

    def epoch_counts(self) -> tuple[int, ...]:
        """Pictures of each class that one epoch of training sees, after balancing; `()` where classes are not counted."""
        if not self.spec.counts:
            return ()
        train = self.split.parts["train"]
        return class_counts([train[index] for _, index, _ in self.sampler.epoch(0)], len(self.spec.labels))

    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, labels, boxes and crops of all records used, lengths and last bytes of their files, and their masks."""
        digest = hashlib.sha256()
        for name, part in sorted(self.split.parts.items()):
            for record in part:
                facts: tuple[object, ...] = (name, record.id, record.label, self.preflight.marks[record.path])
                if record.attributes is not None:
                    facts += (record.attributes,)
                if record.boxes is not None:
                    facts += (record.boxes,)
                if record.crop is not None:
                    facts += (tuple(record.crop),)
                if record.mask is not None:
                    facts += (record.stratum, self.preflight.marks[record.mask])
                digest.update(repr(facts).encode())
        return digest.hexdigest()

    def _options(self) -> dict[str, Any]:
        # A generator of their own: making an iterator draws a seed, which must not come from the training's stream.
        options = {"num_workers": self.workers, "collate_fn": collate, "pin_memory": self.pinned, "generator": torch.Generator()}
        return options | ({"prefetch_factor": 4, "worker_init_fn": _leave_signals} if self.workers else {})


def _leave_signals(number: int) -> None:
    """Signals often reach every process: Ctrl-C those of a terminal, `timeout` and schedulers those of a job. The training process decides
    what becomes of them, and ends its workers itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):  # Windows, macOS
        return
    parent, deadly = multiprocessing.parent_process(), {signal.SIGTERM, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, deadly)

    def wait() -> None:
        while parent is None or signal.sigwaitinfo(deadly).si_pid != parent.pid:
            pass
        os._exit(0)  # as PyTorch's own handler does: any other code would be taken for a crash

    threading.Thread(target=wait, daemon=True).start()


class _Checked:
    """A loader that raises the errors its workers met."""

    def __init__(self, loader: DataLoader[Batch]) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return checked(self.loader)


def checked(loader: Iterable[Batch]) -> Iterator[Batch]:
    """Batches, or the DataError that a worker met."""
    for batch in loader:
        if "error" in batch:
            raise batch["error"]
        yield batch


def usable(
    source: Source, bad_files: str, amendments: amended.Amendments | None = None
) -> tuple[dict[str, list[Record]], preflight.Preflight, list[str]]:
    """The records whose files can be read, what the look at all files found, and a note if some were left out.

    Bad files in the quarantine are no news; those of pictures labelled later are left out of `amendments`.

    Raises:
        DataError: there are bad files and `bad_files` is "error", or there are no others.
    """
    changes = amendments or amended.Amendments(frozenset(), [], [])
    every = [record for part in source.records.values() for record in part] + changes.added
    found = preflight.check(every, source.masks)
    meant = {record.path for record in every if record.id not in changes.left_out}
    bad = {path: why for path, why in found.bad.items() if path in meant}
    if bad and (bad_files == "error" or not found.sizes):
        raise preflight.bad_files_error(bad)
    records = {name: [record for record in part if record.path not in found.bad] for name, part in source.records.items()}
    changes.added = [record for record in changes.added if record.path not in found.bad]
    notes = [preflight.skipped_note(bad, source.root)] if bad else []
    return records, found, notes + (preflight.mask_notes(found, source.masks, source.root, source.labels) if source.masks else [])


def refuse_for_places(data: Any, known: str) -> None:
    """Refuse what suits pictures of one class each only.

    Args:
        data: the section of the recipe.
        known: what tells where in a picture something is: "masks" or "boxes".

    Raises:
        RecipeError: names the key of the section `data` and what to do.
    """
    if data.balance != "none":
        raise RecipeError(
            f"data.balance={data.balance}: these pictures have {known} and no class each, so there is nothing to balance; "
            "leave data.balance out" + (" and choose a loss for uneven classes (dice, focal, tversky)" if known == "masks" else "")
        )
    for key in ("binarize", "corrupt"):
        if getattr(data, key):
            raise RecipeError(
                f"data.{key}: these pictures have {known}, which it is not for; leave data.{key} out (data.augment has noise)"
            )
    for number, step in enumerate(data.augment):  # `augment_rare` goes with a balance only
        if step.name in COLOURS_AND_PLACES:
            where = f"data.augment.{number} ({step.name})"
            raise RecipeError(f"{where} cannot move {known} with their pictures; use flip, affine, crop and color instead")


def corruption(steps: Sequence[Any]) -> Transform | None:
    """The transform that spoils pictures; None for an empty list.

    Raises:
        RecipeError: a step moves what is in the picture: its pixels could not be compared with those of the whole one.
    """
    for number, step in enumerate(steps):
        if step.name not in IN_PLACE:
            where = f"data.corrupt.{number} ({step.name})"
            raise RecipeError(f"{where} moves what is in the picture; expected one of {', '.join(IN_PLACE)}; put it into data.augment")
    return augmentation(steps, "data.corrupt")


def class_counts(records: Iterable[Record], classes: int) -> tuple[int, ...]:
    """Records of each class."""
    counts = Counter(record.label for record in records)
    return tuple(counts[label] for label in range(classes))


def class_weights(pairs: Iterable[tuple[int | None, float]]) -> dict[int | None, float]:
    """The weights of each class's records together, of pairs (label, weight); 0 for a class without records."""
    total: dict[int | None, float] = defaultdict(float)
    for label, weight in pairs:
        total[label] += weight
    return total


def loss_weights(counts: Sequence[float]) -> tuple[float, ...]:
    """Weights inverse to the class counts, with mean 1 over the pictures; an empty class weighs 0.

    Args:
        counts: pictures of each class as an epoch shows them: where records have weights, the sums of these.
    """
    filled = sum(count > 0 for count in counts)
    total = sum(counts)
    return tuple(total / (filled * count) if count else 0.0 for count in counts)


def automatic_workers(device_type: str) -> int:
    """On a GPU up to 8 processes; on the CPU the network needs the cores itself, so one reader, two from four cores on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if device_type != "cpu":
        return max(0, min(8, cores - 1))
    return 0 if cores == 1 else 1 if cores < 4 else 2


def to_device(batch: Mapping[str, Any], device: torch.device) -> Batch:
    """Move a batch; there `image` and `clean` become float32 in [0, 1] and `mask` int64, so that bytes travel."""
    moved = {key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for key, value in batch.items()}
    for key in ("image", "clean"):
        if key in moved and moved[key].dtype == torch.uint8:
            moved[key] = moved[key].float().div_(255)
    if "mask" in moved:
        moved["mask"] = moved["mask"].long()
    return moved
