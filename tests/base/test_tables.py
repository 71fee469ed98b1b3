"""Tables in Markdown that line up."""

from sorigeul.base.tables import markdown_table


def test_names_on_the_left_numbers_on_the_right() -> None:
    rows = [["policy", "engine", "CRR"], ["strict/1", "a", "7.00"], ["strict/1", "longer", "63.30"]]
    assert markdown_table(rows, names=2) == (
        "| policy   | engine |   CRR |\n"
        "| -------- | ------ | ----: |\n"
        "| strict/1 | a      |  7.00 |\n"
        "| strict/1 | longer | 63.30 |\n"
    )
