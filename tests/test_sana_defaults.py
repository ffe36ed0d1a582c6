"""What SANA does beyond its authors' code unless `preset=paper` asks otherwise, each beside what it is without."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tables import people
from test_sana import KEYS, LONGEST, SMALL, WORDS, editor, skeletons, tables, texts_of

from tenfold.data.fact_tables import Cell as FactCell
from tenfold.data.fact_tables import FactTable
from tenfold.metrics.texts import bleu
from tenfold.systems.sana.decoding import Draft, begin, filled, refine, resolved, unsaid
from tenfold.systems.sana.editor import NEVER_WRITTEN, Editor
from tenfold.systems.sana.learning import EditPairs, edit_batch, edit_loss
from tenfold.systems.sana.options import EditOptions, SketchOptions
from tenfold.systems.sana.rivals import SketchAndWrite
from tenfold.systems.sana.skeleton import Sketcher, hand_on
from tenfold.systems.sana.starts import Start, kept_together, wanted_places
from tenfold.systems.sana.system import PENALTIES, SANA
from tenfold.tasks.table_text.encoding import BOS, EOS, INS, UNK, Numbers, Splitter, TableBatch, padded
from tenfold.tasks.table_text.options import SearchOptions, TextOptions
from tenfold.tasks.table_text.skeletons import phrased_skeleton
from tenfold.tasks.table_text.training import Pair
from tenfold.training import Draw


@pytest.mark.parametrize(
    ("text", "skeleton"),
    [
        ("he led the bank of russia in 1992", "bank of russia 1992"),
        ("the bank that russia has in 1992", "bank russia 1992"),  # not word for word
        ("1992 of bank", "1992 bank"),  # no cell has these side by side
        ("of the bank of", "bank"),  # at its ends a phrase has no stop words
        ("nothing", ""),
    ],
)
def test_phrases_keep_their_stop_words(text, skeleton):
    values = [("central", "bank", "of", "russia"), ("1992",)]
    assert phrased_skeleton(values, text.split()) == skeleton.split()


def test_what_stands_together_in_a_cell_stays_together():
    rows = np.array([[8, 9, 10, 11, EOS]] * 4)
    start = kept_together(Start([8, 9, 11, 9, 10], [0] * 5), Numbers(rows, {}), [0, 0, 0, 1])
    assert start.phrases == [-1, -1, 0, -2, -2]  # 10 and 11 are of two cells
    asked = kept_together(Start([8, 9, 10], [1, 1, 0]), Numbers(rows, {}), [0, 0, 0, 1])
    assert asked.phrases == [1, 1, 0]  # a user's phrase ends where the user's words end
    some, network = tables(100), editor(3)
    own = [row.rows[0, :-1].tolist() for row in some]
    phrases = [kept_together(Start(t, [0] * len(t)), n, [0] * len(t)).phrases for t, n in zip(own, some, strict=True)]
    draft = begin(own, phrases, locked=True)
    found = refine(network, network.read(TableBatch.of(some)), draft, longest=40, most_rounds=2)
    for text, whole in zip(texts_of(found.draft), own, strict=True):
        assert any(text[i : i + len(whole)] == whole for i in range(len(text) - len(whole) + 1))


def test_between_what_a_triple_is_about_and_its_value_there_is_room():
    """A text says there what the triple tells of them: Akeem Ayers plays as a linebacker."""
    triple = FactCell("position", "outside linebacker", "Akeem Ayers", None, None, None)
    table = Splitter(TextOptions()).table(FactTable((triple,), (), None, (), {}), "a table")
    assert table.tokens == ["akeem", "ayers", "outside", "linebacker"] and table.owner == [0, 0, 0, 0]
    rows = np.array([[8, 9, 10, 11, EOS]] * 4)
    start = kept_together(Start([8, 9, 10, 11], [0] * 4), Numbers(rows, {}), table.pieces)
    assert start.phrases == [-1, -1, -2, -2]
    assert wanted_places(table, ("position",), str.split) == [[2, 3]]  # the value that was asked for, and no more
    assert wanted_places(table, ("akeem ayers",), str.split) == [[0, 1]]
    assert table.skeleton_of(["outside", "of", "akeem", "ayers"], phrases=True) == ["outside", "akeem", "ayers"]


def test_training_texts_begin_with_the_skeleton_alone():
    text = [BOS, 8, 20, 9, 21, 10, 22, EOS]
    pairs = [Pair(tables(1)[0], text)] * 200
    for share in (0.0, 0.5, 1.0):
        data = EditPairs(pairs, [[8, 9, 10]] * 200, EditOptions(from_skeleton=share), None)
        batch = data.batch(Draw(seed=0, epoch=0, indices=np.arange(200)))
        bare = float(((batch.left > 0).sum(1) == 5).float().mean())  # of them some would be so by chance
        alone = float((batch.left[:, :5] == torch.tensor([BOS, 8, 9, 10, EOS])).all(1).float().mean())
        assert (alone == 1.0) if share == 1 else (alone < 0.3 + 0.7 * share)
        assert bare >= alone > (0.4 if share == 0.5 else 0.0)


def test_what_cannot_be_written_is_not_learned():
    """Tokens that neither vocabulary nor table has; those that the table has stand for UNK as before."""
    some = tables(2)
    for missing, counted in (([UNK, 9], 1), ([-1, 9], 2)):
        text = padded([[BOS, 8, *missing, EOS]] * 2)
        gone = torch.tensor([[0, 0, 1, 1, 0]] * 2, dtype=torch.bool)
        loss = edit_loss(editor(1), edit_batch(TableBatch.of(some), text, gone), EditOptions(), 0.1)
        assert float(loss["words"][1]) == 2 * counted


def test_a_token_without_a_number_is_right_where_unk_is_written():
    """Where the table has such tokens; else what is written as UNK would be learned to be deleted."""
    network = editor(1)
    text = padded([[BOS, 8, -1, 9, EOS]])
    gone = torch.tensor([[0, 0, 1, 0, 0]], dtype=torch.bool)
    seen = {}
    network.deletions = lambda states: seen.setdefault("states", states)[..., :2]
    network.words = lambda states: torch.nn.functional.one_hot(torch.full((len(states),), UNK), WORDS + 1) * 9.0
    loss = edit_loss(network, edit_batch(TableBatch.of(tables(1)), text, gone), EditOptions(), 0.0)
    kept = -seen["states"][..., :2].log_softmax(-1)[..., 0].sum()  # the label of all five is "stays"
    assert float(loss["deletions"][0]) == pytest.approx(float(kept.detach()), rel=1e-5)


def test_missing_tokens_are_filled_the_surest_first():
    network, some = editor(5), tables(20)
    memory = network.read(TableBatch.of(some))
    never = torch.zeros(WORDS + 1, dtype=torch.bool)
    never[list(NEVER_WRITTEN)] = True
    text = padded([[BOS, INS, 8, INS, INS, 9, INS, EOS]] * 20)
    none = torch.zeros_like(text)
    draft = Draft(text, none.bool(), none, none.float())
    with torch.no_grad():
        scores = network.words(network.states(text, memory)).masked_fill(never, float("-inf")).log_softmax(-1)
        once, twice = (filled(network, memory, draft, never, None, passes) for passes in (1, 2))
        best = scores.max(-1)
        hole = text == INS
        assert torch.equal(once.text[hole], best.indices[hole])
        first = best.values.masked_fill(~hole, float("-inf")).topk(2, dim=1).indices  # half of the four
        now = text.scatter(1, first, best.indices.gather(1, first))
        rest = network.words(network.states(now, memory)).masked_fill(never, float("-inf")).argmax(-1)
    assert torch.equal(twice.text, torch.where(now == INS, rest, now))
    assert not torch.equal(once.text, twice.text)


def test_a_skeletons_token_is_not_written_again_but_for_stop_words():
    network, some = editor(6), tables(300)
    own = skeletons(some)
    memory = network.read(TableBatch.of(some))
    batch = TableBatch.of(some)
    again = torch.zeros(WORDS + 1, dtype=torch.bool)
    again[:14] = True  # "stop words"

    def repeated(given):
        found = refine(network, memory, begin(own, None, locked=True), longest=LONGEST, most_rounds=3, again=given)
        new = [set(t[~k].tolist()) for t, k in zip(found.draft.text, found.draft.locked, strict=True)]
        return [words & set(skeleton) for words, skeleton in zip(new, own, strict=True)]

    assert any(max(words, default=0) >= 14 for words in repeated(None))
    after = repeated(again)
    assert all(max(words, default=0) < 14 for words in after) and any(after)
    # the same of tokens without a number
    draft = begin([[-1, 8]], None, locked=True)
    assert unsaid(torch.tensor([[-1, -2, 0]]), draft).tolist() == [[False, True, False]]
    text = torch.tensor([[BOS, -1, UNK, EOS]])
    draft = Draft(text, text == -1, torch.zeros_like(text), torch.zeros(text.shape))
    one = [each.rows(torch.tensor([0])) for each in memory]
    words = batch.words[:1].clone()
    words[0, :2] = torch.tensor([-1, -2])
    assert resolved(network, one, draft, words, again).text.tolist() == [[BOS, -1, -2, EOS]]


def test_only_what_is_surely_wrong_is_deleted():
    network, some = editor(7), tables(200)
    own, memory = skeletons(some), network.read(TableBatch.of(some))

    def left(surely):
        start = begin(own, None, locked=False)
        with torch.no_grad():
            wrong = network.deletions(network.states(start.text, memory)).softmax(-1)[..., 1] > surely
        start_keeps = start.real & ~wrong & (start.text != BOS) & (start.text != EOS)
        kept = [row[keep].tolist() for row, keep in zip(start.text, start_keeps, strict=True)]
        network.room.weight.data.zero_()
        found = refine(network, memory, start, longest=LONGEST, most_rounds=1, surely=surely)
        assert texts_of(found.draft) == kept
        return sum(map(len, kept))

    assert left(0.9) > left(0.5)


def test_the_edits_begin_with_what_the_sketch_knows():
    torch.manual_seed(0)
    shallow = replace(SMALL, layers=1)  # deeper, what comes later is seen in what comes before
    sketcher, network = Sketcher(WORDS, KEYS, shallow).eval(), Editor(WORDS, KEYS, shallow).eval()
    hand_on(sketcher, network.encoder, network)
    batch = TableBatch.of(tables(3))
    assert torch.equal(network.encoder(batch), sketcher.encoder(batch))
    text = torch.tensor([[BOS, 8, EOS]] * 3)
    read = sketcher.read(batch)
    ours = network.scale * network.word(text) + network.places[:3]
    theirs = sketcher.writer.scale * sketcher.writer.word(text) + sketcher.writer.places[:3]
    assert torch.equal(ours, theirs)
    last = network.blocks(ours, None, None, read.memory)[0][:, -1]  # the last place sees all of both
    assert torch.allclose(last, sketcher.writer.blocks(theirs, None, None, read.memory)[0][:, -1], atol=1e-5)


@pytest.mark.parametrize("cls", [SANA, SketchAndWrite])
def test_stage_two_begins_with_stage_one_only_where_it_is_new(cls, tmp_path):
    budget = {"max_epochs": 1, "progress": "none", "threads": 1, "stage": ("edit.max_steps=1", "write.max_steps=1")}
    system = cls(cls.tiny)
    system.fit(people(24), **budget)
    encoder = system.editor.encoder.key.weight.detach()
    near = (encoder - system.sketcher.encoder.key.weight.detach()).abs().max()
    assert near < 2e-3  # a step away
    system.save(tmp_path / "first")
    system.sketcher.encoder.key.weight.data.add_(1.0)
    later = cls(cls.tiny).fit(people(24), start_from=system, **budget)
    assert (later.editor.encoder.key.weight.detach() - encoder).abs().max() < 0.1


@pytest.mark.parametrize("cls", [SANA, SketchAndWrite])
def test_validation_chooses_how_much_is_written(cls, tmp_path):
    system = cls(cls.tiny).fit(people(60), max_epochs=3, progress="none", threads=1)
    chosen = {stage: float(system.network.get_buffer(f"{stage}_penalty")) for stage in cls.penalised}
    part = people(60).split("validation")
    tables = [system.splitter.table(table, "t") for table in part]
    texts = [[system.splitter.text(text) for text in table.texts] for table in part]
    found = {}
    for penalty in PENALTIES:  # of the last one that was chosen
        system.network.sketch_penalty.fill_(penalty)
        found[penalty] = bleu([text.tokens for text in system.write(tables)], texts)
    assert found[chosen["sketch"]] == max(found.values())
    for stage, penalty in chosen.items():
        system.network.get_buffer(f"{stage}_penalty").fill_(penalty)
    system.save(tmp_path / "own")
    again = cls.load(tmp_path / "own").network
    assert {stage: float(again.get_buffer(f"{stage}_penalty")) for stage in cls.penalised} == chosen


def test_a_penalised_end_makes_skeletons_longer():
    torch.manual_seed(3)
    sketcher, some = Sketcher(WORDS, KEYS, SMALL).eval(), TableBatch.of(tables(50))
    options = SketchOptions(search=SearchOptions(beam=1), longest=12)
    short, long = (sketcher.search(some, options, eos_penalty=each).tokens for each in (0.0, 3.0))
    assert (long != 0).sum() > (short != 0).sum()


def test_the_papers_preset_has_none_of_it():
    options = SANA(preset="paper").options
    assert not options.sketch.phrases and not options.edit.together and not options.edit.from_sketch
    assert (
        options.sketch.eos_penalty == 0
        and options.edit.from_skeleton == 0
        and options.edit.passes == 1
        and options.edit.eos_penalty == 0
    )
    assert options.edit.surely == 0.5 and options.edit.repeats
    assert options.sketch.search.ends == "likeliest" and options.sketch.repeats
    ours = SANA().options.sketch
    assert ours.search.ends == "majority" and not ours.repeats
