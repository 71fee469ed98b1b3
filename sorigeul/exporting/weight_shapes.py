"""The weights of a model by its configuration: what is called how, and its shape.

So weights are told to be those of a configuration without building the model, which needs PyTorch.
"""

from itertools import pairwise

from sorigeul.model.config import (
    CONFORMER_EXPANSION,
    CONFORMER_KERNEL,
    CONV_REDUCTION,
    LOCATION_CHANNELS,
    LOCATION_KERNEL,
    Cell,
    LASConfig,
    ScoreFunction,
)

ATTENTION = "speller.attention.attention"
"""where the model has the layers of its score function"""
RECURRENT_STACKS = ("bottom_rnn", "middle_rnn.rnn", "top_rnn.rnn")
"""where its listener has the recurrent layers of each stack"""
_CONVOLUTIONS = ((0, 2), (3, 6), (7, 9), (10, 12), (13, 15))
"""the numbers of the convolutions in `FrontEnd.conv`, and of the normalisations after them"""
_GATES: dict[Cell, int] = {"gru": 3, "lstm": 4, "rnn": 1}

Shapes = dict[str, tuple[int, ...]]


def weight_shapes(config: LASConfig) -> Shapes:
    """The shapes of a published model's `state_dict`, in its order.

    For a listener of our own, not for a pretrained one.
    """
    shapes = _convolutions(config.conv_channels)
    front_width = 2 * config.conv_channels * (config.n_mels // CONV_REDUCTION)
    stacks = _conformer_stack if config.listener == "conformer" else _recurrent_stack
    for number, layers in enumerate(config.stack_sizes):
        shapes |= stacks(config, number, layers, 2 * config.width if number else front_width)
        if config.junction_norm and not number:  # they come after the lowest stack
            widths = [front_width, *[config.width] * len(config.stack_sizes)]
            for place, width in enumerate(widths):
                shapes |= _layer(f"listener.junctions.{place}.norm", width)
    shapes |= _speller(config)
    if config.ctc_weight > 0:
        shapes |= _layer("ctc", config.vocabulary_size, config.width)
    return shapes


def _convolutions(narrow: int) -> Shapes:
    """Of the front end, whose first stage has so many channels, and whose second twice as many."""
    shapes: Shapes = {}
    channels = (1, narrow, narrow, 2 * narrow, 2 * narrow, 2 * narrow)
    pairs = pairwise(channels)
    for (conv, norm), (inputs, outputs) in zip(_CONVOLUTIONS, pairs, strict=True):
        shapes |= _layer(f"listener.conv.{conv}", outputs, inputs, 3, 3)
        name = f"listener.conv.{norm}"
        shapes |= _layer(name, outputs)
        shapes |= {f"{name}.{part}": (outputs,) for part in ("running_mean", "running_var")}
        shapes[f"{name}.num_batches_tracked"] = ()
    return shapes


def _layer(name: str, *shape: int, bias: bool = True) -> Shapes:
    """A weight of this shape, and a bias for each of its rows."""
    weight = {f"{name}.weight": shape}
    return {**weight, f"{name}.bias": shape[:1]} if bias else weight


def _recurrent(
    name: str, cell: Cell, inputs: int, hidden: int, layers: int, bidirectional: bool = False
) -> Shapes:
    shapes: Shapes = {}
    rows, directions = _GATES[cell] * hidden, ["", "_reverse"][: 2 if bidirectional else 1]
    for layer in range(layers):
        width = hidden * len(directions) if layer else inputs
        for direction in directions:
            end = f"l{layer}{direction}"
            shapes[f"{name}.weight_ih_{end}"] = (rows, width)
            shapes[f"{name}.weight_hh_{end}"] = (rows, hidden)
            shapes |= {f"{name}.bias_{part}_{end}": (rows,) for part in ("ih", "hh")}
    return shapes


def _recurrent_stack(config: LASConfig, number: int, layers: int, inputs: int) -> Shapes:
    name = f"listener.{RECURRENT_STACKS[number]}"
    hidden, directions = config.hidden_size, config.use_bidirectional
    return _recurrent(name, config.cell, inputs, hidden, layers, directions)


def _conformer_stack(config: LASConfig, number: int, blocks: int, inputs: int) -> Shapes:
    stack, width = f"listener.stacks.{number}", config.width
    shapes = _layer(f"{stack}.project", width, inputs)
    for block in (f"{stack}.blocks.{place}" for place in range(blocks)):
        shapes |= _feed_forward(f"{block}.feed_forward_before", width)
        shapes |= _layer(f"{block}.attention_norm", width)
        shapes |= _layer(f"{block}.attention.query_key_value", 3 * width, width)
        shapes |= _layer(f"{block}.attention.out", width, width)
        shapes |= _layer(f"{block}.convolution.norm", width)
        shapes |= _layer(f"{block}.convolution.gate", 2 * width, width)
        shapes |= _layer(f"{block}.convolution.depthwise", width, 1, CONFORMER_KERNEL)
        shapes |= _layer(f"{block}.convolution.depthwise_norm", width)
        shapes |= _layer(f"{block}.convolution.out", width, width)
        shapes |= _feed_forward(f"{block}.feed_forward_after", width)
        shapes |= _layer(f"{block}.norm", width)
    return shapes


def _feed_forward(name: str, width: int) -> Shapes:
    wide = CONFORMER_EXPANSION * width
    return {
        **_layer(f"{name}.0", width),
        **_layer(f"{name}.1", wide, width),
        **_layer(f"{name}.4", width, wide),
    }


def _speller(config: LASConfig) -> Shapes:
    width, characters = config.speller_width, config.vocabulary_size
    inputs = width * (2 if config.feed_context else 1)
    shapes: Shapes = {}
    if width != config.width:
        shapes |= _layer("speller.project", width, config.width)
    shapes |= _recurrent("speller.rnn", config.cell, inputs, width, config.speller_layer_size)
    shapes["speller.embedding.weight"] = (characters, width)
    if config.use_attention:
        shapes |= _attention(config.score_function, width)
    return shapes | _layer("speller.out", characters, width)


def _attention(kind: ScoreFunction, width: int) -> Shapes:
    is_additive = kind in ("additive", "location")
    shapes = _layer(f"{ATTENTION}.W", width, 2 * width)
    if kind != "self":
        shapes |= _layer(f"{ATTENTION}.query", width, width)
        shapes |= _layer(f"{ATTENTION}.key", width, width, bias=not is_additive)
    if kind == "multi-head":
        shapes |= _layer(f"{ATTENTION}.value", width, width)
    if is_additive:
        shapes |= _layer(f"{ATTENTION}.score", 1, width, bias=False)
    if kind == "location":
        kernel = (LOCATION_CHANNELS, 1, LOCATION_KERNEL)
        shapes |= _layer(f"{ATTENTION}.location_conv", *kernel, bias=False)
        shapes |= _layer(f"{ATTENTION}.location", width, LOCATION_CHANNELS, bias=False)
    return shapes
