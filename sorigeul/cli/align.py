"""The command `sorigeul align`: its options, what it prints.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from sorigeul.alignment.ranges import LONGEST, SCORE
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Run
from sorigeul.cli.prepare import print_report
from sorigeul.corpora.ranges import PART, SPLIT_SEED


def align(
    run: Run,
    recording: Annotated[Positional[Path], positional("RECORDING")],
    text: Annotated[Positional[Path], positional("TEXT")],
    out: Annotated[Positional[Path], positional("OUT")],
    max_seconds: Annotated[float, LONGEST] = 15.0,
    min_score: Annotated[float, SCORE] = -4.5,
    lines: bool = False,
    numbers: Literal["keep", "spoken", "written"] = "spoken",
    seed: Annotated[int, SPLIT_SEED] = 0,
    dev_share: Annotated[float, PART] = 0.1,
    test_share: Annotated[float, PART] = 0.1,
    overwrite: bool = False,
) -> None:
    """Cut a long recording with its text, such as a lecture or a book, into a prepared corpus.

    What is said but not written, or written but not said, is left out. Recordings that are done are
    kept, and the same command goes on from there.

    Args:
        run: run folder, or Hugging Face id, of a model that was trained with CTC
        recording: an audio or video file, or a folder of them
        text: text file of the recording; of a folder, the folder of text files with the names of
            the recordings
        out: folder for the utterances, their manifests, and alignment.tsv, which lists them all
            with their times and scores
        max_seconds: longest utterance; a line that is longer is left out with --lines
        min_score: an utterance with a lower score is left out: the mean log-probability of its
            characters where the model heard them. Good ones have -1 to -3, wrong ones -6 and less;
            alignment.png shows them all
        lines: each line of the text is an utterance; otherwise utterances end at pauses, rather at
            the end of a sentence or a line than within it
        numbers: spoken writes numbers, units and Latin letters as they are said, which is what a
            model can hear; written the other way round; keep leaves them as they are
        seed: seed of the split
        dev_share: share of the speech for dev
        test_share: share of the speech for test
        overwrite: replace files in OUT even if this command has not written them
    """
    from sorigeul.alignment.corpus import align as align_corpus
    from sorigeul.alignment.options import AlignOptions
    from sorigeul.base.stopping import interrupted_by_stop_signals
    from sorigeul.corpora.options import PrepareOptions

    options = AlignOptions(max_seconds, min_score, lines, numbers)
    preparation = PrepareOptions(
        seed=seed, dev_share=dev_share, test_share=test_share, overwrite=overwrite
    )
    with interrupted_by_stop_signals():
        report = align_corpus(run, recording, text, out, options, preparation)
    print_report(report, out)
