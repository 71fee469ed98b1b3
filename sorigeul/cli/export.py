"""The command `sorigeul export`: its options, what it prints.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import logging
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction

from sorigeul.base.printable import printable
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Run

log = logging.getLogger(__name__)


def export(
    run: Run,
    out: Annotated[Positional[Path], positional("OUT")],
    int8: bool = False,
    lm: Annotated[str, positional("LM")] = "",
    recording: Annotated[tuple[Path, ...], positional("FILE"), UseAppendAction] = (),
    overwrite: bool = False,
    web: bool = False,
) -> None:
    """Write a model as ONNX graphs that run without PyTorch, checked against it.

    What it writes is used like a run: sorigeul transcribe OUT FILE…, sorigeul serve OUT.

    Args:
        run: run folder, or Hugging Face id
        out: folder to write; it appears whole, once its graphs were found to compute what the model
            does
        int8: store matrices with eight bits, one scale a row: a quarter of the size
        lm: n-gram language model to put beside the model, a folder made by 'sorigeul lm train'; it
            is used from then on unless another is given
        recording: audio file on whose first 30 seconds the graphs are compared with the model; may
            be given up to eight times. If not given, they are compared on noise
        overwrite: replace an export that is there
        web: put a page beside the graphs that recognises wholly in a browser, for any web server:
            python3 -m http.server --directory OUT, then http://localhost:8000
    """
    from sorigeul.base.stopping import interrupted_by_stop_signals
    from sorigeul.exporting.export import ExportOptions
    from sorigeul.exporting.export import export as export_model

    with interrupted_by_stop_signals():
        summary = export_model(run, out, ExportOptions(int8, lm, recording, overwrite, web))
    if not recording:
        log.info("compared on noise: --recording FILE compares on recordings of yours")
    agreement = summary.agreement
    size, before = summary.graph_bytes / 1e6, summary.weight_bytes / 1e6
    print(
        f"{printable(str(out))}: {size:.1f} MB of graphs ({before:.1f} MB of float32 weights), "
        f"equal to the model within {agreement.difference:.0e} on {agreement.recordings} "
        f"recording{'' if agreement.recordings == 1 else 's'}"
    )
