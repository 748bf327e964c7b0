"""A document -> checked sections, and all that is wrong with them at once, each in the words and at the place of the recipe.

Sections with a `name` take the options of what they name; `schedule: cosine` is short for `schedule: {name: cosine}`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError, create_model

from zoo import registry
from zoo.document import Document, Path_, shown
from zoo.errors import ZooError
from zoo.nearest import nearest
from zoo.sections import Backbone, Checkpoint, Data, Expect, Head, Monitor, Player, Plugin, Section, Split, Task, Train

PLAIN: Mapping[str, type[Section]] = {"split": Split, "train": Train, "checkpoint": Checkpoint, "monitor": Monitor, "expect": Expect}
NAMED: Mapping[str, tuple[registry.Kind, type[Section]]] = {
    "data": ("datasets", Data),
    "backbone": ("backbones", Backbone),
    "task": ("tasks", Task),
}
LIBRARIES: Mapping[registry.Kind, tuple[str, str]] = {
    "callbacks": ("PyTorch Lightning", "lightning"),
    "loggers": ("PyTorch Lightning", "lightning"),
    "hooks": ("MMEngine", "mmengine"),
}
"""Whose objects the lists of `train` name, and the engine that knows them."""
JOINING = "combine"
"""The engine of tasks that learn nothing: it puts trained models together."""
S = TypeVar("S", bound=Section)
KEYS = ("question", "seed", "split", "data", "backbone", "task", "train", "checkpoint", "monitor", "synthetic", "expect", "reference")


# ---------------------------------------------------------------- layers


def layered(document: Document, changes: Sequence[str], synthetic: bool) -> Document:
    """The recipe with its `synthetic:` section (if wished) and the changes of the command line laid over it."""
    layer = Document(copy.deepcopy(document.values), dict(document.marks))
    # A change of the section itself comes first, so that the section then lies over the recipe as it would from the file.
    for number, word in enumerate(changes):
        if word.startswith("synthetic"):
            layer.change(word, number)
    over = layer.values.pop("synthetic", None) or {}
    if not isinstance(over, dict):
        layer.report(("synthetic",), f"`synthetic`: expected changes such as `data:`, found {shown(over)}")
    elif synthetic:
        _lay_over(layer, over)
    for number, word in enumerate(changes):
        if not word.startswith("synthetic"):
            layer.change(word, number)
    return layer


def _lay_over(layer: Document, over: Mapping[str, Any]) -> None:
    for path, value in _leaves(over):
        layer.set(path, value, layer.where(("synthetic", *path)))
        below = ("synthetic", *path)
        layer.marks |= {mark[1:]: place for mark, place in layer.marks.items() if mark[: len(below)] == below}


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    """All values that are no sections; a section with a `name` replaces the whole one it lies over, an empty one changes nothing."""
    for key, value in values.items():
        if isinstance(value, dict) and "name" not in value:
            yield from _leaves(value, (*path, key))
        elif path or value is not None:
            yield (*path, key), value


# ---------------------------------------------------------------- checking


def check(document: Document) -> dict[str, Any]:
    """The checked parts of a recipe; what is wrong is added to the document's problems, and its part is None."""
    values = document.values
    for key in values:
        if key == "synthetic":  # `layered` took it away
            document.report((key,), "`synthetic` cannot stand inside itself")
        elif key not in KEYS:
            document.report((key,), f"unknown key `{key}`{nearest(key, KEYS)}; expected one of {', '.join(KEYS)}")
    head = checked_section(Head, (), {key: values[key] for key in Head.model_fields if values.get(key) is not None}, document)
    parts: dict[str, Any] = {key: getattr(head, key, None) for key in Head.model_fields}
    parts |= {key: checked_section(model, (key,), values.get(key), document) for key, model in PLAIN.items() if model is not Train}
    parts |= {key: _named(*named, (key,), values.get(key), document) for key, named in NAMED.items()}
    parts["train"] = _train(values.get("train"), document)
    _check_together(parts, document)
    return parts


def _named(kind: registry.Kind, base: type[Section], path: Path_, values: Any, document: Document) -> Section | None:
    """Check a section that names what it configures."""
    key, values = ".".join(map(str, path)), _as_named(values)
    if values is None and base is Backbone:  # tasks say whether they need one
        return None
    if values is None or (isinstance(values, dict) and "name" not in values):
        document.report(path, f"`{key}.name` is missing: see `zoo list {kind}`")
    elif not isinstance(values, dict):
        document.report(path, f"`{key}`: expected a name or a section, found {shown(values)}; see `zoo list {kind}`")
    elif not isinstance(values["name"], str):
        document.report((*path, "name"), f"`{key}.name`: expected a name, found {shown(values['name'])}; see `zoo list {kind}`")
    elif module := registry.missing(kind, values["name"]):
        document.report(
            (*path, "name"), f"`{values['name']}` in `{key}` needs {module}, which is not installed: install it, or take it out"
        )
    elif not registry.known(kind, values["name"]):
        near = nearest(values["name"], registry.names(kind))
        document.report((*path, "name"), f"unknown name `{values['name']}` in `{key}`{near}; see `zoo list {kind}`")
    else:
        try:
            return checked_section(named_model(kind, values["name"], base), path, values, document)
        except ZooError as error:  # a plugin whose options cannot be read
            document.report((*path, "name"), f"`{key}`: {error}")
    return None


def _train(values: Any, document: Document) -> Train | None:
    """Check `train`. Its players refine the whole of it, and its lists name what plugins bring: only what is named is looked at."""
    apart = ("players", *registry.PLUGGED)
    given = {key: values[key] for key in apart if key in values} if isinstance(values, dict) else {}
    rest = {key: value for key, value in values.items() if key not in given} if given else values
    train = checked_section(Train, ("train",), rest, document)
    checked: dict[str, Any] = {kind: _listed(kind, given[kind], document) for kind in registry.PLUGGED if kind in given}
    if "players" in given:
        checked["players"] = _players(given["players"], rest, train, document)
    return train.model_copy(update=checked) if train else None


def _listed(kind: registry.Kind, values: Any, document: Document) -> tuple[Section, ...]:
    """Check a list of named things of a plugin."""
    path = ("train", kind)
    if not isinstance(values, tuple):
        document.report(path, f"`train.{kind}`: expected a list in [ ], found {shown(values)}")
        return ()
    checked = [_named(kind, Plugin, (*path, number), value, document) for number, value in enumerate(values)]
    return tuple(section for section in checked if section is not None)


def _players(values: Any, general: Any, train: Train | None, document: Document) -> dict[str, Section]:
    """Check what is different for single players: options without a name refine those of all players."""
    path = ("train", "players")
    if not isinstance(values, dict):
        document.report(path, f"`train.players`: expected a section of keys and values, found {shown(values)}")
        return {}
    bases = {key: _base(key, general, train) for key in ("optimizer", "schedule")}
    checked = {}
    for player, own in values.items():
        refined = {key: {**bases[key], **own[key]} for key in bases if _is_nameless(own.get(key))} if isinstance(own, dict) else {}
        checked[player] = checked_section(Player, (*path, player), {**own, **refined} if refined else own, document)
    return {player: section for player, section in checked.items() if section is not None}


def _base(key: str, general: Mapping[str, Any], train: Train | None) -> dict[str, Any]:
    """The optimizer or schedule of all players; while `train` is wrong its name alone, so that nothing is said twice."""
    if train is not None:
        options: dict[str, Any] = getattr(train, key).model_dump()
        return options
    value = _spell_out(Train, {key: {}, **general})[key]
    return {"name": value["name"] if isinstance(value, dict) else Train.model_fields[key].default.name}


def _is_nameless(value: Any) -> bool:
    return isinstance(value, dict) and "name" not in value


@cache
def named_model(kind: registry.Kind, name: str, base: type[Section]) -> type[Section]:
    """The model of a named section: the common keys of its kind and the constructor's options."""
    fields = _fields(name, registry.options(kind, name))
    if kind == "datasets":
        listed = tuple.__class_getitem__((_augmentations(), ...))
        fields |= {key: (listed, base.model_fields[key]) for key in ("augment", "augment_rare", "corrupt")}
    model: type[Section] = create_model(f"{base.__name__}_{name}", __base__=base, **fields)
    return model


@cache
def _augmentations() -> Any:
    """The union of all transforms, told apart by their name."""
    models = [
        create_model(f"Transform_{name}", __base__=Section, **_fields(name, options))
        for name, options in registry.transform_options().items()
    ]
    union: Any = models[0]
    for model in models[1:]:
        union |= model
    return Annotated[union, Field(discriminator="name")]


def _fields(name: str, options: Mapping[str, registry.Option]) -> dict[str, Any]:
    return {"name": (Literal[name], ...)} | {key: (option.type, option.default) for key, option in options.items()}


def _check_together(parts: Mapping[str, Any], document: Document) -> None:
    """What is right by itself and wrong together."""
    split, data, train, task = parts["split"], parts["data"], parts["train"], parts["task"]
    if split and split.val + split.test >= 1:
        document.report(
            ("split", "test"), f"`split.val` + `split.test` = {split.val + split.test:g}: nothing is left to train on; keep it below 1"
        )
    if data and data.augment_rare and data.balance != "augmented_sampler":
        document.report(("data", "augment_rare"), "`data.augment_rare` is used with `data.balance: augmented_sampler` only")
    if train and not registry.known("engines", train.engine):
        names = registry.names("engines")
        near = nearest(train.engine, names)
        document.report(("train", "engine"), f"unknown name `{train.engine}` in `train.engine`{near}; expected one of {', '.join(names)}")
    if train:
        _check_devices(train, document)
        for kind, (library, engine) in LIBRARIES.items():
            if getattr(train, kind) and train.engine != engine:
                document.report(("train", kind), f"`train.{kind}` are {library}'s: set train.engine={engine}, or train.{kind}=[]")
    if task and train and (registry.attribute("tasks", task.name, "learns") is False) != (train.engine == JOINING):
        wished = f"set it to {JOINING}" if train.engine != JOINING else "it is for `task: ensemble`; take lightning, mmengine or loop"
        document.report(("train", "engine"), f"`train.engine` {train.engine}: task `{task.name}` is not made by it; {wished}")
    if task and not registry.attribute("tasks", task.name, "form") and parts["backbone"]:
        document.report(("backbone",), f"task `{task.name}` has no backbone: leave the section `backbone` out")
    if task and registry.attribute("tasks", task.name, "form") and document.values.get("backbone") is None:
        document.report(
            ("task",), f"task `{task.name}` needs a backbone: add `backbone: {{name: resnet18}}`; `zoo list backbones` shows them"
        )


def _check_devices(train: Train, document: Document) -> None:
    """Whether engine, device and batch fit the number of processes."""
    processes = train.devices * train.nodes
    key = "devices" if train.devices > 1 else "nodes"
    if processes > 1 and train.engine == "loop":
        count = getattr(train, key)
        document.report(("train", key), f"`train.{key}` {count}: engine `loop` knows one device: set train.engine to lightning or mmengine")
    if train.devices > 1 and train.device.startswith("cuda:"):
        document.report(
            ("train", "device"), f"`train.device` {train.device} is one GPU and `train.devices` {train.devices}: set train.device=cuda"
        )
    if train.batch_size % processes:
        below = train.batch_size // processes * processes
        near = " or ".join(str(size) for size in (below, below + processes) if size)
        document.report(
            ("train", "batch_size"),
            f"`train.batch_size` {train.batch_size} cannot be divided among {processes} processes "
            f"(`train.devices` {train.devices} x `train.nodes` {train.nodes}): set it to {near}",
        )


# ---------------------------------------------------------------- pydantic


def checked_section(model: type[S], path: Path_, values: Any, document: Document) -> S | None:
    """The checked section, or None and its problems in the document."""
    spelt = _spell_out(model, {} if values is None else values)
    try:
        return model.model_validate(spelt)
    except ValidationError as error:
        found: dict[Path_, list[Any]] = {}
        for item in error.errors(include_url=False):
            found.setdefault((*path, *_place(item["loc"], spelt)), []).append(item)
        for place, items in found.items():
            # Of several forms that a value may have, one that is wrong deeper inside is the one that was meant.
            if not any(other[: len(place)] == place and other != place for other in found):
                document.report(place, _message(place, items, model))
    return None


def _spell_out(model: type[Section], values: Any) -> Any:
    """`{schedule: cosine}` -> `{schedule: {name: cosine}}`, also inside lists; options without a name are the default's."""
    if not isinstance(values, dict):
        return values
    spelt = dict(values)
    for key, field in model.model_fields.items():
        value = spelt.get(key)
        if field.discriminator and isinstance(value, dict):
            spelt[key] = {**({"name": field.default.name} if field.default else {}), **value}
        elif field.discriminator and isinstance(value, str):
            spelt[key] = _as_named(value)
        elif isinstance(value, tuple) and _lists_named(field.annotation):
            spelt[key] = tuple(map(_as_named, value))
    return spelt


def _as_named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _lists_named(annotation: Any) -> bool:
    return any(getattr(inner, "discriminator", None) for part in get_args(annotation) for inner in getattr(part, "__metadata__", ()))


_EXPECTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text (in quotes, if it looks like a number)",
    "tuple_type": "a list in [ ]",
    "dict_type": "a section of keys and values",
    "model_type": "a section of keys and values",
    "model_attributes_type": "a name, or a section with a `name`",
    "missing": "one more value",  # in a list; a missing key has words of its own
    "too_short": "at least {min_length} values",
    "too_long": "at most {max_length} values",
    "string_too_short": "some text",
    "string_unicode": "text of Unicode characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
}
"""Pydantic's kinds of errors in our words."""


def _message(place: Path_, items: Sequence[Any], model: type[Section]) -> str:
    """What is wrong with one value: `x`: expected this or that, found y."""
    item, key = items[0], ".".join(map(str, place))
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = sorted(_model_at(model, item["loc"][:-1]).model_fields)
        return f"unknown key `{key}`{nearest(str(place[-1]), keys)}; expected one of {', '.join(keys)}"
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return f"unknown name `{context['tag']}` in `{key}`{nearest(context['tag'], tags)}; expected one of {', '.join(tags)}"
    if kind in ("missing", "union_tag_not_found") and isinstance(item["loc"][-1], str):
        return f"`{key}` is missing"
    if kind == "union_tag_not_found":
        return f"`{key}.name` is missing: see `zoo list transforms`"
    if kind == "value_error":
        return f"`{key}`: {context['error']}"
    ways = " or ".join(dict.fromkeys(_expected(other) for other in items))
    literals = [word for other in items if other["type"] == "literal_error" for word in other["ctx"]["expected"].split("'")[1::2]]
    return f"`{key}`: expected {ways}, found {shown(item['input'])}{nearest(str(item['input']), literals)}"


def _expected(item: Any) -> str:
    words = _EXPECTED[item["type"]].format(**item.get("ctx", {})) if item["type"] in _EXPECTED else item["msg"]
    return words.replace("False", "false").replace("True", "true")


def _place(loc: Path_, value: Any) -> Path_:
    """Pydantic's location in a value, without the tags and types that it puts between the keys."""
    place: Path_ = ()
    for number, part in enumerate(loc):
        if _holds(value, part):
            place, value = (*place, part), value[part]
        elif number == len(loc) - 1 and isinstance(value, dict) and isinstance(part, str) and part.isidentifier():
            place = (*place, part)  # a key that is missing
    return place


def _holds(value: Any, part: str | int) -> bool:
    return (isinstance(value, dict) and part in value) or (isinstance(value, tuple) and isinstance(part, int) and part < len(value))


def _model_at(model: type[Section], loc: Path_) -> type[BaseModel]:
    """The model in which pydantic met a key that it does not know."""
    choices: list[type[BaseModel]] = [model]
    for part in loc:
        tagged = [
            choice for choice in choices if "name" in choice.model_fields and part in get_args(choice.model_fields["name"].annotation)
        ]
        if tagged:
            choices = tagged
        elif part in choices[0].model_fields:
            choices = _models(choices[0].model_fields[str(part)].annotation)
    return choices[0]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
