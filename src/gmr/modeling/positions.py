"""Positions of a batch of prompts under multimodal rotary embeddings (M-RoPE), for pictures and text.

The models' own `get_rope_index` loops over rows and pictures in Python. This is the same function for
pictures (no video) as a few operations on whole arrays; the self-check at load compares the two on the loaded
model.
"""

import torch
from torch import Tensor


def picture_positions(
    input_ids: Tensor, attention_mask: Tensor, grids: Tensor | None, *, image_token_id: int, merge_size: int
) -> Tensor:
    """Time, height and width position of every token.

    Text tokens count on by one in all three. The tokens of a picture share one time; height and width are its
    rows and columns, all counted from the position where it starts; the text after it goes on at the next
    free number.

    Args:
        input_ids: ``(rows, length)``.
        attention_mask: ``(rows, length)``, 1 for real tokens, padding on either side.
        grids: ``(pictures, 3)`` frames, height and width in patches of every *occurrence* of a picture, in
            row-major order of the prompts; None without pictures.
        image_token_id: id of a picture's placeholder.
        merge_size: side of the square of patches that make one token.

    Returns:
        ``(3, rows, length)`` int64; 0 on padding.

    Source: arXiv 2409.12191, section 2.1 (M-RoPE).
    """
    real = attention_mask.bool()
    if grids is None or not len(grids):
        positions = (real.cumsum(-1) - 1).masked_fill(~real, 0)
        return positions.expand(3, -1, -1)
    is_picture = (input_ids == image_token_id) & real
    heights, widths = grids[:, 1] // merge_size, grids[:, 2] // merge_size
    num_tokens = grids[:, 0] * heights * widths
    if int(num_tokens.sum()) != int(is_picture.sum()):
        raise ValueError(
            f"{int(is_picture.sum())} picture tokens in the prompts,"
            f" {int(num_tokens.sum())} in {len(grids)} grids"
        )
    picture = torch.repeat_interleave(num_tokens)  # of each picture token: which occurrence it belongs to
    within = torch.arange(len(picture), device=picture.device) - (num_tokens.cumsum(0) - num_tokens)[picture]
    spans = torch.maximum(heights, widths)
    # A text token moves the count by one, the first token of a picture by the picture's span, its others by
    # nothing.
    advance = real.long()
    advance[is_picture] = torch.where(within == 0, spans[picture], 0)
    before = advance.cumsum(-1) - advance
    positions = before.masked_fill(~real, 0).expand(3, -1, -1).clone()
    start = before[is_picture] - torch.where(within == 0, 0, spans[picture])
    frame = within % (heights * widths)[picture]
    positions[0, is_picture] = start
    positions[1, is_picture] = start + frame // widths[picture]
    positions[2, is_picture] = start + frame % widths[picture]
    return positions
