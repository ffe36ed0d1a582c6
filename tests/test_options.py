"""Options: written once, checked however they are built, named when they are wrong."""

import random
from typing import Annotated, ClassVar

import pytest

from tenfold.budget import Budget
from tenfold.errors import OptionError
from tenfold.options import Tune, assignments, option, options, parse, rows


@options
class Loss:
    name: Annotated[str, option("of the loss")] = "bce"
    negatives: Annotated[int | None, option("for each positive", gt=0, tune=Tune(1, 256, "log", whole=True))] = 1


@options
class Model:
    presets: ClassVar = {"mini": {"dim": 16, "loss.negatives": 4}}
    dim: Annotated[int, option("width", gt=0, le=512)] = 64
    loss: Loss = Loss()


def test_text_becomes_what_it_means():
    assert parse(Model, {"dim": "32", "loss.negatives": "none"}) == Model(dim=32, loss=Loss(negatives=None))
    assert parse(Model, {"loss": {"name": "gbce"}}).loss.name == "gbce"
    assert assignments(["a=1", "b.c = x=y"]) == {"a": "1", "b.c": "x=y"}


def test_a_preset_is_one_word_and_what_stands_beside_it_wins():
    assert parse(Model, {"preset": "mini"}) == Model(dim=16, loss=Loss(negatives=4))
    assert parse(Model, {"dim": 8, "preset": "mini"}).dim == 8


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"dmi": 3}, "there is no option 'dmi'; did you mean 'dim'?"),
        ({"loss.negative": 3}, "there is no option 'loss.negative'; did you mean 'loss.negatives'?"),
        ({"dim": 0}, "option dim = 0: it should be greater than 0"),
        ({"dim": 513}, "option dim = 513: it should be less than or equal to 512"),
        ({"dim": "wide"}, "option dim = 'wide': it should be a valid integer"),
        ({"preset": "minni"}, "there is no preset 'minni'; did you mean 'mini'?"),
    ],
)
def test_what_is_wrong_is_named(values, sentence):
    with pytest.raises(OptionError) as error:
        parse(Model, values)
    assert str(error.value).startswith(sentence)


def test_an_assignment_without_a_name_is_refused():
    with pytest.raises(OptionError, match="'64' sets nothing; write NAME=VALUE"):
        assignments(["64"])


def test_options_are_frozen_and_can_be_keys():
    assert len({Model(), Model(), Model(dim=3)}) == 2
    with pytest.raises(AttributeError):
        Model().dim = 3


def test_rows_say_all_that_help_prints():
    found = {row.name: row for row in rows(Model)}
    assert list(found) == ["dim", "loss.name", "loss.negatives"]
    assert found["dim"][1:5] == ("int", "> 0, <= 512", 64, "width")
    assert found["loss.negatives"].type == "int" and found["loss.negatives"].default == 1


def test_a_group_may_have_other_defaults_in_another_group():
    """What help says is what is built."""

    @options
    class Whole:
        model: Model = Model(dim=8, loss=Loss(negatives=3))

    assert {row.name: row.default for row in rows(Whole)} == {
        "model.dim": 8, "model.loss.name": "bce", "model.loss.negatives": 3,
    }  # fmt: skip


def test_draws_lie_in_their_range_on_their_scale():
    rng = random.Random(1)
    log = [Tune(1, 256, "log", whole=True).draw(rng) for _ in range(2_000)]
    assert min(log) >= 1 and max(log) <= 256 and all(isinstance(x, int) for x in log)
    assert 0.4 < sum(x < 16 for x in log) / 2_000 < 0.6  # half of the scale
    linear = [Tune(0.1, 0.5).draw(rng) for _ in range(2_000)]
    assert min(linear) >= 0.1 and max(linear) <= 0.5 and abs(sum(linear) / 2_000 - 0.3) < 0.01
    assert {Tune(choices=("a", "b")).draw(rng) for _ in range(50)} == {"a", "b"}


def test_none_is_a_choice_where_it_is_one_and_nothing_elsewhere():
    assert parse(Budget, {"progress": "none", "patience": "none"}) == Budget(progress="none", patience=None)


def test_a_choice_among_numbers_may_be_given_as_text():
    from tenfold.shop import Options as ShopOptions

    assert parse(ShopOptions, {"pixels": "128"}).pixels == parse(ShopOptions, {"pixels": 128}).pixels == 128
    with pytest.raises(OptionError, match=r"pixels = '48': it should be 32, 64 or 128"):
        parse(ShopOptions, {"pixels": "48"})
