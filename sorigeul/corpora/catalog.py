"""The corpora that are read from a folder or a file, by name. `synthesis` adds the demo corpus."""

from sorigeul.corpora.readers import (
    aihub,
    clovacall,
    commonvoice,
    fleurs,
    kspon,
    pansori,
    table,
    zeroth,
)
from sorigeul.corpora.utterances import Corpus

CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "kspon",
            kspon.read,
            kspon.normalizer_name,
            title="KsponSpeech",
            licence="AI Hub's terms of use",
        ),
        Corpus(
            "aihub",
            aihub.read,
            aihub.normalizer_name,
            title="a set of AI Hub",
            licence="AI Hub's terms of use",
        ),
        Corpus("zeroth", zeroth.read, title="Zeroth-Korean", licence="CC BY 4.0"),
        Corpus("pansori", pansori.read, title="Pansori TEDxKR", licence="CC BY-NC-ND 4.0"),
        Corpus(
            "clovacall",
            clovacall.read,
            title="ClovaCall",
            licence="NAVER's terms: non-commercial, on application",
        ),
        Corpus(
            "commonvoice", commonvoice.read, title="Mozilla Common Voice, Korean", licence="CC0 1.0"
        ),
        Corpus("fleurs", fleurs.read, title="FLEURS, Korean", licence="CC BY 4.0"),
        Corpus("table", table.read, table.normalizer_name),
    )
}
