"""Real logs, as people have them: read whole, fitted in bounded time, and held against rules that need no training.

Six epochs bring SASRec above popularity and neighbours on MovieLens-100K; first-order Markov takes it longer.
"""

import pytest

from tenfold.budget import Budget
from tenfold.compare import compare
from tenfold.data.events import read_events


@pytest.mark.slow
def test_sasrec_on_movielens_100k_beats_popularity_and_neighbours(public):
    path = public / "seqrec" / "ml-100k.inter.gz"
    arms = ["sasrec:training.length=50,training.batch_size=32,training.lr=0.003", "popularity", "item-knn"]
    found = compare(str(path), arms, split="loo", budget=Budget(max_epochs=6, accelerator="cpu", progress="none"))
    rows = {row.system: row for row in found.rows}
    assert found.count == 943 and found.rows[0].system == "SASRec"
    # The interval of what each rule lacks lies below 0: not a lucky draw of users.
    assert all(rows[rule].differences["ndcg@10"][2] < 0 for rule in ("Popularity", "ItemKNN"))


@pytest.mark.slow
def test_a_log_of_repeats_belongs_to_repeat_last(public):
    """79 % of the Wikipedia log's events repeat the user's last page: the rule that knows it is hard to beat."""
    events = read_events(public / "seqrec" / "wikipedia-edits.txt.gz")
    assert (len(events), len(events.items), len(events.catalogue)) == (8_227, 157_474, 1_000)
    found = compare(events, ["repeat-last", "popularity", "personal-frequency"], split="stream")
    assert found.rows[0].system == "RepeatLast" and found.rows[0].figures["ndcg@10"] > 0.75
