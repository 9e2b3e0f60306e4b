"""The README.md of a saved model: what it is, what it was made from, and three ways to load it."""

from importlib.metadata import version

from gmr.modeling.model import RerankModel


def model_card(
    model: RerankModel,
    *,
    name: str,
    base_model: str,
    objective: str | None,
    adapter: bool,
    interchangeable: bool,
) -> str:
    """Markdown with the metadata block that model hubs read.

    Args:
        model: the reranker.
        name: title of the card.
        base_model: what the model was made from; empty if unknown.
        objective: what it was trained by; None if it says nothing.
        adapter: whether the folder holds a LoRA adapter in place of a whole model.
        interchangeable: whether sentence-transformers gives the same scores.
    """
    template = model.processor.template
    kind = "text and pictures" if model.facts.takes_pictures else "text"
    answers = ", ".join(map(repr, (*template.positive, *template.negative))) or "none (a head of one output)"
    facts = {
        "Backbone": f"{type(model.causal_model).__name__}{' with a LoRA adapter' if adapter else ''}",
        "Base model": base_model or "not recorded",
        "Objective": objective or "not recorded",
        "Reads": kind,
        "Prompt template": f"`{template.name}`, at most {model.processor.max_tokens} tokens",
        "Answers": answers,
        "Head and readout": f"`{model.head_config.kind}`, `{model.readout}`",
        "Default instruction": template.default_instruction or "none",
    }
    rows = "\n".join(f"| {fact} | {value} |" for fact, value in facts.items())
    tags = ["reranker", "multimodal" if model.facts.takes_pictures else "text-ranking", "gmr"]
    if interchangeable:
        tags += ["sentence-transformers", "cross-encoder"]
    sections = [
        _metadata(tags, adapter=adapter),
        f"# {name}",
        _WHAT.format(kind=kind, score=_SCORES.get(model.readout, _LOG_ODDS)),
        f"| | |\n|---|---|\n{rows}",
    ]
    sections += ["## Use", _GMR.format(name=name)]
    sections.append(_CROSS_ENCODER.format(name=name) if interchangeable else _NOT_INTERCHANGEABLE)
    sections.append((_PEFT if adapter else _TRANSFORMERS).format(name=name, auto=_auto_class(model)))
    sections.append(f"Written by gmr-rerank with transformers {version('transformers')}.")
    return "\n\n".join(sections) + "\n"


def _metadata(tags: list[str], *, adapter: bool) -> str:
    library = "peft" if adapter else "transformers"
    listed = "\n".join(f"- {tag}" for tag in tags)
    return f"---\nlibrary_name: {library}\npipeline_tag: text-ranking\ntags:\n{listed}\n---"


def _auto_class(model: RerankModel) -> str:
    if model.facts.is_encoder:
        return "AutoModel" if model.causal_model.get_output_embeddings() is None else "AutoModelForMaskedLM"
    return "AutoModelForImageTextToText" if model.facts.takes_pictures else "AutoModelForCausalLM"


_WHAT = """\
A reranker: given an instruction, a query and a document ({kind}), it returns one number, {score}"""
_LOG_ODDS = """\
the log-odds that
the document is relevant. Higher is better; `sigmoid` of it is a probability."""
_SCORES = {
    "expectation": "the expected\ngrade of the document, from 0 up. Higher is better.",
    "scored_argmax": "the most\nlikely grade of the document times its probability. Higher is better.",
    "expectation_odds": (
        "the log-odds of\nthe document's expected grade. Higher is better; `sigmoid` of it is its share of the highest."
    ),
}

_GMR = """\
With gmr, any query and document, several pictures and interleaved items included:

```python
from gmr import Reranker

reranker = Reranker("{name}")
ranking = reranker.rank("a black chess queen", ["a red apple", "the queen of a chess set"])
```"""

_CROSS_ENCODER = """\
With sentence-transformers, the same scores (for a model that reads pictures it asks for `torchvision`).
`Identity` keeps the log-odds; it computes in the type of the weights on disk unless told otherwise, and half
precision rounds scores to about 1e-2:

```python
import torch
from sentence_transformers import CrossEncoder

model = CrossEncoder("{name}", activation_fn=torch.nn.Identity(), model_kwargs={{"dtype": torch.float32}})
scores = model.predict([("a black chess queen", "a red apple")])
```"""

_NOT_INTERCHANGEABLE = """\
This folder is not a sentence-transformers CrossEncoder: its head or its prompt is one that library has no
form for. (A LoRA adapter with trained answer rows becomes one when it is saved with `merge_adapter=True`.)"""

_TRANSFORMERS = """\
With transformers alone, as the backbone it is:

```python
from transformers import {auto}

model = {auto}.from_pretrained("{name}")
```"""

_PEFT = """\
With transformers and PEFT, as the backbone it is:

```python
from transformers import {auto}

model = {auto}.from_pretrained("{name}")  # reads adapter_config.json and loads the base model
```"""
