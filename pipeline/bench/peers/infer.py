"""Logits by ONNX Runtime: infer.py MODEL PIXELS SIDE"""

import os
import sys
import time

import numpy
import onnxruntime

from contender import serve

name, pixels, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = len(os.sched_getaffinity(0))
session = onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
images = numpy.fromfile(pixels, numpy.uint8).reshape(-1, side, side, 3)


def infer(batch):
    for first in range(0, len(images), batch):
        session.run(["logits"], {"images": images[first : first + batch]})
    return len(images)


def seconds(batch):
    infer(batch)
    started = time.perf_counter()
    infer(batch)
    return time.perf_counter() - started


best = min((8, 16, 32, 64, 128, 256), key=seconds)
serve(lambda: infer(best), versions={"ONNX Runtime": onnxruntime.__version__, "Python": sys.version.split()[0]})
