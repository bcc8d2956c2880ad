"""Part two: PyTorch at its best on part one's networks. compiled.py OUT

Channels-last, bfloat16 autocast, fused AdamW, data on the GPU, torch.compile
with CUDA graphs (mode reduce-overhead, and max-autotune where time allows).
Images are ready, normalised tensors: PyTorch is not asked to augment.
"""

import json
import os
import pathlib
import sys
import time

out = pathlib.Path(sys.argv[1])
tiny = os.environ.get("PROOF_TINY") == "1"
findings = {"part": "two", "findings": []}


def found(what, value, unit=""):
    findings["findings"].append({"section": "PyTorch", "what": what, "value": value, "unit": unit})
    print(f"{what}: {value} {unit}", file=sys.stderr, flush=True)
    rows = "".join(f"| {f['what']} | {f['value']} {f['unit']} |\n" for f in findings["findings"])
    for name, text in {
        "part-two.json": json.dumps(findings, indent=2) + "\n",
        "part-two.md": "# Part two\n\n| | |\n|---|---|\n" + rows,
    }.items():
        partial = out / (name + ".partial")
        partial.write_text(text)
        partial.replace(out / name)


try:
    import torch
    from torch.nn import functional

    from networks import four_blocks, large, residual
except ImportError as error:
    found("PyTorch", f"cannot be imported: {error}")
    sys.exit()
if not torch.cuda.is_available():
    found("PyTorch " + torch.__version__, "finds no GPU")
    sys.exit()

found("PyTorch", torch.__version__)
found("GPU", torch.cuda.get_device_name())
found("cuDNN", str(torch.backends.cudnn.version()))
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


workloads = {"four-blocks": (64, 512, four_blocks), "residual": (64, 512, residual), "192px": (192, 128, large)}


def rate(side, batch, build, mode, seconds):
    """Images a second over so many seconds, after warming up."""
    torch.manual_seed(0)
    torch.compiler.reset()
    model = build().cuda().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(1e-3), fused=True)
    count = 8
    images = torch.randn(count, batch, 3, side, side, device="cuda")
    images = [image.contiguous(memory_format=torch.channels_last) for image in images]
    targets = (torch.arange(batch, device="cuda") % 2).expand(count, batch).contiguous()

    def loss(image, target):
        with torch.autocast("cuda", torch.bfloat16):
            return functional.cross_entropy(model(image), target)

    loss = torch.compile(loss, mode=mode)
    update = torch.compile(optimizer.step)

    def step(i):
        torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad(set_to_none=True)
        loss(images[i % count], targets[i % count]).backward()
        update()

    for i in range(20):
        step(i)
    torch.cuda.synchronize()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(20):
            step(steps)
            steps += 1
        torch.cuda.synchronize()
    return steps * batch / (time.perf_counter() - started)


began = time.monotonic()
best = {}
for mode in "reduce-overhead", "max-autotune":
    for name, (side, batch, build) in workloads.items():
        if time.monotonic() - began > 330:  # compiling takes a minute or two
            found(f"{name}, {mode}", "left out: the time is over")
            continue
        try:
            measured = rate(side, 4 if tiny else batch, build, mode, 1 if tiny else 5)
        except Exception as error:  # one that does not compile must not cost the others
            found(f"{name}, {mode}", f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            continue
        found(f"{name}, batch {batch}, {mode}", round(measured), "images/s")
        best[name] = max(best.get(name, 0), measured)
for name, measured in best.items():
    found(f"{name}, best", round(measured), "images/s")
