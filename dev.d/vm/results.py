"""What guests report, line by line, and the matrix made of it."""
import json
import re

LINE = re.compile(r"^(ok   |skip |FAIL ) (\S+?)(?::)?(?: (.*))?$")
WORDS = {"ok   ": "passed", "skip ": "skipped", "FAIL ": "failed"}


class Outcome:
    def __init__(self, name, state, detail):
        self.name, self.state, self.detail = name, state, detail

    @property
    def group(self):
        return self.name.split(".")[0]


class Results:
    """Of one kernel: its tests in the order they ended, its features, what it said that is no test."""

    def __init__(self, column):
        self.column = column
        self.outcomes, self.features, self.done_steps = [], {}, {}
        self._under = None

    def add(self, line):
        """Takes one line of a guest; True when it should be shown."""
        if line.startswith("@"):
            self._take_marker(line)
            return False
        match = LINE.match(line)
        if match:
            word, name, detail = match.groups()
            self._under = Outcome(name, WORDS[word], detail or "")
            self.outcomes.append(self._under)
            return True
        if self._under is not None and line.startswith("      "):
            if self._under.state == "failed":
                self._under.detail += "\n" + line
                return True
        return bool(line.strip()) and not re.match(r"^\d+ passed, \d+ failed, \d+ skipped$", line)

    def fail(self, name, detail):
        self.outcomes.append(Outcome(name, "failed", detail))

    def _take_marker(self, line):
        word, *rest = line.split(" ", 1)
        if word == "@features":
            try:
                self.features = {one["name"]: one["available"] for one in json.loads(rest[0])["features"]}
            except (ValueError, KeyError):
                self.fail("guest.features", f"cr-check says {rest}")
        elif word == "@status":
            number, code = rest[0].split()
            self.done_steps[int(number)] = int(code)

    def count(self, state, group=None):
        return sum(one.state == state and group in (None, one.group) for one in self.outcomes)

    def summary(self):
        return ", ".join(f"{self.count(state)} {state}" for state in ("passed", "failed", "skipped"))


def cell(results, group):
    counts = {state: results.count(state, group) for state in ("passed", "failed", "skipped")}
    parts = [f"{counts['passed']} ok"] if counts["passed"] else []
    parts += [f"{counts['failed']} FAILED"] if counts["failed"] else []
    parts += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
    return ", ".join(parts) or "-"


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def matrix(columns):
    """Test group × kernel, then why tests were skipped, then which features a kernel lacks."""
    groups = list(dict.fromkeys(one.group for results in columns for one in results.outcomes))
    text = [table([["tests", *(results.column for results in columns)],
                   *([group, *(cell(results, group) for results in columns)] for group in sorted(groups))])]
    reasons = {}
    for results in columns:
        for one in results.outcomes:
            if one.state == "skipped":
                reasons.setdefault((one.name, one.detail), []).append(results.column)
    if reasons:
        text += ["", "skipped:"] + [f"  {name}: {why} ({', '.join(where)})" for (name, why), where in sorted(reasons.items())]
    lacking = {}
    for results in columns:
        for name, available in results.features.items():
            if not available:
                lacking.setdefault(name, []).append(results.column)
    if lacking:
        text += ["", "kernel features not there:"] + [f"  {name}: {', '.join(where)}" for name, where in lacking.items()]
    return "\n".join(text)
