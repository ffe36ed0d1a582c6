"""How fast SANA writes: its rounds of edits beside beam search token by token, both with cached keys.

Texts of 80 to 100 tokens from skeletons of 25 to 30, batch 1 and 64, beam 5, equal depth and width, two threads. The
networks have random weights, and so the lengths and rounds are set, not found: each text is edited in ROUNDS rounds (a
trained network needs as many: claim C8), the first without a deletion pass, missing tokens filled in as many passes as
SANA's default has, and the rival writes as many tokens. What is computed is what a trained network computes; which
tokens come is not.
speedup_vs_autoregressive counts both stages. break_even_tokens: the length from which SANA is faster at batch 1.
The authors' network is not timed: it needs fairseq 0.9, which does not go with the Python here.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks import harness
from tenfold.ops.edits import edits
from tenfold.systems.sana.decoding import Draft, begin, filled, with_room
from tenfold.systems.sana.editor import NEVER_WRITTEN, Editor
from tenfold.systems.sana.options import EditOptions
from tenfold.systems.sana.skeleton import Sketcher
from tenfold.tasks.table_text.baselines.generators import Generator
from tenfold.tasks.table_text.beam import beam_search
from tenfold.tasks.table_text.encoding import EOS, TableBatch
from tenfold.tasks.table_text.network import Read, Writer
from tenfold.tasks.table_text.options import NetworkOptions

WORDS, KEYS, ROUNDS, BEAM = 5_000, 100, 3, 5
PASSES = EditOptions().passes
SIZES = NetworkOptions(dim=256, layers=3, heads=8, hidden=1024, word_dim=200, key_dim=40, dropout=0.0)


def tables(batch: int, tokens: int = 60) -> TableBatch:
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(10, WORDS, (batch, tokens), generator=generator)
    words[:, -1] = EOS
    keys = torch.randint(3, KEYS, (batch, tokens), generator=generator)
    places = torch.randint(1, 6, (batch, tokens), generator=generator)
    return TableBatch(words, keys, places, places)


def never_ending(writer: Writer, read: Read, length: int) -> Any:
    """Beam search that may not end before `length`, as a text of that length has it."""

    def rule(tokens: Tensor, table: Tensor, log_p: Tensor) -> Tensor:
        ended = read.choices[table] == EOS
        return log_p.masked_fill(ended if tokens.shape[1] <= length else ~ended, -1e9)

    return beam_search(writer, read, beam=BEAM, longest=length, rule=rule)


@torch.no_grad()
def edited(editor: Editor, table: TableBatch, skeleton: list[list[int]], length: int) -> Draft:
    """ROUNDS rounds, with insertions that lead to `length` tokens in the first two."""
    memory = editor.read(table)
    draft, never = begin(skeleton, None, locked=True), torch.zeros(WORDS + 1, dtype=torch.bool)
    never[list(NEVER_WRITTEN)] = True
    for number in range(ROUNDS):
        if number:
            editor.deletions(editor.states(draft.text, memory)).argmax(-1)
        scores = editor.rooms(editor.states(draft.text, memory)).log_softmax(-1)
        missing = (length - int(draft.real.sum(1).max()) + 2) // (2 if number == 0 else 1) if number < 2 else 0
        gaps = draft.text.shape[1] - 1
        counts = torch.full((len(draft.text), gaps), missing // gaps)
        counts[:, : missing % gaps] += 1
        draft = with_room(draft, counts, scores.max(-1).values, length + 2)
        if missing:
            draft = filled(editor, memory, draft, never, None, PASSES)
    return draft


def seconds(side: Callable[[], Any], runs: int) -> float:
    """The best of `runs`, after one that is not counted; of a single one, which is long, only that."""
    if runs > 1:
        side()
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        side()
        found.append(time.perf_counter() - started)
    return min(found)


def measured(batch: int, length: int, skeleton: int, runs: int) -> dict[str, float]:
    torch.manual_seed(0)
    editor, sketcher = Editor(WORDS, KEYS, SIZES).eval(), Sketcher(WORDS, KEYS, SIZES).eval()
    rival, table = Generator(WORDS, KEYS, SIZES, "also").eval(), tables(batch)
    starts = [table.words[0, :skeleton].tolist() for _ in range(batch)]
    with torch.no_grad():
        assert edited(editor, table, starts, length).text.shape[1] == length + 2
        return {
            "stage 1": seconds(lambda: never_ending(sketcher.writer, sketcher.read(table), skeleton), runs),
            "stage 2": seconds(lambda: edited(editor, table, starts, length), runs),
            "rival": seconds(
                lambda: never_ending(rival.writer, rival.writer.read(table, rival.encoder(table)), length), runs
            ),
        }


def oracle(runs: int) -> float:
    """Milliseconds for the edits of 64 pairs of 64 tokens."""
    x, y = (torch.randint(1, 40, (64, 64), generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    return 1e3 * seconds(lambda: edits(x, y), 3 * runs)


def main() -> None:
    quick = harness.arguments(__doc__).quick
    torch.set_num_threads(2)
    runs = 1 if quick else 5
    sides = {"": measured(1, 90, 27, max(runs, 2))}
    if not quick:
        sides["_batch_64"] = measured(64, 90, 27, 1)
    figures: dict[str, float] = {}
    for name, found in sides.items():
        figures[f"stage2_speedup{name}"] = found["rival"] / found["stage 2"]
        figures[f"speedup_vs_autoregressive{name}"] = found["rival"] / (found["stage 1"] + found["stage 2"])
        figures |= {f"{side.replace(' ', '_')}_ms{name}": 1e3 * each for side, each in found.items()}
    lengths = (20, 40) if quick else (10, 15, 20, 30, 40, 60)
    gains = {}
    for length in lengths:
        found = measured(1, length, max(3, length * 3 // 10), runs)
        gains[length] = found["rival"] / (found["stage 1"] + found["stage 2"])
        figures[f"speedup_vs_autoregressive_{length}_tokens"] = gains[length]
    figures["break_even_tokens"] = min((n for n, gain in gains.items() if gain >= 1), default=90)
    figures["edits_64x64_ms"] = oracle(runs)
    notes = [
        f"{ROUNDS} rounds of edits; skeletons of 27 tokens, or of three tenths of the text",
        "speedup_vs_official is not measured: the authors' code needs fairseq 0.9",
    ]
    harness.report("sana_decoding", figures, notes=notes)


if __name__ == "__main__":
    main()
