"""Makes the table of deploy/bench/README.md and the chart of the README from .local/bench.jsonl. What was not measured here keeps its row. Started by
deploy/bench/run report."""
import collections
import json
import pathlib
import statistics
import sys
from xml.sax.saxutils import escape

RESULTS = pathlib.Path(".local/bench.jsonl")
PAGE = pathlib.Path("deploy/bench/README.md")
CHART = pathlib.Path("deploy/bench/figures.svg")
BEGIN, END = "<!-- figures: made by deploy/bench/run report -->", "<!-- end of figures -->"

# Of the table: benchmark, label, whether the preparation is a constant, figure, format, unit, words.
LINES = [
    ("twenty", "20 reviews", False, "last_post", ".2f", "s", "20 reviews whose preparation takes 3 to 5 s: the last POST"),
    ("twenty", "20 reviews", False, "slowest_alone", ".2f", "s", "the slowest of these 20 alone: its POST"),
    ("idle", "50 inserts", True, "median_ms", ".1f", "ms", "an idle system, preparation a constant: insert to POST"),
    ("idle", "50 inserts", True, "p95_ms", ".1f", "ms", "an idle system, preparation a constant: 95 of 100 within"),
    ("idle", "50 inserts", False, "median_ms", ".1f", "ms", "an idle system, with the calls of an instant GitHub: insert to POST"),
    ("idle", "50 inserts", False, "p95_ms", ".1f", "ms", "an idle system, with the calls of an instant GitHub: 95 of 100 within"),
    ("idle", "30 inserts 1.5 s apart", True, "median_ms", ".1f", "ms", "the same with 1.5 s between the inserts, preparation a constant"),
    ("idle", "30 inserts 1.5 s apart", True, "p95_ms", ".1f", "ms", "the same with 1.5 s between the inserts, preparation a constant: 95 of 100 within"),
    ("idle", "30 inserts 1.5 s apart", False, "median_ms", ".1f", "ms", "the same with 1.5 s between the inserts, with the calls of an instant GitHub"),
    ("throughput", "1 consumer", True, "rate", ",.0f", "", "reviews a second through one consumer, preparation a constant"),
    ("throughput", "2 consumers", True, "rate", ",.0f", "", "reviews a second through two consumers, preparation a constant"),
    ("throughput", "1 consumer", False, "rate", ",.0f", "", "reviews a second through one consumer, with an instant GitHub"),
    ("throughput", "2 consumers", False, "rate", ",.0f", "", "reviews a second through two consumers, with an instant GitHub"),
    ("throughput", "Celery, 1 consumer", False, "rate", ",.0f", "", "the same by Celery, in the same rounds"),
    ("throughput", "1 consumer", True, "cpu", ".3f", "s", "processor time of Baton's processes for 1,000 reviews, preparation a constant"),
    ("throughput", "1 consumer", False, "cpu", ".3f", "s", "processor time of Baton's processes for 1,000 reviews, with an instant GitHub"),
    ("throughput", "Celery, 1 consumer", False, "cpu", ".3f", "s", "the same of Celery's"),
    ("throughput", "1 consumer", True, "postgres", ".3f", "s", "processor time of Postgres for 1,000 reviews, their insert included"),
    ("throughput", "1 consumer", True, "wal", ",.0f", "B", "WAL of a review, from its insert to its dispatch"),
    ("throughput", "1 consumer", True, "disk", ",.0f", "B", "a review on disk after its dispatch, with indexes and transitions"),
    ("refill", "1 slot", False, "median_ms", ".1f", "ms", "a run's completion to the next review's POST, in an owner with one slot"),
    ("refill", "8 slots", False, "median_ms", ".1f", "ms", "a run's completion to the next review's POST, in an owner with eight slots"),
    ("claim", "1 producer", False, "claimed", ",.0f", "", "claims a second, without a consumer"),
    ("claim", "1 producer", False, "confirmed", ",.0f", "", "claims a second, published and confirmed"),
    ("prepare", "1 review, cold", False, "requests", ".0f", "", "requests to GitHub for a review, cold token"),
    ("prepare", "1 review, warm", False, "requests", ".0f", "", "requests to GitHub for a review, warm token"),
    ("prepare", "20 installations", False, "last_post", ".2f", "s", "20 installations at once, 1 s for each call: the last POST"),
    ("prepare", "100 of one installation", False, "last_post", ".2f", "s", "100 reviews of one installation at once, 1 s for each call: the last POST"),
    ("memory", "64 in flight", False, "rss", ".0f", "MiB", "a consumer's resident memory with 64 reviews in preparation"),
    ("memory", "500 in flight", False, "rss", ".0f", "MiB", "a consumer's resident memory with 500 reviews in preparation"),
    ("memory", "2000 in flight", False, "rss", ".0f", "MiB", "a consumer's resident memory with 2,000 reviews in preparation"),
    ("idlecpu", "consume", False, "cpu", ".2f", "% of a core", "a consumer with nothing to do"),
    ("growth", "claims a second, short history", False, "figure", ",.0f", "", "claims a second, 20,000 ended reviews"),
    ("growth", "claims a second, long history", False, "figure", ",.0f", "", "claims a second, 500,000 ended reviews"),
    ("growth", "claims a second, long history, stale statistics", False, "figure", ",.0f", "", "the same with the statistics of 20,000"),
    ("growth", "the same with clean-up held back", False, "figure", ",.0f", "", "the same while a transaction has held back the clean-up of 200,000"),
    ("growth", "overview, ms", False, "figure", ".0f", "ms", "the overview, with all of these"),
    ("growth", "list, ms", False, "figure", ".0f", "ms", "the first page of the list, with all of these"),
    ("growth", "search for a rare word, ms", False, "figure", ".0f", "ms", "a search for a rare word, with all of these"),
    ("growth", "baton queue, ms", False, "figure", ".0f", "ms", "`baton queue`, with all of these"),
    ("owners", "newcomer, alone, ms", False, "figure", ".1f", "ms", "a new owner among 100,000: insert to POST"),
    ("owners", "newcomer, flood, 20 slots, ms", False, "figure", ".1f", "ms", "the same while another owner has 100,000 reviews on their way, in 20 slots"),
    ("owners", "newcomer, flood, no limit, ms", False, "figure", ".1f", "ms", "the same, that owner without a limit"),
]
# What the words above say.
SIZES = dict(rows=500_000, owners=100_000)

# Of the chart: a title, and its bars: a name, and the benchmark, label, mode and figure of a line of the table.
PANELS = [
    ("Reviews a second, one consumer", [
        ("preparation a constant", ("throughput", "1 consumer", True, "rate")),
        ("with GitHub's calls", ("throughput", "1 consumer", False, "rate")),
        ("Celery, with one of them", ("throughput", "Celery, 1 consumer", False, "rate"))]),
    ("Insert to POST, idle system", [
        ("preparation a constant", ("idle", "50 inserts", True, "median_ms")),
        ("with GitHub's calls", ("idle", "50 inserts", False, "median_ms"))]),
    ("20 reviews of 3 to 5 s, last POST", [
        ("all 20 at once", ("twenty", "20 reviews", False, "last_post")),
        ("the slowest alone", ("twenty", "20 reviews", False, "slowest_alone"))]),
]


def newest_rounds():
    """The rounds of the last run that measured it, by benchmark, label and mode."""
    rounds = collections.defaultdict(list)
    for line in RESULTS.read_text().splitlines():
        row = json.loads(line)
        if any(row.get(name, size) != size for name, size in SIZES.items()):
            continue
        key = row["what"], row["label"], row["constant"]
        if rounds[key] and rounds[key][0].get("run") != row.get("run"):
            rounds[key] = []
        rounds[key].append(row)
    return rounds


def command(benchmark, label, is_constant):
    more = ""
    if benchmark == "throughput":
        peer, _, label = label.rpartition(", ")
        more = f" --consumers {label.split()[0]}" + (f" --peer {peer}" if peer else "")
    elif benchmark == "memory":
        more = f" --n {label.split()[0]}"
    return ("BATON_BENCH_CONSTANT=1 " if is_constant else "") + f"deploy/bench/run {benchmark}{more}"


def written_rows(page):
    """The rows of the table as it is, by what they are about."""
    rows = page.partition(BEGIN)[2].partition(END)[0].splitlines()
    return {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in (row.split("|") for row in rows) if len(cells) == 7}


def all_rows(rounds, page):
    """The cells behind the words, by line: of what was measured, and for the rest of what is written already."""
    written, rows = written_rows(page), {}
    for benchmark, label, is_constant, figure, form, unit, words in LINES:
        values = [row[figure] for row in rounds.get((benchmark, label, is_constant), []) if figure in row]
        key = benchmark, label, is_constant, figure
        if values:
            median, low, high = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
            unit = f" {unit}" if unit else ""
            rows[key] = [f"{median}{unit}", f"{low} to {high}", str(len(values)), f"`{command(benchmark, label, is_constant)}`"]
        elif words in written:
            rows[key] = written[words]
    return rows


def table(rows):
    yield "| what | median | range | rounds | made by |"
    yield "|---|---|---|---|---|"
    for *key, _, _, words in LINES:
        if tuple(key) in rows:
            yield f"| {words} | {' | '.join(rows[tuple(key)])} |"


def chart(rows):
    width, left, bar, y, parts = 720, 190, 18, 0, []
    for title, bars in PANELS:
        found = [(name, rows[line][0]) for name, line in bars if line in rows]
        if not found:
            continue
        y += 34
        parts.append(f'<text class="title" x="0" y="{y - 10}">{escape(title)}</text>')
        longest = max(number(text) for _, text in found)
        for name, text in found:
            length = max(2, (width - left - 90) * number(text) / longest)
            parts.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
                         f'<rect x="{left}" y="{y}" width="{length:.0f}" height="{bar}" rx="3"/>'
                         f'<text x="{left + length + 8:.0f}" y="{y + 13}">{text}</text>')
            y += bar + 6
    style = ("text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#24292f}rect{fill:#2da44e}"
             "@media(prefers-color-scheme:dark){text{fill:#9da7b1}.title{fill:#e6edf3}rect{fill:#3fb950}}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 6}" role="img" '
            f'aria-label="Figures of the benchmarks, as in the table of deploy/bench/README.md"><style>{style}</style>{"".join(parts)}</svg>\n')


def number(text):
    """Of a median with its unit."""
    return float(text.split()[0].replace(",", ""))


def main():
    if not RESULTS.exists():
        sys.exit(f"{RESULTS} is missing: measure first, for example with deploy/bench/run all")
    page = PAGE.read_text()
    rows = all_rows(newest_rounds(), page)
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, *table(rows), END]) + after)
    CHART.write_text(chart(rows))
    print(f"    {PAGE} and {CHART} are written")


main()
