"""The command `sorigeul serve`: its options.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

from importlib.util import find_spec
from typing import Annotated

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.cli.arguments import positional
from sorigeul.search.options import AS_TUNED, Precision, SearchRequest
from sorigeul.serving.options import DEFAULTS, ServingOptions

_LIBRARIES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    runs: Annotated[Positional[tuple[str, ...]], positional("RUN…")],
    serving: ServingOptions = DEFAULTS,
    precision: Precision = "float32",
    search: SearchRequest = AS_TUNED,
) -> None:
    """Serve models over HTTP, as OpenAI's API does, with a page for the browser.

    Any client of OpenAI's API works with base_url http://HOST:PORT/v1, and the name of a run's
    folder as the model. The address is printed when the server is ready. SIGTERM or Ctrl-C ends it,
    after what it has accepted is answered.

    Args:
        runs: run folders or Hugging Face ids; several are several models
        precision: number format of the heavy arithmetic; all but float32 by PyTorch. int8, for a
            CPU, saves time with a large model
    """
    if not runs:
        raise UserError("no model given: sorigeul serve RUN…")
    if not all(map(find_spec, _LIBRARIES)):
        raise UserError("serve needs further libraries: pip install 'sorigeul[serve]'")
    if serving.wyoming and find_spec("wyoming") is None:
        raise UserError("--wyoming needs another library: pip install 'sorigeul[wyoming]'")
    from sorigeul.serving.process import ServingPlan
    from sorigeul.serving.server import serve as serve_models

    serve_models(ServingPlan(runs, serving, precision, search))
