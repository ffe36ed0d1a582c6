"""LISA's codebooks: the paper's equations, their starts, codewords nobody uses, items of equal codes."""

import pytest
import torch
from contract import FailureError, budget, fail, weights
from fit_one import happens_at
from small_lisa import PRESETS, SMALL, history_of, small
from torch.testing import assert_close

from tenfold import LISA
from tenfold.nn import codebooks
from tenfold.nn.codebooks import Codebooks, CodesInTurns, collisions, sharing, usage
from tenfold.ops.straight_through import decode_reference
from tenfold.options import parse
from tenfold.systems.lisa.compact import Compact
from tenfold.systems.lisa.model import LisaNetwork
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item.events import NextItemBatch

# The quantiser.


def test_codebooks_are_the_papers_equations():
    torch.manual_seed(0)
    books = Codebooks(7, 3, 5, temperature=0.5).double()
    x = torch.randn(11, 7, dtype=torch.float64, requires_grad=True)
    learned = [x, books.codewords, books.similarity]
    found = books(x)
    u, total = x, 0
    for b in range(3):
        a = u @ books.similarity @ books.codewords[b].T
        p = (a / 0.5).softmax(1)
        assert_close(found.p[:, b], p)
        assert (found.codes[:, b] == a.argmax(1)).all()
        r = (torch.nn.functional.one_hot(a.argmax(1), 5) + p - p.detach()) @ books.codewords[b]
        u, total = u - r, total + r
    assert_close(found.vectors, total)
    weight, other = torch.randn_like(total), torch.randn_like(found.p)
    expected = torch.autograd.grad((total * weight).sum(), learned, retain_graph=True)
    assert_close(torch.autograd.grad((found.vectors * weight).sum(), learned, retain_graph=True), expected)
    assert torch.autograd.grad((found.p * other).sum(), x)[0].abs().sum() > 0
    with torch.no_grad():
        assert books(x).p is None


def test_the_starts_differ_as_the_paper_and_we_say():
    torch.manual_seed(0)
    slices, official = (Codebooks(128, 8, 128, start=start).codewords.std().item() for start in ("slice", "official"))
    assert slices == pytest.approx((2 / 256) ** 0.5, rel=0.02) and official == pytest.approx(0.0108, rel=0.02)
    x = torch.randn(60, 128).repeat(5, 1) + 0.001 * torch.randn(300, 128)
    near = Codebooks(128, 2, 60)
    near.start_from(x)
    assert torch.cdist(near.codewords[0], x[:60]).amin(1).max() < 20
    assert usage(torch.cdist(x, near.codewords[0]).argmin(1, keepdim=True), 60).perplexity[0] > 30


def test_codewords_that_nobody_uses_are_seeded_anew():
    torch.manual_seed(0)
    books, x = Codebooks(6, 2, 9), torch.randn(50, 6)
    with torch.no_grad():
        books.codewords[0, 4:] = 0.0
        books.codewords[0, :4] += 5 * x[:4]
        before = usage(books(x).codes, 9).dead
        other = Codebooks(6, 2, 9)
        other.load_state_dict(books.state_dict())
        assert books.revive(x) > 0
        other.revive(x)
        assert usage(books(x).codes, 9).dead < before
    assert torch.equal(other.codewords, books.codewords)


def test_training_revives_codewords_when_asked(events):
    """A codeword that was made useless is used again; without the option it stays dead."""
    found = {}
    for every in (0, 2):
        system = small("mini", **{"codebooks.revive": every, "training.lr": 1e-6})
        system.vocabularies = {"items": events.catalogue}
        system.sizes = {"items": len(events.catalogue)}
        torch.manual_seed(0)
        network = system._network = system.build()
        with torch.no_grad():
            network.codebooks.codewords[0, 1:] = 0.0
            network.codebooks.similarity.copy_(torch.eye(16))
            network.item.weight[1:] = network.codebooks.codewords[0, 0] + 0.1 * torch.randn(24, 16)
        rows = torch.randint(1, 24, (2, 6))
        for _ in range(2):
            system.loss(NextItemBatch(rows, rows, torch.zeros(2, 0, dtype=torch.long)))
        found[every] = usage(network.codebooks(network.item.weight[1:] * network.scale).codes[:, :1], 5).dead
    assert found[0] == 0.8 and found[2] < 0.8


@pytest.mark.parametrize(
    ("preset", "items", "std"), [(None, 400, 0.01), (None, 60_000, 0.00577), ("base", 400, 0.0694)]
)
def test_items_start_small_unless_a_preset_is_the_paper_s(preset, items, std):
    torch.manual_seed(0)
    system = LISA(parse(Options, {"dim": 16} | ({} if preset is None else {"preset": preset})))
    system.sizes = {"items": items}
    assert system.build().item.weight[1:].std().item() == pytest.approx(std, rel=0.05)


def test_codewords_start_from_the_items_when_asked(events):
    """Once, in the first step of training: what codes leave of an item is then less than from a drawn start."""
    left = {}
    for start in ("slice", "kmeans"):
        system = small("mini", **{"codebooks.start": start, "training.lr": 1e-6})
        system.sizes = {"items": 24}
        torch.manual_seed(0)
        network = system._network = system.build()
        rows = torch.randint(1, 24, (2, 6))
        system.loss(NextItemBatch(rows, rows, torch.zeros(2, 0, dtype=torch.long)))
        begun = network.codebooks.codewords.detach().clone()
        system.loss(NextItemBatch(rows, rows, torch.zeros(2, 0, dtype=torch.long)))
        assert torch.equal(network.codebooks.codewords, begun)
        x = network.item.weight[1:].detach() * network.scale
        left[start] = (x - network.codebooks(x).vectors).norm().item()
    assert left["kmeans"] < 0.9 * left["slice"]


def test_the_nearest_codeword_is_taken_and_items_learn_as_if_they_were_not_coded():
    torch.manual_seed(0)
    books = Codebooks(7, 3, 5, coding="nearest").double()
    x = torch.randn(11, 7, dtype=torch.float64, requires_grad=True)
    found, rest = books(x), x.detach()
    for b in range(3):
        code = torch.cdist(rest, books.codewords[b].detach()).argmin(1)
        assert (found.codes[:, b] == code).all()
        rest = rest - books.codewords[b][code].detach()
    expected = decode_reference(x, found.codes, books.codewords)
    assert_close(found.vectors, expected)
    weight, learned = torch.randn_like(expected), [x, books.codewords]
    pair = [torch.autograd.grad((y * weight).sum(), learned) for y in (found.vectors, expected)]
    assert_close(*pair)
    assert found.p is None and books.similarity is None and torch.equal(pair[0][0], weight)


@pytest.mark.parametrize(("rows", "words", "shared"), [(40, 9, 0), (600, 9, 0), (200, 3, 200)])
def test_rows_of_equal_codes_are_set_apart(rows, words, shared):
    """A few, more than changes of one code tell apart (40), and more than there are codes (27)."""
    torch.manual_seed(0)
    books = Codebooks(6, 3 if words < 9 else 5, words, coding="nearest")
    x = torch.randn(1, 6) + 1e-3 * torch.randn(rows, 6)
    x[: rows // 8] = torch.randn(rows // 8, 6)
    codes = books.nearest(x)
    assert sharing(codes) > rows / 2
    with torch.no_grad():
        found = books.apart(x, codes)
        if shared:
            assert sharing(found) > rows - 2 * 27 and collisions(found).max() < rows
            return
        assert sharing(found) == 0
        changed = (found != codes).any(1)
        left, before = ((x - decode_reference(x, each, books.codewords)).norm(dim=1) for each in (found, codes))
        first = collisions(codes)
        for group in {*first[changed.numpy()]}:  # the row that its codes tell best keeps them
            assert not changed[first == group][before[first == group].argmin()]
        assert torch.equal(found, books.apart(x, codes)) and left.isfinite().all()


def test_few_rows_of_equal_codes_change_their_last_code_for_the_nearest_free_one():
    torch.manual_seed(0)
    books = Codebooks(6, 3, 9, coding="nearest")
    x = torch.randn(1, 6) + 1e-4 * torch.randn(2, 6)
    codes = books.nearest(x)
    found = books.apart(x, codes)
    moved = int((found != codes).any(1).nonzero())
    left = x[moved] - books.codewords[[0, 1], codes[moved, :2].long()].sum(0)
    second = torch.cdist(left.unsqueeze(0), books.codewords[2]).argsort()[0, 1]
    assert torch.equal(found[moved, :2], codes[moved, :2]) and found[moved, 2] == second


def test_after_training_every_item_has_codes_of_its_own_unless_a_preset_is_the_paper_s(events):
    few = {"codebooks.books": 2, "codebooks.words": 6}  # 36 codes for 24 items
    system = LISA(parse(Options, SMALL | few | {"training.batch_size": 8, "training.lr": 0.01}))
    system.fit(events, max_epochs=2, progress="none")
    told = system.history["next_item"][-1]
    assert system.collided() == 0 and {"shared codes", "unused codewords", "perplexity"} <= {*told}
    assert 0 < told["shared codes"] <= 1 and 1 <= told["perplexity"] <= 6
    codes = system.target_codes()
    assert torch.equal(codes, system.history_codes()) and sharing(codes) == 0
    with torch.no_grad():
        chosen = system.network.codebooks.codewords[torch.arange(2), codes.long()].sum(1)
    assert_close(system.item_table()[1:], chosen)
    for preset in PRESETS:
        options = LISA(preset=preset).options
        assert options.codebooks.coding == "bilinear" and not options.codebooks.distinct
        assert options.attention.recent is None and options.codebooks.start == "slice"
        assert options.expansion == 1 and LISA().options.expansion == 4


def test_what_is_set_apart_is_saved_exported_and_streamed_alike(events, tmp_path):
    few = {"codebooks.books": 2, "codebooks.words": 6}
    system = LISA(parse(Options, SMALL | few)).fit(events, max_epochs=1, progress="none")
    system.save(tmp_path / "saved")
    system.export(tmp_path / "small")
    history = history_of(system, 30)
    expected = dict(system.recommend(history, k=24))
    for again in (LISA.load(tmp_path / "saved"), Compact.load(tmp_path / "small")):
        assert_close(dict(again.recommend(history, k=24)), expected, rtol=1e-4, atol=1e-4)
        assert again.collided() == 0 and torch.equal(again.target_codes(), system.target_codes())
        session = again.open()
        session.update_many(["u"] * 30, history)
        assert_close(dict(session.recommend("u", k=24)), expected, rtol=1e-4, atol=1e-4)


def test_codes_in_turns_are_at_most_so_many_steps_old(monkeypatch):
    monkeypatch.setattr(codebooks, "EARLY", 2)
    books, in_turns = Codebooks(4, 2, 8, coding="nearest"), CodesInTurns(10, 2, 3)
    table, expected = torch.randn(10, 4), torch.zeros(10, 2, dtype=torch.uint8)
    for step in range(9):
        now, n = books.nearest(table * 2.0), min(3, 1 + step // 2)
        expected[step % n :: n] = now[step % n :: n]
        found = in_turns(books, table, 2.0)
        assert torch.equal(found, expected) and torch.equal(found, now) == (n == 1)
        table = torch.randn(10, 4)
    few = torch.tensor([0, 7, 9])  # three times which are no more than the table's rows
    assert torch.equal(in_turns(books, table, 2.0, few), books.nearest(table[few] * 2.0))
    many = torch.tensor([0, 1, 5, 7])
    again = books.nearest(table * 2.0)
    expected[0::3] = again[0::3]
    assert torch.equal(in_turns(books, table, 2.0, many), expected[many])


def test_a_broken_off_training_knows_its_old_codes_again_and_a_system_does_not_keep_them(events, tmp_path, monkeypatch):
    monkeypatch.setattr(codebooks, "EARLY", 1)
    asked = SMALL | {"training.batch_size": 8, "training.lr": 0.01}
    options = parse(Options, asked | {"codebooks.refresh": 8})
    whole, each = (LISA(o).fit(events, budget=budget(max_epochs=3)) for o in (options, parse(Options, asked)))
    assert not torch.equal(weights(whole), weights(each)) and each.network.codes is None  # few items
    assert any("24 items were made anew over 8 steps" in note for note in whole.notes)
    assert not any("made anew" in note for note in each.notes)
    first = happens_at(LISA(options), 20, fail)
    with pytest.raises(FailureError):
        first.fit(events, budget=budget(max_epochs=3, save_seconds=0), run=tmp_path)
    again = LISA(options).fit(events, budget=budget(max_epochs=3), run=tmp_path, resume=True)
    assert torch.equal(weights(again), weights(whole))
    assert not any(name.startswith("codes.") for name in whole.network.state_dict())
    steps = [LisaNetwork(items, LISA().options).codes for items in (2_000, 9_000, 50_000)]
    assert [each and each.every for each in steps] == [None, 4, 4]


def test_usage_and_collisions_count():
    codes = torch.tensor([[0, 1], [0, 1], [2, 1], [0, 0]], dtype=torch.uint8)
    told = usage(codes, 3)
    assert told.counts.tolist() == [[3, 0, 1], [1, 3, 0]] and told.dead == pytest.approx(2 / 6)
    assert told.perplexity[0] == pytest.approx(4 / (3 ** (3 / 4)))
    assert collisions(codes).tolist() == [0, 0, 2, 3] and sharing(codes) == 2
    wide = torch.arange(3, dtype=torch.uint8)[torch.tensor([0, 1, 0, 2])].unsqueeze(1).expand(-1, 9)
    assert collisions(wide).tolist() == [0, 1, 0, 3]
