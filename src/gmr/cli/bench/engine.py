"""``gmr bench engine``: which engine and options are worth it on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import (
    examples,
    json_line,
    print_line,
    print_note,
    print_table,
    print_text,
    terminal_width,
)
from gmr.cli.models import DEFAULT_MODEL, Device, ModelName, TemplateName, check_device
from gmr.core.errors import UsageError

if TYPE_CHECKING:
    from gmr.bench.engine.measure import WorkloadResult
    from gmr.bench.engine.variants import Models, Variant

EPILOG = examples(
    "gmr bench engine",
    "gmr bench engine --model runs/sft/model --workload t2i --documents 100",
    "gmr bench engine --variant packed+int8 --output results/engine",
)
WIDE = 100


def engine(
    *,
    model: ModelName = DEFAULT_MODEL,
    template: TemplateName = None,
    device: Device = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="t2t, t2i, i2t, it2it or pages; repeatable; all that the model takes when not given.",
        ),
    ] = None,
    documents: Annotated[int, typer.Option(min=1, help="Pairs to score in each workload.")] = 24,
    engines: Annotated[
        list[str] | None,
        typer.Option("--engine", metavar="NAME", help="All variants of this engine; repeatable."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A line of the table, such as packed+int8; repeatable."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed turns; the median counts.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for engine.json and engine.md.")
    ] = None,
) -> None:
    """Measure every engine and option on made-up queries: speed, work, and how far scores move.

    Variants take turns, and the median of each is compared with padded pairs in float32. Tokens, patches and
    pictures are counted. What cannot run here is named with its reason.
    """
    check_device(device)

    from gmr.bench.engine.measure import measure
    from gmr.bench.engine.report import to_dict
    from gmr.bench.engine.variants import Models, choose_variants
    from gmr.bench.engine.workloads import WORKLOADS, find_workload, why_not

    asked = [find_workload(name).name for name in workload or []]
    variants = choose_variants(variant or [], engines or [])
    models = Models(model, template=template, device=device)
    refused = {name: why_not(models.reference, WORKLOADS[name]) for name in asked or WORKLOADS}
    for name in asked:
        if refused[name]:
            raise UsageError(f"--workload: {model} cannot be given {name}: {refused[name]}")
    results = []
    for name, reason in refused.items():
        if reason:
            continue
        result = measure(models, WORKLOADS[name], variants, num_documents=documents, repeats=repeats)
        results.append(result)
        if not json:
            _print(result, variants)
    record = {
        **_facts(model, models, repeats=repeats),
        "workloads": [to_dict(result, variants) for result in results],
        "not_taken": {name: reason for name, reason in refused.items() if reason},
    }
    if json:
        print_line(json_line(record))
    else:
        _print_legend(record)
    if output is not None:
        _write(output, record, results, variants)


def _print(result: "WorkloadResult", variants: "list[Variant]") -> None:
    from gmr.bench.engine.report import advice, table

    header, rows = table(result, is_wide=terminal_width() >= WIDE)
    print_text(f"{result.name.replace('->', '→')}  {result.about}", style="bold")
    print_table(header, rows, right=header[1:], is_dense=True)
    for name, reason in result.not_run.items():
        print_text(f"{name} did not run: {reason}", style="dim")
    print_text(advice(result, variants), style="green")
    print_line()


def _print_legend(record: dict[str, Any]) -> None:
    from gmr.bench.engine.report import LEGEND

    for name, reason in record["not_taken"].items():
        print_text(f"{name.replace('->', '→')} was left out: {reason}", style="dim")
    print_text(f"{record['seconds']} on {record['device']}, median of {record['repeats']}.", style="dim")
    for line in LEGEND:
        print_text(line, style="dim")


def _facts(model: str, models: "Models", *, repeats: int) -> dict[str, Any]:
    """Where the numbers come from."""
    from gmr.core.environment import environment

    device = models.reference.device
    on_cpu = device.type == "cpu"
    return {
        "model": model,
        "template": models.reference.processor.template.name,
        "num_parameters": sum(parameter.numel() for parameter in models.reference.parameters()),
        "device": _name_of(device),
        "seconds": "CPU seconds" if on_cpu else "wall-clock seconds",
        "repeats": repeats,
        "environment": environment(),
    }


def _name_of(device: Any) -> str:
    import torch

    if device.type == "cpu":
        threads = torch.get_num_threads()
        return "one CPU thread" if threads == 1 else f"{threads} CPU threads"
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _write(
    folder: Path, record: dict[str, Any], results: "list[WorkloadResult]", variants: "list[Variant]"
) -> None:
    from gmr.bench.engine.report import markdown
    from gmr.core.files import atomic_write_json, atomic_write_text

    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_json(folder / "engine.json", record)
    title = f"Engines of {record['model']} on {record['device']}"
    atomic_write_text(folder / "engine.md", markdown(results, variants, title=title))
    print_note(f"wrote {folder}/")
