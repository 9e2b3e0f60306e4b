"""``gmr demo``: train one model with two objectives on embedded data, compare, report."""

from pathlib import Path
from typing import Annotated

import typer

from gmr.cli.console import examples, print_line

EPILOG = examples("gmr demo --quick", "gmr demo --output demo-output --seeds 2")


def demo(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of models, runs and report.")] = Path(
        "demo-output"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps and queries: about a minute.")] = False,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Training runs of each objective; chosen when not given.")
    ] = None,
) -> None:
    """Watch one multimodal reranker being trained twice, and see how both rank.

    The same small pre-trained model is trained by supervised fine-tuning on yes/no and by contrastive
    learning; then first stage, base, both trained models and the packaged one rank text, pictures and both on
    held-out queries. It needs no download and no GPU, 6 to 15 minutes on two cores, and goes on where it
    stopped when it is started again.
    """
    from gmr.demo.run import run_demo

    result = run_demo(output_dir=output, quick=quick, seeds=seeds, progress=True)
    print_line(str(result))
