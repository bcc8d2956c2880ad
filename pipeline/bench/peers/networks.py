"""Networks of params.yaml, in PyTorch, and those that are measured: package network's FourBlocks, Residual and Large."""

from torch import nn


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


class Average(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def network(channels, residuals, pools, head, dropout, height, width, classes=2):
    """The network of section train.network: see package network's New."""
    layers = []
    for before, after, pairs, pool in zip([3, *channels], channels, residuals, pools):
        layers += [Block(before, after, pool), *(Pair(after) for _ in range(pairs))]
        height, width = height // pool, width // pool
    layers.append({"flatten": nn.Flatten, "maximum": Maximum, "average": Average}[head]())
    if dropout:
        layers.append(nn.Dropout(dropout))
    features = channels[-1] * (height * width if head == "flatten" else 1)
    return nn.Sequential(*layers, nn.Linear(features, classes))


CHANNELS = [32, 64, 128, 256]


def four_blocks():
    return network(CHANNELS, [0, 0, 0, 0], [2, 2, 2, 2], "flatten", 0.5, 64, 64)


def residual():
    return network(CHANNELS, [0, 1, 1, 1], [2, 2, 2, 2], "maximum", 0, 64, 64)


def large():
    return network([*CHANNELS, 512], [0, 1, 1, 1, 1], [2, 2, 2, 2, 2], "maximum", 0, 192, 192)
