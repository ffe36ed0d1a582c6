"""Answers of any kind in each layout, and what cannot be written."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tenfold.data.answers import ROWS_AT_ONCE, answer_seed, write_answers
from tenfold.errors import DataError, OptionError


def rows(count):
    return ({"id": f"ü{n}", "score": n / 7, "words": ["a", 'b"'], "ok": n % 2 == 0} for n in range(count))


def png(value):
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_what_is_read_back_is_what_was_written(ending, tmp_path):
    count, path = ROWS_AT_ONCE + 3, tmp_path / f"answers{ending}"
    assert write_answers(path, rows(count)) == count
    if ending == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            read = list(csv.DictReader(file))
        found = [{"id": r["id"], "score": float(r["score"]), "words": json.loads(r["words"]), "ok": r["ok"] == "True"}
                 for r in read]  # fmt: skip
    else:
        found = (pl.read_parquet(path) if ending == ".parquet" else pl.read_ndjson(path)).to_dicts()
    assert found == list(rows(count))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_pictures_go_to_parquet_or_to_a_folder_of_files(tmp_path):
    answers = [{"text": f"t{n}", "image": png(n), "mask": png(255)} for n in range(3)]
    write_answers(tmp_path / "a.parquet", answers)
    assert pl.read_parquet(tmp_path / "a.parquet")["image"].to_list() == [a["image"] for a in answers]
    assert write_answers(tmp_path / "drawn", answers) == 3
    told = [json.loads(line) for line in (tmp_path / "drawn" / "metadata.jsonl").read_text().splitlines()]
    assert told[2] == {"file_name": "000003.png", "mask_file_name": "000003_mask.png", "text": "t2"}
    assert (tmp_path / "drawn" / "000003.png").read_bytes() == answers[2]["image"]
    with pytest.raises(OptionError, match=r"a.jsonl cannot hold pictures \(image, mask\); end the name in .parquet"):
        write_answers(tmp_path / "a.jsonl", answers)


@pytest.mark.parametrize(
    "name, answers, sentence",
    [
        ("a.xlsx", [{"a": 1}], r"written as .parquet, .jsonl, .csv, or into a folder; found 'a.xlsx'"),
        ("a.parquet", [], "there is nothing to answer"),
        ("a.jsonl", [], "there is nothing to answer"),
        ("folder", [{"a": 1}], "would be a folder of pictures, and these answers hold none"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(name, answers, sentence, tmp_path):
    with pytest.raises((OptionError, DataError), match=sentence):
        write_answers(tmp_path / name, answers)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_an_answer_that_fails_half_way_leaves_the_old_file(tmp_path):
    write_answers(tmp_path / "a.csv", [{"a": 1}])

    def failing():
        yield {"a": 2}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_answers(tmp_path / "a.csv", failing())
    assert (tmp_path / "a.csv").read_text().split() == ["a", "1"]


def test_the_seed_of_an_answer_depends_on_seed_and_row_alone():
    assert answer_seed(3, 5) == answer_seed(3, 5)
    assert len({answer_seed(seed, row) for seed in range(20) for row in range(20)}) == 400
