"""Tokens, networks and signed links: who passes, and what the others are told."""

import base64
import hmac
import ipaddress
from pathlib import Path

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError
from yarl import URL

from mediaserver.config.fields import Networks, Tokens
from mediaserver.config.listener_settings import AdminSettings
from mediaserver.config.settings import Settings, VoipbinSettings
from mediaserver.errors import ConfigError, RefusedError
from mediaserver.routing.access import Access
from mediaserver.routing.configuration import Configuration
from mediaserver.support.credentials import resolve_secret

NOW = 1_800_000_000.0
GUARDED = Access(tokens=("sesame", "old one"))
TOLD = "needs a token: ?token=…, Authorization: Bearer, or a signed link"


def told(access: Access, url: str, authorization: str = "", address: str = "192.0.2.1") -> tuple[int, str] | None:
    """How a peer is refused, if it is."""
    try:
        access.authorize(address, URL(url), authorization, NOW)
    except RefusedError as error:
        return error.status, str(error)
    return None


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("network", "is_of"),
    [
        ("::ffff:10.0.0.0/104", ["10.0.0.0/8"]),
        ("::ffff:10.1.2.3", ["10.1.2.3/32"]),
        ("::FFFF:0:0/96", ["0.0.0.0/0"]),
        ("2001:db8::/32", ["2001:db8::/32"]),
        ("::/0", ["::/0"]),
    ],
)
def test_a_network_of_ipv4_mapped_addresses_is_kept_as_ipv4(network: str, is_of: list[str]) -> None:
    networks = TypeAdapter(Networks).validate_python((network,))
    assert list(map(str, networks)) == is_of


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"])
def test_a_mapped_address_passes_as_ipv4(address: str) -> None:
    access = Access(TypeAdapter(Networks).validate_python(("::ffff:10.0.0.0/104",)))
    assert told(access, "/a", address=address) is None
    assert told(access, "/a", address="::ffff:11.1.2.3") == (403, "not allowed from your network")


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("::ffff:10.0.0.0/90", "is of IPv4-mapped addresses, which have 96 bits in common"),
        ("::ffff:0:0/80", "is of IPv4-mapped addresses, which have 96 bits in common"),
        ("::ffff:10.0.0.1/104", "10.0.0.1/8 has host bits set"),
    ],
)
def test_a_network_of_mapped_addresses_beside_others_is_a_mistake(network: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TypeAdapter(Networks).validate_python((network,))


@pytest.mark.parametrize(
    ("query", "authorization"),
    [
        ("?token=sesame", ""),
        ("?token=old%20one", ""),
        ("?repeat=2&token=wrong&token=sesame", ""),
        ("", "Bearer sesame"),
        ("", "bearer  sesame "),
        ("", basic("voipbin", "sesame")),
        ("", basic("", "old one")),
        ("?token=wrong", "Bearer sesame"),
        ("?sig=nonsense", "Bearer sesame"),
    ],
)
def test_a_token_is_taken_from_query_bearer_and_basic(query: str, authorization: str) -> None:
    assert told(GUARDED, "/a" + query, authorization) is None


@pytest.mark.parametrize("token", ["pass:word", ":", "ü:", "a b"])
def test_a_basic_password_is_all_that_is_behind_the_first_colon(token: str) -> None:
    access = Access(tokens=(token,))
    assert told(access, "/a", basic("voipbin", token)) is None
    assert told(access, "/a", basic("", token)) is None
    assert told(access, "/a", basic("voipbin:", token)) == (401, "the token is wrong")  # a user name has none
    assert told(access, "/a", "basic " + basic("voipbin", token).partition(" ")[2]) is None


@pytest.mark.parametrize(
    ("query", "authorization", "line"),
    [
        ("", "", TOLD),
        ("?tokens=sesame", "", TOLD),
        ("?token=", "", "the token is wrong"),
        ("?token=sesam", "", "the token is wrong"),
        ("?token=Sesame", "", "the token is wrong"),
        ("?token=%ff%00ü", "", "the token is wrong"),
        ("", "Bearer", "the token is wrong"),
        ("", "Digest sesame", TOLD),
        ("", "Basic sesame", TOLD),
        ("", basic("voipbin", "sesame")[:12] + "!" + basic("voipbin", "sesame")[12:], TOLD),
        ("", "Basic " + base64.b64encode(b"\xff:\xff").decode(), TOLD),
        ("", basic("sesame", ""), "the token is wrong"),
        ("", "Bearer \udcff", "the token is wrong"),
    ],
)
def test_without_a_valid_token_the_status_is_401(query: str, authorization: str, line: str) -> None:
    assert told(GUARDED, "/a" + query, authorization) == (401, line)


BLANK = ["", " ", "\t\n "]


@pytest.mark.parametrize("blank", BLANK)
def test_a_blank_token_is_none(blank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is kept: a peer that offers nothing would have it."""
    with pytest.raises(ValidationError, match="a token must not be empty"):
        TypeAdapter(Tokens).validate_python(["sesame", blank])
    (tmp_path / "token").write_text(blank)
    monkeypatch.setenv("BLANK_TOKEN", blank)
    for place in ("env:BLANK_TOKEN", f"file:{tmp_path}/token"):
        with pytest.raises(ConfigError, match="empty"):
            resolve_secret(SecretStr(place), "defaults.tokens")
    assert resolve_secret(SecretStr(blank), "voipbin.token") == ""


@pytest.mark.parametrize("blank", BLANK)
def test_a_blank_token_guards_no_admin_port_and_is_no_credential(blank: str) -> None:
    with pytest.raises(ValidationError, match="can be reached from elsewhere"):
        AdminSettings(host="0.0.0.0", token=SecretStr(blank))
    both = VoipbinSettings(token=SecretStr("x"), access_key=SecretStr(blank))
    assert both.access_key.get_secret_value() == blank


def test_space_around_a_token_is_not_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("sesame\n")
    monkeypatch.setenv("A_TOKEN", " sesame ")
    for place in (" sesame", "env:A_TOKEN", f"file:{tmp_path}/token", "ENV:A_TOKEN"):
        assert resolve_secret(SecretStr(place), "defaults.tokens") == "sesame"


def test_a_path_without_tokens_is_open() -> None:
    assert told(Access(), "/a?token=anything") is None


@pytest.mark.parametrize(
    ("address", "passes"),
    [("10.1.2.3", True), ("10.2.0.1", False), ("2001:db8::5", True), ("2001:db9::5", False), ("?", False)],
)
def test_networks(address: str, passes: bool) -> None:
    access = Access(networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("2001:db8::/32")))
    assert told(access, "/a", address=address) == (None if passes else (403, "not allowed from your network"))


def test_network_and_token_are_both_needed() -> None:
    access = Access((ipaddress.ip_network("10.0.0.0/8"),), ("sesame",))
    assert told(access, "/a?token=sesame", address="10.0.0.1") is None
    assert told(access, "/a?token=sesame") == (403, "not allowed from your network")
    assert told(access, "/a", address="10.0.0.1") == (401, TOLD)


def signed(url: str, expires: int = int(NOW) + 60, access: Access = GUARDED) -> str:
    query = access.sign(URL(url), expires)
    return f"{url}{'&' if '?' in url else '?'}{query}"


def test_a_signature_is_what_the_readme_says() -> None:
    text = b"/play/a b\n1800000060\na=%C3%BC&b=1&b=2+3"
    digest = hmac.new(b"sesame", text, "sha256").hexdigest()
    assert (
        GUARDED.sign(URL("wss://h/play/a%20b?b=1&b=2%203&a=ü"), 1800000060) == f"expires=1800000060&sig={digest}"
    )


@pytest.mark.parametrize("url", ["/a", "/a?repeat=2&framing=pcm", "/play/music%2Fhold", "/ü?x=%2B+%26", "/a?x=&y"])
def test_a_signed_link_is_good_until_it_expires(url: str) -> None:
    assert told(GUARDED, signed(url)) is None
    assert told(GUARDED, signed(url, int(NOW))) == (403, "the link has expired")


def test_the_order_of_the_query_does_not_matter() -> None:
    url = URL(signed("/a?b=2&a=1"))
    turned = url.with_query(sorted(url.query.items(), reverse=True))
    assert told(GUARDED, str(turned)) is None


def test_links_signed_by_the_token_before_are_still_good() -> None:
    assert told(GUARDED, signed("/a", access=Access(tokens=("old one",)))) is None
    assert told(GUARDED, signed("/a", access=Access(tokens=("gone",)))) is not None


def test_a_link_is_signed_by_the_first_token() -> None:
    assert told(Access(tokens=("sesame",)), signed("/a")) is None
    assert told(Access(tokens=("old one",)), signed("/a")) == (403, "the signature does not fit this URL")


def test_the_values_of_one_key_keep_their_order() -> None:
    """A query means them in that order: `?repeat=2&repeat=3` is another one turned round."""
    assert told(GUARDED, signed("/a?b=2&b=1")) is None
    turned = signed("/a?b=2&b=1").replace("b=2&b=1", "b=1&b=2")
    assert told(GUARDED, turned) == (403, "the signature does not fit this URL")


def test_a_request_with_bytes_that_are_no_text_is_refused_like_others() -> None:
    """A request's line may have any bytes; aiohttp hands them on as lone surrogates."""
    raw = URL.build(path="/a\udcff", query_string="x=\udcff", encoded=True)
    digest = hmac.new(b"sesame", b"/a\\udcff\n1800000060\nx=%5Cudcff", "sha256").hexdigest()
    assert GUARDED.sign(raw, 1800000060) == f"expires=1800000060&sig={digest}"
    link = URL.build(path="/a\udcff", query_string=f"x=\udcff&expires=1800000060&sig={'0' * 64}", encoded=True)
    with pytest.raises(RefusedError, match="the signature does not fit"):
        GUARDED.authorize("192.0.2.1", link, "", NOW)


@pytest.mark.parametrize(
    "changed",
    [
        lambda url: url.with_path("/b", keep_query=True),
        lambda url: url.with_path("/a/", keep_query=True),
        lambda url: url.update_query(expires=int(NOW) + 61),
        lambda url: url.update_query(repeat="forever"),
        lambda url: url.update_query(more="1"),
        lambda url: url.without_query_params("repeat"),
        lambda url: url.without_query_params("expires"),
        lambda url: url.update_query(expires="x"),
        lambda url: url.update_query(expires="9999999999\n1"),
        lambda url: url.update_query(expires="٣"),
        lambda url: url.update_query(sig=""),
        lambda url: url.update_query(sig=url.query["sig"].upper()),
        lambda url: url.update_query(sig=url.query["sig"][:-1]),
    ],
)
def test_a_link_that_was_changed_is_refused(changed: object) -> None:
    url = URL(signed("/a?repeat=2"))
    assert callable(changed)
    assert told(GUARDED, str(changed(url))) == (403, "the signature does not fit this URL")


def test_a_link_for_an_encoded_slash_does_not_open_a_path_with_a_slash() -> None:
    query = GUARDED.sign(URL("/play/a%2Fb"), int(NOW) + 60)
    assert told(GUARDED, f"/play/a/b?{query}") == (403, "the signature does not fit this URL")


@pytest.mark.parametrize("key", ["token", "expires", "sig"])
def test_a_url_with_credentials_in_its_query_cannot_be_signed(key: str) -> None:
    with pytest.raises(ValueError, match=f"has {key} in its query already"):
        GUARDED.sign(URL(f"/a?{key}=1"), 1)


def test_a_token_is_not_in_the_representation_of_access() -> None:
    assert "sesame" not in f"{GUARDED!r} {GUARDED}"
    assert str(GUARDED) == "tokens"
    networks = (ipaddress.ip_network("10.0.0.0/8"),)
    assert (str(Access(networks)), str(Access(networks, ("sesame",)))) == ("networks", "tokens and networks")
    assert str(Access()) == "open"


def signing(*tokens: str) -> Configuration:
    path = {"handler": "silence", "tokens": tokens}
    settings = Settings.model_validate({"paths": {"/a": path}})
    return Configuration.build(settings, "config.toml")


@pytest.mark.parametrize("url", ["ws://h/a", "https://h/a", "http://h:8080/a", "/a"])
async def test_a_link_is_the_same_under_every_name_of_its_scheme(url: str) -> None:
    assert await signing("sesame").sign(url, int(NOW)) == await signing("sesame").sign("wss://h/a", int(NOW))


async def test_a_path_without_tokens_cannot_be_signed() -> None:
    """The configuration is named: perhaps another one was meant."""
    with pytest.raises(ValueError, match=r"^config\.toml: /a has no tokens"):
        await signing().sign("ws://h/a", 1)


@pytest.mark.parametrize("url", ["ftp://h/a", "tcp://h:9000", "h:8080/a"])
async def test_a_url_that_is_no_stream_cannot_be_signed(url: str) -> None:
    with pytest.raises(ValueError, match="should begin with wss://, ws://, https:// or http://"):
        await signing("sesame").sign(url, int(NOW))


@pytest.mark.parametrize("tokens", [[], ["sesame"]])
async def test_credentials_in_a_query_are_never_variables_of_a_stream(tokens: list[str]) -> None:
    """On a path that is open, too: whoever dials both may show the same token to either."""
    path = {"handler": "silence", "tokens": tokens}
    configuration = Configuration.build(Settings.model_validate({"paths": {"/a": path}}), "config.toml")
    url = URL("/a?token=sesame&expires=1&sig=ab&name=Ann")
    route, _ = await configuration.table.match_route(url)
    assert route.stream_variables(url.query, {}) == {"name": "Ann"}
