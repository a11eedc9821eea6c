"""Measures a comparison of a million rows, by 2,000 resamples, on one core: `podium evaluate` on files of this machine.

    python bench/evaluation.py --podium target/release/podium [--rounds 3]

The process may use one core only. CPU time and peak memory are what the kernel counted of it.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROWS = pathlib.Path(__file__).with_name("million_rows.sh")
RESAMPLES = 2000
# What is asked, and how it is called.
QUESTIONS = [
    ("rows of customers", ["--cluster", "customer_id"]),
    ("rows by themselves", []),
]


def one_core():
    """Threads are as many as the cores that a process may use."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measured(command):
    """Wall and CPU seconds of a command, its peak memory in MiB, and what it prints."""
    with tempfile.TemporaryFile() as printed:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=printed, preexec_fn=one_core)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}")
        printed.seek(0)
        return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--podium", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run([ROWS, given.podium, folder], stdout=subprocess.PIPE, text=True, check=True)
        print(made.stdout.strip(), flush=True)
        command = [given.podium, "evaluate", "--id", "transaction_id", "--label", "tx_fraud", "--guardrail", "weightedF1:0.01"]
        command += ["--resamples", str(RESAMPLES), "--output", "json"]
        command += ["--champion", f"{folder}/v1.parquet", "--challenger", f"{folder}/v2.parquet", "--holdout", f"{folder}/holdout.parquet"]
        for name, more in QUESTIONS:
            for _ in range(given.rounds):
                wall, cpu, peak, printed = measured(command + more)
                report = json.loads(printed)
                drawn = report["comparison"]["statistics"]["resamples"]
                print(f"{name}: {wall:.1f} s, {cpu:.1f} s of it computed, {peak:.0f} MiB, {drawn} resamples, {report['verdict']}", flush=True)


if __name__ == "__main__":
    main()
