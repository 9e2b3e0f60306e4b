"""Words that commands share: dtypes, devices, engines, options, and the baselines of ``gmr evaluate``."""

import re
from enum import StrEnum

from gmr.core.errors import UsageError


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


QUANTIZE_HELP = "Round the weights of the language model's layers: less memory, slightly other scores."
COMPILE_HELP = (
    "Compile the language model's layers first, for minutes; gmr bench engine tells whether it pays."
)
ENGINE_HELP = (
    "packed computes what prompts share once, forked does so from copies of a cache, padded whole pairs; "
    "auto is the first that proves exact; with invariant no other pair changes a bit of a score."
)

DOCUMENT_CACHE_HELP = (
    "Keep what the model computes of documents here; the next query then costs its own tokens only. "
    "For models whose prompt has the document first."
)


def check_device(device: str | None) -> str | None:
    """The device as given.

    Raises:
        UsageError: it is not spelled like one.
    """
    if device is not None and not re.fullmatch(r"cpu|(cuda|mps|xpu|hpu|npu)(:\d+)?", device):
        raise UsageError(f"--device is {device!r}; cpu, cuda, cuda:1, mps and the like are devices")
    return device


def parse_measures(names: list[str]) -> list[str]:
    """The measures of ``--measure`` as they print.

    Raises:
        UsageError: one is unknown or given twice.
    """
    from gmr.metrics.measures import parse_measure

    try:
        measures = [str(parse_measure(name)) for name in names]
    except ValueError as error:
        raise UsageError(f"--measure: {error}") from None
    refuse_twice("--measure", measures)
    return measures


def refuse_twice(option: str, names: list[str]) -> None:
    """Stop when a value of a repeatable option is given twice.

    Raises:
        UsageError: naming it.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{option}: {twice[0]!r} is given twice")


CHANCE = "chance"
FIRST_STAGE = "first stage"
PIXEL_COSINE = "pixel cosine"
BASELINES = {
    CHANCE: "The exact expectation of a random order of the candidates.",
    FIRST_STAGE: "The candidates in the order they came.",
    PIXEL_COSINE: "Cosine of the raw pixels; chance where a side has no picture.",
}
