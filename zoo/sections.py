"""The sections of a recipe: their keys, types, bounds and defaults. What a source, backbone or task adds comes from its constructor."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0)]
Count = Annotated[int, Ge(1), Lt(2**31)]
Seed = Annotated[int, Ge(0), Lt(2**32)]
Text = Annotated[str, MinLen(1)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, numbers are finite, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Head(Section):
    """What stands in a recipe outside of its sections."""

    question: str = Field("", description="what the project asks, in one sentence")
    seed: Seed = Field(0, description="seed of weights, order and augmentation")
    reference: tuple[Reference, ...] = Field((), description="numbers that others report; never tested")


class Split(Section):
    """How labelled pictures are divided; a data set with its own parts keeps them."""

    seed: Seed = Field(0, description="seed of the split alone, so that repeats over `seed` keep one split")
    val: Annotated[float, Gt(0), Lt(1)] = Field(0.2, description="part of the labelled pictures that validates")
    test: Fraction = Field(0.0, description="part of the labelled pictures kept for the final test")
    by: Literal["auto", "group", "random"] = Field("auto", description="auto: by group where the data has groups, else stratified by label")


class Data(Section):
    """What is read and how a picture becomes a tensor; a source adds its own options."""

    name: str
    root: Text | None = Field(None, description="folder, relative to $ZOO_DATA; default: the source's name")
    size: Count | tuple[Count, Count] = Field(224, description="pixels: side of a square, or [height, width]")
    fit: Literal["crop", "squash", "pad"] = Field(
        "crop", description="crop: short side and centre crop; squash: ignore the aspect; pad: long side and border"
    )
    crop: Annotated[float, Gt(0), Le(1)] = Field(0.875, description="with fit crop: the part of the resized picture that is kept")
    augment: tuple[Any, ...] = Field((), description="transforms of training pictures, in order")
    augment_rare: tuple[Any, ...] = Field((), description="transforms of the repeats that balance: augmented_sampler adds")
    binarize: bool = Field(
        False, description="each pixel becomes black or white by chance, its grey the chance of white; for evaluation once for all"
    )
    corrupt: tuple[Any, ...] = Field((), description="transforms that spoil all pictures, which are then to be made whole again")
    balance: Literal["none", "loss_weights", "sampler", "augmented_sampler"] = Field(
        "none", description="what is done about unequal classes"
    )
    max_repeats: Count = Field(10, description="with balance augmented_sampler: most copies of one picture in an epoch")
    repeat: Annotated[int, Ge(1), Le(1000)] = Field(
        1, description="how often each training picture comes in an epoch, augmented anew: fewer and longer epochs for few pictures"
    )
    mosaic: Annotated[float, Ge(0), Le(1)] = Field(
        0.0, description="of pictures with boxes: the chance that four training pictures are put together in one"
    )
    workers: Annotated[int, Ge(0)] | Literal["auto"] = Field(
        "auto", description="processes that read pictures; 0 reads in the training process"
    )
    synthetic: Literal["auto", "always", "never"] = Field("auto", description="auto: draw data when `root` does not exist")
    bad_files: Literal["error", "skip"] = Field("error", description="skip: leave broken pictures out, count and report them")
    duplicates: Literal["auto", "always", "never"] = Field(
        "auto", description="count near duplicates across parts before training; auto: unless more than 30,000 pictures are new"
    )
    quarantine: Text | None = Field(None, description="file of records to leave out, as zoo doctor writes it, relative to $ZOO_DATA")
    labelled: Text | None = Field(
        None, description="file of the labelling page: its pictures join the training part; relative to $ZOO_DATA"
    )


class Backbone(Section):
    """The network that turns pictures into features: zoo's own, or any of timm's."""

    name: str
    pretrained: Literal["torchvision", "timm", "prefer", False] = Field(
        "prefer", description="whose weights to start from; prefer: the best that can be had, else random ones, and say so"
    )


class Task(Section):
    """What is learnt; a task adds its own options."""

    name: str


class SGD(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Ge(0)] = 0.0


class Adam(Section):
    """Adam (Kingma & Ba 2014); its weight decay is added to the gradient."""

    name: Literal["adam"]
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Annotated[float, Ge(0)] = 0.0


class AdamW(Section):
    """Adam with weight decay apart from the gradient (Loshchilov & Hutter 2017)."""

    name: Literal["adamw"] = "adamw"
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Annotated[float, Ge(0)] = 0.01


class RMSprop(Section):
    """RMSprop (Hinton 2012)."""

    name: Literal["rmsprop"]
    smoothing: Fraction = 0.99
    momentum: Fraction = 0.0
    weight_decay: Annotated[float, Ge(0)] = 0.0


Optimizer = SGD | Adam | AdamW | RMSprop


class Schedule(Section):
    """Base of the learning-rate schedules; lengths are in epochs and may be fractions."""

    warmup: Annotated[float, Ge(0)] = Field(0.0, description="epochs of linear rise from zero")


class Constant(Schedule):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"


class Step(Schedule):
    """The rate is multiplied by `gamma` every so many epochs."""

    name: Literal["step"]
    every: Positive = 10.0
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1


class MultiStep(Schedule):
    """The rate is multiplied by `gamma` at each of these epochs."""

    name: Literal["multistep"]
    at: tuple[Positive, ...] = (30.0, 60.0)
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1


class Cosine(Schedule):
    """Half a cosine wave down to `final` (Loshchilov & Hutter 2016)."""

    name: Literal["cosine"]
    final: Fraction = Field(0.0, description="the last rate as a part of the first")


class OneCycle(Section):
    """Up and down once, by batches (Smith 2017)."""

    name: Literal["one_cycle"]
    rise: Annotated[float, Gt(0), Lt(1)] = Field(0.3, description="part of the training in which the rate rises")
    start: Positive = Field(25.0, description="the first rate is lr / start")
    end: Positive = Field(10000.0, description="the last rate is lr / start / end")


class Plateau(Schedule):
    """The rate is multiplied by `factor` when `metric` stands still."""

    name: Literal["plateau"]
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(0)] = Field(10, description="epochs without improvement that are waited for")
    metric: str | None = Field(None, description="default: the recipe's monitor")
    mode: Literal["max", "min"] = Field("max", description="of `metric`; without one the monitor's")
    min_delta: Annotated[float, Ge(0)] = 0.0


LrSchedule = Constant | Step | MultiStep | Cosine | OneCycle | Plateau


class Player(Section):
    """What is different for one player of a task with several, such as a GAN's `generator`; null: as for all players."""

    optimizer: Annotated[Optimizer | None, Field(discriminator="name")] = Field(None, description="default: train.optimizer")
    lr: Positive | None = Field(None, description="default: train.lr")
    schedule: Annotated[LrSchedule | None, Field(discriminator="name")] = Field(None, description="default: train.schedule")
    ema: Fraction | None = Field(None, description="default: train.ema")


class Plugin(Section):
    """A callback, logger or hook that an installed package brings; it adds its own options."""

    name: str


class Train(Section):
    """How the weights are found."""

    engine: str = Field("lightning", description="what drives the training step: results do not depend on it")
    device: Literal["auto", "cpu", "cuda"] | Annotated[str, Field(pattern="^cuda:[0-9]{1,3}$")] = Field(
        "auto", description="where to compute"
    )
    devices: Count = Field(1, description="processes on this machine, one a GPU; batch_size is divided among them")
    nodes: Count = Field(1, description="machines; see docs/many_gpus.md")
    epochs: Count = 10
    batch_size: Count = 32
    max_steps: Count | None = Field(None, description="stop after so many batches, for a trial")
    optimizer: Annotated[Optimizer, Field(discriminator="name")] = Field(AdamW(), description="what lowers the loss")
    lr: Positive = 1e-3
    schedule: Annotated[LrSchedule, Field(discriminator="name")] = Field(Constant(warmup=0.0), description="the rate over time")
    players: dict[str, Player] = Field({}, description="what is different for one of several players, by the name that the task gives it")
    clip: Positive | None = Field(None, description="largest norm of the gradients")
    accumulate: Count = Field(1, description="batches whose gradients are averaged before a step")
    ema: Fraction | None = Field(None, description="decay of the averaged weights that are validated and kept, e.g. 0.999")
    precision: Literal[32, "bf16", 16] = 32
    compile: bool = False
    channels_last: bool | Literal["auto"] = Field(
        "auto", description="the order in memory in which most networks are faster; auto: on GPUs, and on CPUs from 96 pixels on"
    )
    deterministic: Literal["off", "warn", "strict"] = Field(
        "off", description="on GPUs: only operations that give equal results each time; the CPU's do so anyway"
    )
    on_oom: Literal["stop", "halve"] = Field(
        "stop", description="when memory does not suffice: stop and say so, or go on with batches in portions"
    )
    log_every: Count = Field(20, description="steps between two readings of the losses from the device")
    log_gradients: bool = Field(False, description="also log the norm of each player's gradients")
    tensorboard: bool = Field(False, description="also write events for TensorBoard into the run's folder")
    callbacks: tuple[Any, ...] = Field((), description="of PyTorch Lightning, with engine lightning; see docs/plugins.md")
    loggers: tuple[Any, ...] = Field((), description="of PyTorch Lightning, with engine lightning; see docs/plugins.md")
    hooks: tuple[Any, ...] = Field((), description="of MMEngine, with engine mmengine; see docs/plugins.md")


class Checkpoint(Section):
    """How often the training state is saved, and which epochs' weights and predictions are kept beside the best."""

    every: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6} ?(s|min|h|steps?|epochs?)$")] = Field(
        "1 epoch", description="such as 10min, 500 steps or 1 epoch; also when a training stops or ends"
    )
    keep_epochs: tuple[Count, ...] = Field((), description="epochs whose weights are kept: zoo.load('name@18')")
    keep_predictions: Annotated[int, Ge(0), Lt(2**31)] = Field(
        100, description="of a classifier: MB for what it answers on val after each epoch, of every n-th epoch if not all fit; 0: none"
    )


class Monitor(Section):
    """The number that chooses the best epoch and stops early."""

    metric: str = "val/accuracy"
    mode: Literal["max", "min"] = "max"
    patience: Count | None = Field(None, description="epochs without improvement before training stops")
    min_delta: Annotated[float, Ge(0)] = Field(0.0, description="what counts as an improvement for `patience`")


class Bound(Section):
    """What a metric of our own runs should reach."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Bound:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min:g} is above `max` {self.max:g}: swap them")
        return self


class Expect(Section):
    """Measured and tested bounds; synthetic and real data never share one."""

    synthetic: dict[str, Bound] = {}
    real: dict[str, Bound] = {}


class Reference(Section):
    """A number that others report. Never tested."""

    metric: str
    value: float
    source: str
    certainty: Literal["V", "C", "N", "S", "M"] = Field(
        description="V read in the original, C recomputed, N from a similar solution, S only a summary says it, M unconfirmed"
    )
