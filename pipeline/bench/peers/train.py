"""Training steps in PyTorch: train.py four-blocks|residual compiled|channels-last|plain"""

import os
import sys

import torch
from torch import nn
from torch.nn import functional

from contender import serve


class Block(nn.Sequential):
    def __init__(self, before, after, pool):
        layers = [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers, *([nn.MaxPool2d(pool)] if pool > 1 else []))


class Pair(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.convolutions = nn.Sequential(Block(channels, channels, 1), Block(channels, channels, 1))

    def forward(self, x):
        return x + self.convolutions(x)


class Maximum(nn.Module):
    def forward(self, x):
        return x.amax((2, 3))


def four_blocks():
    channels = [3, 32, 64, 128, 256]
    blocks = [Block(before, after, 2) for before, after in zip(channels, channels[1:])]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.5), nn.Linear(256 * 4 * 4, 2))


def residual():
    blocks = [Block(3, 32, 2)]
    for before, after in (32, 64), (64, 128), (128, 256):
        blocks += [Block(before, after, 2), Pair(after)]
    return nn.Sequential(*blocks, Maximum(), nn.Linear(256, 2))


name, setting = sys.argv[1:]
torch.manual_seed(0)
torch.set_num_threads(len(os.sched_getaffinity(0)))
batch, model = {"four-blocks": (64, four_blocks), "residual": (128, residual)}[name]
model = model().train()
images = torch.randn(batch, 3, 64, 64)
targets = torch.arange(batch) % 2
if setting != "plain":
    model = model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, fused=True)


def loss():
    return functional.cross_entropy(model(images), targets)


if setting == "compiled":
    loss = torch.compile(loss)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss().backward()
    optimizer.step()
    return batch


for _ in range(4):
    step()
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
    step()
events = [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
allocated = [size for size in events if size > 0]
del profile, events
serve(
    step,
    versions={"PyTorch": torch.__version__.split("+")[0], "Python": sys.version.split()[0]},
    allocations=len(allocated),
    allocated_bytes=sum(allocated),
)
