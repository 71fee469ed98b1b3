"""The page that tells a stranger what an export is: its origin, its results, how to use it."""

from pathlib import Path

from sorigeul.base import provenance
from sorigeul.exporting.runtime import ExportRecord
from sorigeul.pretrained.description import PretrainedModel

_PAGE = """---
language: ko
library_name: sorigeul
pipeline_tag: automatic-speech-recognition
tags: [speech-recognition, korean, listen-attend-and-spell, onnx]
---

# {name}

A Korean speech recogniser (Listen, Attend and Spell) as ONNX graphs. It runs with ONNX Runtime and
NumPy, on a CPU, without PyTorch.

    pip install sorigeul
    sorigeul transcribe {name} RECORDING…
    sorigeul serve {name}

## What it is

| | |
| --- | --- |
| numbers | {precision}, {megabytes:.1f} MB of graphs |
| listener | {listener}, width {width} |
| speller | {layers} layer(s) of {cell}, attention: {attention} |
| CTC head | {ctc} |
| vocabulary | {units:,} units ({kind}) |
| text | as `{normalizer}` writes it |
| features | {n_mels} mel bands, {rate:g} frames a second, normalised: {normalization} |
| longest utterance of its training | {longest} |

## Results

{results}

They say nothing of other kinds of recordings: measure yours with `sorigeul evaluate`.

## Origin

{origin}

## Files

`listener.onnx`: log-mel features to the frames that the speller attends to, and the scores of the
CTC head. `speller.onnx`: one more character. `vocabulary.json`, `config.json`: units, features.
`search.json`, if there is one: what `sorigeul tune` found. `lm/`, if there is one: an n-gram
language model, used unless another is given.

## Limits

It writes what was said, without punctuation unless its training had it, and nothing of who spoke.
It may write words that nobody said, above all in noise; such segments are mostly marked as
doubtful. It was made by sorigeul {version}.
"""


def model_card(
    name: str, run: Path, pretrained: PretrainedModel, record: ExportRecord, graph_bytes: int
) -> str:
    """The page, in Markdown, of the export `name` of a run."""
    config, features = pretrained.model.config, pretrained.features
    longest = pretrained.longest_utterance
    results = [f"- {key}: {value}" for key, value in sorted(record.results.items())]
    origin = [f"- {line}" for line in provenance.lines(run)]
    return _PAGE.format(
        name=name,
        precision=record.precision,
        megabytes=graph_bytes / 1e6,
        listener=config.listener,
        width=config.width,
        layers=config.speller_layer_size,
        cell=config.cell,
        attention=config.score_function if config.use_attention else "none",
        ctc="yes" if config.ctc_weight > 0 else "no",
        units=len(pretrained.vocabulary),
        kind=pretrained.vocabulary.kind,
        normalizer=pretrained.normalizer,
        n_mels=features.n_mels,
        rate=features.frames_per_second,
        normalization=features.normalization,
        longest="unknown" if longest is None else f"{longest:g} s",
        results="\n".join(results) or "None are recorded.",
        origin="\n".join(origin) or "Not recorded.",
        version=record.version,
    )
