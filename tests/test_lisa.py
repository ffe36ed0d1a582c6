"""LISA as a system: the authors' checkpoints, what is trained, equal codes, options."""

from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from small_lisa import PRESETS, small
from torch.testing import assert_close

from tenfold import LISA
from tenfold.data.events import Events
from tenfold.data.splits import split
from tenfold.errors import ArtifactError, OptionError
from tenfold.nn.codebooks import Codebooks
from tenfold.nn.lisa import CodewordAttention, LisaAttention
from tenfold.systems.lisa.official import from_official
from tenfold.tasks.next_item.events import NextItemBatch, distinct
from tenfold.tasks.next_item.losses import next_item_loss
from tenfold.tasks.next_item.options import LossOptions

OFFICIAL = Path(__file__).parent / "data" / "lisa_official.safetensors"


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


def test_users_of_many_events_are_trained_on_in_long_windows(monkeypatch):
    """As many events in a batch, and a fit says it; the presets are the paper's."""
    monkeypatch.setattr("tenfold.systems.lisa.system.LONG", 40)
    monkeypatch.setattr("tenfold.systems.lisa.system.MANY_EVENTS", 30)
    many, few = (Events.from_histories([[1 + (u + e) % 7 for e in range(n)] for u in range(9)]) for n in (60, 20))
    windows = {"training.length": 10, "training.batch_size": 9}
    fitted = small("mini", **windows, long_windows=True).fit(many, split="none", max_epochs=1)
    assert fitted.windows(split(many, "none")) == (40, 2)
    assert any("training windows hold 40 events, 2 in a batch" in note for note in fitted.notes)
    assert fitted.windows(split(few, "none")) == (10, 9)
    assert small("mini", **windows).windows(split(many, "none")) == (10, 9)
    assert LISA().options.long_windows and not LISA(preset="mini").options.long_windows
