"""What scoring cost: pairs, seconds and tokens, in sums that add up over parts of a run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The work of scoring pairs.

    Attributes:
        num_pairs: Pairs that were scored; those found in a store are not counted.
        seconds: Wall-clock time of scoring them, loading the model left out.
        cpu_seconds: Processor time of the process in that time.
        num_prompt_tokens: Tokens of all their prompts, each pair on its own.
        num_computed_tokens: Tokens that went through the language model: less, where prompts share a beginning.
        num_images: Pictures that went through the vision tower.
    """

    num_pairs: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    num_prompt_tokens: int = 0
    num_computed_tokens: int = 0
    num_images: int = 0

    @property
    def pairs_per_second(self) -> float:
        """0.0 where nothing was scored."""
        return self.num_pairs / self.seconds if self.seconds else 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.num_pairs + other.num_pairs,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.num_prompt_tokens + other.num_prompt_tokens,
            self.num_computed_tokens + other.num_computed_tokens,
            self.num_images + other.num_images,
        )
