"""The n-gram model: scores of batches, whole texts, files, settings."""

import json
import shutil
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.full_disk import limited_file_size

from sorigeul.base.errors import UserError
from sorigeul.lm.ngram import NgramModel, NgramOptions, train_ngram
from sorigeul.lm.text_data import TextData
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"은는이가 를에서다고하지만나너우리학교집간온먹었자", *SPECIALS))
UNKNOWN, END, START = VOCABULARY.pad_id, VOCABULARY.eos_id, VOCABULARY.sos_id
NOUNS, PARTICLES = ("나", "너", "우리", "학교", "집", "그"), ("은", "는", "이", "가", "를", "에서")
VERBS = ("간다", "온다", "먹었다", "자고", "하지만", "")


def sentences(count: int, seed: int = 0) -> list[str]:
    """Lines from a small grammar; 그 is a character that the vocabulary does not have."""
    generator = np.random.default_rng(seed)
    return [
        " ".join(
            generator.choice(NOUNS) + generator.choice(PARTICLES) + " " + generator.choice(VERBS)
            for _ in range(generator.integers(1, 4))
        )
        for _ in range(count)
    ]


def ids(lines: list[str]) -> np.ndarray:
    """Lines one after another, as they are prepared."""
    units = {unit: number for number, unit in enumerate(VOCABULARY.units[:-3])}
    tokens = [[*(units.get(character, UNKNOWN) for character in line), END] for line in lines]
    return np.array([token for line in tokens for token in line], np.uint16)


def train(lines: list[str], order: int = 5, prune: tuple[int, ...] = (0, 0, 0, 1)) -> NgramModel:
    report = {"normalizer": "plain/1"}
    text = TextData(VOCABULARY, ids(lines), ids(sentences(50, seed=1)), report)
    return train_ngram(text, NgramOptions(order, prune))


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return train(sentences(400))


def random_texts(rows: int, length: int) -> torch.Tensor:
    """Sentences cut to one length, and nonsense."""
    generator = np.random.default_rng(2)
    lines = [line for line in sentences(2 * rows, seed=3) if len(line) > length][: rows // 2]
    cut = np.stack([ids([line])[:length] for line in lines])
    nonsense = generator.choice([*range(START), UNKNOWN], (rows - len(cut), length))
    return torch.from_numpy(np.concatenate((cut, nonsense))).long()


def test_a_batch_scores_as_its_rows_do_alone(model: NgramModel) -> None:
    texts = random_texts(rows=40, length=9)
    batch = model.start(len(texts))
    single = [model.start(1) for _ in texts]
    for column in texts.T:
        scores = model.scores(batch)
        assert scores.dtype == torch.float32
        assert scores.shape == (len(texts), len(VOCABULARY))
        alone = torch.cat([model.scores(state) for state in single])
        assert torch.equal(scores, alone)
        assert (scores[:, [START, UNKNOWN]] == -torch.inf).all()
        batch = model.advance(batch, column)
        single = [
            model.advance(state, token.view(1)) for state, token in zip(single, column, strict=True)
        ]


def test_a_selected_state_goes_on_like_the_one_it_was_taken_from(model: NgramModel) -> None:
    texts = random_texts(rows=12, length=8)
    state = model.start(len(texts))
    for column in texts.T:
        state = model.advance(state, column)
    rows = torch.tensor([11, 3, 3, 0, 7])
    selected = state.select(rows)
    assert torch.equal(model.scores(selected), model.scores(state)[rows])
    tokens = torch.tensor([1, 2, 3, 4, 5])
    following = model.scores(model.advance(selected, tokens))
    for place, (row, token) in enumerate(zip(rows.tolist(), tokens.tolist(), strict=True)):
        whole = model.start(1)
        for earlier in [*texts[row].tolist(), token]:
            whole = model.advance(whole, torch.tensor([earlier]))
        assert torch.equal(following[place], model.scores(whole)[0])


@pytest.mark.parametrize(("order", "prune"), [(2, (0,)), (4, (0, 0, 3)), (5, (0, 0, 0, 1))])
def test_a_text_scored_whole_equals_the_sum_of_its_steps(order: int, prune: tuple[int]) -> None:
    model = train(sentences(300), order, prune)
    text = ids([*sentences(30, seed=4), "", "그그그", "나그 너", "지만은를"])
    steps = []
    state = model.start(1)
    for token in text.tolist():
        if token != UNKNOWN:
            steps.append(model.scores(state)[0, token].item())
        state = model.start(1) if token == END else model.advance(state, torch.tensor([token]))
    np.testing.assert_allclose(model.log_probabilities(text), steps, atol=2e-6)
    # A text of many chunks, at whose ends lines are cut at any place.
    repeated = model.log_probabilities(np.tile(text, 1000))
    np.testing.assert_array_equal(repeated, np.tile(model.log_probabilities(text), 1000))


def test_bits_a_character_are_measured_on_the_held_out_lines(model: NgramModel) -> None:
    heldout = ids(sentences(50, seed=1))
    expected = -model.log_probabilities(heldout).mean() / log(2)
    assert model.facts["heldout_bits_per_character"] == pytest.approx(expected, abs=1e-4)
    assert 0 < expected < log(len(VOCABULARY) - 2) / log(2) / 2  # far better than guessing
    text = TextData(VOCABULARY, ids(["나는"]), ids([]), {})
    assert train_ngram(text, NgramOptions()).facts["heldout_bits_per_character"] is None


def test_pruning_drops_n_grams_of_the_orders_it_names() -> None:
    lines = sentences(300)
    full, pruned = train(lines, 5, (0,)), train(lines, 5, (0, 0, 2))
    sizes = [[len(table.tokens) for table in model.tables] for model in (full, pruned)]
    assert sizes[0][0] == sizes[1][0]
    assert all(more > less > 0 for more, less in zip(sizes[0][1:], sizes[1][1:], strict=True))
    scores = pruned.scores(pruned.start(1)).double().exp()
    assert scores.sum().item() == pytest.approx(1, abs=1e-6)


def test_training_twice_gives_the_same_model(model: NgramModel, tmp_path: Path) -> None:
    model.save(tmp_path / "first")
    train(sentences(400)).save(tmp_path / "second")
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_a_saved_model_scores_the_same_to_the_last_bit(model: NgramModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = NgramModel.load(tmp_path)
    assert (loaded.vocabulary, loaded.options) == (model.vocabulary, model.options)
    assert loaded.facts == model.facts
    text = ids(sentences(40, seed=5))
    np.testing.assert_array_equal(loaded.log_probabilities(text), model.log_probabilities(text))
    state = model.start(3)
    assert torch.equal(loaded.scores(loaded.start(3)), model.scores(state))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["format"] == "sorigeul-lm/1"
    assert config["kind"] == "ngram"
    assert config["vocabulary_hash"] == VOCABULARY.hash
    assert config["normalizer"] == "plain/1"
    assert config["heldout_bits_per_character"] == model.facts["heldout_bits_per_character"]
    assert config["model"] == {"order": 5, "prune": [0, 0, 0, 1]}
    loaded.save(tmp_path)  # over the files that are mapped
    assert torch.equal(NgramModel.load(tmp_path).scores(state), model.scores(state))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mappings")
def test_models_of_small_texts_can_be_loaded(tmp_path: Path) -> None:
    # Their discounts may take all of a count, so that a value of 0 stands in a table.
    with_zeros = 0
    for count in range(2, 40, 4):
        small = train(sentences(count))
        small.save(tmp_path)
        assert NgramModel.load(tmp_path).fingerprint == small.fingerprint
        with_zeros += any((table.values == 0).any() for table in small.tables)
    assert with_zeros


def test_a_loaded_model_is_mapped_not_read(model: NgramModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = NgramModel.load(tmp_path)
    mappings = [
        [int(address, 16) for address in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(tmp_path / "model.safetensors"))
    ]
    for table in loaded.tables:
        for array in (table.contexts, table.tokens, table.codes):
            address = array.__array_interface__["data"][0]
            assert any(begin <= address < end for begin, end in mappings)


def test_damaged_and_foreign_folders_are_refused(model: NgramModel, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    model.save(whole)

    def refusal(name: str, content: bytes | None) -> str:
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(UserError) as error:
            NgramModel.load(folder)
        assert "\n" not in str(error.value)
        assert str(folder) in str(error.value)
        return str(error.value)

    def config(**changes: object) -> bytes:
        return json.dumps(json.loads((whole / "config.json").read_text()) | changes).encode()

    weights = (whole / "model.safetensors").read_bytes()
    for name in ("config.json", "vocabulary.json", "model.safetensors"):
        for content in (None, b"", b"{}", (whole / name).read_bytes()[:-10]):
            refusal(name, content)
    assert "recurrent" in refusal("config.json", config(kind="recurrent"))
    assert "does not fit" in refusal("config.json", config(model={"order": 6, "prune": [0]}))
    assert "order is '5'" in refusal("config.json", config(model={"order": "5", "prune": [0]}))
    assert "does not fit" in refusal("config.json", config(model={"order": 2}))
    assert "damaged" in refusal("model.safetensors", weights[: len(weights) // 2])
    other = Vocabulary(("가", "나", *SPECIALS))
    refusal("vocabulary.json", other.to_json().encode())
    with pytest.raises(UserError):
        NgramModel.load(tmp_path / "nowhere")


def test_weights_of_another_vocabulary_are_refused(model: NgramModel, tmp_path: Path) -> None:
    model.save(tmp_path / "one")
    small = Vocabulary(("가", "나", *SPECIALS))
    text = TextData(small, np.array([0, 1, small.eos_id], np.uint16), np.zeros(0, np.uint16), {})
    train_ngram(text, NgramOptions()).save(tmp_path / "other")
    weights = "model.safetensors"
    (tmp_path / "other" / weights).replace(tmp_path / "one" / weights)
    with pytest.raises(UserError, match="does not fit"):
        NgramModel.load(tmp_path / "one")


def test_a_full_disk_leaves_the_model_that_was_saved_before(
    model: NgramModel, tmp_path: Path
) -> None:
    model.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = train(sentences(200))
    with limited_file_size(4096), pytest.raises(OSError, match=r"model\.safetensors"):
        other.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_settings_that_make_no_sense_are_refused() -> None:
    for order in (1, 0, -3):
        with pytest.raises(UserError, match="at least 2"):
            NgramOptions(order)
    for prune in ((), (1,), (0, 2, 1), (-1, 0), (0, -1)):
        with pytest.raises(UserError, match=r"begin with 0|prune is -1, but must"):
            NgramOptions(prune=prune)
    options = NgramOptions(6, (0, 1, 4))
    assert [options.threshold(order) for order in range(1, 7)] == [0, 1, 4, 4, 4, 4]


def test_the_order_is_limited_by_the_size_of_the_vocabulary() -> None:
    """32 units take 5 bits each, and 63 bits hold twelve of them."""
    assert 16 < len(VOCABULARY) <= 32
    lines = sentences(50)
    text = ids(lines)
    longest, usual = train(lines, 12, (0,)), train(lines, 5, (0,))
    assert longest.order == 12
    assert longest.log_probabilities(text).mean() > usual.log_probabilities(text).mean()
    with pytest.raises(UserError, match="choose at most 12"):
        train(lines, 13)


def test_a_text_without_known_characters_or_lines_is_refused() -> None:
    for tokens in ([], [UNKNOWN, UNKNOWN]):
        text = TextData(VOCABULARY, np.array(tokens, np.uint16), ids([]), {})
        with pytest.raises(UserError, match="add text"):
            train_ngram(text, NgramOptions())


def test_the_fingerprint_tells_models_apart_and_survives_the_disk(tmp_path: Path) -> None:
    model, same, other = (
        train(lines, order=3, prune=(0,)) for lines in (sentences(60), sentences(60), sentences(61))
    )
    assert model.fingerprint == same.fingerprint != other.fingerprint
    model.save(tmp_path)
    assert NgramModel.load(tmp_path).fingerprint == model.fingerprint
