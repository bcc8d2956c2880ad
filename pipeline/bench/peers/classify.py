"""Classes of photos by Pillow and ONNX Runtime: classify.py LIST SIDE MODEL"""

import multiprocessing
import os
import sys

import numpy
import onnxruntime
import PIL

from contender import serve
from resize import resize, side

BATCH = 64


def main():
    with open(sys.argv[1]) as file:
        names = file.read().split("\n")
    processes = len(os.sched_getaffinity(0))
    with multiprocessing.Pool(processes) as pool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = processes
        session = onnxruntime.InferenceSession(sys.argv[3], options, providers=["CPUExecutionProvider"])

        def predict(photos):
            images = numpy.frombuffer(b"".join(photos), numpy.uint8).reshape(-1, side, side, 3)
            both = [session.run(["probabilities"], {"images": view})[0] for view in (images, images[:, :, ::-1].copy())]
            return ((both[0] + both[1]) / 2).argmax(1)

        def unit():
            photos = []
            for pixels in pool.imap(resize, names, chunksize=8):
                if pixels is not None:
                    photos.append(pixels)
                if len(photos) == BATCH:
                    predict(photos)
                    photos = []
            if photos:
                predict(photos)
            return len(names)

        unit()
        versions = {"Pillow": PIL.__version__, "ONNX Runtime": onnxruntime.__version__, "Python": sys.version.split()[0]}
        serve(unit, versions=versions)


if __name__ == "__main__":
    main()
