"""Words that commands share: the dtypes of weights, and the baselines in the tables of ``gmr evaluate``."""

from enum import StrEnum


class Dtype(StrEnum):
    """What weights are loaded as; scores are float32 whatever this is."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


CHANCE = "chance"
FIRST_STAGE = "first stage"
PIXEL_COSINE = "pixel cosine"
BASELINES = {
    CHANCE: "The exact expectation of a random order of the candidates.",
    FIRST_STAGE: "The candidates in the order they came.",
    PIXEL_COSINE: "Cosine of the raw pixels; chance where a side has no picture.",
}
