"""Recipes: the commands in them, and what is no recipe."""

from pathlib import Path

import pytest
from helpers.commands import Command
from helpers.trees import write_text

from sorigeul.base.errors import UserError
from sorigeul.recipes.recipe import Recipe, recipes


@pytest.mark.parametrize("name", recipes())
def test_the_commands_of_every_recipe_are_understood(
    sorigeul: Command, name: str, run: Path, tmp_path: Path
) -> None:
    """Each is refused for what is not there, and for an option only if there is a wrong one."""
    recipe = Recipe.load(name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "first").symlink_to(run)  # whose settings another run may begin with
    corpora = [tmp_path / f"missing{number}" for number in range(len(recipe.corpora))]
    for step, command in recipe.commands(corpora, [tmp_path / "texts"], tmp_path / "out").items():
        refused = sorigeul(*command)
        assert refused.status == 2, step
        assert (
            "missing" in refused.error() or "out" in refused.error() or "texts" in refused.error()
        )
        assert "nonsense" in sorigeul(*command, "--nonsense").error(), step


def test_the_texts_for_the_language_model_stand_where_the_recipe_says(tmp_path: Path) -> None:
    commands = Recipe.load("pansori").commands(
        [Path("corpus")], [Path("a b.txt"), Path("c")], Path("out")
    )
    assert commands["language model"][:5] == ["lm", "train", "a b.txt", "c", "out/data"]


def test_a_recipe_may_need_no_corpus(sorigeul: Command, tmp_path: Path) -> None:
    content = "corpora: []\nsteps: {a: 'prepare demo {out}/data'}\nfigures: {}"
    path = write_text(tmp_path / "a.yaml", content)
    recipe = Recipe.load(str(path))
    assert recipe.commands([], (), Path("out")) == {"a": ["prepare", "demo", "out/data"]}
    assert "needs OUT, in this order" in sorigeul("recipe", path).error()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("corpora: [a]\nsteps: {}", "no recipe, which has corpora, steps, figures"),
        ("corpora: a\nsteps: {}\nfigures: {}", "corpora must be a list"),
        ("corpora: [a]\nsteps: [b]\nfigures: {}", "steps must be lines of a name and a text"),
        ("corpora: [a]\nsteps: {b: 'prepare {corpus3}'}\nfigures: {}", "step b: {corpus3} in '"),
        (
            "corpora: [a]\nsteps: {b: 'prepare {out.x}'}\nfigures: {}",
            "step b: {out.x} in '{out.x}'",
        ),
        ("corpora: [a]\nsteps: {b: '{corpus[0]}'}\nfigures: {}", "step b: {corpus\\[0\\]} in '"),
        ("corpora: [a]\nsteps: {b: '{out!r} {}'}\nfigures: {}", "step b: {out!r} in '"),
        ("corpora: [a]\nsteps: {b: '--x={out'}\nfigures: {}", "step b: {out in '--x={out'; it may"),
        ("corpora: [a]\nsteps: {b: 'out}/a'}\nfigures: {}", "step b: } in 'out}/a'; it may"),
        (
            "corpora: [a]\nsteps: {b: '--x=y{texts}'}\nfigures: {}",
            "{texts} in '--x=y{texts}'; it may have .*, {texts} as a word of its own$",
        ),
        ('corpora: [a]\nsteps: {b: "prepare \'x"}\nfigures: {}', "step b: No closing quotation"),
        (
            "corpora: [a]\nsteps: {}\nfigures: {t: '{oot}/a.json'}",
            "figure t: {oot} in '{oot}/a.json'",
        ),
        ("corpora: [a]\nsteps: {}\nfigures: {t: '{out.json}'}", "it may have {out}$"),
        ("corpora: [", "cannot be read as YAML"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recipe.load(str(write_text(tmp_path / "a.yaml", content)))
