"""The picture of a trace: one bar for each span, in the order of the tree, with the time from left to right."""
from xml.sax.saxutils import escape

COLOURS = {
    "baton-serve": "#2563eb", "baton-produce": "#b45309", "baton-consume": "#047857", "baton-worker": "#7c3aed", "baton-reap": "#64748b",
}
ROW, LEFT, WIDTH, TOP = 22, 270, 600, 56


def ordered(spans):
    """Each span below its parent, by time; with its depth."""
    children = {}
    for span in sorted(spans, key=lambda span: (span.start, span.id)):
        children.setdefault(span.parent, []).append(span)

    def below(parent, depth):
        for span in children.get(parent, []):
            yield span, depth
            yield from below(span.id, depth + 1)

    return list(below("", 0))


def duration(nanoseconds):
    milliseconds = nanoseconds / 1e6
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def picture(spans):
    """SVG with its own white ground, so that it can be read in dark pages too."""
    rows = ordered(spans)
    begin, end = min(span.start for span in spans), max(span.end for span in spans)
    scale = WIDTH / (end - begin)
    height = TOP + ROW * len(rows) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 90} {height}" font-family="system-ui, sans-serif" '
        'font-size="12" role="img">',
        f"<title>The trace of one review: {len(rows)} spans of {len({span.service for span in spans})} processes</title>",
        f'<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    x = 16
    for service in [name for name in COLOURS if any(span.service == name for span in spans)]:
        out.append(f'<rect x="{x}" y="14" width="12" height="12" rx="2" fill="{COLOURS[service]}"/>')
        out.append(f'<text x="{x + 18}" y="24" fill="#1e293b">{service.removeprefix("baton-")}</text>')
        x += 90
    for part in range(6):
        x = LEFT + WIDTH * part / 5
        out.append(f'<line x1="{x:.0f}" y1="{TOP - 8}" x2="{x:.0f}" y2="{height - 24}" stroke="#e2e8f0"/>')
        out.append(f'<text x="{x:.0f}" y="{height - 8}" fill="#475569" text-anchor="middle">{duration((end - begin) * part / 5)}</text>')
    for index, (span, depth) in enumerate(rows):
        y = TOP + ROW * index
        x, width = LEFT + (span.start - begin) * scale, max((span.end - span.start) * scale, 2)
        out.append(f'<text x="{16 + 14 * depth}" y="{y + 13}" fill="#1e293b">{escape(span.name)}</text>')
        out.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="13" rx="2" fill="{COLOURS[span.service]}"/>')
        out.append(f'<text x="{x + width + 5:.1f}" y="{y + 13}" fill="#475569" font-size="11">{duration(span.end - span.start)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
