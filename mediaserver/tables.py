"""What the commands print for people."""

from rich.console import Console
from rich.table import Table

from mediaserver.client.measure import Report, Spread
from mediaserver.server.check import Findings


def show_findings(findings: Findings, out: Console, err: Console) -> None:
    """Paths and prompts as tables on `out`, what is wrong on `err`."""
    paths = Table("path", "handler", "encapsulation", "settings", title="Paths", title_justify="left")
    for path in findings.paths:
        settings = ", ".join(f"{key} = {value}" for key, value in path["settings"].items())
        paths.add_row(path["path"], path["handler"], path["encapsulation"], settings)
    prompts = Table("prompt", title="Prompts", title_justify="left")
    for heading in ("duration", "source format", "peak", "loudness"):
        prompts.add_column(heading, justify="left" if heading == "source format" else "right")
    for prompt in findings.prompts:
        prompts.add_row(
            prompt["name"],
            f"{prompt['duration_s']:.2f} s",
            prompt["source"],
            f"{prompt['peak_dbfs']:.1f} dBFS",
            f"{prompt['loudness_lufs']:.1f} LUFS",
        )
    for table in (paths, prompts):
        if table.row_count:
            out.print(table, markup=False)
    for file in findings.ignored:
        out.print(f"ignored, not a sound file by its name: {file}", style="dim", markup=False)
    if findings.problems:
        err.print(f"{len(findings.problems)} problems:", style="red", highlight=False)
        for problem in findings.problems:
            err.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
    else:
        out.print("everything is in order", style="green")


def show_report(report: Report, out: Console) -> None:
    """A call's report as a table."""
    table = Table("", "", show_header=False, title="Call", title_justify="left")
    table.add_row("frames", f"{report.frames} of 20 ms in {report.duration_s:.2f} s")
    table.add_row("first frame", _ms(report.first_frame_ms))
    table.add_row("between frames", _spread(report.interarrival_ms))
    table.add_row("lateness", _spread(report.lateness_ms))
    table.add_row("drift", "–" if report.drift_ppm is None else f"{report.drift_ppm:.0f} ppm")
    table.add_row("bad frames", str(report.bad_frames))
    table.add_row("heard as", f"{report.encapsulation or '–'} ({report.framing or '–'})")
    table.add_row("closed with", str(report.close_code))
    out.print(table)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ms"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    return f"p50 {_ms(spread.p50)}, p99 {_ms(spread.p99)}, max {_ms(spread.max)}"
