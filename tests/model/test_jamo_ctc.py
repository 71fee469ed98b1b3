"""The auxiliary CTC head over jamo."""

import torch
from torch.nn import functional

from sorigeul.model.jamo_ctc import JamoCtc
from sorigeul.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary.from_texts(["한글 A가 나"])
PAD = VOCABULARY.pad_id


def head() -> JamoCtc:
    torch.manual_seed(0)
    return JamoCtc(torch.tensor(VOCABULARY.jamo_ids()), 8)


def tokens(*texts: str) -> torch.Tensor:
    rows = [torch.tensor(VOCABULARY.encode(text), dtype=torch.long) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def test_targets_are_the_jamo_in_order_and_one_unit_for_all_else() -> None:
    ids = tokens("한가 A", "나")
    jamo, lengths = head().targets(ids, torch.tensor([4, 1]))
    assert lengths.tolist() == [7, 2]
    hieut, a, nieun_final = VOCABULARY.jamo_ids()[VOCABULARY.encode("한")[0]]
    giyeok, a_again, none = VOCABULARY.jamo_ids()[VOCABULARY.encode("가")[0]]
    other = int(jamo.max())
    assert (a, none) == (a_again, 0)
    assert jamo[0, :7].tolist() == [hieut, a, nieun_final, giyeok, a, other, other]
    assert other == max(max(row) for row in VOCABULARY.jamo_ids()) + 1
    assert not jamo[1, 2:].any()


def test_the_loss_is_that_of_each_utterance_alone() -> None:
    model = head()
    frames = torch.randn(2, 20, 8)
    lengths = torch.tensor([20, 9])
    both = model(frames, lengths, tokens("한글 A", "나"), PAD)
    alone = model(frames[:1], lengths[:1], tokens("한글 A"), PAD)
    alone = alone + model(frames[1:, :9], lengths[1:], tokens("나"), PAD)
    torch.testing.assert_close(both, alone)


def test_the_loss_is_ctc_of_the_spelt_out_text_and_too_few_frames_add_nothing() -> None:
    model = head()
    frames = torch.randn(1, 12, 8)
    jamo, lengths = model.targets(tokens("한가"), torch.tensor([2]))
    scores = model.out(frames).log_softmax(-1).transpose(0, 1)
    expected = functional.ctc_loss(scores, jamo, torch.tensor([12]), lengths, reduction="sum")
    torch.testing.assert_close(model(frames, torch.tensor([12]), tokens("한가"), PAD), expected)
    assert model(frames[:, :4], torch.tensor([4]), tokens("한가"), PAD) == 0


def test_units_of_several_characters_have_the_jamo_of_their_text() -> None:
    """The targets of a text are the same whatever units it is written in, after a space."""
    joined = ("한글", " 한", " 가")
    longer = Vocabulary((*VOCABULARY.units[:-3], *joined, *VOCABULARY.units[-3:]), "bpe")
    model = JamoCtc(torch.tensor(longer.jamo_ids()), 8)
    for text in ("한글 A 가", "가 한글 나", "A"):
        ids = torch.tensor([longer.encode(text)])
        jamo, lengths = model.targets(ids, torch.tensor([ids.shape[1]]))
        spelt = torch.tensor([VOCABULARY.encode(f" {text}")])
        expected, count = head().targets(spelt, torch.tensor([spelt.shape[1]]))
        assert lengths.tolist() == count.tolist()
        assert jamo[0, : int(count)].tolist() == expected[0, : int(count)].tolist()
