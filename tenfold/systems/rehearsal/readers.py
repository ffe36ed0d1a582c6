"""Files as streams: JSON lines, bAbI, plain text, tutoring logs, event logs and features with questions beside them."""

import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.dataset import ReadReport
from tenfold.data.events import Events, read_events
from tenfold.data.questions import Questions, read_questions
from tenfold.errors import DataError, OptionError, as_said, nearest
from tenfold.systems.rehearsal.data import Ids, Story, Streams, are_features, features_of, items_of, words_of
from tenfold.systems.rehearsal.options import ReadOptions

BABI = re.compile(r"(qa\d+)?.*?(train|valid|test)?\.txt$")
SENTENCE = re.compile(r"(?:(?<=[.!?;])|(?<=[.!?;][\"')\]]))\s+")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
NAMES = {"stream": ("stream", "story", "items", "text"), "question": ("q", "question", "query"),
         "answer": ("a", "answer", "label"), "time": ("time", "position"), "evidence": ("support", "evidence"),
         "options": ("options", "choices", "candidates"), "kind": ("kind", "task"), "split": ("split", "part"),
         "id": ("id",)}  # fmt: skip
ROW = '{"id": 1, "stream": ["..."], "queries": [{"q": "...", "a": "..."}]}'
SKILLS, RIGHT = ("skills", "skill", "q"), ("correct", "right", "answers", "y")  # arrays of an npz


def read_streams(data: Any, read_options: ReadOptions | None = None, *, questions: Any = None) -> Streams:
    """A path (JSON lines, bAbI files, folders and tars, plain text, tutoring logs as CSV or npz; also .gz and .xz;
    features as npy, npz or a folder of npy), an event log or features with `questions` about it, rows as dicts, or
    Streams. Raises DataError, OptionError."""
    if isinstance(data, Streams):
        return data
    stories, report = _stories_of(data, read_options or ReadOptions(), questions, answered=True)
    return Streams.of(stories, report)


def streams_in_parts(
    data: Any, read_options: ReadOptions | None = None, *, questions: Any = None, at_once: int = 100_000
) -> Iterator[Streams]:
    """The same in parts of about `at_once` items, so that of JSON lines no more than a part is in memory, and for those
    who answer: questions about an event log need no answer here. Each part has a vocabulary of its own.
    Raises DataError, OptionError."""
    if isinstance(data, Streams):
        yield data
        return
    stories, report = _stories_of(data, read_options or ReadOptions(), questions, answered=False)
    part, size, asked, first, seen = list[Story](), 0, 0, 0, Ids()
    for story in stories:
        part.append(story)
        size += story.length if story.features is None else story.features.size // 16
        asked += len(story.questions)
        if size >= at_once:
            yield Streams.of(part, report, first=first, seen=seen)
            part, size, asked, first = [], 0, 0, first + asked
    if part or not first:
        yield Streams.of(part, report, first=first, seen=seen)


def _stories_of(
    data: Any, options: ReadOptions, questions: Any, *, answered: bool
) -> tuple[Iterator[Story], ReadReport]:
    """What a file or rows hold, read as it is asked for, and what is said of it."""
    if isinstance(data, str | Path) and _of_features(Path(data), options):
        return _features(Path(data), questions, options), ReadReport(source=str(data))
    if questions is not None or isinstance(data, Events):
        return _of_events(data, questions, options, answered)
    if isinstance(data, list):
        return _of_rows(enumerate(data, start=1), "row"), ReadReport(source="the rows")
    if not isinstance(data, str | Path):
        raise DataError(
            f"streams are read from a path, a list of rows, Events or Streams; found {type(data).__name__}, so give "
            "one of these"
        )
    path = Path(data)
    layout = options.layout if options.layout != "auto" else _layout(path, options.encoding)
    if layout == "events":
        raise DataError(f"{path} is an event log; name the file of questions about it with --questions FILE")
    report = ReadReport(source=str(path))
    if options.on_bad_rows != "refuse":
        raise OptionError(f"{as_said('on_bad_rows', options.on_bad_rows)} is for event logs and questions about them; "
                          f"leave it out, and mend what is wrong in {path}")  # fmt: skip
    if layout in ("babi", "jsonl"):
        if layout == "babi":
            files, told = babi_files(path)
            stories, report = babi_stories(files, options.encoding), replace(report, remarks=told)
        else:
            stories = _of_rows(_objects(path, options.encoding), f"{path}, line")
        if options.lengthen:
            from tenfold.systems.rehearsal.lengthen import lengthen, sentences_of

            stories = lengthen(stories, sentences_of(options.background, options.encoding), options.lengthen)
        return stories, report
    if options.lengthen:
        raise OptionError(f"{as_said('lengthen', options.lengthen)} is for stories that are asked about, bAbI or JSON "
                          f"lines; {path} holds others, so leave it out")  # fmt: skip
    if layout == "tutoring":
        if path.suffix in (".npz", ".npy"):
            return _tutoring_arrays(path), report
        return _tutoring(read_text(path, options.encoding), path), report
    text = read_text(path, options.encoding)
    return iter([Story(path.name, split_sentences(text), (), str(path))]), report


def one_stream(path: Path, encoding: str = "utf-8") -> list[str] | np.ndarray:
    """The items of a file with one stream: sentences of a text, JSON lines of one line, or npy (T, F) of features.
    Raises DataError."""
    if path.suffix.lower() == ".npy":
        return features_of(_array(path), str(path))
    text = read_text(path, encoding)
    if text.lstrip().startswith("{"):
        stories = _of_rows(_objects(path, encoding), f"{path}, line")
        story = next(stories)
        if next(stories, None) is not None:
            raise DataError(f"{path} holds several streams, and one is asked about; write it into a file of its own")
        if story.features is not None:
            return story.features
        found = items_of(story, str(path))
    else:
        found = split_sentences(text)
    if not any(map(words_of, found)):
        raise DataError(f"{path}: the stream is empty; a stream has one item or more, with words")
    return found


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """A text, decompressed where it is gzip or xz whatever its name. Raises DataError."""
    return _decoded(_bytes(path), path, encoding)


def _decoded(content: bytes, path: Path, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"{path} is not in {encoding}: {error}; say {as_said('encoding', 'NAME')}") from None


def split_sentences(text: str) -> list[str]:
    """Sentences by their ends; an empty line ends one too."""
    blocks = re.split(r"\n\s*\n", text)
    found = [" ".join(part.split()) for block in blocks for part in SENTENCE.split(block)]
    return [sentence for sentence in found if sentence]


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check the name") from None
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        elif content.startswith(b"\xfd7zXZ"):
            content = lzma.decompress(content)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be decompressed: {error}; copy it again") from None
    if not content.strip():
        raise DataError(f"{path} is empty; give a file with a stream")
    return content


def _layout(path: Path, encoding: str) -> str:
    names = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".xz")]
    if path.is_dir() or ".tar" in names or path.suffix.lower() == ".tgz":
        return "babi"
    if names and names[-1] in (".parquet", ".inter", ".tsv"):
        return "events"
    if names and names[-1] in (".npz", ".npy"):
        return "tutoring"
    start = "".join(islice((line for line in _lines(path, encoding) if line.strip()), 40)).lstrip()
    if not start:
        raise DataError(f"{path} is empty; give a file with a stream")
    if start.startswith("{"):
        return "jsonl" if re.search(r'"(stream|story|items|text)"\s*:', start) else "events"
    if names and names[-1] in (".jsonl", ".ndjson"):
        return "jsonl"  # and what is wrong with it is said there
    lines = start.splitlines()
    if re.match(r"1 \S", start) and "\t" in start:
        return "babi"
    count = lines[0].strip().strip(",")
    if len(lines) > 2 and count.isdigit() and (count == "1" or all("," in line for line in lines[1:3])):
        return "tutoring"
    return "events" if names and names[-1] == ".csv" else "text"


# JSON lines ----------------------------------------------------------------------------------------------------------


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """Lines of a text, read as they are asked for, decompressed where it is gzip or xz. Raises DataError."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            packed = gzip.GzipFile(fileobj=file) if start.startswith(b"\x1f\x8b") else None
            with lzma.LZMAFile(file) if start.startswith(b"\xfd7zXZ") else packed or file as plain:
                yield from io.TextIOWrapper(plain, encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"{path} is not in {encoding}: {error}; say {as_said('encoding', 'NAME')}") from None
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be decompressed: {error}; copy it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check the name") from None


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number and object."""
    number = 0
    for number, line in enumerate(_lines(path, encoding), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number} is no JSON: {error}; write one object a line") from None
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}, line {number} holds {type(row).__name__}, expected an object with a stream; write {ROW}"
                )
            yield number, row
    if not number:
        raise DataError(f"{path} is empty; give a file with a stream")


def _named(row: Mapping[str, Any], name: str) -> Any:
    return next((row[alias] for alias in NAMES[name] if alias in row), None)


def _listed(row: Mapping[str, Any]) -> str:
    return ", ".join(f"'{name}'" for name in list(row)[:8]) or "nothing"


def _question(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _named(row, name) for name in NAMES if name != "stream"}


def _refuse_no_row(row: Any, where: str) -> None:
    """Raises DataError."""
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is {row!r:.40}, expected an object with a stream; write {ROW}")


def _queries(row: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """What a row asks: of its list of queries, or itself. Raises DataError."""
    asked = row.get("queries", row.get("questions"))
    if asked is None:  # one question a line, beside its stream
        asked = [row] if _named(row, "question") is not None else []
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        raise DataError(f'{where}: queries are a list of {{"q": "...", "a": "..."}}; found {asked!r:.60}')
    questions, split = [_question(each) for each in asked], _named(row, "split")
    for question in questions:
        question["split"] = question["split"] or split
    return questions


def _of_rows(rows: Iterable[tuple[int, Any]], place: str) -> Iterator[Story]:
    for number, row in rows:
        _refuse_no_row(row, f"{place} {number}")
        items = _named(row, "stream")
        if isinstance(items, str):
            items = split_sentences(items)
        if not isinstance(items, list | np.ndarray):
            found = f"its 'stream' is {items!r:.40}" if items is not None else f"it has {_listed(row)}"
            raise DataError(f"{place} {number} has no stream ({found}); write {ROW}")
        own = number if row.get("id") is None else row["id"]
        if isinstance(own, bool) or not isinstance(own, str | int | float) or not str(own).strip():
            raise DataError(f"{place} {number} has the id {own!r:.40}, expected a text or a number; mend it, or leave "
                            "it out")  # fmt: skip
        questions = _queries(row, f"{place} {number}")
        where = f"{place} {number}"
        felt = features_of(items, f"{where}, the stream '{own}'") if are_features(items) else None
        yield Story(str(own), () if felt is not None else list(items), questions, where, row.get("weights"), felt)


# bAbI ----------------------------------------------------------------------------------------------------------------


def babi_stories(files: Mapping[tuple[str, str], tuple[str, bytes]], encoding: str = "utf-8") -> Iterator[Story]:
    """Of files as `babi_files` finds them. Raises DataError."""
    for (task, part), (name, content) in files.items():
        yield from _stories(_decoded(content, Path(name), encoding), task, part, name)


def babi_files(path: Path) -> tuple[dict[tuple[str, str], tuple[str, bytes]], tuple[str, ...]]:
    """(task, part) -> name and content, of a file, a folder of files, or a tar of them; of several sets of one task
    (en, en-10k) the larger. And what a person must know of those that are not taken. Raises DataError."""
    try:
        if path.is_dir():
            files = {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*.txt"))}
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                members = sorted((m for m in archive if m.isfile() and m.name.endswith(".txt")), key=lambda m: m.name)
                files = {m.name: archive.extractfile(m).read() for m in members}  # type: ignore[union-attr]
        else:
            files = {path.name: _bytes(path)}
    except (EOFError, tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be unpacked: {error}; copy it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check the name") from None
    chosen, others, smaller = dict[tuple[str, str], tuple[str, bytes]](), list[str](), list[str]()
    for name, content in files.items():
        found = BABI.search(Path(name).name)
        if (found and found[1]) or len(files) == 1:
            key = ((found and found[1]) or Path(name).stem, (found and found[2]) or "train")
            before = chosen.setdefault(key, (name, content))
            if len(content) > len(before[1]):
                chosen[key] = (name, content)
            if before[0] != name:
                smaller.append(before[0] if len(content) > len(before[1]) else name)
        else:
            others.append(name)
    if not chosen:
        raise DataError(f"{path} holds no bAbI files; their names are like qa1_..._train.txt")
    told = []
    for names, why in ((smaller, "smaller than another of the same task and part"), (others, "not named as a task is")):
        if names:
            told.append(f"{len(names):,} of the files of {path} are left out, {why}: {', '.join(names[:3])}"
                        + (" ..." if len(names) > 3 else ""))  # fmt: skip
    return chosen, tuple(told)


def _stories(text: str, task: str, part: str, name: str) -> Iterator[Story]:
    items, questions, place, count, first = list[str](), list[dict[str, Any]](), dict[int, int](), 0, 1
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        own, _, rest = line.partition(" ")
        if not own.isdigit():
            raise DataError(
                f"{name}, line {number}: a line of bAbI begins with a number; found {line[:40]!r}; mend it, or say "
                f"{as_said('layout', 'text')} for a text"
            )
        if own == "1" and items:
            count += 1
            yield Story(f"{task}/{part}/{count}", items, questions, f"{name}, line {first}")
            items, questions, place, first = [], [], {}, number
        question, tab, answer = rest.partition("\t")
        if not tab:
            place[int(own)] = len(items)
            items.append(rest)
            continue
        answer, _, support = answer.partition("\t")
        where = f"{name}, line {number}"
        wrong = next((each for each in support.split() if not each.isdigit() or int(each) not in place), None)
        if wrong is not None:
            raise DataError(
                f"{where}: the evidence is statement {wrong!r}, and no statement before the question has this number; "
                "write the number at the beginning of the statement's line"
            )
        evidence = sorted(place[int(each)] for each in support.split())
        questions.append({"question": question.strip(), "answer": answer.strip(), "time": len(items), "kind": task,
                          "evidence": evidence, "split": part, "place": where})  # fmt: skip
    if items or questions:
        yield Story(f"{task}/{part}/{count + 1}", items, questions, f"{name}, line {first}")


# Tutoring: three lines a student, how many answers, of which skills, right or not ------------------------------------


def _tutoring(text: str, path: Path) -> Iterator[Story]:
    lines = [line.strip().strip(",") for line in text.splitlines() if line.strip()]
    if len(lines) % 3:
        raise DataError(
            f"{path} has {len(lines)} lines; a student has three: how many answers, skills, right or not; "
            "add the lines that are missing"
        )
    for student, first in enumerate(range(0, len(lines), 3), start=1):
        skills, right = lines[first + 1].split(","), lines[first + 2].split(",")
        where = f"{path}, line {first + 1}"
        if not lines[first].isdigit() or not int(lines[first]) == len(skills) == len(right):
            raise DataError(
                f"{where}: {lines[first]:.40} answers are announced, {len(skills)} skills and {len(right)} answers "
                "follow; expected as many of each, so mend the three lines"
            )
        for column, (skill, mark) in enumerate(zip(skills, right, strict=True), start=1):
            if not skill.strip() or mark.strip() not in ("0", "1"):
                raise DataError(
                    f"{path}, line {first + 3}, answer {column}: expected a skill with a mark of 0 or 1; found skill "
                    f"{skill.strip()!r} and mark {mark.strip()!r}; mend it, or leave the answer out of all three lines"
                )
        marks = [mark.strip() == "1" for mark in right]
        yield _student(str(student), [skill.strip() for skill in skills], marks, where)


def _tutoring_arrays(path: Path) -> Iterator[Story]:
    """An npz with one array of skills and one of right (1) or wrong (0), or an npy of both (..., 2): a row a student,
    shorter ones padded with -1 on the right."""
    try:
        with np.load(path, allow_pickle=False) if path.suffix == ".npz" else nullcontext(np.load(path)) as found:
            if isinstance(found, np.ndarray):
                arrays = list(np.moveaxis(found, -1, 0)) if found.ndim == 3 else []
                held = f"an array {found.shape}"
            else:
                held = ", ".join(f"'{name}' {found[name].shape}" for name in found.files[:6])
                arrays = [next((found[n] for n in names if n in found), None) for names in (SKILLS, RIGHT)]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as arrays: {error}; copy it again") from None
    if (
        len(arrays) != 2
        or any(one is None for one in arrays)
        or arrays[0].ndim != 2
        or arrays[0].shape != arrays[1].shape
    ):
        raise DataError(
            f"{path} does not hold skills and answers: expected arrays 'skills' and 'correct', each (students, "
            f"answers), -1 at padding, or one array (students, answers, 2); found {held or 'nothing'}; save it so, "
            "or, where these are features, one array (items, features) for each stream"
        )
    skills, right = arrays
    if skills.dtype.kind not in "iufb" or right.dtype.kind not in "iufb":
        raise DataError(
            f"{path}: skills and answers are numbers; found arrays of {skills.dtype} and {right.dtype}; "
            "save whole numbers"
        )
    for student, (own, marks) in enumerate(zip(skills, right, strict=True), start=1):
        where = f"{path}, row {student}"
        there = own != -1
        count = int(there.sum())
        sound = (own >= 0) & (own < 2**31) & (np.floor(own) == own) & np.isin(marks, (0, 1))
        if not sound[:count].all():
            bad = int(np.flatnonzero(~sound)[0])
            raise DataError(
                f"{where}, column {bad + 1}: expected a skill with a mark of 0 or 1, whole numbers, and -1 only at "
                f"the end; found skill {own[bad]} and mark {marks[bad]}; mend it"
            )
        yield _student(str(student), own[:count].astype(int).tolist(), marks[:count].astype(bool).tolist(), where)


def _student(student: str, skills: Sequence[Any], right: Sequence[bool], where: str) -> Story:
    told = [f"skill{skill} {'right' if mark else 'wrong'}" for skill, mark in zip(skills, right, strict=True)]
    asked = [{"question": f"skill{skills[t]}", "answer": told[t].split()[1], "time": t, "kind": "step"}
             for t in range(1, len(told))]  # fmt: skip
    return Story(student, told, asked, where)


# Features: an array (T, F) for each stream, and questions beside them ------------------------------------------------


def _of_features(path: Path, options: ReadOptions) -> bool:
    """Whether a path holds features: a folder with npy, an npy of two axes, an npz that is no tutoring log."""
    if options.layout != "auto":
        return options.layout == "features"
    if path.is_dir():
        return next(path.rglob("*.npy"), None) is not None
    if path.suffix.lower() == ".npy" and path.exists():
        return _array(path).ndim != 3
    if path.suffix.lower() == ".npz" and path.exists():
        return not {*SKILLS, *RIGHT} & set(_names(path))
    return False


def _array(path: Path, name: str | None = None) -> np.ndarray:
    """An npy, or one array of an npz. Raises DataError."""
    try:
        if name is None:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            raise ValueError("it holds several arrays")
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        inside = "" if name is None else f" ('{name}')"
        raise DataError(f"{path}{inside} cannot be read as arrays: {error}; copy it again") from None


def _names(path: Path) -> list[str]:
    """Of the arrays of an npz; none where it cannot be read, which its reader says. Raises nothing."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return list(arrays.files)
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error):
        return list(SKILLS)


def _features(path: Path, questions: Any, options: ReadOptions) -> Iterator[Story]:
    """A stream for each array, called by its name or its file's without the ending. Raises DataError, OptionError."""
    for name, value in (("lengthen", options.lengthen), ("on_bad_rows", options.on_bad_rows)):
        if value not in (0, "refuse"):
            raise OptionError(f"{as_said(name, value)} is not for features; leave it out")
    if path.is_dir():
        files = {each.relative_to(path).with_suffix("").as_posix(): each for each in sorted(path.rglob("*.npy"))}
    else:
        files = dict.fromkeys(_names(path), path) if path.suffix.lower() == ".npz" else {path.stem: path}
    if not files:
        raise DataError(f"{path} holds no array; give an npz with an array for each stream, or a folder of npy files")
    asked = _by_stream(questions, files, path, options.encoding)

    def stories() -> Iterator[Story]:
        packed = path.suffix.lower() == ".npz" and not path.is_dir()
        for name, file in files.items():
            where = f"{file} ('{name}')" if packed else str(file)
            found = features_of(_array(file, name if packed else None), where)
            yield Story(name, (), asked.get(name, ()), where, None, found)

    return stories()


def _by_stream(questions: Any, names: Mapping[str, Any], about: Path, encoding: str) -> dict[str, list[dict[str, Any]]]:
    """Questions of JSON lines or rows {"stream": its name, "q", "a", ...}, or with "queries", by their stream.
    Raises DataError."""
    if questions is None:
        return {}
    if isinstance(questions, str | Path):
        rows, place = _objects(Path(questions), encoding), f"{questions}, line"
    elif isinstance(questions, list):
        rows, place = enumerate(questions, start=1), "the questions, row"
    else:
        raise DataError(
            f"questions about features are JSON lines, or a list of rows; found {type(questions).__name__}, so give "
            "one of these"
        )
    found: dict[str, list[dict[str, Any]]] = {}
    for number, row in rows:
        where = f"{place} {number}"
        _refuse_no_row(row, where)
        name = row.get("stream")
        if not isinstance(name, str) or name not in names:
            todo = 'write {"stream": "NAME", "q": "..."}'
            if isinstance(name, str):
                todo = nearest(name, list(names)[:1000])
            raise DataError(f"{where}: there is no stream {name!r:.60} in {about}; {todo}")
        for each in _queries(row, where):
            found.setdefault(name, []).append(each | {"place": where})
    if not found:
        raise DataError(f"{place.rpartition(',')[0]} holds no question; give a file with questions, or none")
    return found


# Event logs ----------------------------------------------------------------------------------------------------------


def _of_events(data: Any, questions: Any, options: ReadOptions, answered: bool) -> tuple[Iterator[Story], ReadReport]:
    """Each asked user's events as sentences of kind, title (or the item's id) and month."""
    events = data
    if not isinstance(data, Events):
        chosen = {name: value for name, value in (("columns", options.columns), ("items", options.items)) if value}
        events = read_events(data, None, encoding=options.encoding, on_bad_rows=options.on_bad_rows, **chosen)
    remarks = tuple(replace(events.report, equal=0).sentences())  # such as that it was not in order of time
    if questions is None:
        return _users(events, np.arange(len(events)), None), ReadReport(source=events.report.source, remarks=remarks)
    asked, option = questions, "question_columns"  # `columns` are the log's here
    if not isinstance(questions, Questions):
        asked = read_questions(
            questions, columns=options.question_columns, encoding=options.encoding, on_bad_rows=options.on_bad_rows,
            answers=answered, option=option,
        )  # fmt: skip
    users, seen = asked.asked_of(events, option=option)
    by_user: dict[int, list[dict[str, Any]]] = {}
    for row, (user, time) in enumerate(zip(users.tolist(), seen.tolist(), strict=True)):
        one = asked[row]
        by_user.setdefault(user, []).append({
            "id": one.id, "question": one.question, "answer": one.answer, "time": time, "kind": one.kind,
            "options": one.options, "evidence": one.evidence, "split": one.split,
            "place": asked.place_of(row)})  # fmt: skip
    report = ReadReport(source=asked.report.source, remarks=(*remarks, *asked.report.sentences()))
    return _users(events, np.array(sorted(by_user)), by_user), report


def _users(events: Events, users: np.ndarray, asked: Mapping[int, list[dict[str, Any]]] | None) -> Iterator[Story]:
    titles = [""] + [events.title(number) for number in range(1, len(events.catalogue) + 1)]
    kinds = [""] if events.kind_names is None else ["", *map(str, events.kind_names.series.to_list())]
    for user in users.tolist():
        part = slice(int(events.offsets[user]), int(events.offsets[user + 1]))
        numbers = events.items[part].tolist()
        kind = [0] * len(numbers) if events.kinds is None else events.kinds[part].tolist()
        months = [""] * len(numbers) if events.times is None else list(map(_month, events.times[part].tolist()))
        told = [f"{kinds[k]} {titles[n]} {month}".strip() for n, k, month in zip(numbers, kind, months, strict=True)]
        (own,) = events.users.ids([user + 1])
        yield Story(str(own), told, asked[user] if asked is not None else ())


def _month(seconds: float) -> str:
    """The month of a time in seconds since 1970; nothing where the log counts otherwise."""
    if not np.isfinite(seconds) or abs(seconds) < 1e7:
        return ""
    return MONTHS[datetime.fromtimestamp(seconds, UTC).month - 1]
