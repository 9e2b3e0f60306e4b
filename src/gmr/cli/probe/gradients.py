"""``gmr probe gradients``: what objectives do to the candidates of a batch and to a model's parameters."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import examples, print_line, print_note, print_table, print_text, terminal_width
from gmr.cli.models import DEFAULT_MODEL, MODELS, Device, Dtype, ModelNames, TemplateName, check_device
from gmr.cli.names import refuse_twice
from gmr.cli.tasks import DataRoot
from gmr.core.errors import UsageError

if TYPE_CHECKING:
    from gmr.core.tasks import TrainingSet
    from gmr.modeling.model import RerankModel
    from gmr.probe.gradients.results import GradientStudy
    from gmr.probe.gradients.specs import Spec
    from gmr.train.recipe import Recipe
    from gmr.train.sampling import SamplingConfig

EPILOG = examples(
    "gmr probe gradients",
    "gmr probe gradients --model gmr-nano-base --model gmr-nano --output results/gradients",
    "gmr probe gradients --objective sft --objective contrastive/yes --objective contrastive,temperature=0.1",
    "gmr probe gradients --model runs/sft/model --data train.jsonl --queries 64 --negatives 15",
    "gmr probe gradients --run runs/sft --output results/over-training",
)
WIDE = 140
DEFAULT_SUITE, TRAIN = "glyphs", "train"


def gradients(
    *,
    model: ModelNames = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder of gmr train: its base and every checkpoint, with its data and objective.",
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="weight or weight/direction, then ,option=value: sft, contrastive/yes_minus_no, "
            "ranknet,temperature=0.5; repeatable; sft and contrastive when not given.",
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="For every objective that takes one and does not give its own.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="A suite to draw the batch from; glyphs when not given.")
    ] = None,
    data_root: DataRoot = None,
    split: Annotated[
        str,
        typer.Option(help="Of the suite: train, or tasks such as dev and test as if they were trained on."),
    ] = TRAIN,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Training examples (.jsonl), or a folder in BEIR layout with candidates."
        ),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Queries of the batch.")] = 16,
    positives: Annotated[
        int | None, typer.Option(min=1, help="Positives of a query; 1 when not given.")
    ] = None,
    negatives: Annotated[
        int | None, typer.Option(min=1, help="Negatives of a query; 7 when not given.")
    ] = None,
    random_to_hard: Annotated[
        str | None, typer.Option(metavar="R:H", help="Ratio of random to hard negatives; 1:1 when not given.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the batch, as of a training run, and of the intervals.")
    ] = 0,
    parameters: Annotated[
        str,
        typer.Option(
            help="Whose gradients are compared: all, adapter, last-layer, or none; auto is the adapter where there is "
            "one, else all of a small model."
        ),
    ] = "auto",
    template: TemplateName = None,
    device: Device = None,
    dtype: Annotated[
        Dtype,
        typer.Option(
            rich_help_panel=MODELS, help="Of the weights; the head is float32 and float64 in any case."
        ),
    ] = Dtype.FLOAT32,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for gradients.json, candidates.jsonl, tables and a page."
        ),
    ] = None,
    redraw: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Tables and page of an earlier --output again, from its files alone."
        ),
    ] = None,
) -> None:
    """Measure what objectives do to the candidates of one batch. Nothing is trained.

    Of every objective, the gradient at each candidate's last hidden state is measured by autograd and held against
    weight × direction. Tables show how hard positives and negatives are pushed, who makes up the gradient, and how
    far two objectives ask for the same, down to the parameters.
    """
    check_device(device)
    if redraw is not None:
        from gmr.probe.gradients.files import read_study

        _finish(read_study(redraw), output or redraw)
        return
    if run is not None and model:
        raise UsageError("--run brings its own models: leave --model out")
    if suite is not None and data is not None:
        raise UsageError("--suite and --data both name the batch: give one")
    refuse_twice("--model", model or [])

    from gmr.core.environment import environment
    from gmr.probe.gradients.batch import draw_groups
    from gmr.probe.gradients.parameters import PARAMETERS
    from gmr.probe.gradients.probe import probe_model
    from gmr.probe.gradients.results import GradientStudy
    from gmr.probe.gradients.specs import refuse_twins

    if parameters not in PARAMETERS:
        raise UsageError(f"--parameters is {parameters!r}: it must be one of {', '.join(PARAMETERS)}")
    recipe = _recipe(run)
    specs = _specs(objective, temperature, recipe)
    refuse_twins(specs)
    sampling = _sampling(positives, negatives, random_to_hard, recipe)
    training_set, about = _training_set(suite, split, data, recipe, data_root=data_root)
    groups = draw_groups(training_set, sampling, num_queries=queries, seed=seed)
    if len(groups) < queries:
        print_note(f"the data has {len(groups)} queries, and {queries} were asked for: these are all")
    reports = []
    for name, step, loaded in _models(model, run, recipe, template=template, dtype=dtype, device=device):
        reports.append(
            probe_model(loaded, groups, specs, name=name, step=step, parameters=parameters, seed=seed)
        )
        if step is not None:
            print_note(f"step {step} done")
    settings = {
        "objectives": [spec.name for spec in specs],
        "positives": sampling.num_positives,
        "negatives": sampling.num_negatives,
        "random to hard": sampling.random_to_hard,
        "seed": seed,
        "dtype": str(dtype),
        "parameters": parameters,
    }
    _finish(GradientStudy(about, settings, environment(), tuple(reports)), output)


def _finish(study: "GradientStudy", output: Path | None) -> None:
    from gmr.probe.gradients.files import PAGE, write_study
    from gmr.probe.gradients.tables import tables_of
    from gmr.probe.gradients.words import sentences

    first = study.reports[0]
    kinds = ", ".join(f"{number} {kind}" for kind, number in first.kinds.items())
    print_text(f"{study.data}: {first.num_queries} queries, candidates: {kinds}")
    is_wide = terminal_width() >= WIDE
    for table in tables_of(study, is_wide=is_wide):
        print_line()
        print_text(table.title, style="bold")
        print_table(table.columns, table.rows, right=table.columns[1:], is_dense=True)
        print_text(table.note, style="dim")
    print_line()
    if not is_wide:
        print_text("Intervals need a wider terminal, a pipe, or the files of --output.", style="dim")
    for text in sentences(study):
        print_text(text)
    if output is not None:
        write_study(study, output)
        print_note(f"wrote {output / PAGE} and the files beside it")


def _recipe(run: Path | None) -> "Recipe | None":
    if run is None:
        return None
    from gmr.probe.gradients.checkpoints import read_recipe

    return read_recipe(run)


def _specs(objective: list[str] | None, temperature: float | None, recipe: "Recipe | None") -> "list[Spec]":
    from gmr.probe.gradients.specs import DEFAULT_SPECS, parse_spec

    defaults = {} if temperature is None else {"temperature": temperature}
    specs = [parse_spec(text, defaults=defaults) for text in objective or DEFAULT_SPECS]
    if recipe is None or objective:
        return specs
    from gmr.probe.gradients.checkpoints import objectives_of

    return objectives_of(recipe, specs)


def _sampling(
    positives: int | None, negatives: int | None, random_to_hard: str | None, recipe: "Recipe | None"
) -> "SamplingConfig":
    from dataclasses import replace

    from gmr.train.sampling import SamplingConfig

    given: dict[str, Any] = {
        "num_positives": positives,
        "num_negatives": negatives,
        "random_to_hard": random_to_hard,
    }
    base = SamplingConfig() if recipe is None else recipe.data.sampling
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _training_set(
    suite: str | None,
    split: str,
    data: Path | None,
    recipe: "Recipe | None",
    *,
    data_root: Path | None,
) -> "tuple[TrainingSet, str]":
    """What the batch is drawn from, and that in words."""
    from gmr import suites
    from gmr.core.datasets import read_beir, read_training_jsonl
    from gmr.probe.gradients.batch import training_set_of

    if recipe is not None and suite is None and data is None:
        from gmr.train.sources import load_training_set

        return load_training_set(recipe), f"training data of {recipe.name}"
    if data is not None:
        if data.is_dir():
            return training_set_of([read_beir(data)]), str(data)
        return read_training_jsonl(data), str(data)
    suite = suite or DEFAULT_SUITE
    if split == TRAIN:
        return suites.training_set(suite, data_root=data_root), f"{suite}, {TRAIN}"
    if split not in suites.splits(suite):
        raise UsageError(
            f"--split: {suite} has no {split!r}; there are {', '.join([TRAIN, *suites.splits(suite)])}"
        )
    return training_set_of(suites.load(suite, split=split, data_root=data_root)), f"{suite}, {split}"


def _models(
    names: list[str] | None,
    run: Path | None,
    recipe: "Recipe | None",
    *,
    template: str | None,
    dtype: str,
    device: str | None,
) -> "Iterator[tuple[str, int | None, RerankModel]]":
    """Name, step and model, one at a time."""
    if run is not None and recipe is not None:
        import torch

        from gmr.probe.gradients.checkpoints import models_of_run

        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        for step, loaded in models_of_run(recipe, run, device=where):
            yield run.resolve().name, step, loaded
        return
    from gmr.modeling.loading import load_model

    for name in names or [DEFAULT_MODEL]:
        yield name, None, load_model(name, template=template, dtype=dtype, device=device)
