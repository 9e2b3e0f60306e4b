"""The ways to compute many prompts, by name; the scores are the same but for rounding."""

from gmr.inference.engine import Engine
from gmr.inference.forked import ForkedEngine
from gmr.inference.invariant import InvariantEngine
from gmr.inference.packed import PackedEngine
from gmr.inference.padded import PaddedEngine

ENGINES: dict[str, type[Engine]] = {
    "packed": PackedEngine,
    "forked": ForkedEngine,
    "padded": PaddedEngine,
    "invariant": InvariantEngine,
}
