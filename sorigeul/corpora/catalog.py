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
        Corpus("kspon", kspon.read, kspon.normalizer_name),
        Corpus("aihub", aihub.read, aihub.normalizer_name),
        Corpus("zeroth", zeroth.read),
        Corpus("pansori", pansori.read),
        Corpus("clovacall", clovacall.read),
        Corpus("commonvoice", commonvoice.read),
        Corpus("fleurs", fleurs.read),
        Corpus("table", table.read, table.normalizer_name),
    )
}
