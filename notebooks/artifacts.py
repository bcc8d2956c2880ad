"""Where the stages left their results, for the notebooks.

DATASET and EXPERIMENT in the environment say which ones: by default the
sample, and the data set's only experiment (or the one called quick or 64px).
"""

import json
import os
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "params.yaml").exists())
DATASET = os.environ.get("DATASET") or "sample"

# Okabe and Ito's colours, as in the report's figures.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]

_FOLDERS = {
    "explore": "data/interim/{}/explore",
    "resize": "data/interim/{}/resize",
    "pack": "data/processed/{}",
    "train": "models/{}",
    "evaluate": "data/interim/{}/evaluate",
}


def _experiment():
    asked = os.environ.get("EXPERIMENT")
    if asked:
        return asked
    names = sorted(p.stem for p in (ROOT / _FOLDERS["pack"].format(DATASET)).glob("*.json"))
    if not names:
        raise SystemExit(f"there are no results for {DATASET} yet: run make DATASET={DATASET} first")
    usual = [name for name in ("quick", "64px") if name in names]
    return names[0] if len(names) == 1 or not usual else usual[0]


EXPERIMENT = _experiment()


def folder(stage):
    """The folder of a stage's current artifact, found through its pointer."""
    root = ROOT / _FOLDERS[stage].format(DATASET)
    pointer = json.loads((root / f"{EXPERIMENT}.json").read_text())
    return root / pointer["key"]


def style():
    """Plots look like the report's figures."""
    plt.rcParams.update({
        "figure.figsize": (8, 3.6), "figure.dpi": 90, "figure.autolayout": True,
        "axes.prop_cycle": plt.cycler(color=COLOURS), "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
        "axes.grid": True, "axes.grid.axis": "y", "grid.color": "#e4e4e4", "axes.axisbelow": True,
        "font.size": 10, "legend.frameon": False, "lines.linewidth": 1.8,
    })
