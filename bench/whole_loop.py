"""The whole loop against the chain that it replaces, on the same data, one after the other.

    python bench/whole_loop.py --podium target/release/podium --example examples/fraud --train T --holdout H [--replaced replaced.py]

Prints one JSON object with the wall time of each, the ratio, and podium's peak memory: the sum of the resident sizes of all its
processes, looked at every 20 ms. `--replaced` needs a Python with mlflow, pyspark and hyperopt, which must be the one that runs this script.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--podium", required=True)
arguments.add_argument("--example", required=True)
arguments.add_argument("--train", required=True)
arguments.add_argument("--holdout", required=True)
arguments.add_argument("--replaced")
given = arguments.parse_args()


def resident_bytes(marker):
    """Sum of the resident sizes of all processes whose command line holds `marker` or that are below one of them."""
    parents, sizes, marked = {}, {}, set()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except (OSError, IndexError):
            continue
        parents[int(entry.name)] = int(fields[1])
        sizes[int(entry.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        if marker in command and "whole_loop" not in command:
            marked.add(int(entry.name))
    grown = True
    while grown:
        below = {pid for pid, parent in parents.items() if parent in marked} - marked
        marked |= below
        grown = bool(below)
    return sum(sizes.get(pid, 0) for pid in marked)


with tempfile.TemporaryDirectory() as directory:
    project = os.path.join(directory, "project")
    shutil.copytree(given.example, project, ignore=shutil.ignore_patterns(".podium"))
    shutil.copy(given.train, os.path.join(project, "data", "train.parquet"))
    shutil.copy(given.holdout, os.path.join(project, "data", "holdout.parquet"))
    began, peak = time.time(), 0
    process = subprocess.Popen([given.podium, "run", project], stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, resident_bytes(project))
        time.sleep(0.02)
    seconds = time.time() - began
    said = [line for line in process.stdout.read().splitlines() if line]

result = {"podium_s": round(seconds, 2), "podium_peak_MiB": round(peak / 2**20), "podium_said": said[-2:], "exit_code": process.returncode}
if given.replaced:
    began = time.time()
    replaced = subprocess.run([sys.executable, given.replaced, "--train", given.train, "--holdout", given.holdout], stdout=subprocess.PIPE, text=True, check=True)
    result["replaced_s"] = round(time.time() - began, 2)
    result["ratio"] = round(result["podium_s"] / result["replaced_s"], 3)
    result["replaced_said"] = replaced.stdout.strip().splitlines()[-1]
print(json.dumps(result, indent=1))
