"""The whole chain in pods of a real cluster against the chain that it replaces, on the same rows, one after the other.

    python bench/chain.py [--replaced replaced.py] [--rows FOLDER] [--python PYTHON] [--program PODIUM]

FOLDER holds train.parquet and holdout.parquet; without it rows are simulated, for both. PYTHON has the packages that the replaced chain
needs; without it they are installed into an environment of their own, kept in the user's cache. The cluster is a test bed, which needs root
and Go; its images must have been written by scripts/image. Prints one JSON object with the wall time of each and the ratio.

Podium's time is that from `podium run-now` until the alias has moved in MLflow. The replaced chain trains the champion that it compares with
itself, which Podium finds in the registry: that phase is not counted.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["mlflow==3.17.2", "pyspark==4.0.1", "hyperopt", "setuptools", "pandas", "pyarrow"]
MOST = 0.35
FIGURE = ["scripts/on-testbed", "cargo", "test", "--locked", "--test", "figures", "--", "chain::", "--nocapture"]


def environment():
    """A Python with the packages of the replaced chain."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "podium" / "bench" / "replaced"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.is_file() and done.read_text() == " ".join(PACKAGES):
        return python
    print(f"installing {' '.join(PACKAGES)}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
    if shutil.which("uv"):
        install = ["uv", "pip", "install", "--quiet", "--python", python]
    else:
        install = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *PACKAGES], check=True, stdout=sys.stderr)
    done.write_text(" ".join(PACKAGES))
    return python


def in_pods(rows, program):
    """Seconds of the chain in pods, and what its figures say."""
    variables = dict(os.environ, PODIUM_FIGURE_ROWS=str(rows))
    if program:
        variables["PODIUM_PROGRAM"] = os.path.realpath(program)
    # What Cargo and the test bed say on standard error is shown as it comes.
    done = subprocess.run(FIGURE, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    said = [line for line in done.stdout.splitlines() if "FIGURE" in line]
    found = re.search(r"FIGURE the whole chain in pods: ([0-9.]+) s", done.stdout)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{done.stdout}\nthe chain in pods was not measured")
    return float(found.group(1)), said


def replaced(python, script, rows):
    """Wall seconds of the replaced chain, and its own report."""
    began = time.monotonic()
    command = [python, script, "--train", rows / "train.parquet", "--holdout", rows / "holdout.parquet", "--evals", "15", "--partitions", "2"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - began, json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replaced", type=pathlib.Path)
    parser.add_argument("--rows", type=pathlib.Path)
    parser.add_argument("--python", type=pathlib.Path)
    parser.add_argument("--program")
    given = parser.parse_args()
    # What can fail for want of a network fails before anything is measured.
    python = given.python or environment() if given.replaced else None
    with tempfile.TemporaryDirectory() as folder:
        if not given.rows:
            print("SIMULATED rows, for both: --rows names no folder", file=sys.stderr, flush=True)
        rows = (given.rows or pathlib.Path(folder)).resolve()
        seconds, said = in_pods(rows, given.program)
        print("\n".join(said), flush=True)
        result = {"podium_s": seconds}
        if given.replaced:
            peer_seconds, report = replaced(python, given.replaced, rows)
            counted = peer_seconds - report["seconds"].get("train_champion", 0.0)
            result |= {
                "replaced_s": round(peer_seconds, 1),
                "replaced_without_its_champion_s": round(counted, 1),
                "ratio": round(seconds / counted, 3),
                "must_be_at_most": MOST,
                "replaced_phases_s": report["seconds"],
                "replaced_moves_the_alias": report["deploy"],
            }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
