"""Which certificates are believed, and what a technician is told of the others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua.pki import Known, Pki, default_application_uri, fingerprint, load_identity
from edge_agent.errors import LinkDenied

from .certificates import Pair, localhost, make

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make("Plant CA", authority=True)


@pytest.fixture(scope="module")
def server(authority: Pair) -> Pair:
    return make("PLC 7", issuer=authority, names=localhost())


def trust(folder: Path, content: bytes, name: str = "it.der") -> Pki:
    (folder / "trusted").mkdir(exist_ok=True)
    (folder / "trusted" / name).write_bytes(content)
    return Pki(folder)


def denied(pki: Pki, pair: Pair, host: str = "127.0.0.1", now: datetime = NOW, extra: bytes = b"") -> str:
    with pytest.raises(LinkDenied) as caught:
        pki.judge(pair.der + extra, host, now)
    assert caught.value.reason == "cert"
    return str(caught.value)


def test_our_certificate_is_made_once_and_names_the_application(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    own = pki.own(None)
    names = own.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [default_application_uri()]
    assert own.application_uri == default_application_uri()
    usage = own.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and usage.content_commitment
    assert usage.key_encipherment and usage.data_encipherment
    assert own.key.key_size == 2048
    key_file = tmp_path / "pki" / "own" / "key.pem"
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o077 == 0
    assert Known.of(own.certificate, NOW).days_left > 3600
    again = Pki(tmp_path / "pki").own(None)
    assert again.certificate == own.certificate


def test_links_that_start_together_make_one_certificate(tmp_path: Path) -> None:
    found: list[x509.Certificate] = []
    threads = [
        threading.Thread(target=lambda: found.append(Pki(tmp_path).own(None).certificate)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_our_certificate_must_name_what_the_settings_say(tmp_path: Path) -> None:
    assert Pki(tmp_path).own("urn:plant:agent").application_uri == "urn:plant:agent"
    assert Pki(tmp_path).own(None).application_uri == "urn:plant:agent"
    with pytest.raises(LinkDenied, match="application_uri") as caught:
        Pki(tmp_path).own("urn:other")
    assert caught.value.reason == "cert"
    assert "urn:plant:agent" in str(caught.value)


@pytest.mark.parametrize("spoiled", ["certificate.der", "key.pem"])
def test_half_a_pair_is_said_and_not_replaced(tmp_path: Path, spoiled: str) -> None:
    Pki(tmp_path).own(None)
    (tmp_path / "own" / spoiled).write_bytes(b"nonsense")
    with pytest.raises(LinkDenied, match="certificate"):
        Pki(tmp_path).own(None)
    (tmp_path / "own" / spoiled).unlink()
    with pytest.raises(LinkDenied, match="cannot be made or read"):
        Pki(tmp_path).own(None)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkDenied, match="cannot be made or read"):
        Pki(tmp_path / "file" / "pki").own(None)


def test_an_unknown_server_is_put_aside_with_the_way_to_accept_it(tmp_path: Path, server: Pair) -> None:
    words = denied(Pki(tmp_path), server)
    assert fingerprint(server.certificate) in words
    assert words.count(":") > 31, "the fingerprint is in pairs"
    (file,) = (tmp_path / "rejected").iterdir()
    assert file.read_bytes() == server.der
    assert f"mv '{file}' '{tmp_path}/trusted/'" in words
    denied(Pki(tmp_path), server)
    assert len(list((tmp_path / "rejected").iterdir())) == 1
    file.rename(tmp_path / "trusted" / file.name)  # what the error text says
    assert Pki(tmp_path).judge(server.der, "any.host", NOW) == server.certificate


def test_the_folder_of_refused_certificates_stays_small(tmp_path: Path) -> None:
    (tmp_path / "rejected").mkdir()
    for number in range(50):
        (tmp_path / "rejected" / f"old-{number}.der").write_bytes(b"x")
    denied(Pki(tmp_path), make("new"))
    names = {file.name for file in (tmp_path / "rejected").iterdir()}
    assert len(names) == 32
    assert any(name.startswith("new-") for name in names)


@pytest.mark.parametrize("form", ["der", "pem"])
def test_a_trusted_certificate_is_believed_in_either_form(tmp_path: Path, server: Pair, form: str) -> None:
    pki = trust(tmp_path, getattr(server, form), f"it.{form}")
    (tmp_path / "trusted" / "notes.txt").write_text("accepted by Li on Monday")
    assert pki.judge(server.der, "any.host", NOW) == server.certificate


def test_an_authority_vouches_for_the_host_it_names(tmp_path: Path, authority: Pair, server: Pair) -> None:
    pki = trust(tmp_path, authority.der)
    for host in ("127.0.0.1", "plc.local", "PLC.LOCAL"):
        assert pki.judge(server.der, host, NOW) == server.certificate
    assert "another host than 127.0.0.2" in denied(pki, server, "127.0.0.2")


def test_a_chain_leads_to_the_authority(tmp_path: Path, authority: Pair) -> None:
    between = make("Shop floor CA", issuer=authority, authority=True)
    leaf = make("PLC 8", issuer=between, names=localhost())
    pki = trust(tmp_path, authority.der)
    assert "not trusted" in denied(pki, leaf)
    assert pki.judge(leaf.der + between.der, "127.0.0.1", NOW) == leaf.certificate


def test_a_certificate_that_is_no_authority_vouches_for_nobody(tmp_path: Path) -> None:
    impostor = make("PLC 1", names=localhost())
    forged = make("PLC 2", issuer=impostor, names=localhost())
    assert "not trusted" in denied(trust(tmp_path, impostor.der), forged)


def test_an_authority_of_the_same_name_is_not_the_same(tmp_path: Path, server: Pair) -> None:
    assert "not trusted" in denied(trust(tmp_path, make("Plant CA", authority=True).der), server)


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (datetime(1970, 1, 2, tzinfo=UTC), "not valid before"),
        (datetime(2101, 1, 1, tzinfo=UTC), "expired on"),
    ],
)
def test_out_of_its_time_the_clock_is_doubted_first(
    tmp_path: Path, server: Pair, now: datetime, what: str
) -> None:
    words = denied(trust(tmp_path, server.der), server, now=now)
    assert words.startswith("your clock may be wrong")
    assert f"{now:%Y-%m-%d %H:%M}" in words
    assert what in words


def test_a_short_key_and_no_certificate_at_all_are_refused(tmp_path: Path) -> None:
    short = make("short", bits=1024)
    assert "2048 bits" in denied(trust(tmp_path, short.der), short)
    for blob in (b"", b"0\x03abc", b"nonsense"):
        with pytest.raises(LinkDenied):
            Pki(tmp_path).judge(blob, "h", NOW)


def test_a_users_certificate_is_loaded_with_its_key(tmp_path: Path, server: Pair) -> None:
    files = server.write(tmp_path, "user")
    certificate, key = load_identity(*files)
    assert certificate == server.certificate
    assert isinstance(key, rsa.RSAPrivateKey)
    for pair in ((tmp_path / "none", files[1]), (files[1], files[0])):
        with pytest.raises(LinkDenied):
            load_identity(*pair)
