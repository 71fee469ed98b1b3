"""The command `sorigeul splice`: its options.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import shlex
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from sorigeul.alignment.ranges import SCORE
from sorigeul.base.ranges import PROCESSES, SEED
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Run
from sorigeul.cli.prepare import print_report
from sorigeul.splicing.ranges import COPIES


def splice(
    run: Run,
    data: Annotated[Positional[Path], positional("DATA")],
    out: Annotated[Positional[Path], positional("OUT")],
    copies: Annotated[float, COPIES] = 1.0,
    min_score: Annotated[float, SCORE] = -3.0,
    seed: Annotated[int, SEED] = 0,
    jobs: Annotated[int, PROCESSES] = 0,
    audio_root: str = "",
    overwrite: bool = False,
) -> None:
    """Make new sentences of a corpus' own speech, to train on with it.

    Utterances are cut between words, where the CTC head of a model finds these, and pieces of the
    same speaker are joined to new ones. What is done is kept, and the same command goes on.

    Args:
        run: run folder, or Hugging Face id; it needs a CTC head
        data: folder of manifests, made by 'sorigeul prepare'; its train is cut
        out: folder for the new utterances, their manifest, and splices.tsv, which says what each
            is made of
        copies: times that the speech is cut and joined anew; 0.5: half of what comes out
        min_score: mean log-probability of the characters of a word; one with less is in no piece
        seed: another number gives other sentences
        jobs: processes that write; 0: one a core
        audio_root: folder that holds the recordings now, if they have moved
        overwrite: replace files in OUT even if this command has not written them
    """
    from sorigeul.base.capacity import processes
    from sorigeul.base.printable import printable
    from sorigeul.base.stopping import interrupted_by_stop_signals
    from sorigeul.exporting.runtime import is_export
    from sorigeul.splicing.corpus import splice as splice_corpus
    from sorigeul.splicing.options import SpliceOptions

    options = SpliceOptions(copies, min_score, seed)
    with interrupted_by_stop_signals():
        report = splice_corpus(run, data, out, options, audio_root, overwrite, processes(jobs))
    print_report(report, out)
    if not audio_root:  # it would have to be that of both
        begin = [] if is_export(run) else ["--init_from", run]
        command = shlex.join(["sorigeul", "train", str(data), str(out), "NEW_RUN", *begin])
        print(f"to train on both: {printable(command)}")
