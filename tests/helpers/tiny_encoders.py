"""Random tiny BERT checkpoints with a word-piece tokenizer: plain, with a language-model head, or as an embedder."""

import json
from functools import cache
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

from tests.helpers.folders import shared_folder

WORDS = (
    "yes no red blue green brown white black pink yellow square text a the picture of query document is what text "
    "cat two apples zero one three four five six seven eight nine ten"
)
POSITIONS = 96


def build_tiny_encoder(
    folder: Path, *, language_head: bool = False, embedder: bool = False, seed: int = 0
) -> Path:
    """Write a tiny BERT to ``folder``; an ``embedder`` has the extra files of sentence-transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *letters])
    vocabulary = [*words, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForMaskedLM(config) if language_head else BertModel(config)
        for parameter in model.parameters():
            # Fresh norms are ones and fresh biases zeros: a loader that dropped them would go unnoticed.
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    if embedder:
        kinds = ("Transformer", "Pooling", "Normalize")
        modules = [
            {
                "idx": n,
                "name": str(n),
                "path": f"{n}_{kind}" if n else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for n, kind in enumerate(kinds)
        ]
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


@cache
def tiny_encoder(*, language_head: bool = False, embedder: bool = False) -> Path:
    """Folder of a tiny encoder, built once per process and read only."""
    return build_tiny_encoder(shared_folder("tiny-bert-"), language_head=language_head, embedder=embedder)
