"""Recipe: a YAML file, its changes from the command line -> checked, frozen values, or all that is wrong with them at once.

The order of values is: the recipe < its `synthetic:` section (when drawn data is read) < `key=value` of the command line.
Sections with a `name` take the options of what they name; `schedule: cosine` is short for `schedule: {name: cosine}`.
No torch here: checking a recipe is cheap.
"""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from zoo import paths, registry
from zoo.document import Document, Path_, Problem, parse, parse_value, read_text
from zoo.errors import RecipeError

Fraction = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0)]
Count = Annotated[int, Ge(1)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, numbers are finite, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Split(Section):
    """How labelled pictures are divided; a data set with its own parts keeps them."""

    seed: int = Field(0, description="seed of the split alone, so that repeats over `seed` keep one split")
    val: Annotated[float, Gt(0), Lt(1)] = Field(0.2, description="part of the labelled pictures that validates")
    test: Fraction = Field(0.0, description="part of the labelled pictures kept for the final test")
    by: Literal["auto", "group", "random"] = Field("auto", description="auto: by group where the data has groups, else stratified by label")


class Data(Section):
    """What is read and how a picture becomes a tensor; a source adds its own options."""

    name: str
    root: str | None = Field(None, description="folder, relative to $ZOO_DATA; default: the source's name")
    size: Count | tuple[Count, Count] = Field(224, description="pixels: side of a square, or [height, width]")
    fit: Literal["crop", "squash", "pad"] = Field("crop", description="crop: short side and centre crop; squash: ignore the aspect; pad: long side and border")
    crop: Annotated[float, Gt(0), Le(1)] = Field(0.875, description="with fit crop: the part of the resized picture that is kept")
    augment: tuple[Any, ...] = Field((), description="transforms of training pictures, in order")
    augment_rare: tuple[Any, ...] = Field((), description="transforms of the repeats that balance: augmented_sampler adds")
    balance: Literal["none", "loss_weights", "sampler", "augmented_sampler"] = Field("none", description="what is done about unequal classes")
    max_repeats: Count = Field(10, description="with balance augmented_sampler: most copies of one picture in an epoch")
    workers: Annotated[int, Ge(0)] | Literal["auto"] = Field("auto", description="processes that read pictures; 0 reads in the training process")
    synthetic: Literal["auto", "always", "never"] = Field("auto", description="auto: draw data when `root` does not exist")
    bad_files: Literal["error", "skip"] = Field("error", description="skip: leave broken pictures out, count and report them")


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
    name: Literal["sgd"]
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Ge(0)] = 0.0


class Adam(Section):
    name: Literal["adam"]
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Annotated[float, Ge(0)] = 0.0


class AdamW(Section):
    name: Literal["adamw"]
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Annotated[float, Ge(0)] = 0.01


class RMSprop(Section):
    name: Literal["rmsprop"]
    smoothing: Fraction = 0.99
    momentum: Fraction = 0.0
    weight_decay: Annotated[float, Ge(0)] = 0.0


Optimizer = SGD | Adam | AdamW | RMSprop


class Schedule(Section):
    """Base of the learning-rate schedules; lengths are in epochs and may be fractions."""

    warmup: Annotated[float, Ge(0)] = Field(0.0, description="epochs of linear rise from zero")


class Constant(Schedule):
    name: Literal["constant"]


class Step(Schedule):
    name: Literal["step"]
    every: Positive = 10.0
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1


class MultiStep(Schedule):
    name: Literal["multistep"]
    at: tuple[Positive, ...] = (30.0, 60.0)
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1


class Cosine(Schedule):
    name: Literal["cosine"]
    final: Fraction = Field(0.0, description="the last rate as a part of the first")


class OneCycle(Section):
    name: Literal["one_cycle"]
    rise: Annotated[float, Gt(0), Lt(1)] = Field(0.3, description="part of the training in which the rate rises")
    start: Positive = Field(25.0, description="the first rate is lr / start")
    end: Positive = Field(10000.0, description="the last rate is lr / start / end")


class Plateau(Schedule):
    name: Literal["plateau"]
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(0)] = Field(10, description="epochs without improvement that are waited for")
    metric: str | None = Field(None, description="default: the recipe's monitor")
    mode: Literal["max", "min"] = Field("max", description="of `metric`; without one the monitor's")
    min_delta: Annotated[float, Ge(0)] = 0.0


LrSchedule = Constant | Step | MultiStep | Cosine | OneCycle | Plateau


class Train(Section):
    """How the weights are found."""

    engine: str = Field("loop", description="what drives the training step")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    epochs: Count = 10
    batch_size: Count = 32
    max_steps: Count | None = Field(None, description="stop after so many batches, for a trial")
    optimizer: Annotated[Optimizer, Field(discriminator="name")] = Field(AdamW(name="adamw"), description="what lowers the loss")
    lr: Positive = 1e-3
    schedule: Annotated[LrSchedule, Field(discriminator="name")] = Field(Constant(name="constant"), description="the rate over time")
    clip: Positive | None = Field(None, description="largest norm of the gradients")
    accumulate: Count = Field(1, description="batches whose gradients are averaged before a step")
    ema: Fraction | None = Field(None, description="decay of the averaged weights that are validated and kept, e.g. 0.999")
    precision: Literal[32, "bf16", 16] = 32
    compile: bool = False
    channels_last: bool | Literal["auto"] = "auto"
    log_every: Count = Field(20, description="steps between two readings of the losses from the device")
    tensorboard: bool = Field(False, description="also write events for TensorBoard into the run's folder")


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


TOP = ("question", "seed", "split", "data", "backbone", "task", "train", "monitor", "synthetic", "expect", "reference")


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. Sections with a name hold the options of what they name (`options`)."""

    name: str
    question: str
    seed: int
    split: Split
    data: Data
    backbone: Backbone | None
    task: Task
    train: Train
    monitor: Monitor
    expect: Expect
    reference: tuple[Reference, ...]
    synthetic: bool

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = ()) -> Recipe:
        """Read a recipe by path or bare name, with `key=value` changes.

        Raises:
            RecipeError: everything that is wrong, one line each.
        """
        file = find(path)
        try:
            text = read_text(file)
        except (OSError, ValueError) as error:
            raise RecipeError(f"{file}: cannot be read: {error}") from error
        return cls.parse(text, str(path if Path(path).suffix else file), file.stem, changes)

    @classmethod
    def parse(cls, text: str, file: str, name: str, changes: Sequence[str] = ()) -> Recipe:
        """Check the text of a recipe; `file` is the name that stands in its errors, `name` the recipe's own."""
        document = parse(text, file)
        written = _layer(document, changes, synthetic=False)
        drawn = _layer(document, changes, synthetic=True)
        problems = [*document.problems, *written.problems, *drawn.problems]
        parts, found = _check(written)
        parts_drawn, found_drawn = _check(drawn)
        problems += [*found, *found_drawn]
        if problems:
            lines = dict.fromkeys(str(problem) for problem in sorted(problems, key=lambda problem: problem.position))
            raise RecipeError("\n".join(lines))
        synthetic = reads_synthetic(parts["data"])
        return cls(name=name, synthetic=synthetic, **(parts_drawn if synthetic else parts))

    def changed(self, changes: Sequence[str]) -> Recipe:
        """This recipe with `key=value` changes.

        Raises:
            RecipeError: as `read`.
        """
        return Recipe.parse(self.to_yaml(), self.name, self.name, changes)

    def root(self) -> Path:
        """The folder that real data is read from."""
        return data_root(self.data)

    def to_yaml(self) -> str:
        """The effective recipe with every default, as a recipe that can be read again."""
        plain: dict[str, Any] = {"question": self.question, "seed": self.seed}
        for key in ("split", "data", "backbone", "task", "train", "monitor", "expect"):
            section = getattr(self, key)
            if section is not None:
                plain[key] = section.model_dump(mode="json")
        plain["reference"] = [reference.model_dump(mode="json") for reference in self.reference]
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def options(section: Section) -> dict[str, Any]:
    """The values of a named section that its class takes: all but those every section of the kind has."""
    common = next(base for base in type(section).__mro__ if base in (Data, Backbone, Task)).model_fields
    return {key: getattr(section, key) for key in type(section).model_fields if key not in common}


def find(path: str | Path) -> Path:
    """The file of a recipe given as a path or a bare name.

    Raises:
        RecipeError: neither; names the nearest recipe.
    """
    if Path(path).is_file():
        return Path(path)
    known = paths.recipes()
    if str(path) in known:
        return known[str(path)]
    folders = ", ".join(str(folder) for folder in paths.recipe_folders()) or "no recipes folder"
    raise RecipeError(f"{path}: no such recipe{nearest(Path(path).stem, known)}. Looked in {folders}; `zoo list` shows them all.")


def data_root(data: Data) -> Path:
    """`data.root` below `$ZOO_DATA`, or the source's name there."""
    return paths.data() / Path(data.root if data.root is not None else data.name).expanduser()


def reads_synthetic(data: Data) -> bool:
    """Whether drawn data will be read: by wish, because there is no real data, or because `root` itself is drawn."""
    root = data_root(data)
    if data.synthetic == "auto":
        return not root.exists() or (root / "SYNTHETIC.json").is_file()
    return data.synthetic == "always"


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean ...?)`, or nothing when no word is near."""
    close = difflib.get_close_matches(word, list(words), n=20, cutoff=0.6)
    if not close:
        return ""
    # Of equally near names the standard one: timm's width multiplier 1.0 is spelt _100.
    best = min(close, key=lambda name: (-difflib.SequenceMatcher(None, word, name).ratio(), not name.endswith("_100"), name))
    return f" (did you mean `{best}`?)"


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of recipes: keys, types, bounds and the names that are known."""
    plain: dict[str, type[Section]] = {"split": Split, "train": Train, "monitor": Monitor, "expect": Expect}
    schemas: dict[str, Any] = {key: _schema(model) for key, model in plain.items()}
    kinds: dict[str, tuple[registry.Kind, type[Section]]] = {"data": ("datasets", Data), "task": ("tasks", Task), "backbone": ("backbones", Backbone)}
    for key, (kind, base) in kinds.items():
        own = [_schema(_model(kind, name, base)) for name in registry.names(kind) if (kind, registry.entry(kind, name).cls) != ("backbones", "TimmBackbone")]
        if key == "backbone":
            any_timm = _schema(_model(kind, "resnet18", base))
            any_timm["properties"]["name"] = {"enum": list(registry.names(kind)), "type": "string"}
            own.append(any_timm)
        schemas[key] = {"anyOf": [{"type": "string", "enum": registry.names(kind)}, *own]}
    schemas["question"] = {"type": "string", "description": "what the project asks, in one sentence"}
    schemas["seed"] = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
    schemas["reference"] = {"type": "array", "items": _schema(Reference)}
    schemas["synthetic"] = {"type": "object", "description": "changes of the sections above for drawn data"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo recipe",
        "type": "object",
        "properties": {key: schemas[key] for key in TOP},
        "required": ["data", "task"],
        "additionalProperties": False,
    }


def _schema(model: type[Section]) -> dict[str, Any]:
    """A section's schema without `$defs`, so that it can stand inside another; names may stand for sections."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(definitions[value["$ref"].rpartition("/")[2]])
        if "discriminator" in value:
            short = {"type": "string", "enum": sorted(value["discriminator"]["mapping"])}
            return {"anyOf": [short, *inline(value["oneOf"])]} | {key: value[key] for key in ("default", "description") if key in value}
        return {key: inline(inner) for key, inner in value.items()}

    inlined: dict[str, Any] = inline(schema)
    return inlined


# ---------------------------------------------------------------- layers


def _layer(document: Document, changes: Sequence[str], synthetic: bool) -> Document:
    """The recipe with its `synthetic:` section (if wished) and the changes of the command line laid over it."""
    layer = Document(copy.deepcopy(document.values), dict(document.marks))
    over = layer.values.pop("synthetic", None)
    if over is not None and not isinstance(over, dict):
        layer.problems.append(Problem(document.where(("synthetic",)), f"expected changes such as `data:`, found {over!r}"))
    elif over and synthetic:
        for path, value in _leaves(over):
            layer.set(path, value, document.where(("synthetic", *path)))
            _move_marks(document, layer, path)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            layer.problems.append(Problem(f"command line, `{change}`", "expected key=value, such as train.epochs=3"))
            continue
        path = tuple(key.split("."))
        layer.set(path, parse_value(text, change, layer), f"command line, `{change}`")
    return layer


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    """All values that are no sections; a section with a `name` replaces the whole one it lies over."""
    for key, value in values.items():
        if isinstance(value, dict) and "name" not in value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _move_marks(document: Document, layer: Document, path: tuple[str, ...]) -> None:
    below = ("synthetic", *path)
    for mark, place in document.marks.items():
        if mark[: len(below)] == below:
            layer.marks[mark[1:]] = place


# ---------------------------------------------------------------- checking


def _check(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    values, problems, parts = document.values, [], {}
    for key in values:
        if key not in TOP:
            problems.append(Problem(document.where((key,)), f"unknown key `{key}`{nearest(key, TOP)}; expected one of {', '.join(TOP)}"))
    parts["question"] = _text(document, problems)
    parts["seed"] = _seed(document, problems)
    plain: dict[str, type[Section]] = {"split": Split, "train": Train, "monitor": Monitor, "expect": Expect}
    for key, model in plain.items():
        parts[key] = _section(model, (key,), values.get(key, {}), document, problems)
    parts["data"] = _named("datasets", Data, ("data",), document, problems)
    parts["task"] = _named("tasks", Task, ("task",), document, problems)
    parts["backbone"] = _named("backbones", Backbone, ("backbone",), document, problems) if values.get("backbone") is not None else None
    listed = values.get("reference", ())
    if not isinstance(listed, tuple):
        problems.append(Problem(document.where(("reference",)), "expected a list of numbers that others report"))
        listed = ()
    parts["reference"] = tuple(_section(Reference, ("reference", n), value, document, problems) for n, value in enumerate(listed))
    problems += _joint(parts, document)
    return parts, problems


def _text(document: Document, problems: list[Problem]) -> str:
    value = document.values.get("question", "")
    if not isinstance(value, str):
        problems.append(Problem(document.where(("question",)), f"expected a sentence, found {value!r}"))
    return str(value)


def _seed(document: Document, problems: list[Problem]) -> int:
    value = document.values.get("seed", 0)
    if type(value) is not int or not 0 <= value < 2**32:
        problems.append(Problem(document.where(("seed",)), f"expected a whole number from 0 to {2**32 - 1}, found {value!r}"))
        return 0
    return value


def _named(kind: registry.Kind, base: type[Section], path: Path_, document: Document, problems: list[Problem]) -> Section | None:
    """Check a section that names what it configures."""
    values = document.values.get(str(path[0]))
    if isinstance(values, str):
        values = {"name": values}
    if values is None or (isinstance(values, dict) and "name" not in values):
        problems.append(Problem(document.where(path), f"`{path[0]}.name` is missing: see `zoo list {kind}`"))
        return None
    if not isinstance(values, dict):
        problems.append(Problem(document.where(path), f"expected a name or a section, found {values!r}"))
        return None
    name = values["name"]
    if not isinstance(name, str) or not registry.known(kind, name):
        near = nearest(str(name), registry.names(kind))
        problems.append(Problem(document.where((*path, "name")), f"unknown name `{name}` in `{path[0]}`{near}; see `zoo list {kind}`"))
        return None
    return _section(_model(kind, name, base), path, values, document, problems)


@cache
def _model(kind: registry.Kind, name: str, base: type[Section]) -> type[Section]:
    """The model of a named section: the common keys of its kind and the constructor's options."""
    fields: dict[str, Any] = {key: (option.type, option.default) for key, option in registry.options(kind, name).items()}
    fields["name"] = (Literal[name], name)
    if kind == "datasets":
        augment = _augmentations()
        fields |= {key: (tuple[augment, ...], base.model_fields[key]) for key in ("augment", "augment_rare")}
    return create_model(f"{base.__name__}_{name}", __base__=base, **fields)


@cache
def _augmentations() -> Any:
    """The union of all transforms, told apart by their name."""
    models = []
    for name, known in registry.transform_options().items():
        fields: dict[str, Any] = {key: (option.type, option.default) for key, option in known.items()}
        models.append(create_model(f"Transform_{name}", __base__=Section, name=(Literal[name], name), **fields))
    union: Any = models[0]
    for model in models[1:]:
        union |= model
    return Annotated[union, Field(discriminator="name")]


def _section(model: type[Section], path: Path_, values: Any, document: Document, problems: list[Problem]) -> Any:
    if values is None:
        values = {}
    try:
        return model.model_validate(_spell_out(model, values))
    except ValidationError as error:
        places: dict[str, list[str]] = {}
        for item in error.errors(include_url=False):
            problem = _translate(item, model, path, document)
            places.setdefault(problem.where, []).append(problem.message)
        problems += [Problem(where, _either(messages)) for where, messages in places.items()]
    return None


def _either(messages: list[str]) -> str:
    """One message of those for the alternatives of one value: `x`: should be this, or that, found y."""
    if len(messages) == 1:
        return messages[0]
    ways = [message.partition(": ")[2].rpartition(", found ")[0] for message in messages]
    if not all(ways):
        return "; ".join(messages)
    return f"{messages[0].partition(': ')[0]}: {', or '.join(ways)}, found {messages[0].rpartition(', found ')[2]}"


def _spell_out(model: type[Section], values: Any) -> Any:
    """`{schedule: cosine}` -> `{schedule: {name: cosine}}`, also inside lists, wherever sections with names are expected."""
    if not isinstance(values, dict):
        return values
    spelt = dict(values)
    for key, field in model.model_fields.items():
        if key in spelt and _holds_named(field):
            value = spelt[key]
            spelt[key] = tuple(_as_named(item) for item in value) if isinstance(value, tuple) else _as_named(value)
    return spelt


def _as_named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _holds_named(field: Any) -> bool:
    inner = [field, *(getattr(part, "__metadata__", [None])[0] for part in get_args(field.annotation))]
    return any(getattr(part, "discriminator", None) for part in inner)


def _translate(item: Any, model: type[Section], path: Path_, document: Document) -> Problem:
    """One of pydantic's errors in the words and places of a recipe."""
    place, kind, context = (*path, *_place(item["loc"], path, document)), item["type"], item.get("ctx", {})
    key = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        keys = _keys(model, item["loc"][:-1])
        message = f"unknown key `{key}`{nearest(str(place[-1]), keys)}; expected one of {', '.join(sorted(keys))}"
    elif kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        message = f"unknown name `{context['tag']}` in `{key}`{nearest(context['tag'], tags)}; expected one of {', '.join(tags)}"
    elif kind == "union_tag_not_found":
        message = f"`{key}.name` is missing"
    elif kind == "missing":
        message = f"`{key}` is missing"
    elif kind == "literal_error":
        near = nearest(str(item["input"]), context["expected"].replace("'", " ").split())
        message = f"`{key}`: expected {context['expected']}, found {item['input']!r}{near}"
    else:
        message = f"`{key}`: {item['msg'][0].lower()}{item['msg'][1:]}, found {item['input']!r}"
    return Problem(document.where(place), message)


def _place(loc: tuple[str | int, ...], path: Path_, document: Document) -> Path_:
    """Pydantic's location without the tags and types that it puts between the keys."""
    place: Path_ = ()
    value: Any = _at(document.values, path)
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        inside = (isinstance(value, dict) and part in value) or (isinstance(value, tuple) and isinstance(part, int) and part < len(value))
        if inside:
            place, value = (*place, part), value[part]
        elif last and isinstance(value, dict) and isinstance(part, str) and part.isidentifier():
            place = (*place, part)  # a key that is missing
    return place


def _at(values: Any, path: Path_) -> Any:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _keys(model: type[Section], loc: tuple[str | int, ...]) -> list[str]:
    """The keys that are known where pydantic met an unknown one."""
    choices: list[Any] = [model]
    for part in loc:
        tagged = [choice for choice in choices if "name" in choice.model_fields and part in get_args(choice.model_fields["name"].annotation)]
        if tagged:
            choices = tagged
        elif len(choices) == 1 and part in choices[0].model_fields:
            choices = _submodels(choices[0].model_fields[part].annotation)
    return list(choices[0].model_fields)


def _submodels(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _submodels(part)]


def _joint(parts: Mapping[str, Any], document: Document) -> list[Problem]:
    """What is right by itself and wrong together."""
    problems = []
    split, data, train = parts["split"], parts["data"], parts["train"]
    if split and split.val + split.test >= 1:
        problems.append(Problem(document.where(("split", "test")), f"`split.val` + `split.test` = {split.val + split.test:g}: nothing is left to train on"))
    if data and data.augment_rare and data.balance != "augmented_sampler":
        problems.append(Problem(document.where(("data", "augment_rare")), "`data.augment_rare` is used with `data.balance: augmented_sampler` only"))
    if train and not registry.known("engines", train.engine):
        near = nearest(train.engine, registry.names("engines"))
        known = ", ".join(registry.names("engines"))
        problems.append(Problem(document.where(("train", "engine")), f"unknown name `{train.engine}` in `train.engine`{near}; expected one of {known}"))
    if train and not _is_device(train.device):
        problems.append(Problem(document.where(("train", "device")), f"`train.device`: expected auto, cpu, cuda or cuda:N, found {train.device!r}"))
    for kind in ("synthetic", "real"):
        for metric, bound in (getattr(parts["expect"], kind) if parts["expect"] else {}).items():
            low, high = bound.min if bound.min is not None else -math.inf, bound.max if bound.max is not None else math.inf
            if low > high:
                problems.append(Problem(document.where(("expect", kind, metric)), f"`min` {low:g} is above `max` {high:g}"))
    return problems


def _is_device(device: str) -> bool:
    kind, _, number = device.partition(":")
    return device in ("auto", "cpu", "cuda", "mps") or (kind == "cuda" and number.isdigit())
