"""IAD and its task: lessons, teachers, verbs, and what is refused. The contract runs over its rows beside this."""

import json
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from small import blobs
from torch import nn
from torch.testing import assert_close

from tenfold import registry
from tenfold.data.labelled_pictures import PictureBatches
from tenfold.data.vocabulary import Vocabulary
from tenfold.errors import ArtifactError, DataError, OptionError
from tenfold.nn.convolutional import SmallNetwork
from tenfold.ops.attacks import Folded
from tenfold.systems.iad.system import IAD
from tenfold.tasks.classification.baselines.trained import AKD2, ARD, AT, TRADES, Plain
from tenfold.tasks.classification.evaluation import BUDGETS, smallest_budgets
from tenfold.tasks.classification.lesson import Lesson, Passes
from tenfold.tasks.classification.methods import Ard, Iad
from tenfold.tasks.classification.options import ThreatOptions
from tenfold.training import Draw

QUICK = {"max_epochs": 2, "accelerator": "cpu"}
ONE = {"base": "ard", "trust.begin": 0.0}


def weights(system):
    return torch.cat([w.flatten().double() for w in system.model.state_dict().values()])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    AT(AT.tiny).set_params(**{"model.width": 20}).fit(blobs(), **QUICK).save(folder)
    return folder


# The method.


def test_without_beta_iad_is_ard_to_the_bit(teacher):
    own = {"teacher.path": str(teacher)}
    iad = IAD(IAD.tiny).set_params(**ONE, **{"trust.beta": 0.0}, **own).fit(blobs(), **QUICK)
    ard = ARD(ARD.tiny).set_params(**own).fit(blobs(), **QUICK)
    assert torch.equal(weights(iad), weights(ard))
    trusting = IAD(IAD.tiny).set_params(**ONE, **{"trust.beta": 1.0}, **own).fit(blobs(), **QUICK)
    assert not torch.equal(weights(trusting), weights(ard))


def test_before_introspection_begins_iad_is_what_it_stands_on(teacher):
    own = {"teacher.path": str(teacher), "second.path": str(teacher)}
    for base, rival in (("ard", ARD), ("akd2", AKD2)):
        theirs = {name: path for name, path in own.items() if base == "akd2" or name == "teacher.path"}
        late = IAD(IAD.tiny).set_params(base=base, **{"trust.begin": 1.0}, **own).fit(blobs(), **QUICK)
        assert torch.equal(weights(late), weights(rival(rival.tiny).set_params(**theirs).fit(blobs(), **QUICK)))


def lesson(method, network=None, teacher=None, second=None, **how):
    torch.manual_seed(0)
    network = network or SmallNetwork(4, 1, 4)
    data = blobs()
    found = Lesson(network, method, ThreatOptions(eps=0.1, steps=3), epochs=10, validation=data.take(np.arange(20)),
                   teacher=teacher, second=second, **how)  # fmt: skip
    batch = PictureBatches(data, crop=0, flip=False, noisy=True).batch(Draw(0, 0, np.arange(16)))
    return found, batch


def test_attacked_pictures_stay_within_the_budget_and_the_student_s_statistics_are_left_alone():
    taught, batch = lesson(Ard(), teacher=SmallNetwork(4, 1, 4).eval())
    before = {name: buffer.clone() for name, buffer in taught.network.named_buffers()}
    passes = Passes(taught, batch)
    assert (passes.attacked - batch.x).abs().max() <= 0.1 + 1e-6
    assert all(torch.equal(buffer, before[name]) for name, buffer in taught.network.named_buffers())
    taught.options = ThreatOptions(eps=0.1, steps=3, bn="train")
    taught.network.train()
    assert (Passes(taught, batch).attacked - batch.x).abs().max() <= 0.1 + 1e-6
    assert any(not torch.equal(buffer, before[name]) for name, buffer in taught.network.named_buffers())


def counted(network):
    """How many pictures go forward through it."""
    count = [0]

    def hook(module, inputs, output):
        count[0] += len(inputs[0])

    network.register_forward_hook(hook)
    return count


@pytest.mark.parametrize("detach", [False, True])
def test_no_pass_is_made_that_is_not_used(detach):
    """The student: three steps of attack, x~ and x; the teacher: x and x~. In pictures of the batch."""
    teacher = SmallNetwork(4, 1, 4).eval()
    taught, batch = lesson(Iad(beta=0.5, begin=0.0, detach=detach), teacher=teacher)
    folded = [counted(taught.arena.student.copy), counted(taught.arena.teacher.copy)]
    own = counted(taught.network)
    total, weight = taught.loss(batch)
    total.backward()
    assert [count[0] / 16 for count in folded] == [3, 2] and own[0] / 16 == 2 and weight == 16
    taught.method = Iad(beta=0.5, begin=0.5)  # not begun: the student's natural answer is not asked for
    own[0] = 0
    taught.loss(batch)
    assert own[0] / 16 == 1


def test_the_three_cases_add_up_to_all_pictures(teacher):
    system = IAD(IAD.tiny).set_params(**ONE, **{"teacher.path": str(teacher)}).fit(blobs(), **QUICK)
    for epoch in system.history["student"]:
        cells = [epoch[f"right_on_{name}"] for name in ("both", "natural_only", "attacked_only", "none")]
        assert round(sum(cell * epoch["pictures"] for cell in cells)) == epoch["pictures"] == 64
        assert_close(epoch["right_on_both"] + epoch["right_on_natural_only"], epoch["teacher_natural"])
        assert_close(epoch["right_on_both"] + epoch["right_on_attacked_only"], epoch["teacher_attacked"])
        assert 0 < epoch["trust"] <= 1


def test_trust_falls_with_beta(teacher):
    own = {"teacher.path": str(teacher)}
    trust = [
        IAD(IAD.tiny)
        .set_params(**ONE, **own, **{"trust.beta": beta})
        .fit(blobs(), **QUICK)
        .history["student"][0]["trust"]
        for beta in (0.1, 1.0, 5.0)
    ]
    assert trust[0] > trust[1] > trust[2]


def test_awp_moves_weights_against_the_loss_for_one_step_only():
    network = SmallNetwork(4, 1, 4)
    method = Ard()
    taught, batch = lesson(method, network=network, teacher=SmallNetwork(4, 1, 4).eval(), awp=0.05)
    before = [w.clone() for w in network.parameters()]
    plain = Passes(taught, batch)
    worse = taught._against_weights(batch, plain)
    assert method.objective(worse).sum() > method.objective(Passes(taught, batch)).sum()
    assert all(torch.equal(w, b) for w, b in zip(network.parameters(), before, strict=True))
    method.objective(worse).sum().backward()
    assert all(w.grad is not None for w in network.parameters())


# Teachers.


def test_a_teacher_s_folder_decides_the_run_and_is_measured(teacher, tmp_path):
    notes = []
    system = ARD(ARD.tiny).set_params(**{"teacher.path": str(teacher)}).fit(blobs(), log=notes.append, **QUICK)
    assert any("right on 20 validation pictures" in note and "under pgd-10" in note for note in notes)
    assert set(system.depends_on()) == {"teacher"} and list(system.history) == ["student"]
    assert set(dict(system.network.items())) == {"student"}
    other = AT(AT.tiny).fit(blobs(), seed=5, **QUICK)
    other.save(tmp_path)
    assert ARD(ARD.tiny).set_params(**{"teacher.path": str(tmp_path)}).depends_on() != system.depends_on()


def test_a_teacher_that_stands_no_attack_is_told(tmp_path):
    Plain(Plain.tiny).fit(blobs(), max_epochs=12, accelerator="cpu").save(tmp_path)
    notes = []
    strong = {"attack.eps": 0.4, "teacher.path": str(tmp_path)}
    ARD(ARD.tiny).set_params(**strong).fit(blobs(), log=notes.append, **QUICK)
    assert any("the teacher is not robust" in note for note in notes)


def test_teachers_are_trained_first_where_none_is_given():
    system = IAD(IAD.tiny).fit(blobs(), **QUICK)
    assert list(system.history) == ["teacher", "second", "student"]
    widths = {name: network.linear.in_features for name, network in system.network.items()}
    assert widths == {"student": 12, "teacher": 24, "second": 24}
    assert list(IAD(IAD.tiny).set_params(base="ard").fit(blobs(), **QUICK).history) == ["teacher", "student"]


def test_a_teacher_whose_classes_stand_in_another_order_is_turned(teacher):
    data = blobs()
    turned = data.recoded({"classes": Vocabulary(data.classes.series.reverse())})
    system = ARD(ARD.tiny).set_params(**{"teacher.path": str(teacher)})
    system.vocabularies, system.sizes = {"classes": turned.classes}, {"channels": 1, "height": 4, "width": 4}
    from tenfold.tasks.classification.networks import given_teacher

    network = given_teacher(system.options.teacher, system.options.model, turned.classes, (1, 4, 4))
    x = data.x(np.arange(5))
    with torch.no_grad():
        assert torch.equal(network(x).flip(1), AT.load(teacher).model(x))


def with_teacher(path, **more):
    return ARD(ARD.tiny).set_params(**{"teacher.path": str(path), **more})


def test_checkpoints_with_and_without_module(tmp_path):
    torch.manual_seed(3)
    network = SmallNetwork(4, 1, 6)
    named = network.state_dict()
    save_file(named, tmp_path / "a.safetensors")
    torch.save({"state_dict": {f"module.{name}": w for name, w in named.items()}, "epoch": 3}, tmp_path / "a.pt")
    how = {"teacher.network": "small", "teacher.width": 6}
    one, two = (with_teacher(tmp_path / name, **how).fit(blobs(), **QUICK) for name in ("a.safetensors", "a.pt"))
    assert torch.equal(weights(one), weights(two))
    normalised = {**how, "teacher.mean": (0.3,), "teacher.deviation": (0.2,)}
    assert not torch.equal(weights(with_teacher(tmp_path / "a.pt", **normalised).fit(blobs(), **QUICK)), weights(one))


def test_teachers_that_do_not_fit_are_refused_in_a_sentence(tmp_path, teacher):
    save_file(SmallNetwork(5, 1, 6).state_dict(), tmp_path / "five.safetensors")
    torch.save(nn.Linear(2, 2), tmp_path / "code.pt")
    how = {"teacher.network": "small", "teacher.width": 6}
    cases = [
        (tmp_path / "five.safetensors", how, ArtifactError, r"'linear.bias' is \(5,\) there and \(4,\) here"),
        (tmp_path / "code.pt", how, ArtifactError, "cannot be read as weights alone"),
        (tmp_path / "none.pt", how, ArtifactError, "cannot be read: No such file|there is no teacher"),
        (teacher, {}, OptionError, "knows 4 classes, and not 'place 4', one of the 6 here"),
    ]
    for path, more, error, sentence in cases:
        data = blobs(classes=6) if path == teacher else blobs()
        with pytest.raises(error, match=sentence):
            with_teacher(path, **more).fit(data, **QUICK)


def test_a_teacher_that_gives_probabilities_is_refused(teacher, monkeypatch):
    class Softened(nn.Module):
        def forward(self, x):
            return torch.softmax(x.flatten(1)[:, :4], 1)

    monkeypatch.setattr(AT, "model", property(lambda self: Softened()))
    with pytest.raises(OptionError, match="gives probabilities; logits are needed"):
        with_teacher(teacher).fit(blobs(), **QUICK)


# Verbs.


@pytest.fixture(scope="module")
def fitted():
    return AT(AT.tiny).fit(blobs(), max_epochs=10, accelerator="cpu")


def test_figures_are_of_single_pictures_and_the_worst_case_is_below_all(fitted):
    found = fitted.evaluate(blobs(), attacks=("fgsm", "pgd", "cw", "dlr", "apgd", "aa-lite", "square"), queries=50)
    names = ["fgsm", "pgd", "cw", "dlr", "apgd", "aa-lite", "square"]
    assert list(found)[:2] == ["robust", "natural"] and set(names) <= set(found)
    assert found["robust"] <= min(found[name] for name in names) <= found["natural"]
    assert all(len(values) == 20 for values in found.per_unit.values())
    assert found["worst_class"] <= found["robust"] <= found["nrr"]
    assert "linf, eps 25.5/255" in found.protocol and "not AutoAttack" not in found.protocol
    assert list(found) == AT.figure_names(blobs(), attacks=tuple(names))


def test_the_whole_of_autoattack_is_had_where_it_is_installed(fitted, monkeypatch):
    pytest.importorskip("pyautoattack", reason="pyautoattack is not installed")
    state = torch.get_rng_state()
    evaluation, found = fitted.attacked(blobs(), attacks=("fgsm", "autoattack"), eps=0.5, keep=True)
    assert torch.equal(torch.get_rng_state(), state) and "autoattack (standard" in evaluation.protocol
    assert evaluation["autoattack"] <= evaluation["fgsm"]
    assert np.abs(found.pictures["autoattack"] - blobs().x(np.arange(84, 104)).numpy()).max() <= 0.5 + 1e-6
    three = AT(AT.tiny).fit(blobs(classes=3), max_epochs=1, accelerator="cpu")
    with pytest.raises(OptionError, match="needs four classes, and there are 3"):
        three.evaluate(blobs(classes=3), attacks=("autoattack",))
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(OptionError, match="needs pyautoattack, which is not installed"):
        fitted.evaluate(blobs(), attacks=("autoattack",))


def test_a_larger_budget_never_helps_and_none_is_only_natural(fitted):
    shares = [fitted.evaluate(blobs(), attacks=("pgd",), eps=eps)["robust"] for eps in ("2/255", "0.1", 0.3, 0.6)]
    assert shares == sorted(shares, reverse=True) and shares[-1] < shares[0]
    assert set(fitted.evaluate(blobs(), attacks=())) == {"natural", "worst_class"}
    with pytest.raises(OptionError, match="did you mean 8/255"):
        fitted.evaluate(blobs(), eps=8)
    assert any("grey" in note for note in fitted.evaluate(blobs(), attacks=("fgsm",), eps=0.7).notes)


def test_a_picture_is_classified_with_the_budget_that_flips_it(fitted, tmp_path):
    from PIL import Image

    pixels = blobs().pixels[70]
    found = fitted.classify(pixels, flips=True)
    assert found.label in fitted.vocabularies["classes"].series
    assert_close(sum(found.probabilities.values()), 1.0, rtol=1e-5, atol=1e-5)
    assert found.flips_at == smallest_budgets(fitted.model, torch.from_numpy(pixels / 255).float()[None, None, ..., 0],
                                              fitted.threat.eps)[0]  # fmt: skip
    assert found.flips_at is not None and fitted.classify(pixels, flips=False).flips_at is None
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
    assert fitted.classify(tmp_path / "a.png") == found
    assert fitted.classify(pixels / np.float32(255)) == found
    assert fitted.answer(str(tmp_path / "a.png"), flips=True).rows[0][0] == found.label
    coloured = AT(AT.tiny).fit(replace(blobs(), pixels=blobs().pixels.repeat(3, 3)), max_epochs=1, accelerator="cpu")
    with pytest.raises(DataError, match=r"was fitted on \(3, 4, 4\); they are all grey, so save them in colour"):
        coloured.evaluate(blobs())
    with pytest.raises(DataError, match=r"expected \(1, 4, 4\)"):
        fitted.classify(pixels[:3])
    with pytest.raises(DataError, match=r"pixels from \d+ to \d+; attacks act on"):
        fitted.classify(pixels.astype(np.float32))


def test_the_budget_that_flips_is_the_smallest_that_reaches_the_border():
    """Of two classes that a plane parts: the border is reached by the margin over the sum of the weights' sizes."""
    torch.manual_seed(0)
    network, x, eps = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), 0.4 + 0.2 * torch.rand(12, 1, 4, 4), 0.05
    with torch.no_grad():
        network[1].bias[0] -= (network(x)[:, 0] - network(x)[:, 1]).mean()  # as many on the one side as on the other
        margin = (network(x)[:, 0] - network(x)[:, 1]).abs()
    border = (margin / (network[1].weight[0] - network[1].weight[1]).abs().sum()).tolist()
    found = smallest_budgets(network, x, eps)
    assert found == [next((b * eps for b in BUDGETS if b * eps >= least), None) for least in border]
    assert len(set(found)) > 3
    assert smallest_budgets(network, x, 1e-6) == [None] * 12


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_files_are_answered_in_order(fitted, tmp_path, ending):
    path = tmp_path / f"answers.{ending}"
    assert fitted.predict(blobs(), path, flips=ending == "csv") == 104
    read = {"jsonl": pl.read_ndjson, "csv": pl.read_csv, "parquet": pl.read_parquet}[ending]
    rows = read(path)
    assert rows["picture"].to_list() == list(range(1, 105)) and rows.width == (4 if ending == "csv" else 3)
    shares = torch.softmax(fitted.logits(blobs().x()), 1)
    assert rows["label"].to_list() == [blobs().names()[i] for i in shares.argmax(1).tolist()]
    with pytest.raises(OptionError, match=r"found 'answers.txt'"):
        fitted.predict(blobs(), tmp_path / "answers.txt")


def test_what_was_read_for_training_is_read_alike_afterwards(tmp_path):
    pixels = np.repeat(np.repeat(blobs().pixels, 2, 1), 2, 2)
    np.savez(tmp_path / "a.npz", x=np.repeat(pixels, 3, 3), y=blobs().labels)
    how = AT.as_read_options({"size": 4, "grey": True})
    system = AT(AT.tiny).fit(tmp_path / "a.npz", read_options=how, **QUICK)
    assert system.shape == (1, 4, 4)
    assert 0 <= system.evaluate(tmp_path / "a.npz", attacks=("fgsm",))["robust"] <= 1
    with pytest.raises(DataError, match=r"the pictures are \(3, 8, 8\).*bring them to that size with size=4"):
        system.evaluate(tmp_path / "a.npz", read_options=AT.as_read_options({}))


def test_means_that_are_taken_away_are_the_training_pictures_and_come_back(tmp_path):
    system = TRADES(TRADES.tiny).set_params(**{"model.normalise": True}).fit(blobs(), **QUICK)
    rows = blobs().x(np.arange(64))
    assert_close(system.model.mean.flatten(), rows.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    system.save(tmp_path)
    x = blobs().x()
    assert torch.equal(TRADES.load(tmp_path).logits(x), system.logits(x))


def test_a_batch_of_one_is_refused_where_batch_norm_is():
    small = {"model.network": "small", "training.batch_size": 1}
    with pytest.raises(DataError, match="leave a batch of one, which batch norm cannot take"):
        AT(AT.tiny).set_params(**small).fit(blobs(), **QUICK)
    AT(AT.tiny).set_params(**{"training.batch_size": 1}).fit(blobs(train=8), max_epochs=1, accelerator="cpu")


def test_networks_by_name_and_by_path():
    for name in ("small", "resnet18", "mobilenetv2"):
        system = AT(AT.tiny).set_params(**{"model.network": name, "model.width": 4 if name != "mobilenetv2" else None})
        system.sizes = {"classes": 3, "channels": 3, "height": 8, "width": 8}
        assert system.build()["student"](torch.rand(2, 3, 8, 8)).shape == (2, 3)
    made = AT(AT.tiny).set_params(**{"model.network": "tenfold.nn.convolutional:SmallNetwork"})
    made.sizes = {"classes": 3, "channels": 3, "height": 8, "width": 8}
    assert isinstance(made.build()["student"], SmallNetwork)
    for name, sentence in (("resnet19", "did you mean 'resnet18'"), ("no.such:thing", "cannot be had")):
        wrong = AT(AT.tiny).set_params(**{"model.network": name})
        wrong.sizes = made.sizes
        with pytest.raises(OptionError, match=sentence):
            wrong.build()


def test_weights_of_labels_cannot_be_less_than_nothing():
    with pytest.raises(OptionError, match="leave labels less than nothing"):
        IAD(IAD.tiny).set_params(robust_weight=0.7, standard_weight=0.6).fit(blobs(), **QUICK)


def test_every_row_of_the_task_is_known_with_its_options():
    rows = {name: row for name, row in registry.rows().items() if row.task == "classification"}
    assert len(rows) == 11
    for row in rows.values():
        assert registry.named(row.path).options_class() is registry.named(row.options)


def test_other_libraries_take_the_classifier_as_it_is(fitted):
    torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
    x, y = blobs().x(), blobs().y()
    moved = torchattacks.PGD(fitted.model, eps=0.1, alpha=0.03, steps=5, random_start=False)(x, y)
    with torch.no_grad():
        assert (fitted.model(moved).argmax(1) == y).float().mean() <= (
            Folded(fitted.model)(x).argmax(1) == y
        ).float().mean()


# Attack reports and exports.


def test_an_attack_writes_figures_pictures_and_what_one_looks_at(fitted, tmp_path):
    from tenfold.tasks.classification.attack_report import attack_report

    found = attack_report(fitted, blobs(), tmp_path / "a", attacks=("fgsm", "pgd"), steps=5)
    assert {path.name for path in found.files} == {
        "adversarial.npz", "attack.json", "budgets.png", "classes.png", "sheet.png", "surface.png",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "a").iterdir()} == {path.name for path in found.files}
    told = json.loads((tmp_path / "a" / "attack.json").read_text())
    assert told["figures"] == dict(found.evaluation) and set(told["per_class"]) == {"natural", "robust"}
    held = np.load(tmp_path / "a" / "adversarial.npz")
    assert np.abs(held["attacked"] - blobs().x(np.arange(84, 104)).numpy()).max() <= 0.1 + 1e-6
    with torch.no_grad():
        again = fitted.model(torch.from_numpy(held["attacked"])).argmax(1).numpy()
    assert np.array_equal(again, held["answer_attacked"])
    assert np.array_equal(held["robust"], found.attacked.robust)
    assert (held["answer_attacked"] == held["y"])[held["robust"]].all()


def test_an_attack_on_iad_also_shows_what_its_teacher_was_worth(tmp_path):
    from tenfold.tasks.classification.attack_report import attack_report, trust_in_teacher

    system = IAD(IAD.tiny).fit(blobs(), max_epochs=1, accelerator="cpu")
    found = attack_report(system, blobs(), tmp_path / "a", attacks=("pgd",), steps=2)
    assert {"teacher.png", "trust.png"} <= {path.name for path in found.files}
    x, y = torch.from_numpy(found.attacked.pictures["pgd"]), found.tested.y()
    alpha = trust_in_teacher(system, x, y)
    with torch.no_grad():
        shares = system.network["teacher"].eval()(x).softmax(1)[torch.arange(len(y)), y]
    np.testing.assert_allclose(alpha, shares.numpy() ** system.options.trust.beta, rtol=1e-4)


def test_an_attack_that_was_interrupted_goes_on(fitted, tmp_path, monkeypatch):
    from tenfold.tasks.classification import attack_report, evaluation

    attack, asked = evaluation.attack_once, []

    def counted(model, x, y, name, *more):
        asked.append(name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return attack(model, x, y, name, *more)

    monkeypatch.setattr(evaluation, "attack_once", counted)
    how = {"attacks": ("fgsm", "pgd"), "steps": 5}
    with pytest.raises(KeyboardInterrupt):
        attack_report.attack_report(fitted, blobs(), tmp_path, **how)
    assert len(list((tmp_path / "parts").iterdir())) == 2  # as they are, and fgsm
    found = attack_report.attack_report(fitted, blobs(), tmp_path, **how)
    assert asked == ["fgsm", "pgd", "pgd", "pgd"]  # the last looks whether more steps fool more
    monkeypatch.undo()
    assert dict(found.evaluation) == dict(fitted.evaluate(blobs(), **how))
    assert not (tmp_path / "parts").exists()


def test_an_export_answers_alike_also_to_attacked_pictures_and_holds_no_teacher(tmp_path):
    import tenfold.systems

    options = {"model.network": "small", "model.width": 4}
    system = IAD(IAD.tiny).set_params(**ONE, **options).fit(blobs(), **QUICK)
    assert list(system.network) == ["student", "teacher"]
    exported = system.export(tmp_path)
    assert {"classifier.pt2", "classes.json", "config.json"} <= set(exported.sizes)
    assert json.loads((tmp_path / "classes.json").read_text()) == blobs().names()
    _, found = system.attacked(blobs(), attacks=("pgd",), keep=True)
    x = torch.cat((blobs().x(), torch.from_numpy(found.pictures["pgd"])))
    wanted, pixels = system.logits(x), (255 * x).permute(0, 2, 3, 1).contiguous()
    program = torch.export.load(tmp_path / "classifier.pt2").module()
    assert_close(program(pixels), wanted, rtol=1e-5, atol=1e-5)
    assert_close(program(pixels[:1]), wanted[:1], rtol=1e-5, atol=1e-5)
    loaded = tenfold.systems.load(tmp_path)
    assert torch.equal(loaded.logits(x), wanted) and list(loaded.network) == ["student"]
    assert loaded.evaluate(blobs(), attacks=("fgsm",)) == system.evaluate(blobs(), attacks=("fgsm",))
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(tmp_path / "classifier.onnx")
    (logits,) = session.run(None, {"pictures": pixels.numpy()})
    assert_close(torch.from_numpy(logits), wanted, rtol=1e-4, atol=1e-5)


def test_the_command_attacks_and_refuses_in_a_sentence(tmp_path, fitted, capsys):
    from tenfold.cli import main

    fitted.save(tmp_path / "at")
    data = blobs()
    np.savez(tmp_path / "a.npz", x_train=data.pixels[:64], y_train=data.labels[:64] - 1, x_val=data.pixels[64:84],
             y_val=data.labels[64:84] - 1, x_test=data.pixels[84:], y_test=data.labels[84:] - 1,
             classes=np.array(data.names()))  # fmt: skip
    words = ["attack", str(tmp_path / "at"), str(tmp_path / "a.npz"), "--budget", "20/255", "--attack", "pgd"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "eps 20/255" in shown and "robust" in shown and "place 3" in shown
    assert (tmp_path / "at.attacked" / "sheet.png").exists()
    assert main([*words[:4], "8"]) == 2
    assert "did you mean 8/255" in capsys.readouterr().err
