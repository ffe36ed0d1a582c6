"""Broken artifacts, run folders and states: what somebody changed, cut short, or made by hand with digests that fit.
Each is refused in one sentence or answers as a whole one; nothing hangs, takes memory, or is executed.

    python tests/fuzz_folders.py artifacts|runs|states 10000 [SEED]
"""

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from zlib import crc32

from fit_one import happens_at
from small_streams import meetings

from tenfold import artifact, systems
from tenfold.data.events import Events
from tenfold.errors import TenfoldError
from tenfold.files import digest
from tenfold.streaming import MemoryStore

ODD = [None, True, -1, 0, 1, 3, 10**15, 2**31 - 1, 1e300, float("nan"), "", "x", "../x", [], [[]], {}, {"a": 1}, [1, 2],
       {"x": {"y": []}}, "\x00", "__import__('os').system('false')"]  # fmt: skip


LINKS = ("partners-partners", "tgat")


def deep(levels):
    whole = []
    for _ in range(levels):
        whole = [whole]
    return whole


def walks():
    rng = random.Random(1)
    return Events.from_histories([[f"i{rng.randrange(9)}" for _ in range(12)] for _ in range(14)])


def fitted(folder):
    """Artifacts of rules, of a table of pairs, of networks, and what one of them exports."""
    limits = {"max_epochs": 1, "accelerator": "cpu", "progress": "none"}
    made = {}
    for name in ("popularity", "item-knn", "sasrec", "lisa", "partners-partners", "tgat"):
        cls = systems.load_class(name)
        data = meetings(30) if name in LINKS else walks()
        made[name] = cls(cls.tiny).fit(data, **limits)
        made[name].save(Path(folder) / name)
    small = systems.load_class("lisa")(**{"codebooks.words": 5, "dim": 8})
    small.fit(walks(), **limits).export(Path(folder) / "compact")
    return [Path(folder) / name for name in (*made, "compact")]


def mutate(folder, rng):
    """One or two changes; afterwards, mostly, every digest fits again, as one who makes it by hand would see to."""
    for _ in range(rng.randint(1, 2)):
        rng.choice([change_bytes, change_config, change_config, change_file])(folder, rng)
    if rng.random() < 0.7:
        sign(folder)


def change_bytes(folder, rng):
    path = rng.choice(sorted(each for each in folder.iterdir() if each.is_file()))
    content = bytearray(path.read_bytes())
    match rng.randrange(4):
        case 0:
            content = content[: rng.randrange(len(content) + 1)]
        case 1:
            content += rng.randbytes(rng.randrange(1, 40))
        case 2 if content:
            for _ in range(rng.randint(1, 4)):
                content[rng.randrange(len(content))] = rng.randrange(256)
        case _:
            content = bytearray(rng.randbytes(rng.randrange(60)))
    path.write_bytes(bytes(content))


def change_config(folder, rng):
    change_json(folder / "config.json", rng)


def change_json(path, rng):
    """A value, at any depth, becomes another, goes, or is joined by one."""
    try:
        whole = json.loads(path.read_text())
    except (ValueError, RecursionError):
        return
    where = whole
    while isinstance(where, dict | list) and len(where):
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        key = rng.choice(keys)
        inner = where[key]
        if not isinstance(inner, dict | list) or not len(inner) or rng.random() < 0.3:
            match rng.randrange(5):
                case 0:
                    del where[key]
                case 1 if isinstance(where, dict):
                    where[rng.choice(["x", "format", "items", "model", ""])] = rng.choice(ODD)
                case 2:
                    where[key] = deep(rng.choice([3, 500, 5_000]))
                case _:
                    where[key] = rng.choice(ODD)
            break
        where = inner
    try:
        path.write_text(json.dumps(whole))
    except (ValueError, RecursionError):
        path.write_text("[" * 50_000 + "]" * 50_000)


def change_file(folder, rng):
    """Another file in its place: of another system, a folder, nothing."""
    path = rng.choice([each for each in sorted(folder.iterdir()) if each.name != "config.json"] or [folder / "x"])
    if path.is_dir():
        return
    path.unlink(missing_ok=True)
    match rng.randrange(3):
        case 0:
            path.mkdir()
        case 1:
            other = rng.choice(sorted(folder.iterdir()))
            if other.is_file():
                shutil.copy(other, path)


def sign(folder):
    """Give every file the name that its content asks for, and config.json its digest."""
    path = folder / "config.json"
    try:
        whole = json.loads(path.read_text())
        for stem, name in list(whole["files"].items()):
            file = folder / name
            if file.is_file() and file.parent == folder:
                signed = f"{stem}-{digest(file.read_bytes())}{file.suffix}"
                file.rename(folder / signed)
                whole["files"][stem] = signed
        whole["digest"] = artifact._digest_of(whole)
        path.write_text(json.dumps(whole))
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError):
        return


def ask(folder):
    """What a user does with an artifact. Raises a TenfoldError, or nothing."""
    try:
        system = systems.load(folder)
        if hasattr(system, "predict_links"):
            found = system.predict_links("p1", at=400.0, k=2, evidence=1)
        else:
            found = system.recommend(["i1", "i3", "i1"], k=2)
        assert len(found) <= 2
    except TenfoldError as error:
        assert str(error).strip() and "\n" not in str(error), str(error)


def trained(folder):
    """Runs of a network: one that ended, one that stopped within its second epoch, one of a rule."""
    sasrec, rule = (systems.load_class(name) for name in ("sasrec", "popularity"))
    limits = {"max_epochs": 2, "accelerator": "cpu", "progress": "none", "save_seconds": 0}
    sasrec(sasrec.tiny).fit(walks(), run=Path(folder) / "ended", **limits)
    stopped = happens_at(sasrec(sasrec.tiny), 4, fail)
    try:
        stopped.fit(walks(), run=Path(folder) / "stopped", **limits)
    except ZeroDivisionError:
        rule(rule.tiny).fit(walks(), run=Path(folder) / "counted", **limits)
    return [Path(folder) / name for name in ("ended", "stopped", "counted")]


def fail():
    raise ZeroDivisionError


def go_on(folder):
    """Resumes the run: the rule's where it says that it is finished, else the network's. Raises what is no sentence."""
    cls = systems.load_class("popularity" if (folder / "finished").exists() else "sasrec")
    try:
        cls(cls.tiny).fit(walks(), run=folder, resume=True, max_epochs=2, accelerator="cpu", progress="none",
                          save_seconds=0)  # fmt: skip
    except TenfoldError as error:
        assert str(error).strip() and "\n" not in str(error), str(error)


def change_run(folder, rng):
    for _ in range(rng.randint(1, 2)):
        files = sorted(each for each in folder.rglob("*") if each.is_file() and each.stat().st_size)
        if not files:  # all that it held was cut away
            return
        path = rng.choice(files)
        if path.suffix == ".json" and rng.random() < 0.6:
            change_json(path, rng)
        else:
            change_bytes(path.parent, rng)


def fuzz_runs(count, seed=0, tell=None):
    return _fuzz(trained, change_run, go_on, count, seed, tell)


def fuzz_states(count, seed=0, tell=None):
    """Records of users, changed in any byte, mostly with a checksum that fits."""
    rng, cls = random.Random(seed), systems.load_class("lrurec")
    system = cls(cls.tiny).fit(walks(), max_epochs=1, accelerator="cpu", progress="none")
    for number in range(count):
        store = MemoryStore()
        session = system.open(store)
        session.update_many(["u1", "u1", "u2"], ["i1", "i2", "i3"])
        key, value = rng.choice(sorted(store.values.items()))
        content = bytearray(value)
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.2:
            content = content[: rng.randrange(len(content))]
        if rng.random() < 0.7 and len(content) > 4:
            content[-4:] = crc32(bytes(content[:-4])).to_bytes(4, "little")
        store.values[key] = bytes(content)
        try:
            again = system.open(store)
            again.update_many(["u1", "u2"], ["i4", "i5"])
            assert all(len(again.recommend(user, k=2)) <= 2 for user in ("u1", "u2"))
        except TenfoldError as error:
            assert str(error).strip() and "\n" not in str(error), str(error)
        if tell and number % 500 == 499:
            tell(f"{number + 1:,} of {count:,}")
    return count


def fuzz(count, seed=0, tell=None):
    return _fuzz(fitted, mutate, ask, count, seed, tell)


def _fuzz(made, change, use, count, seed, tell):
    """How many were tried. Raises what was raised that is no sentence for a user."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        whole = made(place)
        for number in range(count):
            broken = Path(place) / "broken"
            shutil.rmtree(broken, ignore_errors=True)
            shutil.copytree(rng.choice(whole), broken)
            change(broken, rng)
            try:
                use(broken)
            except Exception:
                kept = Path(tempfile.gettempdir()) / f"tenfold-fuzz-{seed}-{number}"
                shutil.copytree(broken, kept, dirs_exist_ok=True)
                print(f"number {number} of seed {seed} is kept in {kept}", file=sys.stderr)
                raise
            if tell and number % 500 == 499:
                tell(f"{number + 1:,} of {count:,}")
    return count


if __name__ == "__main__":
    one = {"artifacts": fuzz, "runs": fuzz_runs, "states": fuzz_states}[sys.argv[1]]
    print(f"{one(int(sys.argv[2]), int((sys.argv[3:] or ['0'])[0]), print):,} broken {sys.argv[1]}, no traceback")
