"""LimaRec's rivals against what their papers write, event by event for one user."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from tenfold.systems.limarec.memories import HPMN, MIMN, Hierarchy, TuringMemory
from tenfold.systems.limarec.rivals import MIND, ROUNDS, Capsules, ComiRecDR, ComiRecSA, RunningMean

ITEMS, DIM, K = 13, 12, 3


def squashed(z):
    size = z.square().sum(-1, keepdim=True)
    return size / (1 + size) * z / size.sqrt()


@pytest.mark.parametrize("shared", [False, True])
def test_capsules_are_routed_for_each_prefix_by_itself(shared):
    torch.manual_seed(0)
    network = Capsules(ITEMS, DIM, K, 0.0, shared=shared).double().eval()
    events = torch.randint(1, ITEMS + 1, (2, 9))
    f, _ = network(events)
    for user in range(2):
        for place in range(9):
            own = events[user, : place + 1]
            votes = network.vote(network.item(own)).view(len(own), -1, DIM).expand(-1, K, -1)  # (j, K, d)
            b = network.start[own] if shared else torch.zeros(len(own), K)  # (j, K)
            for _ in range(ROUNDS):
                z = squashed((b.softmax(1).unsqueeze(-1) * votes).sum(0))  # (K, d)
                b = b + (votes * z).sum(-1)
            assert_close(f[user, place], z if network.after is None else network.after(z), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shared", [False, True])
def test_only_the_last_round_is_learned_from(shared):
    """The logits of the last round are constants: the gradient is that of one weighted sum."""
    torch.manual_seed(1)
    network = Capsules(ITEMS, DIM, K, 0.0, shared=shared).double()
    events = torch.randint(1, ITEMS + 1, (1, 5))
    found = torch.autograd.grad(network(events)[0][0, -1].sum(), network.vote.weight)[0]
    votes = network.vote(network.item(events[0])).view(5, -1, DIM).expand(-1, K, -1)
    b = network.start[events[0]] if shared else torch.zeros(5, K)
    for _ in range(ROUNDS - 1):
        b = (b + (votes * squashed((b.softmax(1).unsqueeze(-1) * votes).sum(0))).sum(-1)).detach()
    z = squashed((b.softmax(1).unsqueeze(-1) * votes).sum(0))
    wanted = torch.autograd.grad((z if network.after is None else network.after(z)).sum(), network.vote.weight)[0]
    assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def test_the_turing_memory_is_the_papers():
    torch.manual_seed(2)
    network = TuringMemory(ITEMS, DIM, K, 0.0).double().eval()
    events = torch.randint(1, ITEMS + 1, (2, 7))
    f, _ = network(events)
    cell = torch.nn.GRUCell(2 * DIM, DIM).double()  # of the event and of what was read
    cell.weight_ih.data = torch.cat([network.of_event.weight, network.of_read.weight], 1)
    cell.bias_ih.data, cell.weight_hh.data = network.of_event.bias, network.of_state.weight
    cell.bias_hh.data = network.of_state.bias
    for user in range(2):
        memory, h, read = network.start, torch.zeros(1, DIM).double(), torch.zeros(DIM).double()
        for place, x in enumerate(network.item(events[user])):
            h = cell(torch.cat([x, read]).unsqueeze(0), h)
            key, eraser, addition, strength = network.head(h)[0].split((DIM, DIM, DIM, 1))
            beta = 2 * (F.softplus(strength) + 1)
            near = [F.cosine_similarity(key.tanh().unsqueeze(0), other) for other in (network.keys, memory)]
            w = (beta * 0.5 * (near[0] + near[1])).softmax(0).unsqueeze(1)  # (M, 1)
            read = (w * memory).sum(0)
            memory = memory * (1 - w @ eraser.sigmoid().unsqueeze(0)) + w @ addition.tanh().unsqueeze(0)
            assert_close(f[user, place].view(K, DIM), network.out(memory), rtol=1e-6, atol=1e-8)


def test_each_level_reads_the_one_below_at_its_own_pace():
    torch.manual_seed(3)
    network = Hierarchy(ITEMS, DIM, K, 0.0, period=2).double().eval()
    events = torch.randint(1, ITEMS + 1, (1, 13))
    f, _ = network(events)
    levels, reads = [], network.item(events)[0]
    for cell in network.cells:
        h, outputs = torch.zeros(1, DIM).double(), []
        for x in reads:
            h = cell(x.unsqueeze(0), h)
            outputs.append(h[0])
        levels.append(outputs)
        reads = outputs[1::2]  # after every second change
    for place in range(13):
        changes = [(place + 1) // 2**level for level in range(K)]
        memory = [
            outputs[n - 1] if n else torch.zeros(DIM).double() for outputs, n in zip(levels, changes, strict=True)
        ]
        assert_close(f[0, place].view(K, DIM), network.out(torch.stack(memory)), rtol=1e-6, atol=1e-8)


def built(cls, seed):
    torch.manual_seed(seed)
    system = cls(cls.tiny)
    system.sizes = {"items": ITEMS}
    return system.build().eval()


@pytest.mark.parametrize("cls", [MIMN, HPMN])
def test_padding_leaves_a_memory_as_it_is(cls):
    network = built(cls, 4)
    events = torch.randint(1, ITEMS + 1, (2, 6))
    whole, state = network(events)
    found, after = network(F.pad(events, (0, 3)))
    assert torch.equal(found[:, :6], whole) and all(map(torch.equal, after, state))


def test_levels_that_vary_together_cost():
    system = HPMN(**{"covariance": 0.5})
    alone = torch.eye(4, 8).repeat(2, 1, 1)  # after centring all pairs have the same small covariance
    alike = torch.randn(2, 1, 8).expand(2, 4, 8)
    assert system.penalty([alike]) > system.penalty([alone]) > 0


@pytest.mark.parametrize("cls", [ComiRecSA, ComiRecDR, MIND, MIMN, HPMN, RunningMean])
def test_the_best_vector_answers_and_the_nearest_learns(cls, events):
    system = cls(cls.tiny).fit(events, max_epochs=4, progress="none", accelerator="cpu")
    assert system.evaluate(events)["ndcg@10"] > 0.3  # 24 items at random: 0.19
    rows = torch.randint(1, 25, (2, 9))
    with torch.no_grad():
        user = system.encode(rows)[0][:, -1]
        f, table = system.vectors(user), system.item_table()
        assert_close(system.scores(user), torch.stack([f[:, m] @ table.T for m in range(f.shape[1])]).amax(0))
        near = (f @ table[3]).unsqueeze(1)  # (B, 1, M)
        learns = system.chosen(f.unsqueeze(1), near)[:, 0]
    if cls is MIND:
        assert_close(learns, (near[:, 0].softmax(1).unsqueeze(-1) * f).sum(1))
    else:
        assert torch.equal(learns, f[torch.arange(2), near[:, 0].argmax(1)])


@pytest.mark.parametrize("cls", [ComiRecSA, RunningMean])
def test_sums_are_means(cls):
    network = built(cls, 5)
    rows = torch.randint(1, ITEMS + 1, (2, 9))
    with torch.no_grad():
        f, _ = network(rows)
        x = network.item(rows)
        if cls is ComiRecSA:
            a = network.score(x).exp()  # (B, L, K)
        else:
            age = torch.arange(8, -1, -1)[None, :, None]
            a = network.left.sigmoid() ** age.expand(2, 9, 1)
        assert_close(f[:, -1], torch.einsum("blk,bld->bkd", a, x) / a.sum(1).unsqueeze(-1), rtol=1e-4, atol=1e-5)
