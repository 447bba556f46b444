"""Judge the records of a run again; what only a running system can say is left out."""

import argparse
import sys
from pathlib import Path

from chaos.checker import Desk, check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    findings = check(parser.parse_args().directory, desk=Desk())
    for finding in findings:
        print(finding)
    return int(any(not finding.ok for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
