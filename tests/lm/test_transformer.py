"""The Transformer: what it sees of a text, and what it keeps. The rest is in test_network.py."""

import torch

from sorigeul.lm.transformer import ContextState, TransformerConfig, TransformerNetwork
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"가나다라 마바사", *SPECIALS))
CONTEXT = 4


def new_network(layers: int) -> TransformerNetwork:
    torch.manual_seed(5)
    config = TransformerConfig(16, layers, 2, CONTEXT)
    return TransformerNetwork(config, VOCABULARY).eval()


def dependence(network: TransformerNetwork, length: int) -> list[bool]:
    """Whether the last logits of a text depend on each of its characters."""
    embedded: list[torch.Tensor] = []

    def keep(_module: object, _inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        embedded.append(output)

    handle = network.embedding.register_forward_hook(keep)
    logits = network(torch.arange(length).unsqueeze(0) % 8)
    handle.remove()
    logits[0, -1, 2].backward()
    gradient = embedded[0].grad
    assert gradient is not None
    return [bool(position.any()) for position in gradient[0]]


def test_it_sees_the_characters_of_its_context_and_no_others() -> None:
    assert dependence(new_network(layers=1), 9) == [False] * (9 - CONTEXT) + [True] * CONTEXT
    # Each layer looks that far back from where the one below it did.
    reach = 2 * (CONTEXT - 1) + 1
    assert dependence(new_network(layers=2), 9) == [False] * (9 - reach) + [True] * reach


def test_it_does_not_see_what_follows() -> None:
    network = new_network(layers=2)
    with torch.no_grad():
        one, other = network(torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 6, 7]]))
    torch.testing.assert_close(one[:3], other[:3])
    assert not torch.allclose(one[3], other[3])


def test_a_text_in_pieces_is_the_text() -> None:
    network = new_network(layers=2)
    characters = torch.randint(8, (2, 15), generator=torch.Generator().manual_seed(0))
    memory, outputs = network.start(2), []
    with torch.no_grad():
        whole, _ = network.read(characters, network.start(2))
        for piece in characters.split([1, 6, 2, 6], dim=1):
            output, memory = network.read(piece, memory)
            outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, 1), whole)
    assert memory.position == 15


def test_it_keeps_no_more_than_its_context() -> None:
    network = new_network(layers=2)
    memory: ContextState = network.start(3)
    sizes = []
    with torch.no_grad():
        for _ in range(6):
            _, memory = network.read(torch.zeros(3, 1, dtype=torch.long), memory)
            sizes.append(memory.layers[0].shape[2])
    assert sizes == [1, 2, 3, 3, 3, 3]
    assert {layer.shape for layer in memory.layers} == {(2, 3, CONTEXT - 1, 8)}


def test_the_order_of_the_characters_counts() -> None:
    network = new_network(layers=1)
    with torch.no_grad():
        one, other = network(torch.tensor([[1, 2, 3], [2, 1, 3]]))
    assert not torch.allclose(one[-1], other[-1], atol=1e-4)
