"""The command `sorigeul label`: its options.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SHARE
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Run
from sorigeul.cli.prepare import print_report
from sorigeul.search.options import AS_TUNED, SearchRequest


def label(
    run: Run,
    places: Annotated[Positional[tuple[Path, ...]], positional("AUDIO… OUT")] = (),
    second: str = "",
    min_confidence: Annotated[float, SHARE] = 0.7,
    min_agreement: Annotated[float, SHARE] = 0.8,
    overwrite: bool = False,
    search: SearchRequest = AS_TUNED,
) -> None:
    """Label recordings without texts: a corpus of what a model has heard, to train on.

    Only utterances are kept that the model is sure of, and that another judge has heard alike.
    Recordings that are done are kept, and the same command goes on from there.

    Args:
        run: run folder, or Hugging Face id
        places: audio and video files, and folders of them; then the folder for the utterances,
            their manifest, and heard.tsv, which lists them all with their texts
        second: run that must agree; without it that is the CTC head of RUN
        min_confidence: least share of the characters of an utterance that RUN expects to be
            correct; 'sorigeul tune' makes that an honest number
        min_agreement: least share of the characters that the second judge has heard, too
        overwrite: replace files in OUT even if this command has not written them
    """
    if len(places) < 2:
        missing = "OUT" if places else "AUDIO…, OUT"
        raise UserError(f"Missing from sorigeul label: {missing} (sorigeul label --help)")
    from sorigeul.base.stopping import interrupted_by_stop_signals
    from sorigeul.labelling.corpus import label as label_recordings
    from sorigeul.labelling.options import LabelOptions

    *recordings, out = places
    options = LabelOptions(min_confidence, min_agreement)
    with interrupted_by_stop_signals():
        report = label_recordings(run, recordings, out, options, second, search, overwrite)
    print_report(report, out)
