"""Shortening a prompt that is too long: the document's text, then the query's, from the end; nothing else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gmr.core.errors import ModelError
from gmr.modeling.rendering import Fragment
from gmr.modeling.templates import Side, Template
from gmr.modeling.tokenization import PlainTokenizer

# For each fragment that is cut, how many of its characters stay.
Cuts = dict[int, int]


def fit_texts(
    fragments: Sequence[Fragment],
    tokenizer: PlainTokenizer,
    count_tokens: Callable[[Sequence[Fragment]], int],
    *,
    max_tokens: int,
) -> tuple[list[Fragment], int]:
    """The prompt with the longest prefixes of its texts that fit, and its number of tokens.

    Texts are cut where a token begins. What stays for a limit also stays for every larger limit. If even
    without any text of document and query the prompt is too long, that prompt and its length come back.

    Args:
        fragments: The rendered prompt.
        tokenizer: Encodes the texts.
        count_tokens: Length of a prompt in tokens, pictures included.
        max_tokens: The limit.
    """
    length = count_tokens(fragments)
    excess = length - max_tokens
    shorter = list(fragments)
    cuts: Cuts = {}
    counted: Cuts = {}
    for num_removed, cuts in enumerate(_cuts(fragments, tokenizer), start=1):
        if num_removed < excess or cuts == counted:
            continue
        # A cut changes how the text before it is tokenised, by a token or so: count again until it fits.
        counted = dict(cuts)
        shorter = _apply(fragments, cuts)
        length = count_tokens(shorter)
        if length <= max_tokens:
            return shorter, length
    shorter = _apply(fragments, cuts)
    return shorter, count_tokens(shorter)


def limit_side(
    fragments: Sequence[Fragment], side: Side, tokenizer: PlainTokenizer, *, max_tokens: int
) -> tuple[list[Fragment], bool]:
    """Fragments whose text of ``side`` alone has at most ``max_tokens`` tokens, and whether any was cut."""
    mine = [index for index, fragment in enumerate(fragments) if fragment.side == side]
    texts = {index: value for index in mine if isinstance(value := fragments[index].value, str)}
    text = "".join(texts.values())
    if len(tokenizer.encode(text)) <= max_tokens:
        return list(fragments), False
    offsets = tokenizer.encode_with_offsets(text).offsets
    left = min(start for start, _ in offsets[max_tokens:])
    cuts: Cuts = {}
    for index, part in texts.items():
        cuts[index] = min(left, len(part))
        left -= cuts[index]
    return _apply(fragments, cuts), True


def _apply(fragments: Sequence[Fragment], cuts: Cuts) -> list[Fragment]:
    shorter = list(fragments)
    for index, num_characters in cuts.items():
        side, text = fragments[index]
        shorter[index] = Fragment(side, str(text)[:num_characters])
    return shorter


def _cuts(fragments: Sequence[Fragment], tokenizer: PlainTokenizer) -> Iterator[Cuts]:
    """Ever deeper cuts, about one token more each time; the same growing dict every time."""
    starts = _token_starts(fragments, tokenizer)
    cuts: Cuts = {}
    for side in ("document", "query"):
        for index in reversed(range(len(fragments))):
            if fragments[index].side != side or index not in starts:
                continue
            # The first token may begin in the text before, so its own first characters need a cut at 0.
            for start in (*reversed(starts[index]), 0):
                cuts[index] = min(start, cuts.get(index, start))
                yield cuts


def _token_starts(fragments: Sequence[Fragment], tokenizer: PlainTokenizer) -> dict[int, list[int]]:
    """For each text, where in it (in characters) the tokens that begin in it begin."""
    starts: dict[int, list[int]] = {}
    run: list[int] = []

    def close_run() -> None:
        offsets = iter(
            tokenizer.encode_with_offsets("".join(str(fragments[index].value) for index in run)).offsets
        )
        begin, pending = 0, next(offsets, None)
        for index in run:
            end = begin + len(str(fragments[index].value))
            starts[index] = []
            while pending is not None and pending[0] < end:
                starts[index].append(max(0, pending[0] - begin))
                pending = next(offsets, None)
            begin = end
        run.clear()

    for index, fragment in enumerate(fragments):
        if isinstance(fragment.value, str):
            run.append(index)
        elif run:
            close_run()
    if run:
        close_run()
    return starts


def within_positions(
    max_tokens: int | None, template: Template, config: Mapping[str, Any], *, where: str
) -> int:
    """Longest prompt of an encoder, which has an embedding for so many positions and no more."""
    most = int(config["max_position_embeddings"])
    if max_tokens is not None and max_tokens > most:
        raise ModelError(f"{where}: max_tokens is {max_tokens}, and the encoder has {most} positions")
    return min(template.max_tokens, most) if max_tokens is None else max_tokens
