"""SANA: what is taken out of texts, the edits, what must stay stays, and what a person may ask for."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from small_tables import people, person

from tenfold.errors import DataError, OptionError
from tenfold.ops.edits import edits
from tenfold.systems.sana.decoding import begin, collapsed, deleted, refine, resolved, with_room
from tenfold.systems.sana.distil import distilled
from tenfold.systems.sana.editor import Editor
from tenfold.systems.sana.learning import edit_batch, edit_loss, protected, taken_out, taken_out_uniformly
from tenfold.systems.sana.options import EditOptions, Options, SketchOptions
from tenfold.systems.sana.rivals import Levenshtein
from tenfold.systems.sana.skeleton import Sketcher, tidied
from tenfold.systems.sana.starts import Start, with_wanted
from tenfold.systems.sana.system import SANA
from tenfold.tasks.table_text.encoding import BOS, EOS, INS, PAD, UNK, Numbers, TableBatch, padded
from tenfold.tasks.table_text.options import NetworkOptions, SearchOptions
from tenfold.tasks.table_text.tokens import without_mark

WORDS, KEYS, LONGEST = 23, 7, 30
SMALL = NetworkOptions(dim=16, layers=2, heads=2, hidden=24, word_dim=10, key_dim=6, dropout=0.0)


def editor(seed=0, wild=True):
    torch.manual_seed(seed)
    network = Editor(WORDS, KEYS, SMALL).eval()
    if wild:  # random weights that delete, insert and write everything
        with torch.no_grad():
            for weight in (network.deletion.weight, network.room.weight):
                weight.normal_(0, 1.0)
    return network


def tables(count, seed=1):
    """Random ones, of 2 to 9 tokens, some of which have no number."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high, size):
        return torch.randint(low, high, (size,), generator=generator)

    found = []
    for _ in range(count):
        size = int(draw(2, 10, 1))
        words = [w if w > 7 else -(i + 1) for i, w in enumerate(draw(6, WORDS + 1, size).tolist())]
        rows = [[*words, EOS], [*draw(3, KEYS + 1, size).tolist(), 1], [*draw(1, 5, size).tolist(), 0]]
        found.append(Numbers(torch.tensor([*rows, rows[2]]).numpy(), {}))
    return found


def skeletons(some, seed=2):
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for table in some:
        words = table.rows[0, :-1]
        rows.append([int(words[i]) for i in torch.randint(0, len(words), (len(words),), generator=generator)])
    return rows


def holds(text, skeleton):
    rest = iter(text)
    return all(token in rest for token in skeleton)


def texts_of(draft):
    return [[t for t in row if t not in (PAD, BOS, EOS)] for row in draft.text.tolist()]


# Decoding.


def test_a_thousand_tables_hold_their_skeleton_whatever_the_weights():
    """And without the constraint they do not: the network does want to delete."""
    network, some = editor(), tables(1_000)
    own = skeletons(some)
    memory = network.read(TableBatch.of(some))
    hard, soft = (
        refine(network, memory, begin(own, None, locked=locked), longest=LONGEST, most_rounds=4)
        for locked in (True, False)
    )
    kept = [holds(text, skeleton) for text, skeleton in zip(texts_of(hard.draft), own, strict=True)]
    assert all(kept)
    loose = [holds(text, skeleton) for text, skeleton in zip(texts_of(soft.draft), own, strict=True)]
    assert sum(loose) < 900
    assert all(len(text) <= LONGEST - 2 for text in texts_of(hard.draft))
    assert not {INS, BOS, EOS, PAD} & {token for text in texts_of(hard.draft) for token in text}


def test_phrases_stay_together():
    network, some = editor(3), tables(200)
    own = skeletons(some)
    phrases = [[1] * len(skeleton) for skeleton in own]
    found = refine(
        network, network.read(TableBatch.of(some)), begin(own, phrases, locked=True), longest=40, most_rounds=3
    )
    for text, skeleton in zip(texts_of(found.draft), own, strict=True):
        assert any(text[i : i + len(skeleton)] == skeleton for i in range(len(text) - len(skeleton) + 1))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_and_order_change_no_text(size):
    network, some = editor(4), tables(64)
    own = skeletons(some)

    def texts(order):
        found = {}
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            memory = network.read(TableBatch.of([some[i] for i in rows]))
            draft = begin([own[i] for i in rows], None, locked=True)
            done = refine(network, memory, draft, longest=LONGEST, most_rounds=5)
            found |= dict(zip(rows, zip(texts_of(done.draft), done.rounds.tolist(), strict=True), strict=True))
        return found

    assert texts(list(range(64))) == texts(list(range(64))[::-1])
    memory = network.read(TableBatch.of(some))
    done = refine(network, memory, begin(own, None, locked=True), longest=LONGEST, most_rounds=5)
    assert texts(list(range(64))) == dict(enumerate(zip(texts_of(done.draft), done.rounds.tolist(), strict=True)))


def test_a_round_that_changes_nothing_is_the_last():
    network, some = editor(wild=False), tables(20)
    own = skeletons(some)
    memory = network.read(TableBatch.of(some))
    done = refine(network, memory, begin(own, None, locked=True), longest=LONGEST, most_rounds=12, traced=True)
    again = refine(network, memory, done.draft, longest=LONGEST, most_rounds=1)
    still = done.rounds < 12
    assert still.any()
    assert [a for a, s in zip(texts_of(again.draft), still, strict=True) if s] == [
        a for a, s in zip(texts_of(done.draft), still, strict=True) if s
    ]
    assert done.steps[0].kind == "start" and torch.equal(done.steps[-1].text[:, :3], done.draft.text[:, :3])


def test_room_is_given_where_the_network_is_surest():
    draft = begin([[8, 9], [8]], None, locked=True)
    counts = torch.tensor([[2, 3, 1], [4, 0, 9]])
    log_p = torch.tensor([[-3.0, -1.0, -2.0], [-1.0, -1.0, -0.5]])
    found = with_room(draft, counts, log_p, 8)
    assert found.text.tolist() == [
        [BOS, 8, INS, INS, INS, 9, INS, EOS],
        [BOS, INS, INS, INS, INS, 8, EOS, PAD],
    ]
    assert found.locked.long().tolist() == [[0, 1, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]]
    assert deleted(found, torch.ones_like(found.locked)).text.tolist() == [[BOS, 8, 9, EOS], [BOS, 8, EOS, PAD]]


def test_equal_neighbours_collapse_unless_both_must_stay():
    draft = begin([[8, 8, 9, 9, 10, 10, 10]], None, locked=False)
    locked = torch.tensor([[0, 1, 1, 0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    assert texts_of(collapsed(draft._replace(locked=locked))) == [[8, 8, 9, 10]]


def test_unknown_words_come_from_where_the_network_looks():
    network, some = editor(6), tables(30)
    batch = TableBatch.of(some)
    memory = network.read(batch)
    draft = begin([[UNK, 8] for _ in some], None, locked=False)
    found = texts_of(resolved(network, memory, draft, batch.words))
    for table, text in zip(some, found, strict=True):
        unknown = {int(w) for w in table.rows[0] if w < 0}
        assert text[0] in unknown if unknown else text[0] == UNK
        assert text[1] == 8
    looks = network.looks(draft.text, memory)
    assert looks.shape == (30, 4, batch.words.shape[1])
    assert torch.allclose(looks.sum(-1), torch.ones(30, 4), atol=1e-5)


# What is learned.

TEXT = padded([[BOS, 8, 9, 8, 10, 11, EOS], [BOS, 12, 13, EOS]])
SKELETON = padded([[BOS, 8, 22, 11, EOS], [BOS, 12, 13, EOS]])


def test_the_skeleton_is_found_in_the_text_from_the_right():
    assert protected(TEXT, SKELETON).long().tolist() == [[1, 0, 0, 1, 0, 1, 1], [1, 1, 1, 1, 0, 0, 0]]


def test_what_is_taken_out():
    torch.manual_seed(0)
    text = padded([[BOS, *range(6, 16), EOS]] * 4000 + [[BOS, 6, EOS]])
    safe = torch.zeros_like(text, dtype=torch.bool)
    safe[:, 1:3] = True
    gone = taken_out(text, safe, torch.rand(len(text)), torch.rand(text.shape), None)
    assert not gone[:-1, 1:3].any() and not gone[:, [0]].any() and not gone[text == EOS].any()
    count = Counter(gone[:-1].sum(1).tolist())
    assert sorted(count) == list(range(1, 9))
    expected = 4000 / 8
    assert sum((n - expected) ** 2 / expected for n in count.values()) < 24.3  # chi-square, 7 degrees, p = 0.001
    assert gone[-1].tolist()[:3] == [False, True, False]  # all of it is safe: one goes all the same
    every = taken_out(text[:9], text[:9] > 5, torch.rand(9), torch.rand(9, text.shape[1]), None)
    assert every.sum(1).tolist() == [1] * 9
    dot = taken_out(text[:50], text[:50] < 0, torch.full((50,), 0.999), torch.rand(50, text.shape[1]), 15)
    assert not dot[:, 10].any() and (dot.sum(1) == 9).all()


def test_a_uniform_roll_in_takes_one_or_more():
    torch.manual_seed(0)
    text = padded([[BOS, *range(6, 16), EOS]] * 500)
    gone = taken_out_uniformly(text, torch.rand(500), torch.rand(text.shape))
    assert sorted(set(gone.sum(1).tolist())) == list(range(1, 11)) and not gone[:, [0, 11]].any()


def test_a_batch_of_edits():
    gone = torch.tensor([[0, 1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    batch = edit_batch(TableBatch.of(tables(2)), TEXT, gone)
    assert batch.left.tolist() == [[BOS, 8, 10, EOS], [BOS, 12, EOS, PAD]]
    assert batch.missing.tolist() == [[2, 0, 1], [0, 1, 0]]
    assert batch.holes.tolist()[0] == [BOS, INS, INS, 8, 10, INS, EOS]


def test_the_loss_is_its_three_parts_written_out():
    network = editor(2)
    gone = torch.tensor([[0, 1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    batch = edit_batch(TableBatch.of(tables(2)), TEXT, gone)
    found = edit_loss(network, batch, EditOptions(room_smoothing=0.0), 0.0)
    memory = network.read(batch.table)
    rooms = network.rooms(network.states(batch.left, memory)).log_softmax(-1)
    room = -sum(rooms[b, i, batch.missing[b, i]] for b, i in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)))
    scores = network.words(network.states(batch.holes, memory))[..., 1:].log_softmax(-1)
    places = [(0, 1), (0, 2), (0, 5), (1, 2)]
    words = -sum(scores[b, i, TEXT[b, i] - 1] for b, i in places)
    guess = batch.holes.clone()
    for b, i in places:
        guess[b, i] = scores[b, i].argmax() + 1
    wrong = edits(guess, TEXT).deleted
    cut = network.deletions(network.states(guess, memory)).log_softmax(-1)
    real = [(0, i) for i in range(7)] + [(1, i) for i in range(4)]
    deletions = -sum(cut[b, i, int(wrong[b, i])] for b, i in real)
    for name, total, weight in (("room", room, 5), ("words", words, 4), ("deletions", deletions, 11)):
        assert float(found[name][0]) == pytest.approx(float(total), rel=1e-4) and float(found[name][1]) == weight


def test_all_heads_learn_and_a_batch_is_memorised():
    torch.manual_seed(0)
    network, some = Editor(WORDS, KEYS, SMALL), tables(6)
    own = [[t for t in dict.fromkeys(table.rows[0, :-1].tolist())][:4] for table in some]
    texts = [[BOS, *[x for i, t in enumerate(s) for x in (t, 8 + i)], EOS] for s in own]
    text, batch = padded(texts), TableBatch.of(some)
    inner = (text != PAD) & (text != BOS) & (text != EOS)
    safe = torch.zeros_like(inner)
    safe[:, 1::2] = True  # the skeleton
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(300):
        torch.manual_seed(step)
        gone = taken_out(text, safe & (torch.rand(text.shape) < 0.8), torch.rand(6), torch.rand(text.shape), None)
        parts = edit_loss(network, edit_batch(batch, text, gone), EditOptions(room_smoothing=0.0), 0.0)
        loss = sum(total / weight for total, weight in parts.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in (network.deletion.weight, network.room.weight))
    network.eval()
    starts = [row[1:-1:2] for row in texts]
    done = refine(network, network.read(batch), begin(starts, None, locked=True), longest=LONGEST, most_rounds=3)
    assert sum(a == b[1:-1] for a, b in zip(texts_of(done.draft), texts, strict=True)) >= 5


# Skeletons and starts.


def test_skeletons_are_tidied():
    assert tidied([7, 8, 8, 8], None) == [7, 8] and tidied([7], 9) == [7, 9] and tidied([7, 9, 9], 9) == [7, 9]
    assert tidied([], None) == [] and tidied([], 9) == [9]


def test_what_is_wanted_is_whole_and_in_its_place():
    table = Numbers(torch.tensor([[11, 12, 13, 14, 15, EOS]] * 4).numpy(), {})

    def wanted(skeleton, *places, anchor=None):
        found = with_wanted(Start(skeleton, [0] * len(skeleton)), places, table, anchor)
        return found.tokens, found.phrases

    assert wanted([11, 13], [1, 2]) == ([11, 12, 13], [0, 1, 1])  # one of it was there
    assert wanted([11, 12, 13], [1, 2]) == ([11, 12, 13], [0, 1, 1])  # it was there
    assert wanted([11, 15], [1, 2]) == ([11, 12, 13, 15], [0, 1, 1, 0])  # by the order of the table
    assert wanted([11, 9], [3], anchor=9) == ([11, 14, 9], [0, 1, 0])
    assert wanted([], [0, 1], [3]) == ([11, 12, 14], [1, 1, 2])
    assert wanted([], [0, 1, 2], [1]) == ([11, 12, 13], [1, 1, 1])  # it is within another one
    assert wanted([12, 14], [1], [0, 1, 2]) == ([11, 12, 13, 14], [1, 1, 1, 0])  # whatever comes first


# The system.


@pytest.fixture(scope="module")
def fitted():
    return SANA(SANA.tiny).fit(people(), max_epochs=3, accelerator="cpu", progress="none")


def test_skeletons_are_tokens_of_their_table(fitted):
    for row in (3, 4, 10):
        sketch = fitted.sketch([person(row)[0]])[0]
        own = fitted.table_of(person(row)[0])
        assert sketch.tokens and set(sketch.tokens) <= set(own.tokens) and len(sketch.cells) == len(sketch.tokens)


def test_no_skeleton_has_a_token_more_often_than_its_table():
    """Which random weights do: the rule is what keeps them from it."""
    batch = TableBatch.of(tables(40))
    torch.manual_seed(0)
    network, own = (
        Sketcher(WORDS, KEYS, SMALL).eval(),
        SketchOptions(search=SearchOptions(beam=2), longest=8, repeats=False),
    )

    def more_often(options):
        found = network.search(batch, options).tokens[:, 0].tolist()
        rows = [(Counter(t for t in row if t != PAD), Counter(batch.words[i].tolist())) for i, row in enumerate(found)]
        return [any(count > has[token] for token, count in said.items()) for said, has in rows]

    assert not any(more_often(own)) and any(more_often(replace(own, repeats=True)))


def test_all_wanted_values_are_in_all_texts_word_for_word(fitted):
    rows = [fitted.table_of(person(i)[0]) for i in range(40)]
    for constraint in ("hard", "soft", "none"):
        for table, text in zip(
            rows, fitted.write(rows, must_include=("name", "born"), constraint=constraint), strict=True
        ):
            for cell in table.cells:
                if cell.key in ("name", "born"):
                    tokens = list(cell.tokens)
                    assert any(text.tokens[i : i + len(tokens)] == tokens for i in range(len(text.tokens)))


def test_a_description_says_where_its_words_come_from(fitted):
    cells, _ = person(3)
    found = fitted.describe(cells, must_include=("name",), traced=True)
    own = fitted.table_of(cells)
    for token, cell in zip(found.tokens, found.cells, strict=True):
        if cell is not None:
            assert without_mark(token).lower() in own.cells[cell].tokens
    assert found.coverage[0] == ("name", cells["name"], 1.0) and cells["name"] in found.text
    assert found.trace[0].kind == "start" and all(found.trace[0].locked)
    assert 0 <= found.confidence <= 1 and found.rounds >= 1


def test_what_is_left_out_is_in_no_skeleton(fitted):
    found = fitted.describe(person(3)[0], leave_out=("name", "born"))
    assert not set(found.skeleton) & {"ddada3", "quist", "1921"}
    assert len(found.coverage) == 4


def test_several_texts_from_several_skeletons(fitted):
    found = fitted.describe(person(3)[0], answers=2)
    assert len(found.others) <= 1 and found.text
    assert fitted.refine([person(3)[0]], [["turin", "painter"]])[0] != ""


def test_a_given_skeleton_is_held(fitted):
    own = fitted.table_of(person(4)[0])
    (text,) = fitted.write([own], skeletons=[["1928", "quist"]])
    assert holds(text.tokens, ["1928", "quist"]) and text.skeleton == ["1928", "quist"]


@pytest.mark.parametrize(
    "how, sentence",
    [
        ({"must_include": ("shoe size",)}, "must_include has 'shoe size', which is neither a key nor in a value"),
        ({"leave_out": ("name", "city", "trade", "born")}, "leaves no cell; name fewer keys"),
        ({"constraint": "firm"}, "constraint = 'firm': it should be 'hard', 'soft' or 'none'"),
        ({"skeletons": [["mars"]]}, "the skeleton has mars, which the table does not have"),
        ({"skeletons": [["quist"] * 25]}, "has 25 tokens, and a text at most 24; ask for less"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(fitted, how, sentence):
    with pytest.raises(OptionError, match=sentence):
        fitted.write([fitted.table_of(person(3)[0])], **how)
    with pytest.raises(OptionError, match="there are 1 tables and 0 skeletons"):
        fitted.refine([person(3)[0]], [])


@pytest.mark.parametrize(
    "table",
    [
        {"name": "Zoe\u200b\x00Xu\tYi", "never seen": "x"},
        [["name", "Ada"], ["name", "Ada"]],
        {"name": "<unk-3> <ins> <sep> <pad>"},
        {"name": "東京 é ß"},
        {"born": 1815, "name": None, "city": "Rome"},
    ],
)
def test_odd_tables_are_described(fitted, table):
    assert fitted.describe(table, must_include=("name",) if "name" in dict(table) and dict(table)["name"] else ()).text


def test_cross_fitted_skeletons_are_a_stage_each():
    options = replace(SANA.tiny, sketch=replace(SANA.tiny.sketch, crossfit=2))
    system = SANA(options).fit(people(), max_epochs=1, accelerator="cpu", progress="none")
    assert list(system.history) == ["sketch 1 of 2", "sketch 2 of 2", "sketch", "edit"]


def test_a_teacher_is_a_stage_of_its_own():
    options = replace(SANA.tiny, edit=replace(SANA.tiny.edit, distilled=True))
    system = SANA(options).fit(people(), max_epochs=1, accelerator="cpu", progress="none")
    assert list(system.history) == ["sketch", "teacher", "edit"]
    levenshtein = Levenshtein(replace(Levenshtein.tiny, edit=replace(Levenshtein.tiny.edit, distilled=True)))
    assert list(levenshtein.fit(people(), max_epochs=1, accelerator="cpu", progress="none").history) == [
        "teacher", "edit",
    ]  # fmt: skip


def test_a_teachers_texts_are_written_from_the_tables_and_skeletons():
    """An untrained teacher writes others than the person did, the same for equal tables and skeletons; where it writes
    nothing the person's text stays."""
    system = SANA(SANA.tiny).fit(people(), max_epochs=1, accelerator="cpu", progress="none")
    prepared = system.prepare(system.read(people()), "auto")
    pairs = system._pairs(prepared, "train")
    skeletons = system._gold(prepared, "train")
    stages = []

    def made(**parts):
        stages.append(parts)
        return parts

    run = distilled(system, made, [*pairs, pairs[0]], [*skeletons, skeletons[0]], None)
    next(run)
    told = stages[0]["data"].pairs
    assert (
        told[0].table.rows.shape[1] == pairs[0].table.rows.shape[1] + len(skeletons[0])
        and told[0].text == pairs[0].text
    )
    with pytest.raises(StopIteration) as ended:
        next(run)
    taught = ended.value.value
    assert [pair.table for pair in taught[:-1]] == [pair.table for pair in pairs]
    assert taught[0].text == taught[-1].text and any(a.text != b.text for a, b in zip(taught, pairs, strict=False))
    for pair in taught:
        assert pair.text[0] == BOS and pair.text[-1] == EOS and len(pair.text) > 2


def test_presets_and_an_end_anchor():
    assert SANA(preset="paper").options.network.dim == 512
    system = SANA(replace(SANA.tiny, sketch=replace(SANA.tiny.sketch, end_anchor="."))).fit(
        people(), max_epochs=1, accelerator="cpu", progress="none"
    )
    assert all(
        text.tokens[-1:] == ["."] or "." in text.tokens for text in system.write([system.table_of(person(3)[0])])
    )
    assert isinstance(Options().edit, EditOptions)


def test_vocabularies_of_two_fits_are_not_mixed(fitted, tmp_path):
    fitted.save(tmp_path / "one")
    SANA(SANA.tiny).fit(people(30, 4, 4, more_keys=True), max_epochs=1, accelerator="cpu").save(tmp_path / "two")
    other = next((tmp_path / "two").glob("vocabulary_words*"))
    mine = next((tmp_path / "one").glob("vocabulary_words*"))
    mine.write_bytes(other.read_bytes())
    with pytest.raises(Exception, match="is missing or was changed after it was saved"):
        SANA.load(tmp_path / "one")


def test_an_empty_table_is_refused_by_name(fitted):
    with pytest.raises(DataError, match="the table has no value; give each table one cell or more"):
        fitted.describe({})
