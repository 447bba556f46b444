"""Hurts the system on a schedule that a seed decides, in a process of its own.

python -m chaos.nemesis --directory <run> --seed 1 --seconds 60
python -m chaos.nemesis --directory <run> --replay <faults.jsonl>

faults.jsonl gets a line when a fault begins and one when it ends:
{"id": 3, "at": 12.5, "kind": "stop_worker", "target": "worker-send", "seconds": 15.0, "begin": 1790000000.0}
{"id": 3, "end": 1790000015.1, "skipped": "", "error": ""}      skipped: why it could not be done here

It knows the system only by pids.json, system.json and the control of the outside world.
"""
