"""What mteb writes about a model, and files its results under: name, revision, what it reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmr.bench.mteb.library import require
from gmr.reranker import Reranker

if TYPE_CHECKING:
    from gmr.reranker import Scorer

ORGANISATION = "gmr"
MODALITIES = {"t": "text", "i": "image"}


def model_meta(
    scorer: "Scorer",
    source: str | None,
    *,
    name: str | None = None,
    instruction: str | None = None,
) -> Any:
    """The ``ModelMeta`` of a scorer.

    The revision of a `Reranker` is a digest of all that makes its scores, so that mteb
    takes no result of another model from its cache. Other scorers have none.

    Args:
        scorer: A `Reranker`, or anything that scores pairs.
        source: What the model was loaded from; None for a loaded one.
        name: ``organisation/model``; None for one made of the source.
        instruction: Given for the whole run; results with another one are kept apart.

    Raises:
        ValueError: The name lacks its ``/``.
    """
    if name is not None and "/" not in name.strip("/"):
        raise ValueError(f"mteb calls models organisation/model; {name!r} lacks the '/'")
    facts: dict[str, Any] = {
        "name": name or _name(scorer, source),
        "framework": ["PyTorch"],
        "model_type": ["cross-encoder"],
        "use_instructions": True,
        "modalities": list(MODALITIES.values()),
    }
    if isinstance(scorer, Reranker):
        facts |= _facts(scorer)
    if instruction is not None:
        facts["experiment_kwargs"] = {"instruction": instruction}
    return require("mteb.models.model_meta").ModelMeta.create_empty(overwrites=facts)


def revision_of(reranker: Reranker) -> str:
    """SHA-256 (64 hex digits) of all that makes the scores, as `model_facts` names it."""
    from gmr.modeling.identity import facts_digest, model_facts

    return facts_digest(model_facts(reranker.model))


def _name(scorer: "Scorer", source: str | None) -> str:
    if source is None and isinstance(scorer, Reranker):
        source = str(scorer.model.config.name_or_path) or None
    if source is None:
        return f"{ORGANISATION}/{type(scorer).__name__}"
    is_hub_id = source.count("/") == 1 and not Path(source).exists() and not source.startswith((".", "/"))
    return source if is_hub_id else f"{ORGANISATION}/{Path(source).resolve().name}"


def _facts(reranker: Reranker) -> dict[str, Any]:
    from gmr.modeling.templates import Slot

    model = reranker.model
    slots = [each for each in model.processor.template.segments if isinstance(each, Slot)]
    kinds = {kind for slot in slots for accepted in slot.accepts for kind in accepted}
    if not model.facts.takes_pictures:
        kinds.discard("i")
    parameters = list(model.parameters())
    return {
        "revision": revision_of(reranker),
        "n_parameters": sum(parameter.numel() for parameter in parameters),
        "memory_usage_mb": sum(p.numel() * p.element_size() for p in parameters) / 2**20,
        "max_tokens": model.processor.max_tokens,
        "modalities": [MODALITIES[kind] for kind in MODALITIES if kind in kinds],
    }
