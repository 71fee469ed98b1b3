"""Options of `prepare`, and the shares of several machines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions, Shard


@pytest.mark.parametrize(
    "options",
    [
        {"dev_share": -0.1},
        {"dev_share": 0.5, "test_share": 0.5},
        {"max_duration": 0.1},
        {"utterances": -1},
        {"shards": -1},
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=str(next(iter(options)))):
        PrepareOptions(**options)


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "a/b", "1/3/5", "-1/3", "½/2", f"1/{'9' * 5000}"]
)
def test_a_shard_that_is_not_i_of_n_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"^shard {text}: must be i/n"):
        Shard.parse(text)


def test_a_shard_is_parsed() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)


@given(st.text(), st.integers(1, 9))
def test_an_item_is_in_exactly_one_shard(item: str, count: int) -> None:
    assert sum(Shard(number, count).holds(item) for number in range(1, count + 1)) == 1
