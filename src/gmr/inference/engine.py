"""What an engine is: it cuts prompts into passes, and a pass gives the answer logits of its prompts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gmr.inference.documents import DocumentStore
from gmr.inference.pictures import PictureCache
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import Prompt


@dataclass(frozen=True)
class Pass:
    """Prompts that are computed together.

    Attributes:
        rows: places of the prompts.
        num_tokens: tokens that go through the model, padding included.
        work: what the engine knows of it.
    """

    rows: tuple[int, ...]
    num_tokens: int
    work: Any = None


class Engine(ABC):
    """Cuts prompts into passes and computes them; passes are run in the order in which they are planned.

    Args:
        model: the reranker, in evaluation mode.
        prompts: all prompts of the call.
        cache: features of their pictures.
        documents: keys and values of documents from earlier calls; only packed sequences use them.

    Attributes:
        pictures_alone: whether each picture must go through the vision tower by itself.
    """

    pictures_alone = False

    def __init__(
        self,
        model: RerankModel,
        prompts: Sequence[Prompt],
        cache: PictureCache,
        documents: DocumentStore | None = None,
    ) -> None:
        self.model = model
        self.prompts = prompts
        self.cache = cache
        self.documents = documents

    @abstractmethod
    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        """Passes of at most ``max_tokens`` tokens in which each of ``rows`` occurs once."""

    def shown(self, work: Pass) -> list[Prompt]:
        """What of a planned pass has pictures to encode, as far as it can be told before: whole prompts, or parts."""
        return [self.prompts[row] for row in work.rows]

    @abstractmethod
    def logits(self, work: Pass) -> Tensor:
        """Answer logits ``(rows, answers)`` of a pass, in the order of its rows."""
