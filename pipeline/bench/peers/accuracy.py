"""Trains a model's network as its hyperparameters say: accuracy.py PACK HYPERPARAMETERS EPOCHS

The first EPOCHS epochs of a training in PyTorch, compiled if it is faster so,
with the same schedule, optimiser, moving average and augmentation, in its own random
numbers. Prints a line of JSON after each: seconds without validation, and
validation accuracy.
"""

import json
import math
import os
import sys
import time

import numpy
import pyarrow
import torch
from torch.nn import functional

from networks import network

pack, hyperparameters, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(hyperparameters) as file:
    p = json.load(file)["parameters"]
shape, vary, optimizer, rate = p["network"], p["augment"], p["optimizer"], p["learning_rate"]
height, width, batch = shape["height"], shape["width"], p["batch"]
if unknown := {key for key in vary if vary[key]} - {"flip", "scale", "aspect", "brightness", "cutmix"}:
    sys.exit(f"this augmentation is not known here: {', '.join(sorted(unknown))}")
torch.manual_seed(p["seed"])
torch.set_num_threads(len(os.sched_getaffinity(0)))

with pyarrow.memory_map(pack) as source:
    table = pyarrow.ipc.open_file(source).read_all()
metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
stored = int(metadata["height"]), int(metadata["width"])
classes = len(json.loads(metadata["classes"]))
mean, std = (torch.tensor(json.loads(metadata[key])).view(1, 3, 1, 1) for key in ("mean", "std"))
splits = numpy.array(json.loads(metadata["splits"]))[table["split"].to_numpy()]
labels = torch.tensor(table["class"].to_pylist())


def split(name):
    rows = numpy.flatnonzero(splits == name)
    pixels = b"".join(table["pixels"].take(pyarrow.array(rows)).to_pylist())
    images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(-1, *stored, 3).permute(0, 3, 1, 2)
    return images, labels[rows]


def normalised(images):
    return ((images / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def uniform(low, high, count=batch):
    return torch.empty(count).uniform_(low, high)


def varied(images):
    """Random crops, mirrored and brightened: package augment's draw."""
    change = uniform(-math.log(vary["aspect"]), math.log(vary["aspect"]))
    area = torch.minimum(uniform(vary["scale"], 1), torch.exp(-change.abs()))
    across, down = (area * change.exp()).sqrt().clamp(max=1), (area / change.exp()).sqrt().clamp(max=1)
    x, y = uniform(-1, 1) * (1 - across), uniform(-1, 1) * (1 - down)
    mirror = torch.where((torch.rand(batch) < 0.5) & vary["flip"], -1.0, 1.0)
    none = torch.zeros(batch)
    rows = [torch.stack([across * mirror, none, x], 1), torch.stack([none, down, y], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), (batch, 3, height, width), align_corners=False)
    bright = images * uniform(1 - vary["brightness"], 1 + vary["brightness"]).view(-1, 1, 1, 1)
    return normalised(functional.grid_sample(bright, grid, padding_mode="border", align_corners=False))


def cut(images, targets):
    """CutMix with the batch in reverse order."""
    if torch.rand(()).item() >= vary["cutmix"]:
        return images, targets
    side = math.sqrt(1 - torch.rand(()).item())
    h, w = int(side * height), int(side * width)
    top, left = (int(torch.randint(limit, ())) - size // 2 for limit, size in ((height, h), (width, w)))
    rows, columns = slice(max(top, 0), min(top + h, height)), slice(max(left, 0), min(left + w, width))
    others, images = images.flip(0), images.clone(memory_format=torch.channels_last)
    images[:, :, rows, columns] = others[:, :, rows, columns]
    share = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return images.contiguous(memory_format=torch.channels_last), (1 - share) * targets + share * targets.flip(0)


model = network(**shape, classes=classes).to(memory_format=torch.channels_last).train()
average = network(**shape, classes=classes).to(memory_format=torch.channels_last).eval()
average.load_state_dict(model.state_dict())
decayed = [weight for weight in model.parameters() if weight.dim() > 1]
others = [weight for weight in model.parameters() if weight.dim() <= 1]
update = {
    "adamw": lambda groups: torch.optim.AdamW(
        groups, lr=torch.tensor(0.0), betas=(optimizer["beta1"], optimizer["beta2"]), eps=optimizer["epsilon"], fused=True
    ),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=torch.tensor(0.0), momentum=optimizer["momentum"], nesterov=True, fused=True),
}[optimizer["name"]]([{"params": decayed, "weight_decay": optimizer["weight_decay"]}, {"params": others, "weight_decay": 0.0}])


def loss(images, targets):
    return functional.cross_entropy(model(images), targets)


def learning_rate(step, steps):
    warmup = round(rate["warmup"] * steps)
    if step <= warmup:
        return rate["peak"] * step / warmup
    passed = (step - warmup) / (steps - warmup)
    left = {"constant": 1, "linear": 1 - passed, "cosine": (1 + math.cos(math.pi * passed)) / 2}[rate["schedule"]]
    return rate["peak"] * (rate["final"] + (1 - rate["final"]) * left)


def state(of):
    return [value for value in of.state_dict().values() if value.is_floating_point()]


def step(images, labels, number, steps):
    for group in update.param_groups:
        group["lr"].fill_(learning_rate(number, steps))
    update.zero_grad(set_to_none=True)
    loss(*cut(varied(images), functional.one_hot(labels, classes).float())).backward()
    update.step()
    with torch.no_grad():
        torch._foreach_lerp_(state(average), state(model), 1 - min(p["average_decay"], (1 + number) / (10 + number)))


def middle(stored, side):
    return slice((stored - side) // 2, (stored - side) // 2 + side)


def accuracy(images, labels):
    view = images if p["view"] == "whole" else images[:, :, middle(stored[0], height), middle(stored[1], width)]
    with torch.no_grad():
        logits = torch.cat([average(normalised(part)) for part in view.split(256)])
    return (logits.argmax(1) == labels).float().mean().item()


images, labels_of_images = split("train")
validation = split("validation")
count = len(images) // batch
# Compiling and trying is not training: it happens here, and what it changed is
# undone.
before = {name: value.clone() for name, value in model.state_dict().items()}
example = varied(images[:batch]), functional.one_hot(labels_of_images[:batch], classes).float()


def seconds_of(loss, turns=5):
    loss(*example).backward()
    started = time.perf_counter()
    for _ in range(turns):
        loss(*example).backward()
    return time.perf_counter() - started


as_it_is, compiled = loss, torch.compile(loss)
taken = {one: min(seconds_of(one), seconds_of(one)) for one in (as_it_is, compiled)}
loss = min(taken, key=taken.get)
model.load_state_dict(before)
print(json.dumps({"compiled": loss is compiled}), flush=True)
print(json.dumps({"versions": {"PyTorch": torch.__version__.split("+")[0], "Python": sys.version.split()[0]}}), flush=True)
for epoch in range(epochs):
    order = torch.randperm(len(images))
    started = time.perf_counter()
    for index in range(count):
        rows = order[index * batch : (index + 1) * batch]
        step(images[rows], labels_of_images[rows], epoch * count + index + 1, p["epochs"] * count)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "images": count * batch, "accuracy": accuracy(*validation)}), flush=True)
