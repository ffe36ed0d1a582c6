"""Tables and texts: tokens and back, numbers, what a writer may write, beam search, rules, figures, files."""

import json
import os
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import CITIES, people, person
from torch.testing import assert_close

from tenfold.data.fact_tables import read_fact_tables
from tenfold.errors import DataError, OptionError
from tenfold.systems.sana.rivals import InOrder
from tenfold.tasks.table_text.baselines.generators import PointerGenerator, Seq2Seq
from tenfold.tasks.table_text.baselines.rules import AllCells, NearestTemplate
from tenfold.tasks.table_text.beam import LEAST, beam_search, by_majority
from tenfold.tasks.table_text.encoding import (
    BOS,
    EOS,
    PAD,
    UNK,
    Numbering,
    Splitter,
    TableBatch,
    learned_keys,
    learned_words,
    sources_of,
)
from tenfold.tasks.table_text.evaluation import Judged, judge
from tenfold.tasks.table_text.network import TableEncoder, Writer
from tenfold.tasks.table_text.options import NetworkOptions, Protocol, TextOptions
from tenfold.tasks.table_text.skeletons import gold_skeleton
from tenfold.tasks.table_text.tokens import Casing, clean, join_words, split_words

ODD = "ab 1.,()-€$%'\"￭␣\u29f8_<>東京éß"


# Tokens.


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(ODD)), max_size=30))
def test_a_text_comes_back(text):
    assert join_words(split_words(text)) == clean(text)


def test_what_tokens_are():
    assert split_words("The O'Neill tent (48 x 16 cm) costs €1,234.50!") == [
        "The", "O'Neill", "tent", "(", "48", "x", "16", "cm", ")", "costs", "€", "1,234.50", "!",
    ]  # fmt: skip
    assert split_words("東京 は") == ["東", "京", "␣は"]
    assert clean("a\tb\u200b\x07\n c") == "a b c"
    for text in ("<unk-3> <ins> <sep>", "￭ ␣ \u29f8", "a -b"):
        assert join_words(split_words(text)) == text


def test_capitals_are_learned_and_restored():
    casing = Casing.of([["The", "band", "U2", "of", "Dublin", ".", "The", "end"], ["A", "U2", "song"]])
    written = casing.restored(["the", "u2", "song", ".", "a", "mcx"], [None] * 5 + ["McX"], [False] * 6)
    assert written == ["The", "U2", "song", ".", "A", "McX"]
    assert casing.restored(["the"], [None], [True]) == ["the"]
    assert Casing.from_bytes(casing.to_bytes()).forms == casing.forms


# Numbers.


def numbering(words=(), keys=()):
    split = Splitter(TextOptions())
    tables = [split.table(table, "t") for table in people(20)]
    known = [split.text(text) for table in people(20) for text in table.texts]
    return split, Numbering(learned_words([*known, list(words)], 25), learned_keys(tables, 9))


def table_of(split, **cells):
    return split.table(read_fact_tables(pl.DataFrame([{"table": [list(c) for c in cells.items()]}]))[0], "the table")


def test_unknown_tokens_are_told_by_their_first_place():
    split, numbers = numbering()
    table = table_of(split, name="Zoe Xu", city="Rome", other="Xu Zoe !")
    found = numbers.table(table)
    assert found.rows[0].tolist()[:2] == [-1, -2] and found.rows[0].tolist()[3:5] == [-2, -1]
    assert found.rows[0, -1] == EOS and found.rows[1, 3] != found.rows[1, 0]  # an unknown key is not `name`
    assert found.rows[2].tolist() == [1, 2, 1, 1, 2, 3, 0] and found.rows[3].tolist() == [2, 1, 1, 3, 2, 1, 0]
    text = numbers.text(["zoe", "of", "rome", "and", "nobody"], found)
    assert text[0] == -1 and text[-1] == UNK and numbers.token(-1, table) == "zoe"
    assert all(token == numbers.token(number, table) for token, number in zip(["of", "rome"], text[1:3], strict=True))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_every_token_of_a_table_comes_back_from_its_number(values):
    split, numbers = numbering()
    rows = [{"attribute": f"k{i}", "value": value} for i, value in enumerate(values)]
    try:
        table = split.table(read_fact_tables(pl.DataFrame({"table": [rows]}))[0], "t")
    except DataError:
        assert not any(clean(value) for value in values) or "<none>" in values
        return
    found = numbers.table(table)
    assert [numbers.token(n, table) for n in found.rows[0, :-1].tolist()] == table.tokens
    assert not {*found.rows[0, :-1].tolist()} & {
        PAD,
        BOS,
        EOS,
        UNK,
    }  # not even of text that looks like a special number


def test_a_table_that_is_too_long_loses_records_from_its_end():
    split = Splitter(TextOptions(longest_table=4))
    rows = [["a", "one two"], ["b", "three four five"], ["c", "six"]]
    table = split.table(read_fact_tables(pl.DataFrame([{"table": rows}]))[0], "t")
    assert [cell.key for cell in table.cells] == ["a", "c"]
    with pytest.raises(DataError, match="t: its first value has 5,000 tokens, expected at most 4"):
        split.table(read_fact_tables(pl.DataFrame([{"table": [["a", "x " * 5_000]]}]))[0], "t")


def test_sources():
    split, _ = numbering()
    table = table_of(split, name="Isle of Man", city="Man")
    assert sources_of(["the", "isle", "of", "man", "of", "man"], table) == [-1, 0, 1, 2, -1, 2]


def test_gold_skeletons():
    values = {"ada", "of", "rome", ",", "1815"}
    assert gold_skeleton(values, ["ada", "of", "rome", ",", "ada", "in", "1815", "."]) == ["ada", "rome", "ada", "1815"]
    assert gold_skeleton(values, ["nothing"]) == []


# Networks.

SMALL = NetworkOptions(dim=16, layers=2, heads=2, hidden=24, word_dim=10, key_dim=6, dropout=0.0)


def writers(copies, seed=0):
    torch.manual_seed(seed)
    split, numbers = numbering()
    sizes = len(numbers.words), len(numbers.keys)
    encoder, writer = TableEncoder(*sizes, SMALL).eval(), Writer(sizes[0], SMALL, copies).eval()
    tables = [split.table(table, "t") for table in people(9)]
    batch = TableBatch.of([numbers.table(table) for table in tables])
    return numbers, tables, batch, encoder, writer


@pytest.mark.parametrize("copies", ["only", "also", "never"])
def test_probabilities_sum_to_one_and_padding_changes_nothing(copies):
    numbers, _, batch, encoder, writer = writers(copies)
    tokens = torch.tensor([[BOS, 7, -1]]).expand(len(batch.words), -1)
    with torch.no_grad():
        read = writer.read(batch, encoder(batch))
        log_p, _ = writer(tokens, read)
        there = read.choices != PAD
        assert_close((log_p.exp() * there.unsqueeze(1)).sum(-1), torch.ones(len(there), 3), rtol=1e-4, atol=1e-4)
        row = int(batch.keep.sum(1).argmin())
        alone = TableBatch(*(each[row : row + 1, batch.keep[row]] for each in batch))
        own, _ = writer(tokens[:1], writer.read(alone, encoder(alone)))
        words = len(numbers.words) + 1 if copies != "only" else int(there[row].sum())
        assert_close(own[0, :, :words], log_p[row, :, :words], rtol=1e-4, atol=1e-4)
        # Nor does a longer table in the batch change the loss, of which a part is smoothed over all choices.
        alone_loss, _ = writer.loss(tokens[:1], writer.read(alone, encoder(alone)), 0.1)
        others = torch.tensor([[BOS, 7, -1]] + [[PAD] * 3] * (len(tokens) - 1))
        order = [row, *(each for each in range(len(tokens)) if each != row)]
        reordered = TableBatch(*(each[order] for each in batch))
        assert_close(
            writer.loss(others, writer.read(reordered, encoder(reordered)), 0.1)[0], alone_loss, rtol=1e-4, atol=1e-4
        )


def test_equal_tokens_of_a_table_share_what_is_copied():
    """The pointer's probability of a type is the sum over its places, written out."""
    _, _, batch, encoder, writer = writers("only")
    words = batch.words.clone()
    words[:, 2] = words[:, 0]
    batch = batch._replace(words=words)
    with torch.no_grad():
        encoded = encoder(batch)
        read = writer.read(batch, encoded)
        log_p, _ = writer(torch.full((len(words), 1), BOS), read)
        x = writer.scale * writer.word(torch.full((len(words), 1), BOS)) + writer.places[:1]
        r, _ = writer.blocks(x, memory=read.memory)
        scores = (writer.query(r) @ writer.point(encoded).mT / (SMALL.dim // 2) ** 0.5)[:, 0]
        a = scores.masked_fill(~batch.keep, -torch.inf).softmax(-1)
    for row in range(len(words)):
        for choice, token in enumerate(read.choices[row].tolist()):
            if token != PAD:
                assert_close(log_p[row, 0, choice].exp(), a[row, words[row] == token].sum())


@pytest.mark.parametrize("copies", ["only", "also"])
def test_beam_search_finds_what_trying_all_texts_finds(copies):
    numbers, _, batch, encoder, writer = writers(copies, seed=3)
    few = TableBatch(*(each[:2, -2:] for each in batch))  # one token and the end
    few = few._replace(words=torch.tensor([[-1, EOS], [8, EOS]]))
    with torch.no_grad():
        read = writer.read(few, encoder(few))
        found = beam_search(writer, read, beam=len(numbers.words) + 3, longest=2)
        for row in range(2):
            choices = [t for t in read.choices[row].tolist() if t != PAD]
            best = -1e9
            for text in [[], *[[a] for a in choices], *[[a, b] for a in choices for b in choices]]:
                if EOS in text:
                    continue
                tokens = torch.tensor([[BOS, *text]])
                log_p, _ = writer(tokens, read.rows(torch.tensor([row])))
                column = writer.columns(torch.tensor([[*text, EOS]]), read.rows(torch.tensor([row])))
                score = float(log_p[0].gather(-1, column[0].unsqueeze(-1)).sum()) / (len(text) + 1)
                best = max(best, score)
            assert float(found.scores[row, 0]) == pytest.approx(best, abs=1e-4)


def test_no_n_gram_comes_twice():
    _, _, batch, encoder, writer = writers("only", seed=5)
    with torch.no_grad():
        read = writer.read(batch, encoder(batch))
        free, found = (
            beam_search(writer, read, beam=3, longest=30, length_penalty=3, block=block).tokens[:, 0].tolist()
            for block in (0, 2)
        )

    def comes_twice(text):
        grams = [gram for gram in pairwise(text) if PAD not in gram]
        return len(set(grams)) < len(grams)

    assert any(map(comes_twice, free)) and not any(map(comes_twice, found))


def test_a_beam_that_is_held_to_tokens_says_them_in_order_and_soon():
    """With a beam of the likeliest alone what is wanted is put off until there is just room for it."""
    _, _, batch, encoder, writer = writers("also", seed=5)
    with torch.no_grad():
        read, longest = writer.read(batch, encoder(batch)), 24
        skeletons = [[t for t in choices.tolist() if t not in (PAD, EOS, UNK)][-3:] for choices in read.choices]
        rule = InOrder(skeletons, read.choices, longest)
        held, plain = (
            beam_search(writer, read, beam=4, longest=longest, length_penalty=0, rule=each, never=(UNK,)).tokens[:, 0]
            for each in (rule, lambda *given: rule(*given))
        )
    for texts in (held, plain):
        for text, skeleton in zip(texts.tolist(), skeletons, strict=True):
            left = iter(text)
            assert all(token in left for token in skeleton)
    assert ((held != PAD).sum(1) <= (plain != PAD).sum(1)).all() and (held != PAD).sum() < (plain != PAD).sum()


def test_a_text_ends_where_its_end_outweighs_all_else_together():
    p = torch.tensor([[0.4, 0.3, 0.3], [0.55, 0.25, 0.2], [0.1, 0.0, 0.0]])
    log_p = p.log().clamp(min=LEAST)
    end = torch.tensor([[True, False, False]]).expand(3, 3)
    found = by_majority(log_p, end)
    assert found[0, 0] == LEAST and found[0].argmax() == 1  # it was the likeliest one
    assert_close(found[1:], log_p[1:])  # where nothing else may come, a text ends however unlikely that was
    assert_close(found[:, 1:], log_p[:, 1:])


def test_texts_that_end_by_majority_are_no_shorter():
    _, _, batch, encoder, writer = writers("only", seed=5)
    with torch.no_grad():
        read = writer.read(batch, encoder(batch))
        plain, longer = (
            (beam_search(writer, read, beam=1, longest=12, majority=majority).tokens[:, 0] != PAD).sum(1)
            for majority in (False, True)
        )
    assert (longer >= plain).all() and (longer > plain).any()


@pytest.mark.parametrize("cls", [PointerGenerator, Seq2Seq])
def test_texts_do_not_depend_on_their_batch(cls):
    system = cls(cls.tiny).fit(people(), max_epochs=2, accelerator="cpu", progress="none")
    tables = [system.splitter.table(table, "t") for table in people(30)]
    alone = [system.write([table])[0].tokens for table in tables]
    assert [text.tokens for text in system.write(tables)] == alone
    assert [text.tokens for text in system.write(tables[::-1])][::-1] == alone


# Rules and figures.


def test_all_cells_and_the_nearest_template():
    data = people()
    cells = AllCells().fit(data).describe(person(3)[0])
    assert cells.text == "Dda3 Quist Turin painter 1921" and cells.cells == [0, 0, 1, 2, 3]
    assert all(share == 1 for *_, share in cells.coverage)
    system = NearestTemplate().fit(data)
    new = {"name": "Zoe Xu", "city": "Genoa", "trade": "potter", "born": "1977"}
    assert system.describe(new).text == "Born in 1977, Zoe Xu is a potter of Genoa."
    assert system.describe({"name": "Zoe Xu", "city": "Genoa"}).text.startswith("Zoe Xu was born in Genoa")


def test_a_template_of_triples_replaces_what_they_are_about_and_their_values():
    """They stand apart in the text: one cell, but no words side by side."""
    ada = [["Ada_Xu", "born", "Turin"], ["Ada_Xu", "trade", "bell founder"]]
    told = [(ada, "Ada Xu, a bell founder, was born in Turin."), ([["Bo", "born", "Rome"]], "Bo was born in Rome.")]
    data = read_fact_tables(pl.DataFrame([{"table": table, "text": text} for table, text in 5 * told], strict=False))
    system = NearestTemplate().fit(data, split="none")
    assert system.describe([["Noor_Ek", "born", "New York"]]).text == "Noor Ek was born in New York."
    both = [["Noor_Ek", "born", "New York"], ["Noor_Ek", "trade", "potter"]]
    assert system.describe(both).text == "Noor Ek, a potter, was born in New York."


DATA = Path(os.environ.get("TENFOLD_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(scope="module")
def wikitabletext():
    if not (DATA / "sana").exists():
        pytest.skip(f"needs the public data in {DATA}")
    frames = [
        read_fact_tables(DATA / f"sana/wikitabletext/MSRA_NLC.Table2Text.{part}.gz").frame.with_columns(
            split=pl.lit(part)
        )
        for part in ("train", "dev", "test")
    ]
    return read_fact_tables(pl.concat(frames).rename({"texts": "text"}))


@pytest.mark.slow
@pytest.mark.parametrize("cls, bleu", [(AllCells, 25.53), (NearestTemplate, 32.90)])
def test_the_rules_reproduce_the_calibration(cls, bleu, wikitabletext):
    options = {"text.tokens": "spaces", "text.case": "keep"} | ({"prefer": "cells"} if cls is NearestTemplate else {})
    assert cls(**options).fit(wikitabletext).evaluate(wikitabletext)["bleu"] == pytest.approx(bleu, abs=0.05)


def test_figures_have_intervals_and_a_protocol():
    data = people()
    found = NearestTemplate().fit(data).evaluate(data, lam=0.5, entailment="cooccurrence", at_most=7)
    assert list(found)[:3] == ["bleu", "chrf", "parent_f"] and {"bleu", "parent_f"} <= set(found.intervals)
    assert "lambda 0.5, cooccurrence" in found.protocol and "7 tables" in found.protocol
    assert len(found.per_unit["omission"]) == 7


# Files.


def test_answers_file_to_file_in_order(tmp_path):
    system = NearestTemplate().fit(people())
    rows = [{"id": f"x{i}", "name": f"Zoe {i}", "city": CITIES[i % 5]} for i in range(150)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame(rows).write_csv(tmp_path / "in.csv")
    for name in ("in.jsonl", "in.csv"):
        assert system.predict(tmp_path / name, tmp_path / "out.jsonl", explain=True) == 150
        found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [row["id"] for row in found] == [row["id"] for row in rows]
        assert all(f"Zoe {i}" in row["text"] for i, row in enumerate(found))
        assert found[0]["coverage"][0] == {"key": "name", "value": "Zoe 0", "said": 1.0}


@pytest.mark.parametrize(
    "lines, sentence",
    [
        ('{"table": {"a": ""}, "text": "t"}\n', "1 of 1 tables cannot be used; the first: table 1 has no value"),
        ('{"table": {"a": "b"}}\n', "no table to train on has a text; name the column with columns='text=NAME'"),
        ('{"table": {"a": "b"}, "text": ""}\n', "no table to train on has a text"),
        ("not json\n", "line 1"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(write, lines, sentence):
    with pytest.raises(DataError, match=sentence):
        NearestTemplate().fit(write("wrong.jsonl", lines), split="none")


def test_what_cannot_be_described_is_one_sentence():
    system = NearestTemplate().fit(people())
    with pytest.raises(DataError, match="has no value"):
        system.describe({"name": ""})
    with pytest.raises(DataError, match=r"give \{'name': 'Ada'\}"):
        system.describe([["a", "b", "c", "d"]])
    with pytest.raises(OptionError, match="'name' is no table; write key=value"):
        system.answer("name")
    assert system.answer("name=Ada; city=Rome").notes[0].startswith("Ada")
    with pytest.raises(DataError, match="has no column of a split"):
        NearestTemplate().fit(pl.DataFrame([{"table": [["a", "b"]], "text": "t"}]), split="given")


def test_facts_are_told_in_the_words_that_a_catalogue_has_for_them():
    """'hooded top' says hoodie, which no comparison of tokens finds; keys and values that the shop does not know count
    where the value is there, whole."""
    table = [(["category"], ["hoodie"]), (["recycled", "content"], ["20", "%"]), (["care"], ["sing", "to", "it"])]
    many = [(["wheels"], ["some", "years"])]
    for text, told in (
        (["a", "hooded", "top", "of", "20", "per", "cent"], 2),
        (["a", "hoodie", ":", "sing", "to", "it", "."], 2),
        (["sing", "to", "them", ",", "20", "tops"], 0),
    ):
        found = judge([Judged(text, [["a", "hoodie"]], table)], Protocol(facts=True))
        assert found["facts_told"] == pytest.approx(100 * told / 3)
    assert judge([Judged(["some", "years"], [["a"]], many)], Protocol(facts=True))["facts_told"] == 100
    assert "facts_told" not in judge([Judged(["a"], [["a"]], table)], Protocol())


def test_a_triple_is_told_where_what_it_is_about_and_its_value_both_stand():
    triple = [(["position"], ["akeem", "ayers", "outside", "linebacker"])]
    for text, told in (
        ("akeem ayers plays as an outside linebacker .", 100),
        ("he plays as an outside linebacker .", 0),
        ("akeem ayers plays outside .", 0),
    ):
        judged = Judged(text.split(), [["a"]], triple, subjects=[2])
        assert judge([judged], Protocol(facts=True))["facts_told"] == told
