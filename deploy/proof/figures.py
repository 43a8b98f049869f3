"""Percentiles and tables."""
import math


def percentile(values, part):
    """The smallest value that so large a part of them does not exceed."""
    values = sorted(values)
    return values[max(0, math.ceil(part * len(values)) - 1)]


def summary(values):
    """(number, median, 99th percentile, worst), as texts."""
    values = [value for value in values if value is not None]
    if not values:
        return ["0", "", "", ""]
    return [str(len(values)), *(f"{value:.1f}" for value in (percentile(values, 0.5), percentile(values, 0.99), max(values)))]


def print_table(heading, rows):
    widths = [max(len(str(row[i])) for row in [heading, *rows]) for i in range(len(heading))]
    for row in [heading, ["-" * width for width in widths], *rows]:
        cells = [str(row[0]).ljust(widths[0]), *(str(text).rjust(width) for text, width in zip(row[1:], widths[1:]))]
        print("    " + "  ".join(cells).rstrip())
    print(flush=True)
