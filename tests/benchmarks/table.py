"""The results as one table of at most 100 columns: sections of rows, each figure beside its target."""

import dataclasses
import typing

LABEL, FIGURE, WIDTH = 29, 10, 100


@dataclasses.dataclass
class Target:
    """What was to be reached, in words, and whether it was (None: nothing was asked)."""
    words: str
    met: typing.Optional[bool]

    def __str__(self):
        return self.words if self.met is None else f"{self.words} {'met' if self.met else 'SHORT'}"


@dataclasses.dataclass
class Row:
    label: str
    figures: list
    targets: list


@dataclasses.dataclass
class Section:
    title: str
    columns: list
    rows: list


def at_least(what, value, bound):
    return Target(f"{what} {ratio(value)} >={bound:g}", value >= bound)


def at_most(what, value, bound):
    return Target(f"{what} {ratio(value)} <={bound:g}", value <= bound)


def ratio(value):
    return f"{value:.2f}"


def number(value):
    """Three digits or more, as many as are worth reading."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def render(sections):
    lines = []
    for section in sections:
        heading = section.title.ljust(LABEL) + "".join(name.rjust(FIGURE) for name in section.columns)
        lines += ["", heading + "  target", "-" * WIDTH]
        for row in section.rows:
            lines += _lines(row)
    return "\n".join(lines[1:]) + "\n"


def _lines(row):
    line = row.label.ljust(LABEL) + "".join(str(figure).rjust(FIGURE) for figure in row.figures)
    targets = [str(target) for target in row.targets] or [""]
    indent = " " * len(line)
    return [f"{line if at == 0 else indent}  {target}".rstrip() for at, target in enumerate(targets)]


def tally(sections):
    """(met, asked) over all rows."""
    verdicts = [target.met for section in sections for row in section.rows for target in row.targets
                if target.met is not None]
    return sum(verdicts), len(verdicts)
