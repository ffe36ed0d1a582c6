"""One small log in every layout of file."""

from functools import partial

import polars as pl
from conftest import refusal

from tenfold.data.events import read_events

# (user, item, rating, time); user 7 and item 30 come twice, and 9's events are the wrong way round
ROWS = [(7, 30, 4, 100), (9, 31, 5, 130), (7, 32, 1, 120), (9, 30, 2, 110), (5, 33, 3, 140), (7, 30, 5, 125)]
HISTORIES = {7: [30, 32, 30], 9: [30, 31], 5: [33]}


def lines(separator, header="", rows=ROWS):
    return header + "".join(separator.join(map(str, row)) + "\n" for row in rows)


def table():
    return pl.DataFrame(ROWS, schema=["userId", "movieId", "rating", "timestamp"], orient="row")


FILES = {
    "a.csv": lines(",", "userId,movieId,rating,timestamp\n"),
    "quoted.csv": lines('","', '"userId","movieId","rating","timestamp"\n')
    .replace("\n", '"\n"', 7)[:-1]
    .replace('""', '"'),
    "windows.csv": lines(",", "userId,movieId,rating,timestamp\n").replace("\n", "\r\n"),
    "unended.csv": lines(",", "userId,movieId,rating,timestamp\n")[:-1],
    "marked.csv": "\ufeff" + lines(",", "userId,movieId,rating,timestamp\n"),
    "blank lines.csv": lines(",", "userId,movieId,rating,timestamp\n").replace("\n", "\n\n"),
    "spaced.csv": lines(",", "user id, Item ID ,rating, Time_Stamp\n"),
    "a.tsv": lines("\t", "UID\tiid\trating\tts\n"),
    "a.inter": lines("\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
    "ratings.dat": lines("::"),
    "no name for it": lines("::"),
    "a.jsonl": "".join(f'{{"user": {u}, "item": {i}, "rating": {r}, "time": {t}}}\n' for u, i, r, t in ROWS),
    "told.txt": lines(",", "user,item,rating,time\n"),
}


def histories(events):
    users = events.users.ids(range(1, len(events) + 1))
    return {own: events.catalogue.ids(events.history(u)) for u, own in enumerate(users)}


refused = partial(refusal, read_events)
