"""Where the repository is, and the corpora beside it, which need not be there."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
