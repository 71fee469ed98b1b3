"""The demo corpus: Korean sentences spoken by a speech synthesizer, with background noise.

The sentences are made up, or come from a text file. Nothing is downloaded. The same options give
the same bytes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.process_pool import map_in_order
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Corpus, Layout, Rejected, Utterance
from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.passages import read_sentences
from sorigeul.synthesis.rendering import render_flac
from sorigeul.synthesis.script import SentencesFromFile, script, sentences_by_split

_CHUNK_SIZE = 8  # lines sent to a process at a time


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Synthesise utterances to ``out/audio/<voice>/``, as 16 kHz FLAC.

    ``options`` give the number of utterances or hours, and the text file of the sentences. A tenth
    is test and a twentieth dev. No voice and no sentence is in two splits.
    """
    if source is not None:
        raise UserError(
            f"{source}: the demo corpus reads no source, it is synthesised; leave it out"
        )
    sentences: SentencesFromFile = {}
    rejected: list[Rejected] = []
    if options.text_file:
        sentences, rejected = read_sentences(Path(options.text_file))
    # The script is drawn once before synthesis, so that errors show before anything is written.
    line_counts = Counter(line.split for line in script(options, sentences))
    with Synthesizer() as synthesizer:
        yield Layout(
            f"speech synthesis by eSpeak NG {synthesizer.version}",
            notes=tuple(_repetition_notes(line_counts, sentences, options.text_file)),
            items=line_counts.total() + len(rejected),
        )
        yield from rejected
        render_line = partial(render_flac, synthesizer)
        lines = script(options, sentences)
        with closing(
            map_in_order(render_line, lines, options.jobs, _CHUNK_SIZE, lambda line: line.id)
        ) as rendered:
            for line, flac in rendered:
                path = out / "audio" / line.voice / f"{line.id}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(flac)
                yield Utterance(line.id, path, line.text, line.voice, line.split, where=line.where)


def recordings(count: int) -> list[bytes]:
    """The first recordings of the demo corpus, as FLAC at 16 kHz."""
    with Synthesizer() as synthesizer:
        return [render_flac(synthesizer, line) for line in islice(script(PrepareOptions()), count)]


def _repetition_notes(
    line_counts: Counter[str], sentences: SentencesFromFile, text_file: str
) -> Iterator[str]:
    """Say how often sentences are repeated in splits that have more lines than sentences."""
    for split, available in sentences_by_split(sentences).items():
        if available and line_counts[split] > len(available):
            yield (
                f"{split}: {text_file} has {len(available):,} sentences for it, said "
                f"up to {-(-line_counts[split] // len(available))} times each, by different voices"
            )


DEMO = Corpus(
    "demo",
    read,
    makes_recordings=True,
    title="the demo corpus of sorigeul",
    licence="none needed: its speech was synthesised by eSpeak NG",
)
