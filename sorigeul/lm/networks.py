"""The networks that can be language models, by the kind of model that they are."""

from sorigeul.lm.network import CharacterNetwork
from sorigeul.lm.recurrent import RecurrentNetwork
from sorigeul.lm.transformer import TransformerNetwork

NETWORKS: dict[str, type[CharacterNetwork]] = {
    network.kind: network for network in (RecurrentNetwork, TransformerNetwork)
}
