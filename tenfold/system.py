"""The contract that all ten keep: options in, `fit` on the user's data, `save`, `load`, and verbs of their own."""

import copy
import itertools
import os
import random
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, cast, get_type_hints

import torch
from torch import Tensor, nn

from tenfold import artifact
from tenfold.budget import Budget, Spending
from tenfold.data.vocabulary import Vocabulary
from tenfold.deprecated import old_arguments, old_attribute, old_methods
from tenfold.errors import ArtifactError, NotFittedError, OptionError, TenfoldError, nearest
from tenfold.files import place
from tenfold.metrics.evaluation import Evaluation, Statistic, base_name
from tenfold.options import expand, flat, options, parse
from tenfold.options import rows as option_rows
from tenfold.run import close_run, open_run
from tenfold.training import Stage
from tenfold.version import VERSION

__all__ = ["Answer", "Data", "Evaluation", "Nothing", "PredictionSummary", "Statistic", "System", "is_first_process"]


# Of a budget: what does not decide the weights.
WATCHING = ("accelerator", "threads", "workers", "keep_memory", "save_seconds", "progress", "loggers", "callbacks")


class Data(Protocol):
    """A dataset cut into what is trained on, validated on and tested on."""

    @property
    def fingerprint(self) -> str: ...

    def sentences(self) -> list[str]:
        """What a person must know of how the data was read and cut."""
        ...


@options
class Nothing:
    """Where nothing can be chosen."""


class PredictionSummary(int):
    """How many answers `predict` wrote; `notes` says what a person must know of how the files were read."""

    notes: Sequence[str] = ()


class Answer(NamedTuple):
    """The answer to one question, as a table for the terminal."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()


class System(ABC):
    """One of the ten methods, or a baseline of one: the same life for each.

    A subclass says `options: Options`, which types the attribute and names the class that keywords are parsed into.
    """

    options: Any
    tiny: ClassVar[Any]  # options with which the tests fit it in a second
    trains: ClassVar[bool] = True  # False where fitting only counts: there is nothing to kill, resume or share out
    patience: ClassVar[int | None] = None  # validations no better that end a stage, where no epochs are asked for
    splits: ClassVar[tuple[str, ...]] = ("none",)  # the first is the default
    read_options: ClassVar[type] = Nothing  # what can be chosen of how its files are read
    protocol: ClassVar[type] = Nothing  # what can be chosen of how `evaluate` measures, beside split and part
    predict_options: ClassVar[type] = Nothing  # what can be chosen of how `predict` answers: candidates, beams ...
    inputs: ClassVar[Mapping[str, str]] = {}  # files or tables beside `data` that `read` takes, by name: what each is
    service: ClassVar[str] = ""  # "module:Class" of the tenfold.serving Service that serves it; none: it is not served
    shown: ClassVar[tuple[str, ...]] = ()  # columns of `predict`'s rows, where they have them, that a terminal shows
    units: ClassVar[str] = "users"  # what figures are averaged over, and drawn from for intervals: pictures, pairs ...
    lower_is_better: ClassVar[tuple[str, ...]] = ()  # figures, without '@k', of which less is better: ("ece",)
    parts_may_be_new: ClassVar[tuple[str, ...]] = ()  # of the network: what `start_from` names may lack them
    expected_failures: ClassVar[dict[str, str]] = {}  # contract test -> why this class cannot keep it

    def __init__(self, options: Any = None, /, **values: Any) -> None:
        own = self.options_class()
        if options is not None and (values or not isinstance(options, own)):
            given = f"{type(options).__module__}.{type(options).__qualname__}"
            raise OptionError(
                f"{type(self).__name__} takes one {own.__module__}.{own.__qualname__}, or options by name, not both; "
                f"found {given}{' and ' + ', '.join(values) if values else ''}"
            )
        self.options = options or parse(own, values)
        self.sizes: dict[str, int] = {}  # what the data fixed, e.g. the number of items
        self.vocabularies: dict[str, Vocabulary] = {}  # the user's own ids
        self.statistics: dict[str, Tensor] = {}  # of the training data, for answers: how often an item came
        self.fitted: dict[str, Any] = {}  # on what and within which budget, for config.json
        self.history: dict[str, list[dict[str, float]]] = {}  # by stage: what each epoch brought
        self.notes: list[str] = []  # what a person must know of how the data was read and cut
        self.budget = Budget()  # of the fit that runs, for stages that change with the epochs
        self.last_weights: dict[str, Tensor] | None = None  # of the training's end, where others were the best
        self._network: nn.Module | None = None

    # What a task or a method says.

    @abstractmethod
    def read(self, data: Any, read_options: Any = None, **inputs: Any) -> Any:
        """The user's file, frame or dataset, and what `inputs` names beside it -> the task's dataset.

        read_options: an object of the class of that name.  Raises DataError.
        """

    @abstractmethod
    def prepare(self, dataset: Any, split: str) -> Any:
        """The dataset cut for training and testing, its ids numbered by `vocabularies`."""

    @abstractmethod
    def learn_vocabularies(self, dataset: Any) -> dict[str, Vocabulary]:
        """The ids that the fitted system will know."""

    def infer_sizes(self, prepared: Any) -> dict[str, int]:
        """The sizes that the network takes from the data."""
        return {name: len(vocabulary) for name, vocabulary in self.vocabularies.items()}

    def training_statistics(self, prepared: Any, older: Any = None) -> dict[str, Tensor]:
        """Of the training data (and that of `older`, started from): what answers need, kept in the artifact."""
        return {}

    def depends_on(self) -> dict[str, Any]:
        """What decides the weights beside options, data and budget, such as the digest of a teacher: a run that began
        with another one does not go on."""
        return {}

    def extra_files(self) -> dict[str, bytes]:
        """What an artifact holds beside weights, facts, vocabularies, by file name: a tokenizer, named directions."""
        return {}

    def load_extra_files(self, files: Mapping[str, bytes]) -> None:
        """The other way, before `build`. Raises ArtifactError."""
        if files:
            raise ArtifactError(
                f"a {type(self).__name__} knows nothing of the artifact's {', '.join(files)}; save it again"
            )

    def data_notes(self, dataset: Any, prepared: Any) -> list[str]:
        """What a person must know of how the data was read and cut."""
        return prepared.sentences()

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained network for `options` and `sizes`. `fit` and `load` both come through here."""

    @abstractmethod
    def stages(self, prepared: Any) -> Iterator[Stage]:
        """What to train, in order; the code after a `yield` runs when that stage is trained."""

    @abstractmethod
    def evaluate(self, data: Any, **protocol: Any) -> Evaluation:
        """The task's figures by the protocol that the result names: `Evaluation.of` what was found of each unit.

        Every task takes split (the fitted one unless given), part ('test' or 'validation'), read_options and inputs;
        the rest are the fields of its class `protocol`.
        """

    @abstractmethod
    def predict(self, data: str | Path, output: str | Path, *_: Any, **how: Any) -> PredictionSummary:
        """Answers file to file, in order and in bounded memory. Every task takes read_options, inputs, and the fields
        of its class `predict_options`."""

    def answer(self, question: str, **how: Any) -> Answer:
        """One question as it is written on a command line, where the task's row in the tables has a flag for it.

        how: fields of the class `predict_options`.  Raises OptionError.
        """
        raise OptionError(f"a {type(self).__name__} answers no single question; give a file with --input")

    # What all share.

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        old_methods(cls, measure="infer_sizes", learn_facts="training_statistics", tell="data_notes",
                    more_files="extra_files", take_files="load_extra_files", answering="predict_options")  # fmt: skip

    facts = old_attribute("facts", "statistics")

    @classmethod
    def figure_names(cls, dataset: Any, **protocol: Any) -> Sequence[str]:
        """What `evaluate` will call its figures, where that is known before anything is fitted; else none.

        protocol: what `evaluate` takes. Raises OptionError where it cannot be had of this dataset.
        """
        return ()

    @classmethod
    def direction(cls, figure: str) -> int:
        """1 where more of this figure is better, -1 where less is."""
        return -1 if base_name(figure) in cls.lower_is_better else 1

    @classmethod
    def as_protocol(cls, words: Mapping[str, Any]) -> dict[str, Any]:
        """Words of a command line as the arguments of `evaluate` that they name: only these. Raises OptionError."""
        return cls._typed(cls.protocol, words, "is not measured by")

    @classmethod
    def as_predict_options(cls, words: Mapping[str, Any]) -> dict[str, Any]:
        """The same for `predict`."""
        return cls._typed(cls.predict_options, words, "answers without")

    @classmethod
    def as_read_options(cls, words: Mapping[str, Any]) -> Any:
        """An object of the class `read_options`. Raises OptionError."""
        cls._typed(cls.read_options, words, "reads its files without")
        return parse(cls.read_options, words)

    @classmethod
    def check_inputs(cls, names: Iterable[str]) -> None:
        """Raises OptionError for one that the task does not take."""
        for name in names:
            if name not in cls.inputs:
                what = nearest(name, cls.inputs) if cls.inputs else "it reads one file"
                raise OptionError(f"a {cls.__name__} takes no input '{name}'; {what}")

    @classmethod
    def _typed(cls, group: type, words: Mapping[str, Any], refusal: str) -> dict[str, Any]:
        known = [row.name for row in option_rows(group)]
        for name in words:
            if name not in known:
                what = nearest(name, known) if known else "nothing can be chosen there"
                raise OptionError(f"a {cls.__name__} {refusal} '{name}'; {what}")
        parsed = flat(asdict(cast(Any, parse(group, words))))
        return {name: parsed[name] for name in words}

    @classmethod
    def options_class(cls) -> type:
        return get_type_hints(cls)["options"]

    def get_params(self) -> dict[str, Any]:
        """Dotted names and values of all options."""
        return flat(asdict(self.options))

    def set_params(self, **values: Any) -> Self:
        """An unfitted system with other values; this one stays. Dotted names as **{'training.lr': 0.01}."""
        return type(self)(parse(self.options_class(), self.get_params() | expand(self.options_class(), values)))

    def clone(self) -> Self:
        """An unfitted system with the same options."""
        return type(self)(self.options)

    @classmethod
    def draw_options(cls, rng: random.Random, fixed: Mapping[str, Any]) -> Any:
        """Options of one trial of a random search: each from its own range, those in `fixed` as given."""
        drawn = {row.name: row.tune.draw(rng) for row in option_rows(cls.options_class()) if row.tune is not None}
        return parse(cls.options_class(), drawn | flat(fixed))

    @property
    def network(self) -> Any:
        if self._network is None:
            name = type(self).__name__
            raise NotFittedError(f"this {name} has not been fitted; call fit(data), or {name}.load(folder)")
        return self._network

    @property
    def device(self) -> torch.device:
        weights = itertools.chain(self.network.parameters(), self.network.buffers())  # the first one says it
        return next((weight.device for weight in weights), torch.device("cpu"))

    @old_arguments(reading="read_options", tell="log")
    def fit(
        self,
        data: Any,
        *,
        split: str | None = None,
        budget: Budget | None = None,
        run: str | Path | None = None,
        resume: bool = False,
        start_from: "str | Path | Self | None" = None,
        read_options: Any = None,
        inputs: Mapping[str, Any] | None = None,
        log: Callable[[str], None] = lambda line: None,
        **limits: Any,
    ) -> Self:
        """Train on `data` within `budget`, or within the fields of one given by name (max_epochs=5, seed=1).

        data: a path, a pandas or polars frame, or a dataset of ours.  With a folder `run` the work can be interrupted
        and, with `resume`, gone on with, bit for bit.  start_from: a fitted system or its artifact; what it knows keeps
        its weights, what is new in `data` gets fresh rows.  read_options: how files are read, an object of the class of
        that name.  inputs: files or tables beside `data`, by the names in the class's `inputs`.  log: called, before
        training, with what a person must know of the data.  A fit that fails leaves the system as it was.
        Raises DataError, OptionError, RunError, TrainingError.
        """
        if budget is not None and limits:
            raise OptionError(f"give a Budget or its fields by name, not both; found a Budget and {', '.join(limits)}")
        budget = budget or parse(Budget, limits)
        split = split or self.splits[0]
        if split not in self.splits:
            raise OptionError(f"{type(self).__name__} knows the splits {', '.join(self.splits)}; found '{split}'")
        self.check_inputs(inputs or {})
        older = type(self).load(start_from) if isinstance(start_from, str | Path) else copy.copy(start_from)
        if older is not None:
            _ = older.network  # refuses one that was not fitted, before any file is read
        before = dict(vars(self))
        try:
            dataset, prepared = self._read_and_build(data, split, budget, older, read_options, inputs or {}, log)
            self._train(prepared, split, budget, older, None if run is None else place(run), resume)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        self.network.eval()
        self.fitted = {
            "split": split,
            "data": prepared.fingerprint,
            "log": self.log_of(dataset),
            "seed": budget.seed,
            "read_options": asdict(read_options or self.read_options()),
            "inputs": {name: str(given) for name, given in (inputs or {}).items() if isinstance(given, str | Path)},
            "history": self.history,
        }
        return self

    def _read_and_build(
        self,
        data: Any,
        split: str,
        budget: Budget,
        older: "Self | None",
        read_options: Any,
        inputs: Mapping[str, Any],
        log: Callable[[str], None],
    ) -> tuple[Any, Data]:
        """The first half of a fit: the dataset, cut; vocabularies, sizes, statistics and the network to train."""
        dataset = self.read(data, read_options, **inputs)
        self.vocabularies = self._vocabularies(dataset, older)
        prepared: Data = self.prepare(dataset, split)
        self.notes = self.data_notes(dataset, prepared)
        for note in self.notes:
            log(note)
        torch.manual_seed(budget.seed)
        self.budget = budget
        self.sizes, self.statistics = self.infer_sizes(prepared), self.training_statistics(prepared, older)
        self._network = self.build()
        if older is not None and self.trains:
            artifact.grow_weights(self._network, artifact.own_weights(older.network), self.parts_may_be_new)
        return dataset, prepared

    def _train(
        self, prepared: Data, split: str, budget: Budget, older: "Self | None", folder: Path | None, resume: bool
    ) -> None:
        """The second half: the stages one after another, each within its share of the budget."""
        if folder is not None:
            open_run(folder, self._description(prepared, split, budget, older), resume=resume)
        try:
            self.history, self.last_weights = {}, None
            spending, changed = Spending(budget), False
            for stage in self.stages(prepared):
                if stage.name in self.history:  # it would be taken for the one that is done
                    raise ValueError(f"two stages are called '{stage.name}'")
                changed |= train_stage(stage, budget, spending, folder, anew=changed)
                torch.manual_seed(budget.seed)  # what follows may draw, whether this was trained or read
                self.history[stage.name] = stage.history
                self._keep_last(stage)
            if unused := spending.unused():
                self.notes.append(f"limits were given for stages that there are not: {', '.join(unused)}")
        except BaseException as error:
            if folder is not None:
                close_run(folder, failed=True, refused=isinstance(error, TenfoldError))
            raise
        if folder is not None:
            close_run(folder)

    def _keep_last(self, stage: Stage) -> None:
        """Beside the best weights, which the network has now, the last ones of a stage that trained a part of it."""
        where = next((name for name, part in self.network.named_modules() if part is stage.network), None)
        if where is None or (stage.last is None and self.last_weights is None):
            return
        if self.last_weights is None:
            self.last_weights = {}
        own = stage.last if stage.last is not None else stage.network.state_dict()
        saved = artifact.own_weights(self.network)
        whole = {f"{where}.{name}" if where else name: w for name, w in own.items()}
        self.last_weights |= {name: w.detach().cpu().clone() for name, w in whole.items() if name in saved}

    def log_of(self, dataset: Any) -> str:
        """The fingerprint of what the dataset was cut from."""
        return str(dataset.fingerprint)

    def _vocabularies(self, dataset: Any, older: "Self | None") -> dict[str, Vocabulary]:
        self.vocabularies = {}
        found = self.learn_vocabularies(dataset)
        if older is None:
            return found
        if type(older) is not type(self):
            raise OptionError(
                f"a {type(self).__name__} cannot start from a {type(older).__name__}; name one of its kind"
            )
        return {name: older.vocabularies[name].extended(vocabulary) for name, vocabulary in found.items()}

    def _description(self, prepared: Data, split: str, budget: Budget, older: "Self | None") -> dict[str, Any]:
        chosen = {f"option {name}": value for name, value in self.get_params().items()}
        about = {"system": type(self).__name__, "version": VERSION, "data": prepared.fingerprint, "split": split}
        limits = {name: value for name, value in asdict(budget).items() if name not in WATCHING}
        if older is not None:
            about["start_from"] = artifact.digest(artifact.pack(artifact.own_weights(older.network)))
        return about | limits | chosen | {f"depends on {name}": value for name, value in self.depends_on().items()}

    def save(self, folder: str | Path) -> None:
        """Raises OutputError; what was in the folder before then is still whole."""
        weights = artifact.pack(artifact.own_weights(self.network))
        about = {"system": type(self).__name__, "version": VERSION, "options": asdict(self.options)}
        files = {"model.safetensors": weights, "statistics.safetensors": artifact.pack(self.statistics)}
        if self.last_weights is not None:
            files["last.safetensors"] = artifact.pack(self.last_weights)
        files |= {f"vocabulary_{name}.json": v.to_bytes() for name, v in self.vocabularies.items()} | self.extra_files()
        artifact.write(place(folder), about | {"sizes": self.sizes, "fitted": self.fitted}, files)

    @classmethod
    def load(cls, folder: str | Path, *, weights: Literal["best", "last"] = "best") -> Self:
        """weights: those that validated best, or those at the end of training, which often are the same.

        Raises ArtifactError where the folder does not hold a whole system of this class.
        """
        if weights not in ("best", "last"):
            raise OptionError(f"weights are 'best' or 'last'; found {weights!r}")
        with artifact.opening(Path(folder)):
            return cls._loaded(Path(folder), weights)

    @classmethod
    def _loaded(cls, folder: Path, weights: str) -> Self:
        system, config = cls._configured(folder)
        kept = [name for name in config["files"] if name.startswith("vocabulary_")]
        system.vocabularies = {
            name.removeprefix("vocabulary_"): Vocabulary.from_bytes(artifact.read_file(folder, config, name))
            for name in kept
        }
        for name, vocabulary in system.vocabularies.items():
            if system.sizes.get(name, len(vocabulary)) != len(vocabulary):
                raise ArtifactError(
                    f"{folder}/config.json was changed: it says {system.sizes[name]:,} {name}, and the vocabulary "
                    f"holds {len(vocabulary):,}; save or copy the system again"
                )
        counted = "statistics" if "statistics" in config["files"] else "facts"  # as it was called before 0.2
        system.statistics = artifact.unpack(artifact.read_file(folder, config, counted))
        rest = {name: f for name, f in config["files"].items() if name not in ("model", "last", counted, *kept)}
        more = {name + Path(file).suffix: artifact.read_file(folder, config, name) for name, file in rest.items()}
        system.load_extra_files(more)
        content = artifact.read_file(folder, config, "model")
        artifact.check_room(system.build, folder, len(content), *map(len, more.values()))
        system._network = system.build().eval()
        best = artifact.unpack(content)
        last = artifact.unpack(artifact.read_file(folder, config, "last")) if "last" in config["files"] else None
        artifact.put_weights(system._network, best if weights == "best" or last is None else best | last, f"{folder}")
        system.last_weights = last
        return system

    @classmethod
    def _configured(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """What an artifact's config.json says of a system that has no weights yet."""
        config = artifact.read_config(folder, cls.__name__)
        try:
            system = cls(**config["options"])
        except OptionError as error:
            raise ArtifactError(f"{folder}/config.json was changed or is another version's: {error}") from None
        system.sizes, system.fitted = config["sizes"], config.get("fitted", {})
        system.history = system.fitted.get("history", {})
        return system, config

    def export(self, folder: str | Path) -> Any:
        """The least that answers need, written to a folder: sizes in bytes by file, and notes. Raises OptionError."""
        name = type(self).__name__
        raise OptionError(f"{name} has no smaller form than what it saves; serve the folder of {name}.save itself")

    def to(self, device: str | torch.device) -> Self:
        """Answer from another device."""
        self.network.to(device)
        return self

    # The hub of huggingface_hub: the same artifact, there.

    def save_pretrained(self, folder: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False) -> None:
        self.save(folder)
        if push_to_hub:
            self.push_to_hub(repo_id or Path(folder).name)

    @classmethod
    def from_pretrained(cls, name: str | Path, *, revision: str | None = None, token: str | None = None) -> Self:
        """name: a folder, or 'owner/name' on the hub. Raises ArtifactError."""
        if Path(name).is_dir():
            return cls.load(name)
        from huggingface_hub import snapshot_download

        try:
            folder = snapshot_download(str(name), revision=revision, token=token)
        except Exception as error:
            raise ArtifactError(f"{name} is no folder here, and the hub did not give it: {error}") from None
        return cls.load(folder)

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Returns the address of the commit."""
        from huggingface_hub import HfApi

        hub = HfApi(token=token)
        repository = hub.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            told = f"{type(self).__name__}, Tenfold {VERSION}"
            return str(hub.upload_folder(repo_id=repository, folder_path=folder, commit_message=told))


def is_first_process() -> bool:
    """Under torchrun, the one process that writes and prints; otherwise this one."""
    return int(os.environ.get("RANK", "0")) == 0


def train_stage(*arguments: Any, **more: Any) -> bool:
    """The adapter's `train`; importing it costs seconds, which those who only predict do not pay."""
    from tenfold.lightning_adapter import train

    return train(*arguments, **more)
