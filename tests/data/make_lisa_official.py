"""Made tests/data/lisa_official.safetensors once, from the authors' code (libertyeagle/LISA, commit 8873572).

    PYTHONPATH=CHECKOUT python tests/data/make_lisa_official.py

Random weights of the three variants in the authors' checkpoint layout, two padded histories, candidates, and the scores
that their models gave in evaluation. None of their code is here.
"""

import importlib

import torch
from safetensors.torch import save_file

ITEMS, DIM, BOOKS, WORDS, TARGET_WORDS, LENGTH = 23, 12, 3, 5, 7, 9
VARIANTS = {
    "base": ("models.efficient_attention", "EfficientAttnSASRecModel"),
    "soft": ("models.efficient_attention_soft_pq", "EfficientAttnSoftPQSASRecModel"),
    "mini": ("models.efficient_attention_target_separate_pq", "EfficientAttnTargetSeparatePQSASRecModel"),
}
CONFIG = {
    "normalize_input_seq": False,
    "dropout_input_seq": True,
    "max_seq_len": LENGTH,
    "project_qk_in_attention": True,
    "project_v_in_attention": True,
    "using_separate_qkv_projection_weights": True,
    "attention_positional_embedding": "counts_decay",
    "counts_decay_factor": 0.1,
    "input_seq_positional_embedding": True,
    "disallow_query_self_attention": False,
    "target_num_codebooks": BOOKS,
    "target_num_codewords": TARGET_WORDS,
    "product_quantization_config": {
        "softmax_temperature": 0.7,
        "similarity_metric": "bilinear",
        "softmax_batch_norm": False,
        "recurrent_encoding": True,
        "inputs_optimize_loss_coefficient": 0.0,
    },
}

torch.manual_seed(0)
lengths = torch.tensor([9, 6])
histories = torch.randint(1, ITEMS, (2, LENGTH))
mask = torch.arange(LENGTH) < lengths.unsqueeze(1)
histories = histories * mask
candidates = torch.stack([torch.randperm(ITEMS - 1)[:8] + 1 for _ in range(2)]).unsqueeze(1)  # (2, 1, 8)
made = {"histories": histories, "lengths": lengths, "candidates": candidates.squeeze(1)}
for name, (module, cls) in VARIANTS.items():
    model = getattr(importlib.import_module(module), cls)(ITEMS, DIM, BOOKS, WORDS, dropout=0.1, **CONFIG)
    with torch.no_grad():
        for weight in model.parameters():  # larger than at its start, so that attention is far from even
            weight.mul_(3).add_(0.1 * torch.randn_like(weight))
        model.item_embeddings.lookup_table[0] = 0
    model.eval()
    model.manual_ip_table_update()
    with torch.no_grad():
        scores = model(histories, candidates, mask, lengths)
    made |= {f"{name}.{key}": value.clone() for key, value in model.state_dict().items()}
    made[f"{name} scores"] = scores.squeeze(1)
save_file(made, "tests/data/lisa_official.safetensors")
