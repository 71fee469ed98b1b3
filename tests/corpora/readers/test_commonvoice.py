"""Common Voice: a small tree of two languages in its layout."""

from pathlib import Path

import pytest
from helpers.trees import rejections, texts_by_id, write_text, write_tone

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


def test_the_korean_splits_are_read_and_malformed_rows_are_rejected(tmp_path: Path) -> None:
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\n"
    for language in ("en", "ko"):
        folder = tmp_path / "cv-corpus-17.0" / language
        for split in ("train", "dev", "test"):
            write_tone(folder / "clips" / f"{language}_{split}.mp3", rate=32_000)
            row = f'{split}er\t{language}_{split}.mp3\tx\t"따옴표가 {split}\t2\n'
            write_text(folder / f"{split}.tsv", header + row)
        write_tone(folder / "clips" / "never_validated.mp3")
    korean = tmp_path / "cv-corpus-17.0" / "ko"
    with (korean / "dev.tsv").open("a", encoding="utf-8") as file:
        file.write("a\tb\n\nc\tgone\tx\t없다\t1\n")
    report = prepare(CORPORA["commonvoice"], tmp_path, tmp_path / "out")
    assert texts_by_id(tmp_path / "out") == {
        f"ko_{split}": f'"따옴표가 {split}' for split in ("train", "dev", "test")
    }
    reasons = rejections(report)
    assert reasons["dev.tsv:3"] == "dev.tsv:3 | 2 fields where the header has 5"
    assert reasons["gone"].startswith("dev.tsv:5 | transcript without audio")
    assert "gone.mp3" in reasons["gone"]
    assert len(reasons) == 2
    write_text(korean / "train.tsv", "id\tpath\tsentence\n")
    with pytest.raises(UserError, match="no column client_id; found id, path, sentence"):
        prepare(CORPORA["commonvoice"], tmp_path, tmp_path / "out")
