"""Tests of terms and languages in requests; the fields themselves are tested with the server."""

import pytest

from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.transcription_request import is_korean, requested_terms
from sorigeul.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.from_texts(["소리글 서울역 김 철수"], min_count=1)


@pytest.mark.parametrize("language", ["ko", "KO", "kor", "Korean", "ko-KR", " ko "])
def test_korean_has_several_names(language: str) -> None:
    assert is_korean(language)


@pytest.mark.parametrize("language", ["en", "kok", "k", "korea", "zh"])
def test_other_languages_are_not_korean(language: str) -> None:
    assert not is_korean(language)


def test_keywords_count_in_full_and_words_of_a_prompt_a_little(vocabulary: Vocabulary) -> None:
    terms = dict(requested_terms(["서울역", "김철수"], "소리글, 서울역. 김! Σ", vocabulary))
    assert terms.keys() == {"서울역", "김철수", "소리글"}
    assert terms["서울역"] == terms["김철수"] == 1.0
    assert 0 < terms["소리글"] < 1


def test_the_order_of_terms_does_not_matter(vocabulary: Vocabulary) -> None:
    """Requests with the same terms share batches."""
    forward = requested_terms(["서울역", "김철수"], "", vocabulary)
    assert forward == requested_terms(["김철수", "서울역"], "", vocabulary)


@pytest.mark.parametrize("keyword", ["", " ", "Σ", "역사"])
def test_a_keyword_that_cannot_be_written_is_refused(vocabulary: Vocabulary, keyword: str) -> None:
    with pytest.raises(ApiError) as refused:
        requested_terms(["소리글", keyword], "", vocabulary)
    assert refused.value.param == "keywords"


def test_terms_are_bounded(vocabulary: Vocabulary) -> None:
    for keywords, prompt, name in ((["서울역"] * 400, "", "keywords"), ([], "역" * 1001, "prompt")):
        with pytest.raises(ApiError) as refused:
            requested_terms(keywords, prompt, vocabulary)
        assert refused.value.param == name
