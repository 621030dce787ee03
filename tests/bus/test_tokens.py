"""Tokens that others would make of ours, and what each of them is answered."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from bus.tokens import (
    CACHED_TOKENS,
    LARGEST_BYTES,
    LEEWAY_S,
    Claims,
    DeviceClaims,
    PublicKey,
    ServiceClaims,
    TokenRefused,
    UnknownKey,
    UserClaims,
    Verifier,
)

NOW = 1_800_000_000
BEGAN = datetime.fromtimestamp(NOW, UTC) - timedelta(days=90)
OURS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THEIRS = Ed25519PrivateKey.from_private_bytes(bytes(32))
PERSON = "0192f0c1-2f6e-7d2a-9b1c-3a5d7e9f1b2d"
TOKEN_ID = "0192f0c1-2f6e-7d2a-9b1c-3a5d7e9f1b2e"

KINDS: dict[str, tuple[type[Claims], dict[str, Any]]] = {
    "user": (UserClaims, {"aud": "gateway", "sub": f"person:{PERSON}", "roles": ["shooter"]}),
    "device": (DeviceClaims, {"aud": "gateway", "sub": "device:target-3", "lanes": ["lane-3"]}),
    "service": (
        ServiceClaims,
        {
            "aud": "bus",
            "sub": "service:booking",
            "role": "firingline_booking",
            "boot": PERSON,
            "names": ["booking.lane-held"],
        },
    ),
}
DROPPED = object()


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> Verifier:
    return Verifier([PublicKey("k1", OURS.public_key(), BEGAN)], clock=clock)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def ed25519(text: bytes) -> bytes:
    return OURS.sign(text)


def signed(header: object, payload: object, sign: Callable[[bytes], bytes] = ed25519) -> str:
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    text = ".".join(b64(part.encode()) for part in parts)
    return f"{text}.{b64(sign(text.encode()))}"


def header_of(kind: str, **changes: object) -> dict[str, Any]:
    return changed({"alg": "EdDSA", "typ": KINDS[kind][0].typ, "kid": "k1"}, changes)


def payload_of(kind: str, **changes: object) -> dict[str, Any]:
    common = {"iss": "firingline-auth", "jti": TOKEN_ID, "iat": NOW, "exp": NOW + 60}
    return changed(common | KINDS[kind][1], changes)


def changed(content: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in (content | changes).items() if value is not DROPPED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_ours_says_who_it_is(verifier: Verifier, kind: str) -> None:
    claims = verifier.verify(signed(header_of(kind), payload_of(kind)), KINDS[kind][0])
    assert claims.subject == KINDS[kind][1]["sub"]
    assert claims.token_id == UUID(TOKEN_ID)
    assert claims.expires_at - claims.issued_at == timedelta(seconds=60)


def test_each_kind_says_what_is_its_own(verifier: Verifier) -> None:
    user = verifier.verify(signed(header_of("user"), payload_of("user")), UserClaims)
    device = verifier.verify(signed(header_of("device"), payload_of("device")), DeviceClaims)
    service = verifier.verify(signed(header_of("service"), payload_of("service")), ServiceClaims)
    assert (user.person, user.roles) == (UUID(PERSON), ("shooter",))
    assert (device.device, device.lanes) == ("target-3", ("lane-3",))
    assert (service.service, service.role, service.boot) == ("booking", "firingline_booking", UUID(PERSON))
    assert service.names == ("booking.lane-held",)


@pytest.mark.parametrize("given_kind", KINDS)
@pytest.mark.parametrize("wanted_kind", KINDS)
def test_no_kind_passes_for_another(verifier: Verifier, given_kind: str, wanted_kind: str) -> None:
    if given_kind == wanted_kind:
        return
    with pytest.raises(TokenRefused):
        verifier.verify(signed(header_of(given_kind), payload_of(given_kind)), KINDS[wanted_kind][0])
    with pytest.raises(TokenRefused):  # the other's content under the wanted kind's typ
        verifier.verify(signed(header_of(wanted_kind), payload_of(given_kind)), KINDS[wanted_kind][0])


RAW = OURS.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(RAW)}
PUBLIC_KEY_AS_HMAC_KEY = {
    "PEM": OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "DER": OURS.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "raw": RAW,
    "raw in base64": b64(RAW).encode(),
    "JWK": json.dumps(JWK).encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("form", PUBLIC_KEY_AS_HMAC_KEY)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_hmac_key(verifier: Verifier, form: str, alg: str) -> None:
    key, hashed = PUBLIC_KEY_AS_HMAC_KEY[form], f"sha{alg[2:]}"

    def sign(text: bytes) -> bytes:
        return hmac.new(key, text, hashed).digest()

    with pytest.raises(TokenRefused):
        verifier.verify(signed(header_of("user", alg=alg), payload_of("user"), sign), UserClaims)
    with pytest.raises(TokenRefused):  # and does not become one when the header calls it EdDSA
        verifier.verify(signed(header_of("user"), payload_of("user"), sign), UserClaims)


ALGS = ["none", "None", "NONE", "nOnE", "", "eddsa", "EDDSA", "EdDSA ", "Ed25519", "ES256", "RS256", None, 1]


@pytest.mark.parametrize("alg", ALGS)
@pytest.mark.parametrize("signature", [ed25519, lambda _: b""])
def test_no_other_algorithm_is_taken(verifier: Verifier, alg: object, signature: Callable[[bytes], bytes]) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify(signed(header_of("user", alg=alg), payload_of("user"), signature), UserClaims)


FORGED_HEADERS: dict[str, dict[str, object]] = {
    "no alg": {"alg": DROPPED},
    "no typ": {"typ": DROPPED},
    "plain typ": {"typ": "JWT"},
    "typ in another case": {"typ": "AT+JWT"},
    "typ as a media type": {"typ": "application/at+jwt"},
    "typ a list": {"typ": ["at+jwt"]},
    "no kid": {"kid": DROPPED},
    "kid a path": {"kid": "../../../../dev/null"},
    "kid SQL": {"kid": "k1' OR '1'='1"},
    "kid a URL": {"kid": "https://attacker.invalid/key"},
    "kid a number": {"kid": 1},
    "kid null": {"kid": None},
    "kid a list": {"kid": ["k1"]},
    "kid an object": {"kid": {"k1": 1}},
    "kid empty": {"kid": ""},
    "kid with a NUL": {"kid": "k1\x00"},
    "crit": {"crit": ["exp"]},
    "crit b64": {"crit": ["b64"], "b64": True},
    "b64 false": {"b64": False},
    "jku": {"jku": "https://attacker.invalid/jwks"},
    "x5u": {"x5u": "https://attacker.invalid/cert"},
    "x5c": {"x5c": ["MII="]},
    "jwk": {"jwk": JWK},
    "zip": {"zip": "DEF"},
    "cty": {"cty": "JWT"},
}


@pytest.mark.parametrize("forgery", FORGED_HEADERS)
def test_a_header_that_is_not_ours_is_refused(verifier: Verifier, forgery: str) -> None:
    header = header_of("user", **FORGED_HEADERS[forgery])
    with pytest.raises(TokenRefused):
        verifier.verify(signed(header, payload_of("user")), UserClaims)


def test_a_name_of_ten_kilobytes_is_not_looked_up(verifier: Verifier) -> None:
    with pytest.raises(TokenRefused, match="too large"):
        verifier.verify(signed(header_of("user", kid="k" * 10_240), payload_of("user")), UserClaims)


FORGED_CLAIMS: dict[str, dict[str, object]] = {
    "no exp": {"exp": DROPPED},
    "no iat": {"iat": DROPPED},
    "no iss": {"iss": DROPPED},
    "no aud": {"aud": DROPPED},
    "no sub": {"sub": DROPPED},
    "no jti": {"jti": DROPPED},
    "no roles": {"roles": DROPPED},
    "exp text": {"exp": str(NOW + 60)},
    "exp a fraction": {"exp": NOW + 60.5},
    "exp a float": {"exp": float(NOW + 60)},
    "exp true": {"exp": True},
    "exp null": {"exp": None},
    "exp never": {"exp": 10**30},
    "exp NaN": {"exp": float("nan")},
    "exp Infinity": {"exp": float("inf")},
    "exp a list": {"exp": [NOW + 60]},
    "exp negative": {"exp": -1},
    "exp before iat": {"exp": NOW - 1},
    "exp at iat": {"exp": NOW},
    "longer than its kind lives": {"exp": NOW + 301},
    "longer than its kind lives, by an old iat": {"iat": NOW - 300, "exp": NOW + 1},
    "iat text": {"iat": str(NOW)},
    "iat in the future": {"iat": NOW + LEEWAY_S + 1, "exp": NOW + LEEWAY_S + 60},
    "expired": {"iat": NOW - 100, "exp": NOW - LEEWAY_S},
    "another issuer": {"iss": "firingline-auth.attacker.invalid"},
    "issuer in another case": {"iss": "Firingline-Auth"},
    "issuer a list": {"iss": ["firingline-auth"]},
    "another audience": {"aud": "bus"},
    "audience a list": {"aud": ["gateway"]},
    "audience a longer list": {"aud": ["gateway", "bus"]},
    "audience empty": {"aud": ""},
    "subject a device": {"sub": "device:target-3"},
    "subject a service": {"sub": "service:auth"},
    "subject without a kind": {"sub": PERSON},
    "subject no uuid": {"sub": "person:admin"},
    "subject in capitals": {"sub": f"person:{PERSON.upper()}"},
    "subject with more behind": {"sub": f"person:{PERSON}\n"},
    "subject a number": {"sub": 7},
    "jti no uuid": {"jti": "1"},
    "roles a text": {"roles": "admin"},
    "roles an object": {"roles": {"admin": True}},
    "roles of numbers": {"roles": [1]},
    "a claim too many": {"admin": True},
    "nbf": {"nbf": NOW},
}


@pytest.mark.parametrize("forgery", FORGED_CLAIMS)
def test_claims_that_are_not_ours_are_refused(verifier: Verifier, forgery: str) -> None:
    payload = payload_of("user", **FORGED_CLAIMS[forgery])
    with pytest.raises(TokenRefused):
        verifier.verify(signed(header_of("user"), payload), UserClaims)


def test_a_claim_said_twice_is_refused(verifier: Verifier) -> None:
    twice = json.dumps(payload_of("user"))[:-1] + ', "roles": ["admin"]}'
    with pytest.raises(TokenRefused):
        verifier.verify(signed(header_of("user"), twice), UserClaims)


def test_a_header_field_said_twice_is_refused(verifier: Verifier) -> None:
    twice = json.dumps(header_of("user", alg="none"))[:-1] + ', "alg": "EdDSA"}'
    with pytest.raises(TokenRefused):
        verifier.verify(signed(twice, payload_of("user")), UserClaims)


MALFORMED = {
    "nothing": "",
    "one part": "a",
    "two parts": "a.b",
    "four parts": signed(header_of("user"), payload_of("user")) + ".a",
    "no base64": "!!!!.####.$$$$",
    "not ASCII": "é.é.é",
    "header no JSON": signed("{", payload_of("user")),
    "header a list": signed("[]", payload_of("user")),
    "header nested": signed("[" * 3000, payload_of("user")),
    "header a huge number": signed("1" * 5000, payload_of("user")),
    "header no UTF-8": f"{b64(b'{' + bytes([255]) + b'}')}.a.b",
    "payload no JSON": signed(header_of("user"), "{"),
    "payload a list": signed(header_of("user"), "[]"),
    "payload nested": signed(header_of("user"), "[" * 3000),
    "space around": " " + signed(header_of("user"), payload_of("user")) + " ",
    "padded": signed(header_of("user"), payload_of("user")) + "=",
    "one megabyte": "a" * 1_000_000,
}


@pytest.mark.parametrize("shape", MALFORMED)
def test_what_is_no_token_is_refused(verifier: Verifier, shape: str) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify(MALFORMED[shape], UserClaims)


def test_a_token_of_eight_kilobytes_is_still_read(verifier: Verifier) -> None:
    token = signed(header_of("user"), payload_of("user", roles=["r" * 60] * 90))
    assert LARGEST_BYTES - 1000 < len(token) <= LARGEST_BYTES
    assert len(verifier.verify(token, UserClaims).roles) == 90


def test_a_signature_by_another_key_is_refused(verifier: Verifier) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify(signed(header_of("user"), payload_of("user"), THEIRS.sign), UserClaims)


def test_a_library_s_token_is_read_like_any(verifier: Verifier) -> None:
    headers = {"kid": "k1", "typ": "at+jwt"}
    token = jwt.encode(payload_of("user"), OURS, algorithm="EdDSA", headers=headers)
    assert verifier.verify(token, UserClaims).person == UUID(PERSON)


@given(place=st.integers(min_value=0), replacement=st.sampled_from("AZaz09-_.=~"))
def test_no_changed_character_goes_unnoticed(place: int, replacement: str) -> None:
    verifier = Verifier([PublicKey("k1", OURS.public_key(), BEGAN)], clock=Clock())
    token = signed(header_of("user"), payload_of("user"))
    place %= len(token)
    forged = token[:place] + replacement + token[place + 1 :]
    if forged != token:
        with pytest.raises(TokenRefused):
            verifier.verify(forged, UserClaims)


@given(st.text(max_size=300))
def test_whatever_is_sent_the_answer_is_a_refusal(text: str) -> None:
    with pytest.raises(TokenRefused):
        Verifier([PublicKey("k1", OURS.public_key(), BEGAN)], clock=Clock()).verify(text, UserClaims)


def test_a_remembered_token_ends_when_it_expires(verifier: Verifier, clock: Clock) -> None:
    token = signed(header_of("user"), payload_of("user"))
    first = verifier.verify(token, UserClaims)
    clock.now = NOW + 60 + LEEWAY_S - 1
    assert verifier.verify(token, UserClaims) is first
    clock.now = NOW + 60 + LEEWAY_S
    with pytest.raises(TokenRefused, match="expired"):
        verifier.verify(token, UserClaims)


def test_a_remembered_token_is_of_its_kind_only(verifier: Verifier) -> None:
    token = signed(header_of("user"), payload_of("user"))
    verifier.verify(token, UserClaims)
    with pytest.raises(TokenRefused):
        verifier.verify(token, DeviceClaims)


def test_a_remembered_token_ends_with_its_key(verifier: Verifier) -> None:
    token = signed(header_of("user"), payload_of("user"))
    verifier.verify(token, UserClaims)
    verifier.replace([PublicKey("k2", THEIRS.public_key(), BEGAN)])
    with pytest.raises(UnknownKey):
        verifier.verify(token, UserClaims)


def test_no_more_tokens_are_remembered_than_stated(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.tokens.CACHED_TOKENS", 3)
    assert CACHED_TOKENS < 100_000
    for n in range(10):
        verifier.verify(signed(header_of("user"), payload_of("user", exp=NOW + 60 + n)), UserClaims)
    assert len(verifier._known.verified) == 3


def test_the_memory_holds_no_token(verifier: Verifier) -> None:
    token = signed(header_of("user"), payload_of("user"))
    verifier.verify(token, UserClaims)
    assert list(verifier._known.verified) == [("at+jwt", hashlib.sha256(token.encode()).digest())]
    assert token.rpartition(".")[2] not in repr(verifier._known)


def rotated_at(moment: int) -> Verifier:
    then = datetime.fromtimestamp(moment, UTC)
    keys = [PublicKey("k1", OURS.public_key(), BEGAN, then), PublicKey("k2", THEIRS.public_key(), then)]
    return Verifier(keys, clock=Clock())


def test_a_token_signed_before_the_keys_changed_still_holds() -> None:
    token = signed(header_of("user"), payload_of("user", iat=NOW - 100))
    assert rotated_at(NOW - 50).verify(token, UserClaims).person == UUID(PERSON)


def test_a_retired_key_signs_nothing_new() -> None:
    token = signed(header_of("user"), payload_of("user"))
    with pytest.raises(TokenRefused, match="not in use"):
        rotated_at(NOW - LEEWAY_S - 1).verify(token, UserClaims)


def test_a_key_signs_nothing_before_its_time() -> None:
    token = signed(header_of("user", kid="k2"), payload_of("user"), THEIRS.sign)
    with pytest.raises(TokenRefused, match="not in use"):
        rotated_at(NOW + LEEWAY_S + 1).verify(token, UserClaims)


def test_an_old_statement_is_verified_by_the_key_of_then() -> None:
    then = NOW - 60 * 24 * 3600
    token = signed(header_of("service"), payload_of("service", iat=then, exp=then + 3600))
    verifier = rotated_at(NOW - 24 * 3600)
    assert verifier.verify_statement(token).names == ("booking.lane-held",)
    with pytest.raises(TokenRefused):
        verifier.verify(token, ServiceClaims)


def test_a_retired_key_makes_no_new_statement() -> None:
    token = signed(header_of("service"), payload_of("service"))
    with pytest.raises(TokenRefused):
        rotated_at(NOW - 24 * 3600).verify_statement(token)


@pytest.mark.parametrize("kind", ["user", "device"])
def test_only_a_service_makes_statements(verifier: Verifier, kind: str) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify_statement(signed(header_of(kind), payload_of(kind)))
