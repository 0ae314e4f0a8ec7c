"""The peer of e2e.py: the network alone in ONNX Runtime's own Python package, in a process of its own.

usage: plain_ort.py MODEL.onnx INPUT.npy THREADS

Runs the network twice and prints one JSON line: `cold` is making the session and its first run, `warm` the second run on the
kept session (seconds); `peak` is the largest this process has been (megabytes).
"""

import json
import resource
import sys
import time

import numpy
import onnxruntime


def main():
    network, tensor, threads = sys.argv[1], numpy.load(sys.argv[2]), int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    session.run(None, {"input": tensor})
    cold = time.perf_counter() - start
    # Read before the second run: a node that sees one study must not be compared with a peer that saw two.
    peak_cold = peak()
    start = time.perf_counter()
    session.run(None, {"input": tensor})
    warm = time.perf_counter() - start
    print(json.dumps({"cold": cold, "warm": warm, "peak_cold": peak_cold, "peak_warm": peak()}))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
