"""The command line as a person uses it: what it prints, where it writes, and what it says to wrong input."""

import json
import os
import re
import signal
import subprocess
import sys

import polars as pl
import pytest
from conftest import ROOT, ring_walks

from tenfold import cli
from tenfold.registry import SYSTEMS

TINY = ["--set", "dim=8", "--set", "training.length=10", "--set", "training.batch_size=16"]
FAST = ["--max-epochs", "1", "--accelerator", "cpu", "--progress", "none"]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A CSV of the ring walks, with a column to choose rows by."""
    events, rows = ring_walks(), []
    for user in range(len(events)):
        rows += [f"u{user},{item},view" for item in events.catalogue.ids(events.history(user))]
    path = tmp_path_factory.mktemp("log") / "events.csv"
    path.write_text("\n".join(["user,item,event", *rows]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def fitted(log, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("fitted") / "sasrec")
    assert cli.main(["fit", "sasrec", log, "-o", folder, *TINY, *FAST]) == 0
    return folder


def run(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def refused(capsys, *arguments):
    """The one sentence of a refusal."""
    code, out, err = run(capsys, *arguments)
    last = err.strip().splitlines()[-1]
    assert code == 2 and last.startswith("error: ") and "Traceback" not in err + out, (code, out, err)
    return last


def test_a_fit_says_how_it_ended_and_which_epoch_it_kept(log, tmp_path, capsys):
    limits = ["--accelerator", "cpu", "--patience", "1"]
    code, _, err = run(capsys, "fit", "sasrec", log, "-o", tmp_path / "it", *TINY, *limits)
    assert code == 0 and "at most 200 epochs, until 1 validation is no better" in err
    last = next(line for line in err.splitlines() if " epochs in " in line)
    done, kept = re.fullmatch(
        r"next_item: (\d+) epochs in .* s; kept: epoch (\d+), ndcg@10 .*; the last: .*", last
    ).groups()
    assert int(kept) == int(done) - 1


def test_list_and_info(capsys):
    _, out, _ = run(capsys, "list")
    assert "lisa" in out and "planned" in out and "sasrec" in out and "baseline, next item" in out
    _, out, _ = run(capsys, "info", "sasrec")
    assert "training.lr" in out and "learning rate of Adam" in out and "loo, stream, time, spans, none" in out


def test_the_protocol_by_its_names(log, fitted, capsys):
    code, out, _ = run(capsys, "evaluate", fitted, log, "--protocol", "ks=1,3", "--protocol", "exclude_seen=true")
    assert code == 0 and "left out" in out and "hr@1 " in out and "hr@3" in out and "hr@10" not in out


def test_fit_evaluate_predict(log, fitted, tmp_path, capsys):
    code, out, err = run(capsys, "evaluate", fitted, log, "-k", 3, "-k", 10, "-o", tmp_path / "f.json")
    assert code == 0 and "split loo, test part: 61 events" in out and "ndcg@3" in out
    assert set(json.loads((tmp_path / "f.json").read_text())["figures"]) >= {"hr@3", "hr@10", "mrr"}
    code, out, err = run(capsys, "predict", fitted, "-i", log, "-o", tmp_path / "out.parquet", "-k", 4)
    assert code == 0 and "61 users answered" in err
    assert pl.read_parquet(tmp_path / "out.parquet")["items"].list.len().to_list() == [4] * 61
    code, out, err = run(capsys, "predict", fitted, "--history", "r0i1,r0i2,nix", "-k", 2)
    assert code == 0 and len(out.strip().splitlines()) == 4 and "1 events of the history" in err
    code, out, _ = run(capsys, "info", fitted)
    assert json.loads(out)["system"] == "SASRec"


def test_the_first_answers_as_a_table(log, fitted, capsys):
    code, out, err = run(capsys, "predict", fitted, "-i", log, "-k", 3)
    rows = [line for line in out.splitlines() if line.strip().startswith("u")]
    assert code == 0 and len(rows) == 11 and rows[0].split() == ["user", "items"] and rows[1].split()[0] == "u0"
    assert "10 of 61 users are shown; --output FILE keeps all" in err


def test_who_asks_today_needs_no_history_of_a_certain_length(log, tmp_path, capsys):
    titles, folder = tmp_path / "titles.csv", tmp_path / "m"
    titles.write_text("item,title\n" + "".join(f"r{r}i{i},T{r}{i}\n" for r in range(4) for i in range(6)))
    words = ["--min-user-events", "9", "--min-item-events", "3", "--items", titles, *TINY, *FAST]
    assert run(capsys, "fit", "sasrec", log, "-o", folder, *words)[0] == 0
    titles.unlink()
    (tmp_path / "today.csv").write_text("user,item,event\nann,r0i1,view\nbob,r1i1,view\n")
    code, _, err = run(capsys, "predict", folder, "-i", tmp_path / "today.csv", "-o", tmp_path / "out.jsonl")
    assert code == 0 and "2 users answered" in err
    assert run(capsys, "evaluate", folder, log)[0] == 0
    foreign = refused(capsys, "predict", folder, "-i", tmp_path / "today.csv", "--min-user-events", "5")
    assert "no user has 5 events" in foreign  # what is said at the command line counts


def test_what_cannot_be_measured_or_saved_is_refused_before_the_fits(log, tmp_path, capsys, monkeypatch):
    def fitting(*words, **more):
        raise AssertionError("it was fitted")

    monkeypatch.setattr("tenfold.system.System.fit", fitting)
    tune, compare = ["tune", "item-knn", log, *FAST], ["compare", log, "--arm", "markov", *FAST]
    assert "there is no figure 'ndgc@10'; did you mean" in refused(capsys, *tune, "--metric", "ndgc@10")
    assert "larger than the catalogue" in refused(capsys, *tune, "-k", "100000")
    for command in (tune, compare):
        assert "split 'none' holds nothing out" in refused(capsys, *command, "--split", "none")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text("{}")
    assert "would be replaced" in refused(capsys, *tune, "-o", tmp_path / "theirs")


def test_an_export_answers_as_the_system_does(log, tmp_path, capsys):
    books = [
        "--set",
        "preset=mini",
        "--set",
        "codebooks.books=3",
        "--set",
        "codebooks.words=5",
        "--set",
        "codebooks.target_words=7",
    ]
    assert run(capsys, "fit", "lisa", log, "-o", tmp_path / "lisa", *TINY, *books, *FAST)[0] == 0
    code, out, err = run(capsys, "export", tmp_path / "lisa", "-o", tmp_path / "small")
    assert code == 0 and "target_codes" in out and "are exported, which are smaller" in err
    answers = [
        run(capsys, "predict", tmp_path / folder, "--history", "r0i1,r0i2", "-k", 3)[1] for folder in ("lisa", "small")
    ]
    items = [[line.split()[1] for line in answer.splitlines() if line.strip()[:1].isdigit()] for answer in answers]
    assert items[0] == items[1] and len(items[0]) == 3
    assert run(capsys, "evaluate", tmp_path / "small", log)[0] == 0


def test_alone_it_explains_itself(capsys):
    for words in ([], ["shop"]):
        code, out, err = run(capsys, *words)
        assert code == 0 and out.startswith("Usage: tenfold") and not err
    assert run(capsys, "--version")[1].startswith("tenfold 0")


def test_a_reader_that_goes_away_is_no_error():
    code = subprocess.run(
        f"{sys.executable} -m tenfold list | head -1", shell=True, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert code.returncode == 0 and "Traceback" not in code.stderr


def test_a_preset_is_taken_beside_what_is_started_from(log, tmp_path, capsys):
    mini, base = tmp_path / "mini", tmp_path / "base"
    small = ["--set", "preset=mini", "--set", "codebooks.books=2"]
    assert run(capsys, "fit", "lisa", log, "-o", mini, *TINY, *small, *FAST)[0] == 0
    again = ["fit", "lisa", log, "-o", base, "--start-from", mini, "--set", "preset=base", *FAST]
    assert "cannot start from the older weights" in refused(capsys, *again)  # other codebooks, which was asked for


def test_nothing_to_go_on_with_is_not_offered(monkeypatch, capsys, tmp_path):
    def stopped(*words, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("tenfold.system.System.fit", stopped)
    code, _, err = run(capsys, "fit", "popularity", "x.csv", "-o", tmp_path / "a")
    assert code == 130 and "--resume" not in err
    (tmp_path / "a.run").mkdir()
    (tmp_path / "a.run" / "run.json").write_text("{}")
    for output in ([f"--output={tmp_path / 'a'}"], [f"-o{tmp_path / 'a'}"], ["-o", tmp_path / "a"]):
        code, _, err = run(capsys, "fit", "popularity", "x.csv", *output)
        assert code == 130 and "--resume" in err


def test_what_has_no_smaller_form_says_so(fitted, tmp_path, capsys):
    assert "SASRec has no smaller form" in refused(capsys, "export", fitted, "-o", tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_refit_takes_the_options_of_what_it_starts_from(log, fitted, tmp_path, capsys):
    code, *_ = run(capsys, "fit", "sasrec", log, "-o", tmp_path / "again", "--start-from", fitted, *FAST)
    assert code == 0
    assert json.loads((tmp_path / "again" / "config.json").read_text())["options"]["dim"] == 8


def test_compare_and_tune(log, tmp_path, capsys):
    arms = ["--arm", "popularity", "--arm", "mine=item-knn:neighbours=3", "--arm", "markov"]
    code, out, err = run(capsys, "compare", log, *arms, "-o", tmp_path / "c", *FAST)
    assert code == 0 and "mine" in out and "ndcg@10" in out and "3 of 3" in err
    assert (tmp_path / "c" / "comparison.png").stat().st_size > 1_000
    found = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert [row["label"] for row in found["arms"]] and found["count"] == 61
    code, out, err = run(capsys, "tune", "item-knn", log, "--trials", 3, "-o", tmp_path / "t", *FAST)
    assert code == 0 and (tmp_path / "t" / "trials.json").exists()
    assert run(capsys, "evaluate", tmp_path / "t", log)[0] == 0


def test_shop(tmp_path, capsys):
    sizes = ["--only", "events", "--items", 40, "--users", 9, "--events", 300, "--seed", 5]
    code, out, _ = run(capsys, "shop", "new", tmp_path / "shop", *sizes)
    assert code == 0 and "300 events" in out and "oracle" in out
    assert run(capsys, "shop", "info", tmp_path / "shop")[1] == out
    events, catalogue = tmp_path / "shop" / "events.parquet", tmp_path / "shop" / "catalog.parquet"
    code, out, _ = run(capsys, "compare", events, "--items", catalogue, "--arm", "popularity", "--arm", "repeat-last")
    assert code == 0 and "repeat-last" in out
    assert "another shop" in refused(capsys, "shop", "new", tmp_path / "shop", *sizes[:-1], 6)


def test_ctrl_c_prints_the_command_that_goes_on(log, tmp_path, warm):
    command = ["fit", "sasrec", log, "-o", str(tmp_path / "f"), *TINY, "--max-epochs", "3000", "--progress", "lines"]
    process = subprocess.Popen(
        [*warm, "import sys; from tenfold.cli import main; sys.exit(main(sys.argv[1:]))", *command],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        for line in process.stderr:  # it has begun
            if "epoch 2/" in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, err
    again = err.strip().splitlines()[-1].split()
    assert again[0] == "tenfold" and again[-1] == "--resume" and again[1:-1] == command
    run_of_it = json.loads((tmp_path / "f.run" / "run.json").read_text())
    assert run_of_it["max_epochs"] == 3000 and (tmp_path / "f.run" / "next_item" / "last.ckpt").exists()
    shorter = [a if a != "3000" else "4" for a in again[1:]]
    assert cli.main([*shorter, "--accelerator", "cpu"]) == 0
    assert (tmp_path / "f" / "config.json").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fti"], "there is no command 'fti'; did you mean 'fit'?"),
        (["fit", "sasrec"], "Missing argument 'DATA'"),
        (["fit", "sasrex", "LOG", "-o", "OUT"], "there is no system 'sasrex'; did you mean 'sasrec'?"),
        *(
            (["fit", name, "LOG", "-o", "OUT"], f"the room of '{name}' is not built yet")
            for name in [name for name, row in SYSTEMS.items() if not row.path][:1]
        ),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--set", "dmi=3"], "there is no option 'dmi'; did you mean 'dim'?"),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--set", "dim=0"], "option dim = '0': it should be greater than 0"),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--max-epochs", "x"], "option max_epochs = 'x'"),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--split", "half"], "SASRec knows the splits"),
        (["fit", "sasrec", "nowhere.csv", "-o", "OUT"], "nowhere.csv"),
        (["fit", "sasrec", "LOG", "-o", "LOG"], "could not be written: a part of the path is a file"),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--logger", "csvv"], "there is no 'csvv'"),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--columns", "user=usr"], "usr"),
        (["fit", "sasrec", "LOG", "-o", "OUT", "--split", "time"], "name the column with --columns 'time=NAME'"),
        (["evaluate", "nowhere", "LOG"], "nowhere holds no fitted system"),
        (["evaluate", "FITTED", "LOG", "-k", "25"], "k = 25 is larger than the catalogue of 24 items"),
        (["evaluate", "FITTED", "LOG", "--part", "train"], "--part is test or validation; found 'train'"),
        (["evaluate", "FITTED", "LOG", "--where", "event=buy"], "where leaves none of 943 rows"),
        (["predict", "FITTED"], "give one of --input FILE"),
        (["predict", "FITTED", "--history", "zzz", "--on-unseen", "refuse"], "there is no item 'zzz'"),
        (["predict", "FITTED", "-i", "LOG", "-o", "x.txt"], "written as .parquet, .jsonl, .csv"),
        (["compare", "LOG", "--arm", "popularity:x=1"], "arm 'popularity:x=1': there is no option 'x'"),
        (["tune", "sasrec", "LOG", "--trials", "0"], "a search of 0 trials finds nothing"),
        (["claims", "sasrec"], "'sasrec' makes no claims"),
        (["shop", "new", "OUT", "--items", "0"], "option items = '0'"),
        (["shop", "new", "OUT", "--seed", "x"], "option seed = 'x'"),
        (["shop", "info", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_wrong_words_are_one_sentence(arguments, sentence, log, fitted, tmp_path, capsys):
    places = {"LOG": log, "FITTED": fitted, "OUT": str(tmp_path / "out")}
    told = refused(capsys, *[places.get(a, a) for a in arguments])
    assert sentence in told
    assert not (tmp_path / "out").exists()  # nothing half-made stays


def test_a_second_fit_into_the_same_folder_is_refused(log, fitted, capsys):
    assert "holds this run already" in refused(capsys, "fit", "sasrec", log, "-o", fitted, *TINY, *FAST)
    assert "its seed is 0, this one's 1" in refused(
        capsys, "fit", "sasrec", log, "-o", fitted, *TINY, *FAST, "--seed", 1, "--resume"
    )


def test_help_and_list_do_not_import_torch():
    for words in (["--help"], ["list"], ["fit", "--help"]):
        code = f"import sys; from tenfold import cli; cli.main({words}); sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0, words


@pytest.mark.parametrize("what", ["checkpoint", "answers.jsonl", "answers.parquet"])
def test_a_disk_that_takes_no_more_loses_nothing(what, log, fitted, tmp_path, warm):
    """A limit on the size of files stands for the full disk: the system refuses the bytes in the same way."""
    limit, out = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)); ", tmp_path / what
    if what == "checkpoint":
        words, old = ["fit", "sasrec", log, "-o", str(out), *TINY, *FAST], tmp_path / f"{what}.run" / "run.json"
    else:
        words, old = ["predict", fitted, "-i", log, "-o", str(out)], out
        out.write_bytes(b"older answers")
    program = f"{limit}from tenfold.cli import main; sys.exit(main(sys.argv[1:]))"
    told = subprocess.run([*warm, program, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert told.returncode == 2 and "could not be written: " in told.stderr.splitlines()[-1], told.stderr
    assert "Traceback" not in told.stderr
    if what == "checkpoint":
        assert cli.main([*words, "--resume"]) == 0 and old.exists()
    else:
        assert old.read_bytes() == b"older answers"
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]  # no half of anything is left


@pytest.mark.parametrize("module", ["typer", "polars", "torch"])
def test_ctrl_c_while_modules_are_imported(module, log, tmp_path):
    """What is imported then raises whatever it likes; numpy, for one, recurses until the stack is full."""
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from tenfold.__main__ import main
sys.exit(main())
"""
    words = [sys.executable, "-c", program, "fit", "markov", log, "-o", str(tmp_path / "m")]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "popularity", "LOG", "-o", ""],
        ["fit", "popularity", "LOG", "--output="],
        ["predict", "FITTED", "-i", ""],
        ["compare", "LOG", "--arm", "markov", "-o", ""],
        ["evaluate", "", "LOG"],
        ["demo", "-o", ""],
    ],
)
def test_an_empty_word_is_no_path(words, log, fitted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # which is what '' would be
    told = refused(capsys, *[{"LOG": log, "FITTED": fitted}.get(word, word) for word in words])
    assert "is empty; give it a value" in told and not list(tmp_path.iterdir())


def test_a_catalogue_of_less_than_ten(tmp_path, capsys):
    (tmp_path / "six.csv").write_text("user,item\n" + "".join(f"u{n % 9},i{n * n % 7}\n" for n in range(90)))
    folder, items = tmp_path / "m", len({n * n % 7 for n in range(90)})
    assert run(capsys, "fit", "markov", tmp_path / "six.csv", "-o", folder)[0] == 0
    code, out, _ = run(capsys, "predict", folder, "--history", "i1")
    assert code == 0 and sum(line.split()[0].isdigit() for line in out.splitlines() if line.strip()) == items
    code, out, _ = run(capsys, "predict", folder, "-i", tmp_path / "six.csv")
    assert code == 0 and "u8" in out
    for words in (["--history", "i1"], ["-i", tmp_path / "six.csv"]):
        assert f"catalogue of {items} items" in refused(capsys, "predict", folder, *words, "-k", items + 1)


def test_a_history_without_events(fitted, capsys):
    code, out, err = run(capsys, "predict", fitted, "--history", " ", "-k", 2)
    assert code == 0 and err == "the history is empty: these are the most popular items\n" and "r" in out
    assert "holds an empty item" in refused(capsys, "predict", fitted, "--history", "r0i1,,r0i2")


def test_a_file_is_no_folder_of_a_system(log, capsys):
    for words in (["evaluate", log, log], ["predict", log, "-i", log], ["export", log, "-o", "x"]):
        assert "events.csv is not a folder; name the folder that `save` or fit wrote" in refused(capsys, *words)


@pytest.mark.parametrize("system", ["popularity", "sasrec"])
@pytest.mark.parametrize(
    ("death", "code"), [("raise MemoryError", 1), ("raise KeyboardInterrupt", 130), ("os.kill(os.getpid(), 9)", -9)]
)
def test_a_fit_that_dies_before_it_has_anything_hinders_no_other(system, death, code, log, tmp_path, capsys, warm):
    words = [log, "-o", str(tmp_path / "m"), *FAST]
    program = f"""
import os, sys
from tenfold import cli, run
from tenfold.tasks.next_item.task import NextItem
from tenfold.tasks.next_item.baselines.counted import Counted
def stages(*_):
    {death}
    yield
NextItem.stages = Counted.stages = stages
sys.exit(cli.main(sys.argv[1:]))
"""
    dead = subprocess.run([*warm, program, "fit", system, *words], cwd=ROOT, capture_output=True, check=False)
    assert dead.returncode == code and not (tmp_path / "m").exists(), dead.stderr
    assert {each.name for each in (tmp_path / "m.run").iterdir()} <= {"run.json", "run.lock"}  # to be begun again
    tiny = TINY if system == "sasrec" else []
    assert run(capsys, "fit", system, *words, *tiny, "--seed", 4)[0] == 0
    assert "holds this run already" in refused(capsys, "fit", system, *words, *tiny, "--seed", 4)


def test_what_is_on_unless_told_otherwise_can_be_told_otherwise(log, tmp_path, capsys, monkeypatch):
    from tenfold import cli

    budgets, budget = [], cli._budget
    monkeypatch.setattr(cli, "_budget", lambda values: budgets.append(budget(values)) or budgets[-1])
    for words, wanted in (([], True), (["--no-keep-memory"], False), (["--keep-memory"], True)):
        assert run(capsys, "fit", "popularity", log, "-o", tmp_path / f"out{len(budgets)}", *words)[0] == 0
        assert budgets[-1].keep_memory is wanted


def test_help_stands_in_sections_and_says_whose_an_option_is(capsys):
    _, out, _ = run(capsys, "evaluate", "--help")
    titles = [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[:3] == ["Arguments:", "Options:", "How files are read:"]
    assert "How it is measured, for classification alone:" in titles
    _, out, _ = run(capsys, "--help")
    lines = re.findall(r"^  (\w.*)", out[out.index("Commands:") :], re.MULTILINE)
    assert len(lines) > 12 and all(len(line.split(maxsplit=1)) == 2 for line in lines)  # each has its sentence


def test_sentences_say_options_as_the_reader_has_them(log, tmp_path, capsys):
    """name=value in Python, a flag on the command line; and in Python again afterwards."""
    from tenfold.data.events import read_events
    from tenfold.errors import DataError

    path = tmp_path / "a.csv"
    path.write_bytes(b"user,item\n1,\xe9\n")
    code, _, err = run(capsys, "fit", "popularity", path, "-o", tmp_path / "a")
    assert code == 2 and "so, as --encoding latin-1" in err and "--on-bad-rows report" in err and "=" not in err
    with pytest.raises(DataError, match=r"so, as encoding=latin-1.* with on_bad_rows=report"):
        read_events(path)
    path.write_text("who,what\n1,2\n3,4\n")
    code, _, err = run(capsys, "fit", "popularity", path, "-o", tmp_path / "a")
    assert code == 2 and "--columns 'user=" in err and "columns='" not in err
