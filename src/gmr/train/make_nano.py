"""Makes the packaged models from nothing: ``python -m gmr.train.make_nano OUTPUT_FOLDER``.

First ``gmr-nano-base`` (random weights, then naming), then ``gmr-nano`` (the base after the recipe of that name). Logs
of both are written beside the weights; ``docs/nano.md`` says what came out.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gmr.core.environment import versions
from gmr.core.files import atomic_write_json
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.saving import save_model
from gmr.suites.glyphs.naming import NamingExamples
from gmr.suites.naming import NumberedExamples
from gmr.train.nano import NanoConfig, build_nano
from gmr.train.pretrain import PretrainConfig, pretrain
from gmr.train.run import train

logger = logging.getLogger(__name__)


NAMING = PretrainConfig()
# The second stage starts from the first: half of its examples stand in the layout of ranking.
LAYOUT = PretrainConfig(num_steps=4000, learning_rate=1.5e-3, warmup_steps=50, seed=1)


@dataclass(frozen=True)
class Stage:
    """A stage of pre-training: what is shown, and for how long."""

    name: str
    examples: NumberedExamples
    config: PretrainConfig


def make_base(folder: Path, name: str, model: RerankModel, nano: NanoConfig, stages: Sequence[Stage]) -> Path:
    """Pre-trains a model from random weights and saves it in float16 as ``folder/name``; the model's folder."""
    facts: dict[str, Any] = {
        "nano": asdict(nano),
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": device_name(model.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    for stage in stages:
        started = time.monotonic()
        pretrain(model, stage.examples, stage.config, log_path=folder / f"{name}-{stage.name}.csv")
        facts[stage.name] = asdict(stage.config) | {"seconds": round(time.monotonic() - started)}
    atomic_write_json(folder / f"{name}.json", facts)
    save_model(model, folder / name, dtype="float16", base_model="random weights", objective="naming")
    return folder / name


def device_name(device: torch.device) -> str:
    """What the device is called: the GPU's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def make_nano_base(folder: Path) -> Path:
    """Pre-trains ``gmr-nano-base`` on glyphs in two stages; the model's folder."""
    nano = NanoConfig()
    naming, layout = (NamingExamples(seed=config.seed) for config in (NAMING, LAYOUT))
    stages = (Stage("naming", naming.example, NAMING), Stage("layout", layout.in_ranking_layout, LAYOUT))
    model = build_nano(nano, naming.texts(), seed=NAMING.seed)
    return make_base(folder, "gmr-nano-base", model, nano, stages)


def make_nano(folder: Path, base: Path) -> Path:
    """Trains the base by the recipe ``gmr-nano`` and saves the result in float16; the model's folder."""
    result = train("gmr-nano", output_dir=folder / "run", overrides=[f'model.base="{base}"'])
    if result.model_dir is None:
        raise KeyboardInterrupt
    model = load_model(result.model_dir)
    objective = "sft" if model.readout == "yes_minus_no" else "contrastive"
    save_model(model, folder / "gmr-nano", dtype="float16", base_model="gmr-nano-base", objective=objective)
    return folder / "gmr-nano"


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where models and logs go")
    parser.add_argument("--base", type=Path, help="start from this base instead of making one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    base = arguments.base or make_nano_base(arguments.folder)
    make_nano(arguments.folder, base)


if __name__ == "__main__":
    main()
