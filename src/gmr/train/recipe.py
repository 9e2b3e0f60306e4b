"""A recipe: everything one training run is made of, on one page of TOML."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from gmr.core.config import load_config
from gmr.core.errors import ConfigError
from gmr.metrics.measures import parse_measure
from gmr.modeling.heads import HeadConfig
from gmr.objectives import ObjectiveConfig
from gmr.train.sampling import SamplingConfig


@dataclass(frozen=True)
class ModelSection:
    """The model to start from and how it reads a prompt.

    Attributes:
        base: Folder, hub id, or a packaged name such as ``gmr-nano-base``.
        base_init: ``checkpoint`` starts from the base's weights; ``random`` from weights drawn anew, with
            ``training.seed``, for a backbone of the same configuration: its tokenizer is all that is kept.
        template: Prompt template; None takes the one the base brings.
        readout: What the trained model scores with: ``yes_minus_no``, ``yes``, or of graded answers
            ``expectation_odds``, ``expectation``, ``scored_argmax``; None takes the base's.
        positive_answers: Answers that mean relevant, each one token after the prompt; None takes the template's.
            ``objective.num_positive`` counts them.
        negative_answers: The same of those that mean not relevant.
        answers: Set of answers by name, such as ``grades_0_9``, both sides of it; None takes those of the base or
            template.
        max_tokens: Longest prompt in tokens; None takes the base's.
        dtype: Of the weights that are loaded. Trainable ones are kept in float32 in any case.
        engine: ``packed`` computes what the prompts of a batch share once and pads nothing, ``padded`` whole pairs;
            the gradient is the same. ``forked`` evaluates on the development tasks with kept prefixes, which no
            gradient flows through: its training steps are padded pairs. ``auto`` is the model's own choice,
            ``packed`` where it can.
        rows_per_pass: Most prompts that go through the model at a time; None is all of a batch. Smaller values
            need less memory and give the same gradient, at the price of a second forward pass.
        tokens_per_pass: The same in tokens: of a packed pass each shared prefix once and what each prompt has of its
            own, of a padded one rows times the longest. A longer prompt is a pass of its own. Both limits hold.
        length_groups: Parts of about equal length that a padded batch is cut into, to pad less; the gradient is
            the same. With several processes, or with a limit on passes, it is 1.
        length_window: Optimizer steps whose queries are dealt anew, so that queries of about equal length share a
            batch, and batches of about equal length a turn of the processes. 1 keeps each step's queries, and so its
            gradient; more lets length choose which queries meet in a step. 0 keeps the order that is drawn.
        gradient_checkpointing: Compute activations again in the backward pass: less memory, more time.
    """

    base: str = "gmr-nano-base"
    base_init: Literal["checkpoint", "random"] = "checkpoint"
    template: str | None = None
    readout: str | None = None
    positive_answers: tuple[str, ...] | None = None
    negative_answers: tuple[str, ...] | None = None
    answers: str | None = None
    max_tokens: int | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    engine: Literal["auto", "packed", "forked", "padded"] = "auto"
    rows_per_pass: int | None = None
    tokens_per_pass: int | None = None
    length_groups: int = 1
    length_window: int = 0
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        for name in ("rows_per_pass", "tokens_per_pass", "length_groups"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"model.{name} must be at least 1, not {value}")
        if self.length_window < 0:
            raise ConfigError(f"model.length_window must be 0 or more, not {self.length_window}")
        for name in ("positive_answers", "negative_answers"):
            if self.answers is not None and getattr(self, name) is not None:
                raise ConfigError(
                    f"model.answers is {self.answers!r}, a set with both its sides, and model.{name} is given as well: "
                    "leave one of them out"
                )


@dataclass(frozen=True)
class LoraSection:
    """Low-rank adapters instead of full fine-tuning.

    Attributes:
        enabled: Train adapters and leave the backbone's own weights alone.
        r: Rank.
        alpha: Scale; an adapter's output is multiplied by ``alpha / r``.
        dropout: Share of an adapter's inputs set to zero in training.
        targets: Regular expression (full match) of the linear layers that get an adapter; None takes those of
            the language model that the backbone's table names.
    """

    enabled: bool = False
    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    targets: str | None = None

    def __post_init__(self) -> None:
        if self.r < 1:
            raise ConfigError(f"lora.r is the rank of the adapters: 1 or more, not {self.r}")


@dataclass(frozen=True)
class FreezeSection:
    """Parts of the backbone that keep their weights. With adapters all of it does, whatever stands here."""

    vision_tower: bool = False
    projector: bool = False
    embeddings: bool = False


@dataclass(frozen=True)
class LearningRatesSection:
    """Learning rates that differ from ``training.learning_rate``; None means that they do not."""

    vision: float | None = None
    head: float | None = None


@dataclass(frozen=True)
class OptimizerSection:
    """What turns gradients into steps; rate, decay and schedule stand in ``training``.

    Attributes:
        kind: ``"adamw"`` for the one that ``training.optim`` names, AdamW by default; or ``"muon"``: Muon for the
            matrices between hidden states, AdamW for everything else.
        momentum: Of Muon.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    momentum: float = 0.95


@dataclass(frozen=True)
class DataSection:
    """Training and development data.

    Attributes:
        suite: A suite with a training set, such as ``glyphs``, or several, such as ``glyphs+emoji``; or
        path: a JSONL file of ``{query, instruction?, positives, negatives, scores?}``.
        root: Folder with the data of a suite that is not embedded.
        dev: Development tasks: ``"suite"`` for the suite's dev split, a folder in BEIR layout, or ``""`` for
            none.
        dev_names: Patterns of names of the suite's development tasks, such as ``emoji-t2i*``; None is all.
        limit: Use this many training examples; None is all.
        num_positives: Positives per query and step.
        num_negatives: Negatives per query and step.
        random_to_hard: Ratio of random to hard negatives.
        false_negatives: Share of negatives that are one of the query's positives instead, for experiments on
            wrong labels.
    """

    suite: str | None = None
    path: str | None = None
    root: str | None = None
    dev: str = ""
    dev_names: tuple[str, ...] | None = None
    limit: int | None = None
    num_positives: int = 1
    num_negatives: int = 7
    random_to_hard: str = "1:1"
    false_negatives: float = 0.0

    def __post_init__(self) -> None:
        for key, nothing in (("suite", None), ("path", None), ("dev", "")):
            if getattr(self, key) in ("", "none", None):
                object.__setattr__(self, key, nothing)
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"data.limit is a number of examples: 1 or more, not {self.limit}")

    @property
    def sampling(self) -> SamplingConfig:
        """The part of the section that says how a group is drawn."""
        return SamplingConfig(
            self.num_positives, self.num_negatives, self.random_to_hard, self.false_negatives
        )


@dataclass(frozen=True)
class EvaluationSection:
    """Evaluation on the development tasks while training.

    Attributes:
        measure: Measure that is watched, averaged over the tasks.
        every: Steps between two evaluations; 0 evaluates at the end only.
        patience: Stop after this many evaluations without a new best value; 0 never stops early.
        keep: ``"last"`` or ``"best"``: which weights become the final model.
        max_queries: Queries per task while training; the final evaluation takes as many.
    """

    measure: str = "ndcg@10"
    every: int = 0
    patience: int = 0
    keep: Literal["last", "best"] = "last"
    max_queries: int = 100

    def __post_init__(self) -> None:
        parse_measure(self.measure)


@dataclass(frozen=True)
class Recipe:
    """One training run, each section one part of the house.

    Attributes:
        name: What the run is called.
        about: What it is for, in a sentence.
        head: Another answer head than the base's; None keeps that.
        training: Options of transformers' ``TrainingArguments`` under their own names.
    """

    name: str
    about: str = ""
    model: ModelSection = field(default_factory=ModelSection)
    head: HeadConfig | None = None
    lora: LoraSection = field(default_factory=LoraSection)
    freeze: FreezeSection = field(default_factory=FreezeSection)
    learning_rates: LearningRatesSection = field(default_factory=LearningRatesSection)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    data: DataSection = field(default_factory=DataSection)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.data.suite is None) == (self.data.path is None):
            raise ConfigError(
                f"recipe {self.name!r}: data needs either suite or path, and not both; for a file of your own: "
                "--set data.path=FILE --set data.suite=none --set data.dev=none (or a folder)"
            )
        if self.data.dev == "suite" and self.data.suite is None:
            raise ConfigError(
                f"recipe {self.name!r}: data.dev = 'suite' needs data.suite; name a folder, or --set data.dev=none"
            )
        watches = self.evaluation.keep == "best" or self.evaluation.patience > 0
        if watches and not (self.data.dev and self.evaluation.every > 0):
            raise ConfigError(
                f"recipe {self.name!r}: evaluation.keep = 'best' and evaluation.patience need data.dev and "
                "evaluation.every above 0"
            )


def packaged_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = resources.files("gmr.train") / "recipes"
    return {
        path.stem: path
        for path in sorted((Path(str(entry)) for entry in folder.iterdir()), key=lambda path: path.stem)
        if path.suffix == ".toml"
    }


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of that name or in that file, with ``section.key=value`` overrides applied.

    Raises:
        ConfigError: No such recipe, an unknown key, or a value that does not fit.
    """
    packaged = packaged_recipes()
    path = packaged.get(str(name_or_path), Path(name_or_path))
    if not path.is_file():
        raise ConfigError(
            f"{name_or_path}: no such recipe file, nor a packaged recipe ({', '.join(packaged)})"
        )
    return load_config(path, Recipe, overrides)


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a recipe with dotted names, in the order of the page."""
    if is_dataclass(value):
        children = [(item.name, getattr(value, item.name)) for item in fields(value)]
    elif isinstance(value, Mapping):
        children = list(value.items())
    else:
        yield prefix, list(value) if isinstance(value, tuple) else value
        return
    for name, child in children:
        yield from flatten(child, f"{prefix}.{name}" if prefix else name)
