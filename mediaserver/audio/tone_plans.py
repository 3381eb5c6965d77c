"""Call-progress tones by country, in the notation of `mediaserver.audio.tones`.

Sources: ITU-T Recommendation E.180 and its Supplement 2 (various tones used in national networks); the special
information tone is E.180's, three 330 ms tones; the milliwatt is 0 dBm0 at 1004 Hz (1020 Hz by ITU-T O.6).
"""

from mediaserver.audio import tones
from mediaserver.errors import did_you_mean

DEFAULT_LEVEL = -10.0  # dBm0 of all components of a tone together: E.180's nominal level at the exchange
MILLIWATT_LEVEL = 0.0
_SIT = "950/330,1400/330,1800/330,0/1000"

TONE_PLANS: dict[str, dict[str, str]] = {
    "us": {
        "dial": "350+440",
        "ringback": "440+480/2000,0/4000",
        "busy": "480+620/500,0/500",
        "congestion": "480+620/250,0/250",
        "callwaiting": "440/300,0/9700",
        "recording": "1400/500,0/14500",
        "sit": _SIT,
        "milliwatt": "1004",
    },
    "uk": {
        "dial": "350+440",
        "ringback": "400+450/400,0/200,400+450/400,0/2000",
        "busy": "400/375,0/375",
        "congestion": "400/400,0/350,400/225,0/525",
        "callwaiting": "400/100,0/3000",
        "recording": "1400/500,0/14500",
        "sit": _SIT,
        "milliwatt": "1020",
    },
    "de": {
        "dial": "425",
        "ringback": "425/1000,0/4000",
        "busy": "425/480,0/480",
        "congestion": "425/240,0/240",
        "callwaiting": "425/200,0/200,425/200,0/5000",
        "recording": "1400/500,0/14500",
        "sit": _SIT,
        "milliwatt": "1020",
    },
    "fr": {
        "dial": "440",
        "ringback": "440/1500,0/3500",
        "busy": "440/500,0/500",
        "congestion": "440/250,0/250",
        "callwaiting": "440/300,0/10000",
        "recording": "1400/500,0/14500",
        "sit": _SIT,
        "milliwatt": "1020",
    },
    "jp": {
        "dial": "400",
        "ringback": "400*16/1000,0/2000",
        "busy": "400/500,0/500",
        "congestion": "400/500,0/500",
        "callwaiting": "400*16/500,0/8000",
        "recording": "1400/500,0/14500",
        "sit": _SIT,
        "milliwatt": "1020",
    },
    "kr": {
        "dial": "350+440",
        "ringback": "440+480/1000,0/2000",
        "busy": "480+620/500,0/500",
        "congestion": "480+620/300,0/200",
        "callwaiting": "350+440/250,0/250,350+440/250,0/3250",
        "recording": "1400/500,0/14500",
        "sit": _SIT,
        "milliwatt": "1020",
    },
}


def tone_plan(country: str) -> dict[str, str]:
    """The notations of a country's tones, by the tones' names; ValueError for a country without a plan."""
    plan = TONE_PLANS.get(country)
    if plan is None:
        hint = did_you_mean(country, TONE_PLANS)
        raise ValueError(f'no tones for country "{country}"{hint}: {", ".join(TONE_PLANS)}')
    return plan


def resolve_tone(
    name: str, country: str = "us", level: float | None = None, digit_ms: int = 100, digit_gap_ms: int = 100
) -> tones.Cadence:
    """The cadence of a tone as a user writes it: a name of the plan, `dtmf:…`, `sine:HZ`, or the notation itself.

    `level` is in dBm0; DTMF tones have levels of their own. ValueError says what is wrong, with a hint.
    """
    plan = tone_plan(country)
    kind, _, rest = name.partition(":")
    if kind == "dtmf":
        return tones.normalize(tones.dtmf(rest, digit_ms, digit_gap_ms))
    if level is None:
        level = MILLIWATT_LEVEL if name == "milliwatt" else DEFAULT_LEVEL
    notation = rest if kind == "sine" else plan.get(name)
    if notation is None and (name[:1].isdigit() or name[:1] == "!"):
        notation = name
    if notation is not None:
        return tones.normalize(tones.parse(notation, level))
    raise ValueError(
        f'no tone "{name}"{did_you_mean(name, plan)}: '
        f"{', '.join(plan)}, dtmf:DIGITS, sine:HZ, or a cadence such as 480+620/500,0/500"
    )
