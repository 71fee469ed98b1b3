"""The log of the server: a line of JSON for each event, on standard error."""

import json
import sys
import traceback
from datetime import datetime, timezone
from typing import Any

from sorigeul.base.printable import printable


def log_event(event: str, **fields: Any) -> None:
    """Write a line. Fields hold no content of recordings or texts, and no names of clients."""
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = json.dumps({"time": time, "event": event, **fields}, ensure_ascii=False)
    sys.stderr.write(f"{printable(line)}\n")
    sys.stderr.flush()


def log_error(error: BaseException, **fields: Any) -> None:
    """Write a line about a fault of ours, with its traceback."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    log_event("error", **fields, traceback="".join(lines))
