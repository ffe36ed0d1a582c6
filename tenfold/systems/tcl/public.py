"""Weights of the public TCL (DyGLib, Yu et al., NeurIPS 2023; MIT licence), read into the network here.

Sizes are those of the file: width, layers, neighbours, cosines, features. Heads cannot be told from weights.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from tenfold.errors import ArtifactError
from tenfold.systems.tcl.options import Options
from tenfold.tasks.link_prediction.options import LinkLoss  # noqa: F401  (options of the preset)

ENCODER, PREDICTOR = "encoder.", "predictor."


def options_of(state: Mapping[str, Tensor], heads: int = 2) -> tuple[dict[str, object], dict[str, int]]:
    """Words that make the options, and the sizes that the data had. Raises ArtifactError."""
    try:
        width, neighbours = (
            state[f"{ENCODER}depth_embedding.weight"].shape[1],
            len(state[f"{ENCODER}depth_embedding.weight"]),
        )
        times = len(state[f"{ENCODER}time_encoder.w.weight"])
        features = state[f"{ENCODER}projection_layer.edge.weight"].shape[1]
        about = state[f"{ENCODER}projection_layer.node.weight"].shape[1]
    except KeyError as error:
        raise ArtifactError(
            f"this is no state of DyGLib's TCL: it has no {error}; give encoder.* and predictor.*"
        ) from None
    layers = len({name.split(".")[2] for name in state if name.startswith(f"{ENCODER}transformers.")})
    chosen = {
        "preset": "dyglib", "dim": width, "heads": heads, "self_blocks": layers, "co_blocks": layers,
        "past.most": neighbours - 1, "tokens.times": times,
    }  # fmt: skip
    return chosen, {"features": features, "about": about}


def translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under the names that `TclNetwork` has. Raises ArtifactError for a name that has none."""
    found: dict[str, Tensor] = {"calibration": torch.tensor([1.0, 0.0])}
    plain = {
        "time_encoder.w.weight": "tokens.time.frequency", "time_encoder.w.bias": "tokens.time.phase",
        "depth_embedding.weight": "tokens.depth.weight",
        "projection_layer.node": "tokens.of_node", "projection_layer.edge": "tokens.of_event",
        "projection_layer.time": "tokens.of_time", "output_layer": "output",
        "fc1": "first", "fc2": "last",
    }  # fmt: skip
    parts = {"linear_layers.0": "inner", "linear_layers.1": "outer", "norm_layers.0": "norm1", "norm_layers.1": "norm2"}
    for name, value in state.items():
        own = name.removeprefix(ENCODER).removeprefix(PREDICTOR)
        if own.startswith("transformers."):
            _, layer, rest = own.split(".", 2)
            block, part = f"self_blocks.{layer}", rest.removeprefix("multi_head_attention.")
            if part.startswith("in_proj_"):
                kind = part.removeprefix("in_proj_")
                query, key, own_value = value.chunk(3)
                found |= {f"{block}.query.{kind}": query, f"{block}.value.{kind}": own_value}
                found |= {f"{block}.key.weight": key} if kind == "weight" else {}
                continue
            stem, _, kind = part.rpartition(".")
            new = {"out_proj": "out", **parts}.get(stem)
            if new is not None:
                found[f"{block}.{new}.{kind}"] = value
                continue
        new = plain.get(own) or next(
            (f"{to}.{own.rpartition('.')[2]}" for at, to in plain.items() if own.rpartition(".")[0] == at), None
        )
        if new is None:
            raise ArtifactError(f"this is no state of DyGLib's TCL: it holds '{name}', which has no place here")
        found[new] = value.flatten() if new.startswith("tokens.time.") else value
    return found


__all__ = ["Options", "options_of", "translated"]
