"""The commands `sorigeul card` and `push`: their options, what they print and write.

They import what they need when they run, so that `sorigeul --help` does not wait for torch.
"""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction

from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import LAYOUT, printable
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import File, Run

_Files = Annotated[tuple[Path, ...], positional("FILE"), UseAppendAction]
_Folders = Annotated[tuple[Path, ...], positional("OUT"), UseAppendAction]


def card(
    run: Run,
    out: File = None,
    name: str = "",
    license: str = "",
    evaluation: _Files = (),
    data: _Folders = (),
    overwrite: bool = False,
) -> None:
    """Describe a model for strangers: data, results, limits, use. The README.md of the hub.

    It says what is recorded: the corpora of the training, their licences, the machine, and each
    evaluation of this model that 'sorigeul evaluate RUN DATA --json RUN/NAME.json' left in its
    folder. What is not recorded it calls unknown.

    Args:
        run: run folder, or export
        out: write it here, as RUN/README.md, rather than print it; a file that is there, which
            somebody may have edited, is only replaced with --overwrite
        name: of the model, as one will load it: OWNER/NAME; if not given, that of its folder
        license: of the model, such as apache-2.0 or CC BY 4.0; if not given, it is not stated
        evaluation: what 'sorigeul evaluate --json' has written elsewhere; may be given several
            times
        data: prepared corpus that the model was trained on, for a run that is older than the
            record of it; may be given several times
        overwrite: replace a file that is there
    """
    from sorigeul.base.files import write_text
    from sorigeul.corpora.corpus_files import REPORT
    from sorigeul.pretrained.model_card import CARD, CardOptions, model_card
    from sorigeul.recognition.model_loading import find_model

    folder = find_model(run)
    if out is not None:
        model = [path for path in folder.iterdir() if path.is_file() and path.name != CARD]
        reports = [corpus / REPORT for corpus in data]
        refuse_overwriting([Output(out, "--out")], [*evaluation, *model, *reports], overwrite)
    name = name or ("" if Path(run).is_dir() else run)
    text = model_card(folder, CardOptions(name, license, evaluation, data))
    text = printable(text, LAYOUT)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)


def push(
    run: Run,
    repository: Annotated[Positional[str], positional("OWNER/NAME")],
    private: bool = False,
) -> None:
    """Upload a model to the Hugging Face hub, with its card; OWNER/NAME then loads it anywhere.

    Of a run go config.json, vocabulary.json, model.safetensors, search.json and README.md, of an
    export all that it needs; nothing else in the folder. Without a README.md there, one is made as
    by 'sorigeul card'. Who you are, the hub knows by 'hf auth login' or HF_TOKEN.

    Args:
        run: run folder, or export
        repository: name of the model on the hub; it is made if it is not there
        private: whether only its owner sees it
    """
    from sorigeul.pretrained.hub_upload import push_to_hub
    from sorigeul.recognition.model_loading import find_model

    done = push_to_hub(find_model(run), repository, private)
    for name, size in done.files.items():
        print(printable(f"{name}: {size:,} bytes"))
    print(printable(done.url))
