"""What scores items after a history, and the verbs that answer from it: `recommend` and `similar`.

A method gives `encode`, `scores`, `item_table` or `context` where its own differ. Evaluation, sessions and prediction
need no more of a system than this.

Shapes: B users, L events, V items (0 is padding, always on the right), N user vectors.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from tenfold import artifact
from tenfold.data.events import check_times
from tenfold.data.packing import alike
from tenfold.data.sequences import histories_of, ids_of, seconds
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import OptionError, UnknownIdError
from tenfold.files import digest
from tenfold.metrics import ranking
from tenfold.system import System

State = Any
OnUnseen = Literal["skip", "refuse"]
EVENTS_AT_ONCE = 32_768  # in one pass through the network
SCORES_AT_ONCE = 4_000_000  # users x items in one chunk: 16 MB in float32, about what a cache holds


def scores_at_once(items: int) -> int:
    """Users whose scores are held together."""
    return max(SCORES_AT_ONCE // (items + 1), 1)


def _ids(ids: Any) -> list[Any]:
    """Raises OptionError for one text, whose letters would be taken for items."""
    return ids_of(ids, error=OptionError)


class Recommendation(NamedTuple):
    item: Any  # the user's own id
    score: float


class Recommendations(list[Recommendation]):
    """The best first. `skipped` events of the history were unknown; with none known, `by_popularity` answered."""

    skipped: int = 0
    by_popularity: bool = False
    numbers: np.ndarray  # (k,) of the items
    interests: np.ndarray | None = (
        None  # (k,) which of a user's several vectors found each; None: there is one, or not asked
    )

    def only(self, places: np.ndarray) -> "Recommendations":
        """Those at these places, in that order."""
        found = Recommendations(self[place] for place in places)
        found.skipped, found.by_popularity, found.numbers = self.skipped, self.by_popularity, self.numbers[places]
        found.interests = None if self.interests is None else self.interests[places]
        return found


class Recommender(System):
    """Items by their scores after a history."""

    causal: ClassVar[bool] = True  # what `encode` gives at a position depends on no later event
    # `encode` and `advance` take the times of events too, and `batch.times` holds them. Where a log or a history has
    # none they are None, and in `advance` NaN. They are numbers as the log counts them, or seconds since 1970.
    uses_times: ClassVar[bool] = False

    def encode(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """events (B, L), a whole history or what came since `state` -> a user vector at each position, (B, L, ...)."""
        return self.network(events, state)

    def scores(self, user: Tensor) -> Tensor:
        """User vectors (N, ...) -> (N, V + 1), a fresh tensor; column 0 means nothing."""
        return user @ self.item_table().T

    @property
    def by_products(self) -> bool:
        """Whether an item's score is the largest of its products with `vectors_of` a user, and `beside_products`."""
        return type(self).scores is Recommender.scores

    def vectors_of(self, user: Tensor) -> Tensor:
        """User vectors (N, ...) as (N, M, d): one, or several."""
        return user.unsqueeze(-2)

    def beside_products(self, user: Tensor) -> Tensor | None:
        """(N, V + 1): what an item's score has beside the product, 0 for most items; None: nothing."""
        return None

    def timed(self, times: Tensor | np.ndarray | None) -> dict[str, Any]:
        """The argument `times` for those methods that take one."""
        return {"times": times} if self.uses_times else {}

    def item_table(self) -> Tensor:
        """(V + 1, d), tied: what an event is read as is also what it is found by."""
        return self.network.item.weight

    @property
    def context(self) -> int | None:
        """How many events back an answer looks; None for all."""
        return self.options.training.length

    def fingerprint(self) -> str:
        """16 hex digits of this very model: its options and weights."""
        weights = artifact.pack(artifact.own_weights(self.network))
        return digest(repr(self.options).encode(), weights)

    def popularity(self) -> Tensor:
        """(V + 1,): how often each item stands in the training part; what a user without history gets."""
        return self.statistics["item_counts"].float()

    # The verb.

    @torch.no_grad()
    def recommend(
        self,
        history: Sequence[Any],
        *,
        k: int | None = None,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = False,
        on_unseen: OnUnseen = "skip",
        times: Sequence[Any] | None = None,
    ) -> Any:
        """What comes next after `history`, item ids, oldest first: Recommendations. Several histories: a list of them.

        history: a list, an array or a column of ids; several are a list of such, or a column of lists.

        k: 10 unless given, or all items there are.  exclude, candidates: item ids never and only to be recommended.
        on_unseen: what an item unknown to the system does in a history: 'skip' leaves it out and counts it, 'refuse'
        raises UnknownIdError.  times: of the events, as the log that was fitted counts them; only methods that use
        times look at them.  Keeps no state.
        """
        histories, several = histories_of(history, error=OptionError)
        clocks = None if times is None else [seconds(own) for own in (ids_of(times, "times") if several else [times])]
        found = self.recommend_batch(
            histories, k=k, exclude=exclude, candidates=candidates, exclude_seen=exclude_seen, on_unseen=on_unseen,
            times=clocks,
        )  # fmt: skip
        return found if several else found[0]

    def recommend_batch(
        self,
        histories: Sequence[Sequence[Any]],
        *,
        k: int | None = None,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = False,
        on_unseen: OnUnseen = "skip",
        times: Sequence[np.ndarray] | None = None,
    ) -> list[Recommendations]:
        numbers = [self.item_numbers(h, on_unseen) for h in histories]
        if times is not None:
            check_times(histories, times)
            times = [own[n > 0] for own, n in zip(times, numbers, strict=True)]
        top, values = self.top_k(
            [n[n > 0].astype(np.int64) for n in numbers],
            times=times,
            k=self.check_k(k),
            exclude=self._items().numbers(_ids(exclude)),
            candidates=None if candidates is None else self._candidates(candidates, on_unseen),
            exclude_seen=exclude_seen,
        )
        answers = self._named(top, values, np.array([not (ids > 0).any() for ids in numbers]))
        for answer, ids in zip(answers, numbers, strict=True):
            answer.skipped = int((ids == 0).sum())
        return answers

    def item_numbers(self, ids: Sequence[Any], on_unseen: OnUnseen = "skip") -> np.ndarray:
        """(n,) int32, 0 for an unknown item; raises UnknownIdError where on_unseen is 'refuse'."""
        if on_unseen not in get_args(OnUnseen):
            raise OptionError(f"on_unseen is 'skip' or 'refuse'; found {on_unseen!r}")
        ids = _ids(ids)
        numbers = self._items().numbers(ids)
        if on_unseen == "refuse":
            self._refuse_unseen(numbers, ids)
        return numbers

    def best(
        self,
        scores: Tensor,
        *,
        k: int,
        exclude: Sequence[Any] = (),
        candidates: Sequence[Any] | None = None,
        by_popularity: np.ndarray,
    ) -> list[Recommendations]:
        """scores (N, V + 1), which are written to; exclude, candidates: item ids; by_popularity (N,): flags."""
        found = self._first_k(
            scores,
            k,
            exclude=self._items().numbers(_ids(exclude)),
            candidates=None if candidates is None else self._candidates(candidates, "skip"),
        )
        return self._named(*found, by_popularity)

    def named(self, numbers: np.ndarray, scores: np.ndarray) -> list[Recommendations]:
        """Numbers and scores (N, k), -inf for none, as answers."""
        return self._named(numbers, scores, np.zeros(len(numbers), bool))

    def _named(self, top: np.ndarray, values: np.ndarray, by_popularity: np.ndarray) -> list[Recommendations]:
        """Numbers and scores (N, k), -inf for none, as the user's own ids."""
        answers, vocabulary = [], self._items()
        for row in range(len(top)):
            real = np.isfinite(values[row])
            items = vocabulary.ids(top[row][real])
            answer = Recommendations(map(Recommendation, items, values[row][real].tolist()))
            answer.by_popularity, answer.numbers = bool(by_popularity[row]), top[row][real]
            answers.append(answer)
        return answers

    def top_k(
        self,
        histories: Sequence[np.ndarray],
        *,
        k: int,
        exclude: np.ndarray | None = None,
        candidates: np.ndarray | None = None,
        exclude_seen: bool = False,
        times: Sequence[np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histories in numbers, each known -> the numbers (B, k) of the best items and their scores, -inf for none.
        times: of each history's events.

        Histories of about one length are answered together, a few at a time: memory does not grow with their number.
        """
        self.check_k(k)
        lengths = np.array([len(h) for h in histories], dtype=np.int64)
        read = lengths if self.context is None else np.minimum(lengths, self.context)
        items, scores = np.zeros((len(histories), k), dtype=np.int64), np.zeros((len(histories), k), dtype=np.float32)
        for some in alike(read, EVENTS_AT_ONCE, scores_at_once(len(self._items()))):
            clocks = None if times is None else [times[n] for n in some]
            found = self._scored([histories[n] for n in some], exclude_seen, clocks)
            items[some], scores[some] = self._first_k(found, k, exclude=exclude, candidates=candidates)
        return items, scores

    @torch.no_grad()
    def _scored(
        self, histories: Sequence[np.ndarray], exclude_seen: bool, times: Sequence[np.ndarray] | None
    ) -> Tensor:
        """(B, V + 1), -inf for what is not to be recommended."""
        context = self.context
        looked_at = [h if context is None else h[-context:] for h in histories]
        lengths = torch.tensor([len(h) for h in looked_at])
        rows = torch.zeros(len(looked_at), max(int(lengths.max()), 1), dtype=torch.long)
        real = torch.arange(rows.shape[1]) < lengths[:, None]
        rows[real] = torch.from_numpy(np.concatenate(looked_at)).long()
        device, row, clock = self.device, torch.arange(len(rows)), None
        if self.uses_times and times is not None:
            clock = torch.zeros(rows.shape, dtype=torch.float64)
            clock[real] = torch.from_numpy(np.concatenate([t if context is None else t[-context:] for t in times]))
            clock = clock.to(device)
        last = (lengths - 1).clamp(min=0).to(device)
        users = self.users_at(rows.to(device), row.to(device), last, **self.timed(clock))
        scores = self.scores(users)
        if bool((lengths == 0).any()):
            scores[(lengths == 0).to(device)] = self.popularity().to(scores)
        if exclude_seen:
            of_row = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
            scores[
                torch.from_numpy(of_row).to(device), torch.from_numpy(np.concatenate(histories)).to(device)
            ] = -torch.inf
        return scores

    def check_k(self, k: int | None) -> int:
        """The length of a list: k or, for None, 10 or all items there are. Raises OptionError."""
        return ranking.list_length(k, len(self._items()))

    def _first_k(
        self, scores: Tensor, k: int, *, exclude: np.ndarray | None, candidates: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        scores[:, 0] = -torch.inf
        if candidates is not None:
            others = torch.ones(scores.shape[1], dtype=torch.bool)
            others[torch.from_numpy(candidates).long()] = False
            scores[:, others.to(scores.device)] = -torch.inf
        if exclude is not None and len(exclude):
            scores[:, torch.from_numpy(exclude).long().to(scores.device)] = -torch.inf
        best = scores.topk(k, dim=1)
        return best.indices.cpu().numpy(), best.values.float().cpu().numpy()

    def users_at(self, rows: Tensor, row: Tensor, column: Tensor, times: Tensor | None = None) -> Tensor:
        """rows (B, L), padded on the right; row, column (N,): the user vectors (N, ...) after those events."""
        user, _ = self.encode(rows, **self.timed(times))
        return user[row, column]

    def scores_at(
        self, rows: Tensor, row: Tensor, column: Tensor, at_once: int, times: Tensor | None = None
    ) -> Iterator[Tensor]:
        """The scores (at most at_once, V + 1) after those events, part after part. To be used at once:
        the next part may stand in the same place."""
        users = self.users_at(rows, row, column, **self.timed(times))
        for part in users.split(at_once):
            yield self.scores(part)

    @torch.no_grad()
    def similar(self, item: Any, k: int | None = None) -> Recommendations:
        """The items most like this one, by the cosine of what they are found by; it is left out itself.

        k: 10 unless given, or all others there are. Raises OptionError, UnknownIdError; OptionError where a rule has
        no vectors.
        """
        number = int(self.item_numbers([item], "refuse")[0])
        k = min(self.check_k(k), max(len(self._items()) - 1, 1))
        if not self.trains:
            raise OptionError(
                f"a {type(self).__name__} counts and has no vectors of items; fit a system that is trained"
            )
        table = self.item_table()
        cosine = (table @ table[number]) / (table.norm(dim=1) * table[number].norm()).clamp(min=1e-30)
        cosine[number] = -torch.inf
        return self._named(*self._first_k(cosine[None], k, exclude=None, candidates=None), np.array([False]))[0]

    def interests_of(self, user: Tensor, items: np.ndarray) -> np.ndarray | None:
        """Which of a user's several vectors (N, ...) each item (N, k) was found by; None where there is only one."""
        return None

    # Streams: a method whose state has one size says how large it is, how events change it, and what it answers from.

    state_size: int = 0  # numbers of one user's state; 0 where a method keeps none that can be stored

    def advance(self, states: np.ndarray, rows: np.ndarray) -> None:
        """states (N,) of streaming/records.py, whose `state` is changed in place by the events rows (N, L), 0: none.
        Where the class `uses_times` a third argument `times` (N, L) comes with them, NaN where an event has none."""
        raise self.keeps_no_state()

    def users_after(self, states: np.ndarray) -> Tensor:
        """The user vectors (N, ...) after the last events of these states."""
        raise self.keeps_no_state()

    def keeps_no_state(self) -> OptionError:
        return OptionError(
            f"a {type(self).__name__} keeps no state of constant size to store; give `recommend` the history, or fit a "
            "system that streams, such as LimaRec"
        )

    # Ids.

    def _items(self) -> Vocabulary:
        _ = self.network
        return self.vocabularies["items"]

    def _candidates(self, ids: Sequence[Any], on_unseen: OnUnseen) -> np.ndarray:
        ids = _ids(ids)
        numbers = self._items().numbers(ids)
        if on_unseen == "refuse":
            self._refuse_unseen(numbers, ids)
        if not (numbers > 0).any():
            raise OptionError("none of the candidates is an item of this system; give at least one that is")
        return numbers[numbers > 0]

    def _refuse_unseen(self, numbers: np.ndarray, ids: Sequence[Any]) -> None:
        if (numbers == 0).any():
            unknown = ids[int(np.flatnonzero(numbers == 0)[0])]
            raise UnknownIdError(f"there is no item {unknown!r} in this system; {self._items().nearest(unknown)}")
