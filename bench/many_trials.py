"""Runs a search of many trivial trials and tells what podium itself costs per trial as they become many."""

import argparse
import pathlib
import subprocess
import tempfile
import time

MANIFEST = """apiVersion: podium.dev/v1alpha1
kind: TuningJob
metadata: {name: many}
spec:
  seed: 1
  maxTrials: TRIALS
  parallelism: 4
  maxFailedTrials: 100
  algorithm: {name: Random}
  objective: {direction: Maximize, metric: m}
  parameters:
    - {name: x, real: {min: 0, max: 1}}
  trial:
    activeDeadlineSeconds: 60
    job: {template: {spec: {containers: [{name: train, image: any,
      command: [/bin/sh, -c, 'echo "{\\"metrics\\":{\\"m\\":$x}}" > "$PODIUM_TERMINATION_MESSAGE_PATH"']}]}}}
"""


def cpu_seconds(process):
    """CPU of the process itself, not of those it started."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_mib(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--podium", required=True)
    parser.add_argument("--trials", type=int, default=5000)
    arguments = parser.parse_args()
    directory = tempfile.TemporaryDirectory()
    project = pathlib.Path(directory.name)
    (project / "search.yaml").write_text(MANIFEST.replace("TRIALS", str(arguments.trials)))
    run = subprocess.Popen([arguments.podium, "run", str(project)], stdout=subprocess.PIPE, text=True)
    began, ended, step, last, peak = time.monotonic(), 0, max(arguments.trials // 10, 1), 0.0, 0.0
    for line in run.stdout:
        if " Succeeded objective " not in line:
            continue
        ended += 1
        if ended % step == 0 and run.poll() is None:
            now, peak = cpu_seconds(run.pid), peak_mib(run.pid)
            print(f"trials {ended - step + 1} to {ended}: {1000 * (now - last) / step:.2f} ms CPU each, {peak:.0f} MiB, {time.monotonic() - began:.0f} s", flush=True)
            last = now
    code = run.wait()
    print(f"{ended} trials in {time.monotonic() - began:.0f} s, exit {code}")
    began = time.monotonic()
    subprocess.run([arguments.podium, "get", "trials", "-d", str(project)], stdout=subprocess.DEVNULL, check=True)
    print(f"podium get trials: {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    main()
