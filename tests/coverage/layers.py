"""Sums up a report of covered lines by layer, without the lines of tests.

layers.py REPORT [PATH]: with a path, also the lines below src/PATH that nothing reached.
"""

import collections
import pathlib
import re
import sys

AT_LEAST = {"auth": 95.0, "proxy": 95.0}
ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = re.compile(r"^#\[cfg\(test\)\]\nmod (\w+)( \{|;)", re.MULTILINE)


def is_of_tests(path):
    """Whether a whole file is tests: its parent declares it so, or it lies in a folder of them."""
    if "tests" in path.parts or path.name == "tests.rs":
        return True
    for parent in (path.parent / "mod.rs", path.parent.with_suffix(".rs")):
        if parent.is_file():
            found = TESTS.finditer((ROOT / parent).read_text())
            if any(one[1] == path.stem and one[2] == ";" for one in found):
                return True
    return False


def first_test_line(text):
    """The line at which a file's tests begin."""
    for found in TESTS.finditer(text):
        if found[2] == " {":
            return text.count("\n", 0, found.start()) + 1
    return sys.maxsize


def read(report):
    """The hits of each line of each file below src, tests left out."""
    hits = collections.defaultdict(dict)
    path = end = None
    for line in report.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            path = pathlib.Path(rest)
            path = path.relative_to(ROOT) if path.is_relative_to(ROOT / "src") else None
            if path and is_of_tests(path):
                path = None
            end = first_test_line((ROOT / path).read_text()) if path else None
        elif kind == "DA" and path:
            number, count = (int(part) for part in rest.split(",")[:2])
            if number < end:
                hits[path][number] = hits[path].get(number, 0) + count
    return hits


def ranges(numbers):
    """Numbers as `3-5 9`."""
    spans = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def main():
    hits = read(pathlib.Path(sys.argv[1]).read_text())
    below = pathlib.Path("src") / sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else None
    layers = collections.defaultdict(lambda: [0, 0])
    for path, lines in sorted(hits.items()):
        covered = sum(count > 0 for count in lines.values())
        sums = layers[pathlib.Path(path.parts[1]).stem]
        sums[0] += covered
        sums[1] += len(lines)
        if below and path.is_relative_to(below) and covered < len(lines):
            missed = ranges(number for number, count in lines.items() if count == 0)
            print(f"{path} {100 * covered / len(lines):.1f} %: {missed}")
    failed = False
    for layer, (covered, total) in sorted(layers.items()):
        share = 100 * covered / total
        least = AT_LEAST.get(layer, 0)
        failed |= share < least
        print(f"{layer:10} {covered:6} of {total:6} lines, {share:5.1f} %{'  too few' if share < least else ''}")
    sys.exit(failed)


main()
