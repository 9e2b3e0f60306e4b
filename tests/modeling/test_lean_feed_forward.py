"""Gated parts write over their own buffers in inference: the same bits, and nobody notices."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gmr.modeling.lean_feed_forward import use_lean_feed_forward, use_plain_feed_forward
from gmr.modeling.loading import load_model
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint


class Outputs(TorchDispatchMode):
    """Keeps what every operation gives, so that no buffer is given out twice."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.kept.append(output)
        return output


def part_of(architecture: str) -> Any:
    layers: Any = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False).layers
    return layers[0].mlp


def plain(part: Any, states: torch.Tensor) -> torch.Tensor:
    output: torch.Tensor = type(part).forward(part, states)
    return output


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bits_are_those_of_transformers(architecture: str) -> None:
    part = part_of(architecture)
    states = torch.randn(2, 5, part.gate_proj.in_features)
    before = states.clone()
    with torch.inference_mode():
        assert vars(part)["forward"].__self__ is part, "the part is lean"
        assert torch.equal(part(states), plain(part, states))
    assert torch.equal(states, before)


def test_two_buffers_are_filled_and_not_four() -> None:
    part = part_of("qwen2_5_vl")
    wide = part.gate_proj.out_features
    found = {}
    for name, run in (("lean", part), ("transformers", lambda states: plain(part, states))):
        with torch.no_grad(), Outputs() as outputs:
            run(torch.zeros(1, 7, part.gate_proj.in_features))
        found[name] = len({out.data_ptr() for out in outputs.kept if out.numel() == 7 * wide})
    assert found == {"lean": 2, "transformers": 4}


def test_gradients_hooks_copies_and_pickles_see_what_they_would_see() -> None:
    part = part_of("qwen2_5_vl")
    states = torch.randn(1, 4, part.gate_proj.in_features)
    gate = part.gate_proj(states).detach()
    part(states.requires_grad_()).sum().backward()
    expected = torch.autograd.grad(plain(part, states).sum(), states)[0]
    assert torch.equal(states.grad, expected)
    seen: list[torch.Tensor] = []
    handle = part.gate_proj.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        output = part(states)
        assert torch.equal(seen[0], gate), "who watches the gate keeps what it gave"
        handle.remove()
        other = copy.deepcopy(part)
        other.down_proj.weight.zero_()
        assert not other(states).any(), "a copy computes with its own weights"
        assert torch.equal(part(states), output)
        assert torch.equal(pickle.loads(pickle.dumps(part))(states), output)


def test_it_can_be_undone_and_leaves_other_parts_alone() -> None:
    part = part_of("qwen3")
    use_plain_feed_forward(part)
    assert "forward" not in vars(part)
    part.act_fn = torch.nn.GELU()
    use_lean_feed_forward(part)
    assert "forward" not in vars(part), "its activation is another one"
