"""The programs in PyTorch's words, eager (in place, fused kernels) and by `torch.compile`, of which a whole step is one graph."""

import itertools
import os

import torch
from torch.nn import functional as F

from compiled_programs import EPSILON, HEADS, MEAN_DECAY, RATE, SQUARE_DECAY


def build(code, variant, weights, data):
    """A function without arguments that runs the program once and gives its result."""
    torch.set_num_threads(os.cpu_count())
    data, weights = [torch.tensor(array) for array in data], [as_parameter(array) for array in weights]
    compiled = variant == "torch.compile"
    if weights:
        return (train_compiled if compiled else train)(globals()[code], weights, data)
    function = globals()[code]
    if compiled:
        function = torch.compile(globals().get(f"{code}_to_compile", function), fullgraph=True)
    return lambda: function(*data)


def as_parameter(array):
    """Kernels of convolutions have PyTorch's order of axes, in the layout that it calls channels_last, as the images have."""
    parameter = torch.tensor(array)
    return parameter.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last) if parameter.ndim == 4 else parameter


def train(loss_of, weights, data):
    """Gradients by autograd, then the kernel of `torch.optim.Adam(fused=True)` without the Python around it."""
    for weight in weights:
        weight.requires_grad_()
    means, squares = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights]
    counts = [torch.tensor(0.0) for _ in weights]
    adam = {"lr": RATE, "beta1": MEAN_DECAY, "beta2": SQUARE_DECAY}
    adam |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
    steps = itertools.count(1)

    def step():
        loss = loss_of(weights, *data)
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            torch._foreach_add_(counts, 1)
            epsilon = EPSILON / (1 - SQUARE_DECAY ** next(steps)) ** 0.5  # the kernel adds it to the corrected root
            torch._fused_adam_(weights, gradients, means, squares, [], counts, eps=epsilon, **adam)
        return loss.detach()

    return step


def train_compiled(loss_of, weights, data):
    """The whole step is one graph: faster than a compiled loss with the fused kernel after it."""
    means, squares = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights]
    count = torch.tensor(0.0)

    def step(*data):
        gradients, loss = torch.func.grad_and_value(loss_of)(weights, *data)
        count.add_(1)
        rate = RATE * torch.sqrt(1 - SQUARE_DECAY**count) / (1 - MEAN_DECAY**count)
        for w, m, s, g in zip(weights, means, squares, gradients, strict=True):
            m.add_((g - m) * (1 - MEAN_DECAY))
            s.add_((g * g - s) * (1 - SQUARE_DECAY))
            w.sub_(rate * m / (torch.sqrt(s) + EPSILON))
        return loss

    step = torch.compile(step, fullgraph=True)
    return lambda: step(*data)


def scalar(x):
    return x**2 + torch.sin(x)


def collatz(n):
    steps = 0
    while n != 1:
        n = torch.where(n % 2 == 0, n // 2, 3 * n + 1)
        steps += 1
    return steps


def collatz_to_compile(n):
    def body(n, steps):
        return torch.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

    return torch.while_loop(lambda n, steps: n != 1, body, (n, torch.zeros_like(n)))[1]


def gelu_sum(x):
    return (F.gelu(x) * torch.tanh(x) + torch.exp(-x * x)).sum()


def gelu(x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(gelu_sum(x), x)[0]


def gelu_to_compile(x):
    return torch.func.grad(gelu_sum)(x)


def mlp(weights, x, y):
    w1, b1, w2, b2 = weights
    return F.cross_entropy(torch.relu(x @ w1 + b1) @ w2 + b2, y)


def cnn(weights, x, y):
    k1, b1, k2, b2, w, b = weights
    h = x.permute(0, 3, 1, 2)
    for kernel, offset in (k1, b1), (k2, b2):
        h = F.max_pool2d(torch.relu(F.conv2d(h, kernel, offset, padding=1)), 2)
    return F.cross_entropy(h.permute(0, 2, 3, 1).flatten(1) @ w + b, y)


def transformer(weights, x):
    wq, bq, wo, bo, w1, b1, w2, b2, g1, o1, g2, o2 = weights
    batch, length, width = x.shape
    parts = (F.layer_norm(x, (width,), g1, o1) @ wq + bq).view(batch, length, 3, HEADS, width // HEADS)
    q, k, v = parts.permute(2, 0, 3, 1, 4)
    seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
    x = x + seen @ wo + bo
    x = x + F.gelu(F.layer_norm(x, (width,), g2, o2) @ w1 + b1) @ w2 + b2
    return torch.mean(x * x)


def lstm(weights, x):
    wx, wh, b = weights
    h = c = torch.zeros(x.shape[1], wh.shape[0])
    for part in x:
        new, enter, forget, leave = (part @ wx + h @ wh + b).chunk(4, 1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(new)
        h = torch.sigmoid(leave) * torch.tanh(c)
    return torch.mean(h * h)
