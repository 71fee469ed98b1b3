"""The weights of a model by its configuration: what is called how, and its shape.

So weights are told to be those of a configuration without building the model, which needs PyTorch.
"""

from sorigeul.model.config import (
    CONFORMER_EXPANSION,
    CONFORMER_KERNEL,
    CONV_REDUCTION,
    LOCATION_CHANNELS,
    LOCATION_KERNEL,
    Cell,
    LASConfig,
)

ATTENTION = "speller.attention.attention"
"""where the model has the layers of its score function"""
_GATES: dict[Cell, int] = {"gru": 3, "lstm": 4, "rnn": 1}

Shapes = dict[str, tuple[int, ...]]


def weight_shapes(config: LASConfig) -> Shapes:
    """The shapes of a published model's `state_dict`, but for its counters of batches.

    For a listener of our own, not for a pretrained one.
    """
    shapes: Shapes = {}
    channels = config.conv_channels
    front_width = 2 * channels * (config.n_mels // CONV_REDUCTION)
    sizes = (1, channels, channels, 2 * channels, 2 * channels, 2 * channels)
    for number, inputs, outputs in zip((0, 3, 7, 10, 13), sizes[:-1], sizes[1:], strict=True):
        shapes |= _layer(f"listener.conv.{number}", outputs, inputs, 3, 3)
    for number, width in zip((2, 6, 9, 12, 15), sizes[1:], strict=True):
        shapes |= _layer(f"listener.conv.{number}", width)
        for part in ("running_mean", "running_var"):
            shapes[f"listener.conv.{number}.{part}"] = (width,)
    stacks = _conformer_stack if config.listener == "conformer" else _recurrent_stack
    for number, layers in enumerate(config.stack_sizes):
        shapes |= stacks(config, number, layers, 2 * config.width if number else front_width)
    if config.junction_norm:
        widths = [front_width, *[config.width] * len(config.stack_sizes)]
        for number, width in enumerate(widths):
            shapes |= _layer(f"listener.junctions.{number}.norm", width)
    if config.ctc_weight > 0:
        shapes |= _layer("ctc", config.vocabulary_size, config.width)
    return shapes | _speller(config)


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
            for part in ("ih", "hh"):
                shapes[f"{name}.bias_{part}_{end}"] = (rows,)
    return shapes


def _recurrent_stack(config: LASConfig, number: int, layers: int, inputs: int) -> Shapes:
    name = ("bottom_rnn", "middle_rnn.rnn", "top_rnn.rnn")[number]
    hidden, directions = config.hidden_size, config.use_bidirectional
    return _recurrent(f"listener.{name}", config.cell, inputs, hidden, layers, directions)


def _conformer_stack(config: LASConfig, number: int, blocks: int, inputs: int) -> Shapes:
    stack, width, wide = f"listener.stacks.{number}", config.width, CONFORMER_EXPANSION
    shapes = _layer(f"{stack}.project", width, inputs)
    for block in (f"{stack}.blocks.{place}" for place in range(blocks)):
        for half in ("feed_forward_before", "feed_forward_after"):
            shapes |= _layer(f"{block}.{half}.0", width)
            shapes |= _layer(f"{block}.{half}.1", wide * width, width)
            shapes |= _layer(f"{block}.{half}.4", width, wide * width)
        norms = ("attention_norm", "convolution.norm", "convolution.depthwise_norm", "norm")
        for norm in norms:
            shapes |= _layer(f"{block}.{norm}", width)
        shapes |= _layer(f"{block}.attention.query_key_value", 3 * width, width)
        shapes |= _layer(f"{block}.attention.out", width, width)
        shapes |= _layer(f"{block}.convolution.gate", 2 * width, width)
        shapes |= _layer(f"{block}.convolution.depthwise", width, 1, CONFORMER_KERNEL)
        shapes |= _layer(f"{block}.convolution.out", width, width)
    return shapes


def _speller(config: LASConfig) -> Shapes:
    width, characters = config.speller_width, config.vocabulary_size
    inputs = width * (2 if config.feed_context else 1)
    shapes: Shapes = {"speller.embedding.weight": (characters, width)}
    shapes |= _recurrent("speller.rnn", config.cell, inputs, width, config.speller_layer_size)
    shapes |= _layer("speller.out", characters, width)
    if width != config.width:
        shapes |= _layer("speller.project", width, config.width)
    if not config.use_attention:
        return shapes
    shapes |= _layer(f"{ATTENTION}.W", width, 2 * width)
    kind = config.score_function
    if kind != "self":
        shapes |= _layer(f"{ATTENTION}.query", width, width)
        has_bias = kind not in ("additive", "location")
        shapes |= _layer(f"{ATTENTION}.key", width, width, bias=has_bias)
    if kind in ("additive", "location"):
        shapes |= _layer(f"{ATTENTION}.score", 1, width, bias=False)
    if kind == "location":
        kernel = (LOCATION_CHANNELS, 1, LOCATION_KERNEL)
        shapes |= _layer(f"{ATTENTION}.location_conv", *kernel, bias=False)
        shapes |= _layer(f"{ATTENTION}.location", width, LOCATION_CHANNELS, bias=False)
    if kind == "multi-head":
        shapes |= _layer(f"{ATTENTION}.value", width, width)
    return shapes
