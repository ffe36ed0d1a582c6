"""Runs booydar/recurrent-memory-transformer from its own checkout: training steps timed, one after the other.

Called by a benchmark as a process of its own, by an interpreter that has transformers: `python rmt_public.py CHECKOUT
STREAMS --kind decoder|encoder`. STREAMS is an npz of words (B, L), asked (B, Q) and answers (B, Q), all numbers of one
vocabulary from 0. The last line printed is one JSON object: processor seconds of each step, on one thread.

decoder: GPT-2 in its RecurrentWrapper, as its runs on long texts have it: the questions, each with its answer behind
it, are the stream's last words, and the loss is that of the answers. encoder: BERT in its
RMTEncoderForSequenceClassification: the first question is the last word, and its answer the class. Both carry gradients
through all segments.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch


def decoder(asked: argparse.Namespace, words: np.ndarray, questions: np.ndarray, answers: np.ndarray):
    from modeling_rmt.language_modeling import MemoryCell, RecurrentWrapper
    from transformers import GPT2Config, GPT2LMHeadModel

    stream, labels = words.copy(), np.zeros(words.shape, bool)
    for number in range(questions.shape[1]):
        place = -2 * (questions.shape[1] - number)
        stream[:, place], stream[:, place + 1] = questions[:, number], answers[:, number]
        labels[:, place] = True
    config = GPT2Config(vocab_size=asked.vocabulary, n_positions=asked.segment + 2 * asked.slots, n_embd=asked.dim,
                        n_layer=asked.layers, n_head=asked.heads, n_inner=2 * asked.dim, resid_pdrop=0.0,
                        embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False)  # fmt: skip
    count = -(-words.shape[1] // asked.segment)
    model = RecurrentWrapper(MemoryCell(GPT2LMHeadModel(config), asked.slots), segment_size=asked.segment,
                             max_n_segments=count, k2=-1)  # fmt: skip
    ids, mask = torch.from_numpy(stream), torch.from_numpy(labels)
    return model, lambda: model(input_ids=ids, labels=ids, labels_mask=mask)["loss"]


def encoder(asked: argparse.Namespace, words: np.ndarray, questions: np.ndarray, answers: np.ndarray):
    from modeling_rmt.sequence_classification import RMTEncoderForSequenceClassification
    from transformers import BertConfig, BertForSequenceClassification

    own = asked.vocabulary
    tokens = SimpleNamespace(
        pad_token_id=own, cls_token_id=own + 1, sep_token_id=own + 2, eos_token_id=None, bos_token_id=None,
        special_tokens_map={"cls_token": "[CLS]", "sep_token": "[SEP]"}, num_special_tokens_to_add=lambda: 2,
    )  # fmt: skip
    size = asked.segment + asked.slots + 3
    config = BertConfig(vocab_size=own + 3, hidden_size=asked.dim, num_hidden_layers=asked.layers,
                        num_attention_heads=asked.heads, intermediate_size=2 * asked.dim, hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0, max_position_embeddings=size, pad_token_id=own,
                        num_labels=own)  # fmt: skip
    model = RMTEncoderForSequenceClassification(
        BertForSequenceClassification(config), num_mem_tokens=asked.slots, tokenizer=tokens, input_size=size,
        max_n_segments=-(-words.shape[1] // asked.segment), bptt_depth=-1, sum_loss=False,
    )  # fmt: skip
    stream = words.copy()
    stream[:, -1] = questions[:, 0]
    ids, labels = torch.from_numpy(stream), torch.from_numpy(answers[:, 0])
    return model, lambda: model(input_ids=ids, labels=labels)["loss"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("streams", type=Path)
    parser.add_argument("--kind", choices=["decoder", "encoder"], default="decoder")
    for name, default in (("dim", 64), ("layers", 1), ("heads", 4), ("segment", 8), ("slots", 8), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    sys.path.insert(0, str(asked.checkout))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with np.load(asked.streams) as found:
        arrays = [found[name].astype(np.int64) for name in ("words", "asked", "answers")]
        asked.vocabulary = int(found["vocabulary"])
    model, loss_of = {"decoder": decoder, "encoder": encoder}[asked.kind](asked, *arrays)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    seconds, losses = [], []
    for _ in range(2 + asked.steps):
        begin = time.process_time()
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        seconds.append(time.process_time() - begin)
        losses.append(loss.item())
    print(json.dumps({"seconds": seconds[2:], "losses": losses}))


if __name__ == "__main__":
    main()
