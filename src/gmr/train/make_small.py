"""Makes gmr-small-base, of 50 million parameters: ``python -m gmr.train.make_small OUTPUT --data-root DATA``.

It is pre-trained from random weights like gmr-nano-base, on emoji and stamps besides glyphs, and is meant for a GPU; it
is not packaged. The recipe ``gmr-small-sft`` teaches it to rank.
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch

from gmr import suites
from gmr.core.errors import GmrError
from gmr.suites.glyphs.naming import NamingExamples
from gmr.suites.naming import AnswersOf, in_turn
from gmr.train.make_nano import Stage, make_base
from gmr.train.nano import NanoConfig, build_nano
from gmr.train.pretrain import PretrainConfig

SMALL = NanoConfig(
    vocab_size=8000, width=512, num_layers=8, num_vision_layers=4, num_heads=8, patch_px=8, max_side_px=96
)
NAMING = PretrainConfig(num_steps=800, batch_size=192, learning_rate=1.5e-3, warmup_steps=100)
LAYOUT = PretrainConfig(num_steps=250, batch_size=192, learning_rate=8e-4, warmup_steps=50, seed=1)
TEXTS = 6000


def make_small_base(
    folder: Path,
    *,
    data_root: Path,
    device: torch.device,
    small: NanoConfig = SMALL,
    naming: PretrainConfig = NAMING,
    layout: PretrainConfig = LAYOUT,
) -> Path:
    """Pre-trains the model in two stages; its folder.

    Args:
        folder: where model and logs go.
        data_root: holds ``emoji`` and ``stamps``.
        device: where it is trained.
        small: sizes.
        naming: the first stage: half characters, a quarter each emoji and stamps.
        layout: the second, in which half of what is said of characters stands in the layout of ranking.

    Raises:
        DataError: there is no such data.
    """
    sets = [suites.training_set(name, data_root=data_root) for name in ("emoji", "stamps")]

    def answers(seed: int) -> list[AnswersOf]:
        return [AnswersOf(each, seed=seed) for each in sets]

    stages = []
    for name, config in (("naming", naming), ("layout", layout)):
        glyphs = NamingExamples(seed=config.seed)
        characters = glyphs.example if name == "naming" else glyphs.in_ranking_layout
        emoji, stamps = (each.example for each in answers(config.seed))
        stages.append(Stage(name, in_turn([characters, emoji, characters, stamps]), config))
    texts = NamingExamples(seed=naming.seed).texts()
    for each in answers(naming.seed):
        texts += each.texts(num_examples=TEXTS)
    model = build_nano(small, texts, seed=naming.seed).to(device)
    return make_base(folder, "gmr-small-base", model, small, stages)


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where model and logs go")
    parser.add_argument("--data-root", type=Path, required=True, help="holds the folders emoji and stamps")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=4, help="processes that render and tokenise")
    parser.add_argument("--naming-steps", type=int, default=NAMING.num_steps)
    parser.add_argument("--layout-steps", type=int, default=LAYOUT.num_steps)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        make_small_base(
            arguments.folder,
            data_root=arguments.data_root,
            device=torch.device(arguments.device),
            naming=replace(NAMING, num_steps=arguments.naming_steps, num_workers=arguments.workers),
            layout=replace(LAYOUT, num_steps=arguments.layout_steps, num_workers=arguments.workers),
        )
    except GmrError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
