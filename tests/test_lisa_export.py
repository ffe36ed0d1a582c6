"""LISA exported: codes as bits, answers from codes, what an export holds and what is refused; items that are alike."""

import gc
import json
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.testing import assert_close

from tenfold import LISA, SASRec
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, NotFittedError, OptionError, UnknownIdError
from tenfold.options import parse
from tenfold.systems.lisa import packing
from tenfold.systems.lisa.compact import CodedTable, Compact, lookup_sums, lookup_sums_reference
from tenfold.systems.lisa.export import export
from tenfold.systems.lisa.options import Options
from tenfold.systems.lisa.packing import break_even_items, code_bits, pack_codes, table_bytes, unpack_codes
from tenfold.tasks.next_item import answers

SMALL = {"dim": 16, "codebooks.books": 3, "codebooks.words": 5, "codebooks.target_words": 7, "training.length": 20}
KINDS = {
    "base": {},
    "mini": {},
    "soft": {},
    "two blocks": {"layers": 2},
    "projections are smaller": {"preset": "base", "codebooks.words": 29, "attention.shared": True},
    "no positions, learned decay": {"positions": False, "attention.learn_decay": True},
    "raw targets, hard codes": {"targets": "items"},
    "soft, own targets": {"preset": "soft", "targets": "own"},
}
ITEMS, TWINS = 24, [2, 5, 9]  # number 1 is their like


def small(preset="mini", **more):
    tried = {"training.batch_size": 8, "training.lr": 0.01, "dropout": 0.1}
    return LISA(parse(Options, {"preset": preset} | SMALL | tried | more))


def fit(events, preset="mini", **more):
    """One epoch; items 1, 2, 5 and 9 are made equal, and differ in popularity."""
    system = small(preset, **more).fit(events, max_epochs=1, progress="none")
    with torch.no_grad():
        system.network.item.weight[TWINS] = system.network.item.weight[1].clone()
    system.network.train().eval()  # the catalogue is encoded anew
    system.statistics["item_counts"][[1, *TWINS]] = torch.tensor([3, 40, 7, 7])
    return system


@pytest.fixture(scope="module", params=KINDS)
def pair(request, events, tmp_path_factory):
    """A system, what its export loads as, and where that lies."""
    more = dict(KINDS[request.param])
    name = request.param if request.param in ("base", "soft") else "mini"
    system, folder = fit(events, **({"preset": name} | more)), tmp_path_factory.mktemp("export")
    export(system, folder)
    return system, Compact.load(folder), folder


@pytest.fixture(scope="module")
def mini(events, tmp_path_factory):
    system, folder = fit(events), tmp_path_factory.mktemp("mini")
    export(system, folder)
    return system, Compact.load(folder), folder


def ids_of(system, *numbers):
    return system.vocabularies["items"].ids(list(numbers) or list(range(1, ITEMS + 1)))


def draw_history(system, length, seed=0):
    numbers = torch.randint(1, ITEMS + 1, (length,), generator=torch.Generator().manual_seed(seed))
    return ids_of(system, *numbers.tolist())


def check_alike(found, expected, apart=1e-4):
    """The same items and scores, and the same order wherever scores differ by more."""
    assert [type(found), found.skipped, found.by_popularity] == [
        type(expected),
        expected.skipped,
        expected.by_popularity,
    ]
    assert len(found) == len(expected) > 0
    assert_close(dict(found), dict(expected), rtol=0, atol=apart)
    place = {x.item: at for at, x in enumerate(found)}
    for a, b in pairwise(expected):
        assert place[a.item] < place[b.item] or a.score - b.score <= apart


# Codes as bits.


@pytest.mark.parametrize("books", [1, 3, 7])
def test_codes_of_every_number_of_words_come_back(books, monkeypatch):
    for at_once in (8, 1 << 13):  # in parts, and as a whole
        monkeypatch.setattr(packing, "ITEMS_AT_ONCE", at_once)
        for words in range(1, 257):
            codes = torch.randint(words, (19, books), generator=torch.Generator().manual_seed(words)).to(torch.uint8)
            codes[0] = words - 1
            packed = pack_codes(codes, words)
            assert len(packed) == -(-19 * books * code_bits(words) // 8)
            assert torch.equal(unpack_codes(packed, 19, books, words), codes)


def test_bits_stand_one_after_another_the_highest_first():
    codes = torch.tensor([[4, 1], [3, 2], [0, 4]], dtype=torch.uint8)
    assert pack_codes(codes, 5) == int("100001011010000100000000", 2).to_bytes(3, "big")
    assert [code_bits(w) for w in (1, 2, 3, 4, 5, 128, 129, 256)] == [0, 1, 2, 2, 3, 7, 8, 8]


def test_codes_of_another_length_are_refused():
    packed = pack_codes(torch.zeros(1000, 3, dtype=torch.uint8), 5)
    for wrong in (packed[:-1], packed + b"\0"):
        with pytest.raises(ArtifactError, match=r"codes of 1,000 items in 3 codebooks of 5 codewords are 1,125 bytes"):
            unpack_codes(wrong, 1000, 3, 5)


def test_bytes_are_the_papers_formula():
    assert table_bytes(1_000_000, 128, 8, 128) == (512_000_000, 7_000_000 + 4 * 8 * 128 * 128)
    assert table_bytes(1_000_000, 128, 8, 16, 128) == (512_000_000, 11_000_000 + 4 * 8 * (16 + 128) * 128)
    raw, packed = table_bytes(1_000_000, 128, 8, 128)
    assert raw / packed == pytest.approx(68, abs=0.1)


@pytest.mark.parametrize(
    "sizes", [(128, 8, 128), (128, 8, 16, 128), (64, 3, 5), (5, 2, 200, 3), (1, 3, 256), (1, 9, 7)]
)
def test_from_break_even_on_codes_are_smaller_and_not_before(sizes):
    smaller = [packed < raw for raw, packed in (table_bytes(items, *sizes) for items in range(10_000))]
    assert break_even_items(*sizes) == smaller.index(True) and not smaller[0]


def test_codes_that_never_pay():
    assert break_even_items(1, 4, 256) is None and break_even_items(1, 8, 129) is None


# A table that is held as codes.


def test_lookups_are_their_definition():
    torch.manual_seed(0)
    codes, products = torch.randint(6, (11, 4), dtype=torch.uint8), torch.randn(3, 4, 6)
    scores = torch.empty(3, 11)
    lookup_sums(products.numpy(), codes.numpy(), scores.numpy())
    assert_close(scores, lookup_sums_reference(products, codes))
    expected = [[sum(products[n, b, c].item() for b, c in enumerate(row)) for row in codes.tolist()] for n in range(3)]
    assert_close(scores, torch.tensor(expected))


def test_a_coded_table_does_what_a_tensor_does(monkeypatch):
    monkeypatch.setattr("tenfold.systems.lisa.compact.ITEMS_AT_ONCE", 8)
    torch.manual_seed(0)
    codes, codewords, users = torch.randint(5, (19, 3), dtype=torch.uint8), torch.randn(3, 5, 7), torch.randn(2, 7)
    coded = CodedTable(codes, codewords)
    table = torch.stack([sum(codewords[b, c] for b, c in enumerate(row)) for row in codes.tolist()])
    rows = torch.tensor([[4, 0], [18, 4]])
    assert_close(coded[rows], table[rows])
    assert_close(coded[4:5], table[4:5])
    assert_close(F.embedding(rows, coded), table[rows])
    assert_close(users @ coded.T, users @ table.T)
    assert_close(coded.norm(dim=1), table.norm(dim=1))


# Answers.


@pytest.mark.parametrize("length", [1, 2, 20, 57, 3000])
def test_it_recommends_as_the_system_does(pair, length):
    system, compact, _ = pair
    history = draw_history(system, length)
    check_alike(compact.recommend(history, k=ITEMS), system.recommend(history, k=ITEMS))
    how = {"k": 4, "exclude": history[:1], "candidates": ids_of(system, *range(3, 20))}
    check_alike(compact.recommend(history, **how), system.recommend(history, **how))
    if length == 2:
        check_alike(*(s.recommend(history, k=9, exclude_seen=True) for s in (compact, system)))


def test_what_is_unknown_and_who_is_new(pair):
    system, compact, _ = pair
    for history in ([], ["never seen"], ["never seen", *draw_history(system, 3)]):
        check_alike(compact.recommend(history, k=ITEMS), system.recommend(history, k=ITEMS))
    assert [x.item for x in compact.recommend([], k=5)] == [x.item for x in system.recommend([], k=5)]
    assert compact.recommend([]).by_popularity and compact.recommend(["never seen"]).skipped == 1
    with pytest.raises(UnknownIdError, match="there is no item 'never seen'"):
        compact.recommend(["never seen"], on_unseen="refuse")


def test_several_at_once_and_in_parts(pair, monkeypatch):
    system, compact, _ = pair
    histories = [draw_history(system, length, length) for length in (3, 40, 1, 7, 5)]
    monkeypatch.setattr(answers, "SCORES_AT_ONCE", 2 * (ITEMS + 1))
    for found, expected in zip(compact.recommend(histories, k=6), system.recommend(histories, k=6), strict=True):
        check_alike(found, expected)


def test_equal_codes_come_by_popularity(mini):
    system, compact, _ = mini
    twins = ids_of(system, 2, 5, 9, 1)
    for answer in (compact.recommend(draw_history(system, 9), k=ITEMS), compact.recommend(twins, k=ITEMS)):
        assert [x.item for x in answer if x.item in twins] == twins
    assert compact.collided() == system.collided() >= 4


def test_a_store_of_states_serves_both(pair, tmp_path):
    system, compact, _ = pair
    if system.options.layers > 1:
        pytest.skip("streams have one layer")
    history = draw_history(system, 60)
    with system.open(tmp_path) as session:
        session.update_many(["u"] * 50, history[:50])
    with compact.open(tmp_path) as session:
        session.update_many(["u"] * 9, history[50:59])
        session.update("u", history[59])
        check_alike(session.recommend("u", k=ITEMS), system.recommend(history, k=ITEMS))
        assert session.recommend("new", k=3).by_popularity
    with system.open(tmp_path) as session:
        check_alike(session.recommend("u", k=ITEMS), compact.recommend(history, k=ITEMS))


def test_it_is_evaluated_as_the_system_is(pair, events):
    system, compact, _ = pair
    found, expected = (s.evaluate(events) for s in (compact, system))
    assert found.protocol == expected.protocol and found.notes == expected.notes
    assert dict(found) == pytest.approx(dict(expected), abs=1e-3)


def test_no_table_is_ever_in_memory(tmp_path, monkeypatch):
    """Whatever is held afterwards, and whatever is decoded on the way, is smaller than the table of vectors."""
    items, decoded, look = 3001, [], CodedTable.__getitem__
    for preset in ("base", "mini"):
        system = small(preset)
        system.sizes, system.vocabularies = {"items": items}, {"items": Vocabulary(pl.Series(range(1, items + 1)))}
        system.statistics = {"item_counts": torch.arange(items + 1)}
        system._network = system.build().eval()
        answer = system.recommend(range(1, 60), k=9)
        export(system, tmp_path / preset)
        del system
        compact = Compact.load(tmp_path / preset)
        with monkeypatch.context() as patch:
            patch.setattr(CodedTable, "__getitem__", lambda t, rows: decoded.append(look(t, rows)) or decoded[-1])
            check_alike(compact.recommend(range(1, 60), k=9), answer)
        assert max(x.numel() for x in decoded) <= 60 * 16
        gc.collect()
        sizes = [x.numel() for x in gc.get_objects() if issubclass(type(x), torch.Tensor)]
        held = {size for size in sizes if isinstance(size, int)}  # symbols that another test's export left are none
        assert 3 * (items + 1) in held and not held & {16 * items, 16 * (items + 1)}  # its codes, but no vectors


# What an export holds.


def test_sizes_on_the_disk_are_the_formulas(pair):
    system, _, folder = pair
    names = json.loads((folder / "config.json").read_text())["files"]
    books, options = system.options.codebooks, system.options
    if options.soft or options.targets == "items":
        assert not {"history_codes", "target_codes"} & {*names}
        assert load_file(folder / names["model"])["item.weight"].shape == (ITEMS + 1, 16)
        return
    target_words = books.target_words if options.targets == "own" else None
    raw, packed = table_bytes(ITEMS, options.dim, books.books, books.words, target_words)
    codebooks = (folder / names["codebooks"]).read_bytes()
    without_header = len(codebooks) - 8 - int.from_bytes(codebooks[:8], "little")
    codes = [(folder / names[name]).stat().st_size for name in ("history_codes", "target_codes") if name in names]
    assert sum(codes) + without_header == packed and raw == 4 * ITEMS * options.dim
    held = load_file(folder / names["model"])
    assert not {"item.weight", "codebooks.similarity"} & {*held}
    projections, tables = {"attention.query", "attention.key", "attention.value"}, {"scores", "values"}
    assert {*held} & (projections | tables) == (projections if options.attention.shared else tables)


def test_an_export_says_what_it_took(mini, events, tmp_path):
    system, _, folder = mini
    told = export(system, folder)
    files = [path for path in folder.iterdir()]
    assert sum(told.sizes.values()) == sum(path.stat().st_size for path in files) and len(told.sizes) == len(files)
    assert told.notes == ["the tables T and V are exported, which are smaller than the projections that make them"]
    assert "history" in system.fitted and "history" not in json.loads((folder / "config.json").read_text())["fitted"]
    soft = export(fit(events, "soft"), tmp_path)
    assert "their table is exported, 0.0016 MB in float32" in soft.notes[0]
    export(system, tmp_path)  # over the other one, of which nothing stays
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}


# What is refused.


def test_an_export_and_a_system_are_not_mistaken_for_each_other(mini, tmp_path):
    system, compact, folder = mini
    with pytest.raises(ArtifactError, match="holds a Compact, not a LISA"):
        LISA.load(folder)
    system.save(tmp_path / "whole")
    with pytest.raises(ArtifactError, match="holds a LISA, not a Compact"):
        Compact.load(tmp_path / "whole")
    with pytest.raises(OptionError, match=r"whole holds a LISA, whose files an export would replace"):
        export(system, tmp_path / "whole")
    assert LISA.load(tmp_path / "whole").recommend([], k=1)
    with pytest.raises(OptionError, match="a fitted LISA is exported; found a Compact"):
        export(compact, tmp_path / "again")
    with pytest.raises(OptionError, match="a fitted LISA is exported; found a SASRec"):
        export(SASRec(), tmp_path / "again")
    with pytest.raises(NotFittedError, match="this LISA has not been fitted"):
        export(small(), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_compact_only_answers(mini, events, tmp_path):
    _, compact, _ = mini
    for call in (lambda: compact.fit(events), lambda: compact.save(tmp_path / "x"), lambda: compact.to("cuda")):
        with pytest.raises(OptionError, match="a Compact only answers"):
            call()


def copied(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_files_that_were_harmed_are_named(pair, harm, tmp_path):
    _, _, folder = pair
    for name, file in json.loads((folder / "config.json").read_text())["files"].items():
        harmed = copied(folder, tmp_path / name) / file
        content = bytearray(harmed.read_bytes())
        if harm == "gone":
            harmed.unlink()
        elif harm == "cut":
            harmed.write_bytes(content[:-1])
        else:
            content[len(content) // 2] ^= 1
            harmed.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"{file} is missing or was changed"):
            Compact.load(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {"targets": "same"}}, "does not fit its own options: 'target_codebooks.codewords' differs"),
        ({"options": {"soft": True, "targets": "items"}}, "does not fit its own options"),
        ({"options": {"targets": "some"}}, "config.json was changed or is another version's: .*targets"),
        ({"options": {"dim": 17}}, "does not fit its own options"),
        ({"options": {"preset": "maxi"}}, "there is no preset 'maxi'"),
        ({"sizes": {"items": 25}}, "the codes of 25 items in 3 codebooks of 5 codewords are 29 bytes; found 27"),
        ({"sizes": None}, "config.json was changed"),
        ({"fingerprint": None}, "config.json was changed"),
        ({"files": {"target_codes": None}}, "config.json (names no file for 'target_codes'|was changed)"),
    ],
    ids=str,
)
def test_a_description_that_was_changed_is_refused(mini, change, message, tmp_path):
    folder = copied(mini[2], tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    for name, value in change.items():
        if value is None:
            config[name] = {} if isinstance(config[name], dict) else None
        else:
            config[name] |= value
    if config["fingerprint"] is None:
        del config["fingerprint"]
    config["format"] = 1  # which had no digest of itself: what is wrong is found in the parts
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=message):
        Compact.load(folder)


# Items that are alike.


def test_alike_is_the_cosine_of_what_is_found(pair):
    system, compact, _ = pair
    with torch.no_grad():
        table = system.network.catalogue().targets
        expected = F.cosine_similarity(table[4:5], table[1:], dim=1)
    own = ids_of(system, 4)[0]
    for found in (system.similar(own, k=ITEMS), compact.similar(own, k=ITEMS)):
        assert len(found) == ITEMS - 1 and own not in dict(found)
        assert_close(
            torch.tensor([dict(found)[i] for i in ids_of(system) if i != own]),
            torch.cat([expected[:3], expected[4:]]),
            atol=1e-5,
            rtol=0,
        )
        assert [x.score for x in found] == sorted((x.score for x in found), reverse=True)
        assert not found.by_popularity and found.skipped == 0
        assert system.similar(own, k=3) == system.similar(own, k=ITEMS)[:3]


def test_equal_codes_are_the_most_alike_by_popularity(pair):
    system, compact, _ = pair
    with torch.no_grad():
        equal = system.network.catalogue().targets
        equal = (equal == equal[1]).all(1).nonzero().flatten().tolist()  # others may have fallen together with them
    assert {1, *TWINS} <= {*equal}
    by_popularity = sorted(equal, key=lambda n: (-system.statistics["item_counts"][n].item(), n))
    for one in (system, compact):
        for number in (1, *TWINS):
            others = [n for n in by_popularity if n != number]
            found = one.similar(ids_of(system, number)[0], k=len(others))
            assert [x.item for x in found] == ids_of(system, *others)
            assert [x.score for x in found] == pytest.approx([1] * len(others))


def test_rounding_does_not_decide_among_equal_codes(mini, monkeypatch):
    system, twins = mini[0], ids_of(mini[0], 2, 5, 9, 1)
    with torch.no_grad():
        table = system.network.catalogue().targets.clone()
    table[TWINS] += 1e-5 * torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(system, "item_table", lambda: table)
    for own in [i for i in ids_of(system) if i not in twins]:
        found = [x for x in system.similar(own, k=ITEMS) if x.item in twins]
        assert [x.item for x in found] == twins and len({x.score for x in found}) == 1


def test_an_unknown_item_is_named_with_the_nearest(mini):
    for one in mini[:2]:
        with pytest.raises(UnknownIdError, match=r"there is no item 'r1i33' in this system; did you mean 'r1i3'\?"):
            one.similar("r1i33")
        with pytest.raises(OptionError, match="25"):
            one.similar("r1i3", k=25)
    with pytest.raises(NotFittedError):
        small().similar("r1i3")


def test_the_folder_may_be_a_word_or_a_path(mini, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export(mini[0], "served")
    assert Compact.load(Path("served")).fingerprint() == Compact.load("served").fingerprint() == mini[0].fingerprint()
