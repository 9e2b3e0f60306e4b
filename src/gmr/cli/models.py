"""Which model a command loads, and how it computes: the same options everywhere."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gmr.cli.names import refuse_twice
from gmr.core.errors import UsageError
from gmr.suites.baselines import BASELINES

DEFAULT_MODEL = "gmr-nano"
MODELS = "Models"


class Dtype(StrEnum):
    """What weights are loaded as; scores are float32 whatever this is."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class EngineName(StrEnum):
    """How many prompts are computed; the scores are the same but for rounding."""

    AUTO = "auto"
    PACKED = "packed"
    FORKED = "forked"
    PADDED = "padded"
    INVARIANT = "invariant"


class QuantizeName(StrEnum):
    """How weights of the language model's layers are rounded."""

    INT8 = "int8"


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        rich_help_panel=MODELS,
        help="A model folder, a hub id, or gmr-nano, which needs no download.",
    ),
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        rich_help_panel=MODELS,
        help="A model folder, a hub id or gmr-nano; repeatable; gmr-nano when not given.",
    ),
]
TemplateName = Annotated[
    str | None,
    typer.Option(rich_help_panel=MODELS, help="Prompt template; each model's own when not given."),
]
Device = Annotated[
    str | None, typer.Option(rich_help_panel=MODELS, help="cpu, cuda, cuda:1, ...; chosen when not given.")
]
WeightType = Annotated[
    Dtype, typer.Option(rich_help_panel=MODELS, help="Of the weights; scores are float32 in any case.")
]
Engine = Annotated[
    EngineName,
    typer.Option(
        rich_help_panel=MODELS,
        help="packed computes what prompts share once, forked does so from copies of a cache, padded whole pairs; "
        "auto is the first that proves exact; with invariant no other pair changes a bit of a score.",
    ),
]
Quantize = Annotated[
    QuantizeName | None,
    typer.Option(
        rich_help_panel=MODELS,
        help="Round the weights of the language model's layers: less memory, slightly other scores.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        rich_help_panel=MODELS,
        help="Compile the language model's layers first, for minutes; gmr bench engine tells whether it pays.",
    ),
]
DocumentCache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        rich_help_panel=MODELS,
        help="Keep what the model computes of documents here; the next query then costs its own tokens only. "
        "For models whose prompt has the document first.",
    ),
]


def check_device(device: str | None) -> str | None:
    """The device as given.

    Raises:
        UsageError: it is not spelled like one.
    """
    if device is not None and not re.fullmatch(r"cpu|(cuda|mps|xpu|hpu|npu)(:\d+)?", device):
        raise UsageError(f"--device is {device!r}; cpu, cuda, cuda:1, mps and the like are devices")
    return device


def check_models(names: list[str]) -> None:
    """Stop when a model is given twice, or is called like what stands beside all of them.

    Raises:
        UsageError: naming it.
    """
    refuse_twice("--model", names)
    if reserved := sorted(set(names) & set(BASELINES)):
        raise UsageError(f"--model: {reserved[0]!r} is the name of a baseline; give the folder's whole path")
