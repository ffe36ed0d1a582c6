"""Questions file to file: rows of source and time in, partners out; rows with a destination in, scores out. In order
and in bounded memory; the past is what the fitted system holds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tenfold.data import columns as known
from tenfold.data.answers import write_answers
from tenfold.data.graphs import ROLES
from tenfold.data.sources import table_of
from tenfold.errors import DataError, UnknownIdError
from tenfold.system import PredictionSummary
from tenfold.tasks.link_prediction.options import PredictOptions, ReadOptions

if TYPE_CHECKING:
    from tenfold.tasks.link_prediction.task import LinkPrediction

AT_ONCE = 1_024  # rows that are scored together


def predict(
    system: "LinkPrediction", source: Path, output: Path, how: PredictOptions, read_options: ReadOptions
) -> PredictionSummary:
    """Raises DataError, OptionError, OutputError."""
    notes = list[str]()
    found = PredictionSummary(write_answers(output, _answers(system, source, how, read_options, notes)))
    found.notes = notes
    return found


def _answers(
    system: "LinkPrediction", path: Path, how: PredictOptions, read: ReadOptions, notes: list[str]
) -> Iterator[dict[str, Any]]:
    told = {"encoding": read.encoding, "format": read.format, "on_bad_rows": read.on_bad_rows}
    source = table_of(path, "questions", columns=read.columns, **told)
    roles = known.roles(source.name, source.columns, read.columns, ROLES, ("source",))
    scored = "destination" in roles
    if scored and "time" not in roles:
        raise DataError(
            f"{source.name} has sources and destinations and no times; add a column of times, or leave one out"
        )
    needed: dict[str, str] = {role: roles[role] for role in ("source", "destination", "time") if role in roles}
    clock, cold, rows = known.Times(), 0, 0
    for batch in source.batches(list(needed.values())):
        read_columns, good, wrong = known.checked(source.name, batch.frame, batch.places, needed, clock)
        source.bad.add(wrong)
        keep = pl.Series(good)
        columns = {role: column.filter(keep) for role, column in read_columns.items()}
        places = batch.places[good]
        if how.on_unseen == "refuse":
            _refuse(system, columns, places, f"{source.name}, {source.place}")
        sources = columns["source"].to_list()
        times = columns["time"].to_list() if "time" in columns else [None] * len(sources)
        rows += len(sources)
        if scored:
            yield from _scores(system, sources, columns["destination"].to_list(), columns["time"].to_list())
            continue
        for node, at in zip(sources, times, strict=True):
            found = system.predict_links(
                node, at=at, k=how.k, exclude_seen=how.exclude_seen, evidence=how.evidence, shortlist=how.shortlist
            )
            cold += found.cold
            row = {
                "source": node,
                "time": at,
                "destination": [each.node for each in found],
                "score": [each.score for each in found],
                "cold": found.cold,
            }
            if how.evidence:
                row["because"] = [[list(map(str, past)) for past in each.evidence] for each in found]
            yield row
    if source.bad.count:
        first = "; ".join(f"{source.place} {place}: {why}" for place, why in source.bad.first)
        notes.append(f"{source.bad.count:,} rows of {source.name} are wrong and left out ({first})")
    if cold:
        notes.append(f"{cold:,} of {rows:,} sources have no past at their moment: what is known of candidates answered")


def _scores(
    system: "LinkPrediction", sources: list[Any], destinations: list[Any], times: list[float]
) -> Iterator[dict[str, Any]]:
    for first in range(0, len(sources), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        pairs = list(zip(sources[part], destinations[part], times[part], strict=True))
        for (u, v, t), score in zip(pairs, system.score(pairs).tolist(), strict=True):
            yield {"source": u, "destination": v, "time": t, "score": score}


def _refuse(system: "LinkPrediction", columns: dict[str, pl.Series], places: np.ndarray, where: str) -> None:
    """Raises UnknownIdError for the first row with an unknown node."""
    graph = system.past.graph
    for role, numbers in (("source", graph.source_numbers), ("destination", graph.destination_numbers)):
        if role in columns:
            unknown = np.flatnonzero(numbers(columns[role]) == 0)
            if len(unknown):
                own, side = columns[role][int(unknown[0])], graph.entities if role == "source" else graph.partners
                near = (side or graph.entities).nearest(own)
                raise UnknownIdError(f"{where} {places[unknown[0]]}: there is no node {own!r}; {near}")
