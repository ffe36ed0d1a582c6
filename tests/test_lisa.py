"""LISA: the layer, the system, the authors' checkpoints, streams, equal codes."""

from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from tenfold import LISA, SASRec
from tenfold.errors import ArtifactError, DataError, OptionError, StateError, UnknownIdError
from tenfold.nn.codebooks import Codebooks, collisions, sharing, usage
from tenfold.nn.lisa import CodewordAttention, LisaAttention
from tenfold.ops.straight_through import decode_reference
from tenfold.options import parse
from tenfold.streaming import key_of
from tenfold.systems.lisa.export import Compact
from tenfold.systems.lisa.official import from_official
from tenfold.systems.lisa.options import Options
from tenfold.tasks.next_item.events import NextItemBatch, distinct
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import LossOptions

OFFICIAL = Path(__file__).parent / "data" / "lisa_official.safetensors"
PRESETS = ["base", "soft", "mini"]
SMALL = {"dim": 16, "codebooks.books": 3, "codebooks.words": 5, "codebooks.target_words": 7, "training.length": 20}


def small(preset, **more):
    tried = {"training.batch_size": 8, "training.lr": 0.01, "dropout": 0.1}
    return LISA(parse(Options, {"preset": preset} | SMALL | tried | more))


@pytest.fixture(scope="module", params=PRESETS)
def fitted(request, events):
    return small(request.param).fit(events, max_epochs=2, progress="none")


# The authors' code.


@pytest.mark.parametrize("preset", PRESETS)
def test_the_authors_checkpoints_give_what_their_code_gave(preset):
    made = load_file(OFFICIAL)
    state = {name.removeprefix(f"{preset}."): x for name, x in made.items() if name.startswith(f"{preset}.")}
    system = from_official(state, preset)
    for history, length, candidates, expected in zip(
        made["histories"], made["lengths"], made["candidates"], made[f"{preset} scores"], strict=True
    ):
        with torch.no_grad():
            user, after = system.encode(history[:length].unsqueeze(0))
            assert_close(system.scores(user[:, -1])[0, candidates], expected, rtol=1e-4, atol=1e-4)
            assert_close(system.network.at(after), user[:, -1], rtol=1e-4, atol=1e-5)


def test_a_checkpoint_file_is_read_and_a_foreign_one_refused(tmp_path):
    made = load_file(OFFICIAL)
    state = {name.removeprefix("mini."): x for name, x in made.items() if name.startswith("mini.")}
    torch.save({"epoch": 1, "model_state_dict": state, "optimizer_state_dict": None}, tmp_path / "theirs.pt")
    assert len(from_official(tmp_path / "theirs.pt", "mini").recommend([3, 4], k=5)) == 5
    with pytest.raises(ArtifactError, match=r"no checkpoint of a base model .* it holds softmax_bn"):
        from_official(state | {"softmax_bn": torch.zeros(1)}, "base")
    with pytest.raises(ArtifactError, match=r"no checkpoint of a base model .* needed none"):
        from_official(state, "base")  # it has codebooks for targets
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ArtifactError, match=r"list.pt holds no weights by name"):
        from_official(tmp_path / "list.pt", "mini")
    rows = [(user, 1 + (user + step) % 5, step) for user in range(9) for step in range(6)]
    log = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    told = from_official(state, "mini").evaluate(log)
    assert told["mrr"] > 0 and not any("without a training event" in note for note in told.notes)
    del state["target_pq_encoding_module.codebooks"]
    with pytest.raises(ArtifactError, match=r"it lacks target_pq_encoding_module.codebooks"):
        from_official(state, "mini")
    (tmp_path / "torn.pt").write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"torn.pt cannot be read as a checkpoint"):
        from_official(tmp_path / "torn.pt", "mini")
    with pytest.raises(OptionError, match=r"there is no preset 'basic'; .*base"):
        from_official(state, "basic")


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


def test_usage_and_collisions_count():
    codes = torch.tensor([[0, 1], [0, 1], [2, 1], [0, 0]], dtype=torch.uint8)
    told = usage(codes, 3)
    assert told.counts.tolist() == [[3, 0, 1], [1, 3, 0]] and told.dead == pytest.approx(2 / 6)
    assert told.perplexity[0] == pytest.approx(4 / (3 ** (3 / 4)))
    assert collisions(codes).tolist() == [0, 0, 2, 3] and sharing(codes) == 2
    wide = torch.arange(3, dtype=torch.uint8)[torch.tensor([0, 1, 0, 2])].unsqueeze(1).expand(-1, 9)
    assert collisions(wide).tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"codebooks.words": 257}, "codebooks.words = 257: it should be less than or equal to 256"),
        ({"codebooks.temperature": 0}, "codebooks.temperature = 0: it should be greater than 0"),
        ({"attention.decay": -0.1}, "attention.decay = -0.1: it should be greater than or equal to 0"),
        ({"preset": "maxi"}, "there is no preset 'maxi'; .*mini"),
    ],
)
def test_options_out_of_bounds(values, message):
    with pytest.raises(OptionError, match=message):
        LISA(**values)


def test_the_layers_have_bounds_of_their_own():
    with pytest.raises(OptionError, match="1 to 256 codewords, since a code is a byte; found 300"):
        Codebooks(4, 2, 300)
    with pytest.raises(OptionError, match="temperature tau must be above 0"):
        Codebooks(4, 2, 3, temperature=0)
    with pytest.raises(OptionError, match="decay lambda must be at least 0"):
        LisaAttention(4, 2, decay=-1)


# The system.


def test_a_catalogue_of_some_items_gives_the_loss_of_the_whole(events):
    """Sampled losses encode only the items of the batch; the full catalogue must give the same."""
    for name in ("bce", "gbce", "sampled_softmax"):
        system = small("mini", **{"loss.name": name, "dropout": 0.0}).fit(events, max_epochs=1, progress="none")
        torch.manual_seed(0)
        rows = torch.randint(1, 24, (4, 6))
        negatives = torch.randint(1, 24, (4, 6, 2) if name == "bce" else (4, 5))
        batch = NextItemBatch(rows, rows.roll(-1, 1), negatives)
        total, weight = system.loss(batch)
        catalogue = system.network.catalogue()
        user, _ = system.network(batch.events, catalogue=catalogue)
        whole = next_item_loss(LossOptions(name=name), user, catalogue.targets, batch)
        assert_close(total, whole[0])
        assert weight == whole[1]
        learned = list(system.network.parameters())
        found, expected = (torch.autograd.grad(x, learned, allow_unused=True) for x in (total, whole[0]))
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_distinct_items_of_a_batch():
    times = torch.tensor([[5.0, 6.5, 0.0]])
    batch = NextItemBatch(torch.tensor([[9, 4, 0]]), torch.tensor([[4, 7, 0]]), torch.tensor([[7, 30]]), times)
    items, small_batch = distinct(batch)
    assert items.tolist() == [0, 4, 7, 9, 30]
    assert [part.tolist() for part in small_batch] == [[[3, 1, 0]], [[1, 2, 0]], [[2, 4]], times.tolist()]


def test_a_stream_equals_the_batch_over_five_thousand_events(fitted):
    torch.manual_seed(0)
    rows = torch.randint(1, 24, (2, 5000))
    with torch.no_grad():
        whole, _ = fitted.encode(rows)
        state, reads = None, []
        for part in rows.split([1, 1, 700, 2298, 1999, 1], dim=1):
            user, state = fitted.encode(part, state)
            reads.append(user)
        assert_close(torch.cat(reads, 1), whole, rtol=1e-4, atol=1e-4)
        assert_close(fitted.network.at(state), whole[:, -1], rtol=1e-4, atol=1e-4)
        assert_close(fitted.scores(fitted.network.at(state)), fitted.scores(whole[:, -1]), rtol=1e-4, atol=1e-4)
    assert state.histogram.shape == (2, 3, 5)


def test_padding_in_a_batch_changes_neither_answers_nor_states(fitted):
    row = torch.tensor([[3, 5, 1, 8]])
    with torch.no_grad():
        alone, after = fitted.encode(row)
        both, padded = fitted.encode(torch.tensor([[3, 5, 1, 8, 0, 0], [2, 2, 9, 7, 6, 1]]))
    assert_close(both[:1, :4], alone)
    assert_close(padded.histogram[:1], after.histogram)
    assert padded.last[0] == after.last[0] == 8 and padded.seen[0] == 4


def test_all_blocks_are_built_as_the_options_say():
    system = small("soft", layers=2, **{"codebooks.temperature": 0.1, "codebooks.residual": False,
                   "attention.shared": True, "codebooks.learn_counts": False, "attention.long_decay": 0.0})  # fmt: skip
    system.sizes = {"items": 24}
    network = system.build()
    upper = network.upper[0].attention
    for books in (network.codebooks, upper.codebooks):
        assert books.temperature == 0.1 and not books.residual and books.soft
    for attention in (network.attention, upper.attention):
        assert len(attention.query) == 1 and not attention.learn_counts
        assert attention.decay.tolist() == pytest.approx([0.1, 0.0, 0.1])


@pytest.mark.parametrize("decay", [0.0, 1e-5, 0.1, 5.0, 120.0])
def test_a_learned_decay_starts_where_it_is_told(decay):
    assert_close(CodewordAttention(8, 3, decay=decay, learn_decay=True).decay, torch.full((3,), max(decay, 1e-6)))


def test_mixtures_are_not_taken_for_equal_codes(events):
    options = {"targets": "same", "codebooks.books": 2, "codebooks.words": 2}
    system = small("soft", **options).fit(events, max_epochs=1, progress="none")
    with torch.no_grad():
        user = torch.randn(1, 16)
        assert torch.equal(system.scores(user), user @ system.item_table().T) and system.collided() == 0


def test_old_events_are_not_cut_in_silence(events):
    system = small("mini", **{"attention.decay": 0}).fit(events, max_epochs=1, progress="none")
    ids = system.vocabularies["items"].ids(list(range(1, 25)))
    history = [ids[i % 24] for i in range(99_999)]
    first, other = (system.recommend([start, *history], k=24) for start in (ids[0], ids[1]))
    assert dict(first) != dict(other)


def test_equal_codes_are_counted_in_a_note(events):
    system = small("base", **{"codebooks.books": 1}).fit(events, max_epochs=1, progress="none")  # 5 codes, 24 items
    assert system.collided() >= 19
    assert f"{system.collided()} of 24 items share all their codes with another" in system.notes[-1]


def test_items_of_equal_codes_come_by_popularity(events):
    system = small("base").fit(events, max_epochs=1, progress="none")
    told = [note for note in system.notes if "share all their codes" in note]
    assert told == ([] if system.collided() == 0 else [told[0]]) and system.collided() != 1
    network = system.network
    with torch.no_grad():
        network.item.weight[[2, 5, 9]] = network.item.weight[1].clone()
    network.train().eval()  # the catalogue is encoded anew
    system.statistics["item_counts"][[1, 2, 5, 9]] = torch.tensor([3, 40, 7, 7])
    assert system.collided() >= 4
    with torch.no_grad():
        user, _ = system.encode(torch.tensor([[3, 4]]))
        scores = system.scores(user[:, -1])[0]
    assert scores[2] > scores[5] > scores[9] > scores[1]
    assert_close(scores[2], scores[1], rtol=1e-5, atol=1e-5)


def test_two_blocks_and_no_positions_and_learned_decay(events):
    more = {"layers": 2, "positions": False, "attention.learn_decay": True, "attention.decay": 0.05}
    system = small("mini", **more).fit(events, max_epochs=1, progress="none")
    rate = system.network.attention.decay
    assert rate.shape == (3,) and (rate > 0).all() and not torch.allclose(rate, torch.tensor(0.05))
    rows = torch.randint(1, 24, (2, 50))
    with torch.no_grad():
        whole, _ = system.encode(rows)
        first, state = system.encode(rows[:, :20])
        assert_close(torch.cat([first, system.encode(rows[:, 20:], state)[0]], 1), whole, rtol=1e-4, atol=1e-4)


def test_soft_is_pulled_towards_its_codes(events):
    batch = NextItemBatch(torch.tensor([[3, 5, 3]]), torch.tensor([[5, 3, 1]]), torch.zeros(1, 0, dtype=torch.long))
    systems = [small("soft", regulariser=c, dropout=0.0).fit(events, max_epochs=1, progress="none") for c in (0.0, 0.5)]
    systems[1].network.load_state_dict(systems[0].network.state_dict())
    less, more = (float(s.loss(batch)[0].detach()) for s in systems)
    with torch.no_grad():
        c = systems[0].network.catalogue()
        apart = (c.vectors - c.history.vectors).square().sum(1)
    assert more - less == pytest.approx(0.5 * float(2 * apart[3] + apart[5]), rel=1e-3)


# Streams.


def history_of(system, length, seed=0):
    ids = system.vocabularies["items"].ids(list(range(1, 25)))
    return [ids[i] for i in torch.randint(24, (length,), generator=torch.Generator().manual_seed(seed)).tolist()]


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_session_answers_as_the_whole_history_does(fitted, where, tmp_path):
    history = history_of(fitted, 5000)
    with fitted.open(None if where == "memory" else tmp_path / "states") as session:
        for at, item in enumerate(history[:40]):
            assert session.update("u", item, time=at)
        assert session.update_many(["u"] * 4960, history[40:]) == 4960
        streamed, batch = session.recommend("u", k=24), fitted.recommend(history, k=24)
        assert_close(dict(streamed), dict(batch), rtol=1e-4, atol=1e-4)
        assert not streamed.by_popularity and len(session) == 1 and list(session) == ["u"]
    if where == "folder":
        with fitted.open(tmp_path / "states") as session:
            assert dict(session.recommend("u", k=24)) == dict(streamed)


def test_users_of_a_batch_of_events_do_not_mix(fitted):
    session, histories = fitted.open(), {7: history_of(fitted, 30, 1), "7": history_of(fitted, 5, 2)}
    users = [7, 7, "7"] * 5 + [7] * 20
    left = {user: iter(items) for user, items in histories.items()}
    events = [(user, next(left[user])) for user in users]
    assert session.update_many(*zip(*events, strict=True)) == 35
    for user, items in histories.items():
        assert_close(dict(session.recommend(user, k=24)), dict(fitted.recommend(items, k=24)), rtol=1e-4, atol=1e-4)
    session.forget(7)
    assert 7 not in session and "7" in session


def test_what_is_unknown_changes_nothing_and_popularity_answers(fitted):
    session = fitted.open()
    assert session.update("u", "never seen") is False and "u" not in session
    told = session.recommend("u", k=3)
    assert told.by_popularity and [x.item for x in told] == [x.item for x in fitted.recommend([], k=3)]
    with pytest.raises(UnknownIdError, match="there is no item 'never seen'"):
        session.update("u", "never seen", on_unseen="refuse")
    with pytest.raises(DataError, match="found 2 users, 1 items"):
        session.update_many(["u", "v"], ["x"])
    known = history_of(fitted, 3)
    session.update_many(["u"] * 3, known)
    assert known[0] not in [x.item for x in session.recommend("u", k=5, exclude=known[:1])]
    assert [x.item for x in session.recommend("u", k=5, candidates=known[:1])] == known[:1]


def test_a_state_of_another_model_is_refused(fitted, events, tmp_path):
    with fitted.open(tmp_path) as session:
        session.update("u", history_of(fitted, 1)[0])
    other = fitted.clone().fit(events, max_epochs=1, seed=5, progress="none")
    with pytest.raises(StateError, match="user 'u' belongs to model"):
        other.open(tmp_path)


def test_a_session_does_not_outlive_the_model_it_was_opened_on(events):
    system = small("mini").fit(events, max_epochs=1, progress="none")
    session, item = system.open(), history_of(system, 1)[0]
    session.update("u", item)
    system.fit(events, max_epochs=1, seed=3, progress="none")
    for act in (lambda: session.recommend("u"), lambda: session.update("u", item)):
        with pytest.raises(StateError, match="fitted again since these states were opened"):
            act()


def test_one_user_of_many_events_does_not_cost_the_others(fitted, monkeypatch):
    asked, advance = [], type(fitted).advance
    monkeypatch.setattr(
        type(fitted), "advance", lambda self, s, rows: asked.append(rows.shape) or advance(self, s, rows)
    )
    monkeypatch.setattr("tenfold.tasks.next_item.session.CELLS", 64)
    items = history_of(fitted, 90)
    users = ["long"] * 50 + [f"u{i}" for i in range(40)]
    fitted.open().update_many(users, items)
    assert sum(n * width for n, width in asked) == 90 and max(asked)[0] <= 64
    monkeypatch.undo()
    session = fitted.open()
    session.update_many(users, items)
    assert_close(dict(session.recommend("long", k=24)), dict(fitted.recommend(items[:50], k=24)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [0, -1, 25])
def test_a_session_s_k_is_that_of_a_list(fitted, k):
    with pytest.raises(OptionError, match=f"k = {k}"):
        fitted.open().recommend("u", k=k)


def test_times_are_numbers_and_the_latest_is_kept(fitted):
    session, item = fitted.open(), history_of(fitted, 1)[0]
    with pytest.raises(DataError, match="time is a number of seconds or a date-time; found 'yesterday'"):
        session.update("u", item, time="yesterday")
    session.update("u", item, time=5)
    session.update("u", item)
    rows = session._read(session.store.get_many([key_of("u")]), ["u"])
    assert rows["events"][0] == 2 and rows["time"][0] == 5  # the latest there is


def test_one_text_is_no_history(fitted):
    for act in (fitted.recommend, fitted.attention_to, lambda x: fitted.recommend([], exclude=x)):
        with pytest.raises(OptionError, match="given as a list of ids; found the text 'i9'"):
            act("i9")
    with pytest.raises(OptionError, match="on_unseen is 'skip' or 'refuse'; found 'bogus'"):
        fitted.recommend([], on_unseen="bogus")


def test_who_keeps_no_state_of_one_size_says_so(events):
    with pytest.raises(OptionError, match="a SASRec keeps no state of constant size"):
        SASRec(SASRec.tiny).fit(events, max_epochs=1, progress="none").open()
    system = small("mini", layers=2).fit(events, max_epochs=1, progress="none")
    with pytest.raises(OptionError, match="streams with one layer; found layers = 2"):
        system.open()


def test_the_state_is_as_small_as_the_paper_says(fitted):
    assert fitted.state_size == 3 * 5
    assert LISA(preset="mini").set_params().options.codebooks.words * 8 * 4 == 512
