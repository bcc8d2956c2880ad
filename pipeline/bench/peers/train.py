"""Training steps in PyTorch: train.py four-blocks|residual compiled|channels-last|plain"""

import os
import sys

import torch
from torch.nn import functional

from contender import serve
from networks import four_blocks, residual

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
