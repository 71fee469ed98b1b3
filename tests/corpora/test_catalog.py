"""All corpora of the catalog refuse a source that is not theirs."""

from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare


@pytest.mark.parametrize("corpus", sorted(set(CORPORA) - {"table"}))
def test_a_missing_or_empty_source_is_refused_with_the_expected_layout(
    tmp_path: Path, corpus: str
) -> None:
    out = tmp_path / "out"
    options = PrepareOptions(layout="freetalk" if corpus == "aihub" else "")
    (tmp_path / "empty").mkdir()
    for source in (None, tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(UserError, match=r"should hold \S+") as raised:
            prepare(CORPORA[corpus], source, out, options)
        assert "\n" not in str(raised.value)
        assert source is None or str(source) in str(raised.value)
    assert not out.exists()
