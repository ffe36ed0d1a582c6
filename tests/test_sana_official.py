"""The authors' checkpoint layout: their names and rows give what their network gives, written out plainly here.

The weights are random: no trained checkpoint of the authors is public.
"""

import math
import re

import pytest
import torch
import torch.nn.functional as F

from tenfold.errors import ArtifactError
from tenfold.systems.sana.editor import Editor
from tenfold.systems.sana.official import edit_weights, sketch_weights
from tenfold.systems.sana.skeleton import Sketcher
from tenfold.tasks.table_text.encoding import BOS, EOS, INS, TableBatch
from tenfold.tasks.table_text.options import NetworkOptions

D, HIDDEN, LAYERS, HEADS, WORD, KEY = 16, 24, 2, 2, 10, 6
# Their dictionary: <s> <pad> </s> <unk>, nine words, <ins>, <sep>. Ours: BOS EOS UNK INS SEP, the words.
WORDS = [0, 2, 3, 13, 14, *range(4, 13)]
KEYS = [2, 3, 4, 5, 6, 7]
PLACES = [*range(10, 39), *range(4, 10)]  # their dictionaries are sorted by how often a place comes
THEIR_WORD = dict(enumerate([1, *WORDS]))


def checkpoint(kind):
    """Random weights under the names that the authors' code saves."""
    generator = torch.Generator().manual_seed({"sketch": 1, "edit": 2}[kind])
    found = {}

    def add(name, *shape):
        found[name] = torch.randn(*shape, generator=generator) * 0.3

    def linear(name, outer, inner):
        add(f"{name}.weight", outer, inner), add(f"{name}.bias", outer)

    for side, names in (("encoder", ["self_attn"]), ("decoder", ["self_attn", "encoder_attn"])):
        for layer in range(LAYERS):
            at = f"{side}.layers.{layer}"
            for name in names:
                for part in ("q", "k", "v", "out"):
                    linear(f"{at}.{name}.{part}_proj", D, D)
                add(f"{at}.{name}_layer_norm.weight", D), add(f"{at}.{name}_layer_norm.bias", D)
            linear(f"{at}.fc1", HIDDEN, D), linear(f"{at}.fc2", D, HIDDEN)
            add(f"{at}.final_layer_norm.weight", D), add(f"{at}.final_layer_norm.bias", D)
        add(f"{side}.embed_positions.weight", 1026, D)
    add("encoder.src_embed_tokens.weight", 15, WORD), add("encoder.field_embed_tokens.weight", 8, KEY)
    add("encoder.lpos_embed_tokens.weight", 39, 5), add("encoder.rpos_embed_tokens.weight", 39, 5)
    linear("encoder.mlp", D, WORD + KEY + 10), add("decoder.embed_tokens.weight", 15, D)
    if kind == "sketch":
        linear("decoder.Q", D // 2, D), linear("decoder.K", D // 2, D)
    else:
        add("decoder.embed_mask_ins.weight", 256, 2 * D), add("decoder.embed_word_del.weight", 2, D)
    return found


class Theirs:
    """Their forward pass of one table and one text without padding, place by place."""

    def __init__(self, weights):
        self.w = weights

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, name, x):
        return F.layer_norm(x, (D,), self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def attention(self, name, x, read, causal=False):
        q, k, v = (self.linear(f"{name}.{p}_proj", y) for p, y in (("q", x), ("k", read), ("v", read)))
        parts = []
        for each in range(HEADS):
            cut = slice(each * D // HEADS, (each + 1) * D // HEADS)
            scores = q[:, cut] @ k[:, cut].T / math.sqrt(D // HEADS)
            if causal:
                scores = scores.masked_fill(torch.ones(scores.shape).triu(1) > 0, float("-inf"))
            parts.append(scores.softmax(-1) @ v[:, cut])
        return self.linear(f"{name}.out_proj", torch.cat(parts, 1))

    def feed_forward(self, at, x):
        x = x + self.linear(f"{at}.fc2", self.linear(f"{at}.fc1", x).relu())
        return self.norm(f"{at}.final_layer_norm", x)

    def encoded(self, words, keys, starts, ends):
        w = self.w
        tables = ("src", words), ("lpos", starts), ("rpos", ends), ("field", keys)
        x = torch.cat([w[f"encoder.{name}_embed_tokens.weight"][numbers] for name, numbers in tables], 1)
        x = math.sqrt(D) * self.linear("encoder.mlp", x) + w["encoder.embed_positions.weight"][2 : 2 + len(words)]
        for layer in range(LAYERS):
            at = f"encoder.layers.{layer}"
            x = self.norm(f"{at}.self_attn_layer_norm", x + self.attention(f"{at}.self_attn", x, x))
            x = self.feed_forward(at, x)
        return x

    def decoded(self, text, read, causal):
        x = math.sqrt(D) * self.w["decoder.embed_tokens.weight"][text]
        x = x + self.w["decoder.embed_positions.weight"][2 : 2 + len(text)]
        for layer in range(LAYERS):
            at = f"decoder.layers.{layer}"
            x = self.norm(f"{at}.self_attn_layer_norm", x + self.attention(f"{at}.self_attn", x, x, causal))
            x = self.norm(f"{at}.encoder_attn_layer_norm", x + self.attention(f"{at}.encoder_attn", x, read))
            x = self.feed_forward(at, x)
        return x


def numbers():
    """A table in our numbers and in theirs."""
    ours = TableBatch(
        torch.tensor([[6, 9, 12, 3, EOS]]), torch.tensor([[3, 3, 5, 2, 1]]), torch.tensor([[1, 2, 1, 35, 0]]),
        torch.tensor([[2, 1, 1, 7, 0]]),
    )  # fmt: skip
    places = {0: 2} | dict(enumerate(PLACES, start=1))
    theirs = [
        torch.tensor([THEIR_WORD[int(n)] for n in ours.words[0]]),
        torch.tensor([KEYS[int(n) - 1] for n in ours.keys[0]]),
        *(torch.tensor([places[int(n)] for n in each[0]]) for each in (ours.starts, ours.ends)),
    ]  # fmt: skip
    return ours, theirs


def options():
    return NetworkOptions(
        dim=D, layers=LAYERS, heads=HEADS, hidden=HIDDEN, word_dim=WORD, key_dim=KEY, dropout=0.0, norm="post"
    )


def loaded(network, weights):
    network.load_state_dict(weights)
    return network.eval()


@torch.no_grad()
def test_a_sketcher_of_theirs_points_where_theirs_does():
    weights = checkpoint("sketch")
    ours = loaded(Sketcher(len(WORDS), len(KEYS), options()), sketch_weights(weights, WORDS, KEYS, PLACES))
    table, (words, *rest) = numbers()
    text = torch.tensor([[BOS, 9, 6, 12]])
    theirs = Theirs(weights)
    read = theirs.encoded(words, *rest)
    states = theirs.decoded(torch.tensor([THEIR_WORD[int(n)] for n in text[0]]), read, causal=True)
    scores = theirs.linear("decoder.Q", states) @ theirs.linear("decoder.K", read).T
    expected = (scores / math.sqrt(D // 2)).softmax(-1)  # 16 at their width
    own = ours.read(table)
    log_p, _ = ours.writer(text, own)
    found = log_p.exp()[0].gather(1, own.column.expand(text.shape[1], -1))
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_an_editor_of_theirs_deletes_makes_room_and_fills_as_theirs():
    weights = checkpoint("edit")
    ours = loaded(Editor(len(WORDS), len(KEYS), options()), edit_weights(weights, WORDS, KEYS, PLACES))
    table, (words, *rest) = numbers()
    text = torch.tensor([[BOS, 9, INS, 12, INS, EOS]])
    theirs = Theirs(weights)
    z = theirs.decoded(torch.tensor([THEIR_WORD[int(n)] for n in text[0]]), theirs.encoded(words, *rest), causal=False)
    states = ours.states(text, ours.read(table))
    torch.testing.assert_close(
        ours.deletions(states)[0], z @ weights["decoder.embed_word_del.weight"].T, atol=1e-4, rtol=1e-4
    )
    rooms = torch.cat((z[:-1], z[1:]), 1) @ weights["decoder.embed_mask_ins.weight"].T
    torch.testing.assert_close(ours.rooms(states)[0], rooms, atol=1e-4, rtol=1e-4)
    filled = (z @ weights["decoder.embed_tokens.weight"].T)[:, WORDS]
    torch.testing.assert_close(ours.words(states)[0][:, 1:], filled, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("decoder.layers.1.fc1.bias"), "no weight 'decoder.layers.1.fc1.bias'"),
        (lambda w: [w.pop(n) for n in list(w) if n.startswith("encoder.layers")], "no weight 'encoder.layers.0...'"),
        (lambda w: w.update({"decoder.layers_del.0.fc1.bias": torch.zeros(1)}), "layers of one head alone"),
        (lambda w: w.update({"decoder.embed_tokens.weight": torch.zeros(9, D)}), "has 9 rows, and a number is 14"),
    ],
)
def test_what_is_no_checkpoint_of_theirs_is_said(change, said):
    weights = checkpoint("edit")
    change(weights)
    with pytest.raises(ArtifactError, match=re.escape(said)):
        edit_weights(weights, WORDS, KEYS, PLACES)


def test_places_are_those_of_a_value():
    with pytest.raises(ArtifactError, match="found numbers of 3 places within a value, expected those of 1 to 35"):
        edit_weights(checkpoint("edit"), WORDS, KEYS, [4, 5, 6])
