"""The report of `mediaserver check --html`: one HTML page, which needs no other files."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from mediaserver.cli.findings import Findings
from mediaserver.errors import ConfigError, error_text, escape_unprintable

_COLUMNS = {  # the headings of the table of prompts, by the keys of a prompt in `check --json`
    "duration_s": "length s",
    "level_dbov": "level dBov",
    "gain_db": "levelled by dB",
    "peak_dbfs": "peak dBFS",
    "loudness_lufs": "loudness LUFS",
    "dc_percent": "DC %",
    "clipped_runs": "clipped",
    "silence_before_s": "silence before s",
    "silence_after_s": "silence after s",
    "out_of_band_percent": "out of band %",
    "loop_step_percent": "loop step %",
}
_STYLE = """
:root { color-scheme: light dark; --back: #fff; --card: #f4f5f7; --line: #d0d4da; --text: #1c2026; --dim: #5a626d;
  --wave: #2468a8; --warn: #8a5200; --wrong: #b3261e }
@media (prefers-color-scheme: dark) { :root { --back: #14171b; --card: #1e2329; --line: #3a424c; --text: #e8eaed;
  --dim: #a3acb8; --wave: #7ab8f5; --warn: #f0b35a; --wrong: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.2 } h2 { font-size: 1.2rem; margin-top: 2rem }
h3 { font-size: 1rem; margin: 0 } a { color: var(--wave) } .dim { color: var(--dim) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .4rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child { text-align: left } thead th { color: var(--dim); font-weight: 600; vertical-align: bottom }
tbody tr:last-child > * { border-bottom: 0 }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)) }
article { padding: .8rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
svg { display: block; width: 100%; height: 6rem; margin: .5rem 0 } svg path { fill: var(--wave) }
svg line { stroke: var(--line); vector-effect: non-scaling-stroke }
ul { padding-left: 1.2rem; margin: .5rem 0 } .warn li { color: var(--warn) } .wrong li { color: var(--wrong) }
"""


_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>"""


def write_page(file: Path, findings: Findings, where: str) -> None:
    """Write the report's page to a file. ConfigError if the file cannot be written."""
    try:
        file.write_text(render_page(findings, where), encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"--html: {file} cannot be written: {error_text(error)}"]) from error


def render_page(findings: Findings, where: str) -> str:
    """The report's page as HTML. `where` names the configuration."""
    title = _text(f"Prompts of {where}")
    warned = sum(bool(prompt["warnings"]) for prompt in findings.prompts)
    cards = (
        _card(number, prompt, findings.waveforms.get(prompt["name"], ()))
        for number, prompt in enumerate(findings.prompts)
    )
    return "\n".join(
        (
            _HEAD.format(title=title, style=_STYLE),
            f'<h1>{title}</h1>\n<p class="dim">{len(findings.prompts)} prompts, {warned} with warnings</p>',
            _list("mistakes", "wrong", [*findings.problems, *findings.left_out, *findings.unwritable]),
            _list("notes", "warn", [*findings.warnings, *findings.notes]),
            _table(findings.prompts),
            '<h2>Each prompt</h2>\n<div class="cards">',
            *cards,
            "</div>\n</body>\n</html>\n",
        )
    )


def _text(text: str) -> str:
    """A user's text, such as a file's name, with all characters escaped that a browser takes for markup."""
    return escape(escape_unprintable(text))


def _list(title: str, kind: str, lines: Sequence[str]) -> str:
    """A list that a click unfolds, except for mistakes, which are unfolded; "" if there are no lines."""
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    summary = f"<summary>{title}: {len(lines)}</summary>"
    is_open = " open" if kind == "wrong" else ""
    return f'<details{is_open}>{summary}<ul class="{kind}">{items}</ul></details>' if items else ""


def _table(prompts: Iterable[dict[str, Any]]) -> str:
    head = "".join(f"<th scope=col>{heading}</th>" for heading in ("prompt", "warnings", *_COLUMNS.values()))
    rows = []
    for number, prompt in enumerate(prompts):
        name = f'<th scope=row><a href="#p{number}">{_text(prompt["name"])}</a></th>'
        values = [len(prompt["warnings"]) or None, *(prompt[key] for key in _COLUMNS)]
        rows.append(f"<tr>{name}{''.join(f'<td>{_value(value)}</td>' for value in values)}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>All prompts</h2>\n<div class="scroll">{table}</div>'


def _card(number: int, prompt: dict[str, Any], waveform: Sequence[tuple[int, int]]) -> str:
    name = _text(prompt["name"])
    figures = f"{prompt['duration_s']:.2f} s, {_value(prompt['level_dbov'])} dBov, {_text(prompt['source'])}"
    warnings = "".join(f"<li>{_text(warning)}</li>" for warning in prompt["warnings"])
    return (
        f'<article id="p{number}"><h3>{name}</h3>{_drawing(name, waveform)}<div class="dim">{figures}</div>'
        + (f'<ul class="warn">{warnings}</ul>' if warnings else "")
        + "</article>"
    )


def _drawing(name: str, waveform: Sequence[tuple[int, int]]) -> str:
    """The drawing of a prompt's waveform: the area between its lowest and highest values, in % of full scale."""
    if not waveform:
        return ""
    tops = [f"{x} {100 - max(high, low + 1)}" for x, (low, high) in enumerate(waveform)]
    bottoms = [f"{x} {100 - low}" for x, (low, _) in enumerate(waveform)]
    outline = "M" + " L".join((*tops, *reversed(bottoms))) + "Z"
    width = max(1, len(waveform) - 1)
    return (
        f'<svg viewBox="0 0 {width} 200" preserveAspectRatio="none" role="img" aria-label="Waveform of {name}">'
        f'<line x1="0" y1="100" x2="{width}" y2="100"/><path d="{outline}"/></svg>'
    )


def _value(value: float | None) -> str:
    return "–" if value is None else str(value)
