"""How well a Korean text can be broken between two words, by the words alone.

A reader expects a break where a clause or a phrase ends, and none between words that belong
together: a modifier and its noun, a verb and its auxiliary. Mostly the endings of Korean words say
which is which. Words that look like something else are judged wrongly; that costs an ugly break.
"""

import re
from enum import IntEnum
from functools import lru_cache
from unicodedata import normalize


class Break(IntEnum):
    """What a break separates; the higher, the worse."""

    SENTENCES = 0
    CLAUSES = 1
    PHRASES = 3
    WORDS = 4
    """nothing is known of them"""
    BOUND_WORDS = 7
    """words that belong together"""


_CLOSING_MARKS = "\"'’”)」』】》"
_CONJUNCTIONS = (
    "그리고 그러나 그런데 근데 하지만 그래서 그러면 그럼 그러니까 그렇지만 따라서 그래도"
)
_MODIFIERS = (
    "및 또 또는 즉 혹은 만약 만일 다 더 좀 잘 안 못 참 꼭 막 왜 가장 제일 아주 매우 너무 정말 진짜 "
    "굉장히 거의 바로 이 그 저 이런 그런 저런 어떤 무슨 어느 모든 여러 각 몇 첫 새 내 제 우리 저희 "
    "한 두 세 네 다섯 여섯 일곱 여덟 아홉 열"
)
_OPENING_CLAUSE = frozenset(_CONJUNCTIONS.split())
"""a break stands before them, never after"""
_MODIFYING = frozenset(_MODIFIERS.split())
"""belong to what follows, whatever they end in"""
_SENTENCE_END = re.compile(r"(?:[.?!…。]|(?<![필중주수])요|(?<![마보])다|[죠까냐])$")
_CLAUSE_END = re.compile(
    r"(?:[,;:]|고|며|면|(?<![에께로])서|데|지만|거나|든지|려고|도록|자마자|다가|므로|느라|더니|라도|"
    r"[아어해여][도야])$"
)
_VERB_AS_MODIFIER = re.compile(r"(?:[하있없되않라다냐받오보주]는|[같많좋없있작높낮깊젊]은|의)$")
_PARTICLE = re.compile(
    r"(?:[은는이가을를에께도만와과랑로]|에서|께서|로서|까지|부터|보다|처럼|마다|밖에|조차|마저|한테)$"
)
_BOUND_NOUN = re.compile(
    r"(?:것|거|걸|게|겁|건|수|줄|때|때문|동안|뿐|만큼|대로|채|척|듯|정도|중|적|지|데|쪽|번|개|명|분|살|년|월|"
    r"일|시|초|원)(?:$|[은는이가을를에도만과와의로예였]|까지|부터|입|니|처럼|보다|밖)"
)
_AUXILIARY = re.compile(
    r"(?:있|없|싶|않|못[하해했]|말(?:고|아|았|지)|보(?:고|니|면|지|았|였)|봤|봐|주(?:고|는|시|어|었)|줬|줘|"
    r"버[리렸려]|놓|같[은다습았아]|되|돼|됐|된|될|하(?:고|는|기|면|지|여|였)|했|해(?:$|[서요야도])|합니|"
    r"한다|할$)"
)


@lru_cache(4096)  # a plan of subtitles asks for the same break many times
def break_after(word: str, following: str) -> Break:
    """What a break between `word` and the word `following` it separates."""
    word, following = normalize("NFC", word).rstrip(_CLOSING_MARKS), normalize("NFC", following)
    if word[-1:] in (".", "?", "!", "…", "。"):
        return Break.SENTENCES
    if following in _OPENING_CLAUSE or word.endswith(","):
        return Break.CLAUSES
    if word in _OPENING_CLAUSE or word in _MODIFYING or _BOUND_NOUN.match(following):
        return Break.BOUND_WORDS
    if _SENTENCE_END.search(word):
        return Break.SENTENCES
    if _AUXILIARY.match(following):
        return Break.BOUND_WORDS
    if _CLAUSE_END.search(word):
        return Break.CLAUSES
    if _VERB_AS_MODIFIER.search(word):
        return Break.BOUND_WORDS
    if _PARTICLE.search(word):
        return Break.PHRASES
    return Break.BOUND_WORDS if _ends_in_n_or_l(word) else Break.WORDS


def _ends_in_n_or_l(word: str) -> bool:
    """Whether the last syllable ends in ㄴ or ㄹ, as verbs do that modify a noun: 큰, 갈."""
    return normalize("NFD", word)[-1:] in ("\u11ab", "\u11af")
