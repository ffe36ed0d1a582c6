"""The rivals that benchmarks compare with: which are on this machine, which are not, and how each is had.

None of their code enters this project. A rival that is a public repository is a plain checkout in the folder that
TENFOLD_PEERS names; a package whose dependencies do not go with ours lives there in a virtual environment of its own;
a package that does go with ours belongs to the extra `bench`.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks import harness


class Peer(NamedTuple):
    name: str
    kind: Literal["checkout", "environment", "package"]
    holds: str  # a file of the checkout, or the module to import
    licence: str
    against: str  # benchmarks that use it
    pins: str = ""  # what pip is asked for, of an environment

    @property
    def folder(self) -> Path | None:
        root = harness.peers()
        return root / self.name.replace("/", "+") if root and self.kind != "package" else None

    @property
    def python(self) -> Path:
        """The interpreter of an environment; check `present` first."""
        assert self.folder is not None
        return self.folder / "bin" / "python"

    @property
    def present(self) -> bool:
        if self.kind == "package":
            return find_spec(self.holds) is not None
        if self.folder is None:
            return False
        if self.kind == "checkout":
            return (self.folder / self.holds).exists()
        return self.python.exists() and any(self.folder.glob(f"lib/python*/site-packages/{self.holds}/__init__.py"))

    @property
    def had(self) -> str:
        if self.kind == "package":
            return f"pip install -c constraints.txt {self.name}, or the extra bench"
        if self.kind == "checkout":
            return f"a plain checkout of {self.name} in $TENFOLD_PEERS/{self.name.replace('/', '+')}/"
        place = f"$TENFOLD_PEERS/{self.name}"
        return f"python3 -m venv {place} && {place}/bin/pip install {self.pins}"


SASREC = Peer("pmixer/SASRec.pytorch", "checkout", "python/model.py", "Apache-2.0", "sasrec_training")
RECTOOLS = Peer(
    "rectools",
    "environment",
    "rectools",
    "Apache-2.0",
    "sasrec_training, evaluation, predict",
    pins='torch==2.13.0 "rectools[torch]==0.19.0"',
)
LISA = Peer(
    "libertyeagle/LISA",
    "checkout",
    "models/efficient_attention.py",
    "no licence: to be read and measured, not copied",
    "lisa_vs_official",
)
SANA = Peer(
    "logicwong/sana",
    "checkout",
    "utils/parent/table_text_eval.py",
    "MIT for its part of fairseq, else no licence: to be read and measured, not copied",
    "sana_decoding, parent, tests of PARENT",
)
KAIJU = Peer("KaijuML/parent", "checkout", "parent/parent.py", "no licence", "parent, tests of PARENT")
IAD = Peer("ZFancy/IAD", "checkout", "IAD-I.py", "MIT", "iad_step, tests/data/make_iad_losses.py")
TORCHATTACKS = Peer(
    "torchattacks", "package", "torchattacks", "MIT; with --no-deps: it asks for torchvision", "attacks"
)
FOOLBOX = Peer("foolbox", "package", "foolbox", "MIT", "attacks")
ART = Peer("adversarial-robustness-toolbox", "package", "art", "MIT", "attacks")
PYAUTOATTACK = Peer("pyautoattack", "package", "pyautoattack", "MIT", "attacks")
DYGLIB = Peer("yule-BUAA/DyGLib", "checkout", "utils/utils.py", "MIT", "tcl_sampler, tcl_training")
RMT = Peer(
    "booydar/recurrent-memory-transformer",
    "checkout",
    "modeling_rmt/language_modeling.py",
    "no licence: to be read and measured, not copied",
    "rehearsal_training",
)
TRANSFORMERS = Peer(
    "transformers",
    "environment",
    "transformers",
    "Apache-2.0; what recurrent-memory-transformer runs on",
    "rehearsal_training",
    pins="torch==2.13.0 transformers==4.57.6",
)
PEERS = [
    DYGLIB,
    RMT,
    TRANSFORMERS,
    IAD,
    TORCHATTACKS,
    FOOLBOX,
    ART,
    PYAUTOATTACK,
    SASREC,
    RECTOOLS,
    LISA,
    SANA,
    KAIJU,
    Peer("torchmetrics", "package", "torchmetrics", "Apache-2.0", "tests of the ranking metrics"),
    Peer("scikit-learn", "package", "sklearn", "BSD-3-Clause", "tests of the ranking metrics"),
]


def main() -> None:
    root = harness.peers()
    print(
        f"Rivals, in TENFOLD_PEERS = {root}"
        if root
        else "Rivals; TENFOLD_PEERS is not set, so none but packages is found."
    )
    for peer in PEERS:
        print(f"\n{peer.name} ({peer.licence}), for {peer.against}: {'here' if peer.present else 'not here'}")
        print(f"    {peer.had}")


if __name__ == "__main__":
    main()
