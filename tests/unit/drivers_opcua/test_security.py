"""Secured sessions with a real server: every policy, every identity, and what is never sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.hazmat.primitives import serialization

from drivers.opcua.endpoint import url
from drivers.opcua.link import OpcuaLink
from drivers.opcua.security import Credentials
from drivers.opcua.session import Session
from edge_agent.errors import LinkDenied, LinkLost
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Sealed
from edge_agent.testing.wire import until

from .certificates import localhost, make
from .server import URI, UaServer, connected, read, serving, settings_for
from .test_subscription import subscribed

PASSWORD = "geheim-密码-7391"
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
MODES = ("Sign", "SignAndEncrypt")
TAG = Tag("t", f"nsu={URI};s=secured", ValueType.INT16, group="fast")


class Users:
    """Knows one user by password and one by certificate; lets nobody in without either if ``strict``."""

    def __init__(self, certificate: bytes) -> None:
        self.certificate = certificate
        self.strict = False
        self.seen: list[Any] = []

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        self.seen.append((username, password))
        if username is not None:
            good = (username, password) == ("reader", PASSWORD)
        else:
            good = not self.strict or certificate == self.certificate
        return User(role=UserRole.Admin) if good else None


class Secured:
    """A server with all policies, and None for those who ask for nothing better."""

    def __init__(self) -> None:
        self.pair = make("Secured PLC", names=localhost())
        self.person = make("Operator")
        self.users = Users(self.person.der)
        self.server: UaServer

    async def configure(self, server: Server) -> None:
        await server.load_certificate(self.pair.der)
        await server.load_private_key(
            self.pair.key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        server.set_security_policy(
            [
                ua.SecurityPolicyType.NoSecurity,
                *(
                    getattr(ua.SecurityPolicyType, f"{policy.replace('_', '')}_{mode}")
                    for policy in POLICIES
                    for mode in MODES
                ),
            ]
        )
        server.iserver.user_manager = self.users  # type: ignore[assignment]


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    secured = Secured()
    with serving(secured.configure) as server:
        server.add("secured", ua.Variant(41, ua.VariantType.Int16))
        secured.server = server
        yield secured


@pytest.fixture
def pki(tmp_path: Path, secured: Secured, own: Path) -> Path:
    """A folder of ours in which the server is trusted."""
    secured.users.strict = False
    secured.users.seen.clear()
    (tmp_path / "pki" / "trusted").mkdir(parents=True)
    (tmp_path / "pki" / "own").symlink_to(own)
    (tmp_path / "pki" / "trusted" / "plc.der").write_bytes(secured.pair.der)
    return tmp_path / "pki"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    folder.chmod(0o700)
    return folder


class Recorder:
    """A relay that keeps every byte a client sends."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.sent = bytearray()
        self.connections = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        up = asyncio.ensure_future(self._pump(reader, forth, keep=True))
        down = asyncio.ensure_future(self._pump(back, writer, keep=False))
        await asyncio.wait((up, down))
        self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bool) -> None:
        try:
            while data := await reader.read(65536):
                self.sent += data if keep else b""
                writer.write(data)
        except OSError:
            pass
        writer.close()


@asynccontextmanager
async def recording(port: int) -> AsyncIterator[Recorder]:
    recorder = Recorder(port)
    listener = await asyncio.start_server(recorder._serve, "127.0.0.1", 0)
    recorder.port = listener.sockets[0].getsockname()[1]
    try:
        yield recorder
    finally:
        listener.close()
        await until(lambda: not recorder._tasks, "the relay is still at work")


async def denied(settings: Any) -> LinkDenied:
    link = OpcuaLink(settings)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(LinkDenied) as caught:
                await link.connect()
    finally:
        await link.close()
    return caught.value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", POLICIES)
async def test_every_policy_reads(secured: Secured, pki: Path, policy: str, mode: str) -> None:
    settings = settings_for(secured.server.port, security_policy=policy, security_mode=mode, pki=pki)
    async with recording(secured.server.port) as recorder:
        through = settings.model_copy(
            update={"link": url(settings).replace(_port(settings), _port(recorder))}
        )
        async with connected(through) as (link, limits):
            assert (await read(link, through, [TAG], limits)).values == (41,)
            facts = link.facts()
    readable = URI.encode() in recorder.sent or b"s\x00\x00\x00secured" in recorder.sent
    assert (b"secured" in recorder.sent) == (mode == "Sign"), readable
    assert facts["security_policy"] == policy
    assert facts["server_certificate"]["subject"] == "Secured PLC"
    assert facts["server_certificate"]["days_left"] > 1000
    assert facts["own_certificate"]["days_left"] > 1000


def _port(something: Any) -> str:
    return (
        str(something.port) if isinstance(something, Recorder) else url(something).split(":")[2].split("/")[0]
    )


async def test_the_session_names_the_application_of_the_certificate(secured: Secured, pki: Path) -> None:
    seen: list[str] = []
    plain = secured.server._server.iserver.create_session

    def create(*args: Any, **keys: Any) -> Any:
        session = plain(*args, **keys)
        create_session = session.create_session

        async def noting(params: Any, sockname: Any = None) -> Any:
            certificate = params.ClientCertificate
            seen.append(params.ClientDescription.ApplicationUri)
            assert seen[0].encode() in certificate
            return await create_session(params, sockname=sockname)

        session.create_session = noting
        return session

    secured.server._server.iserver.create_session = create
    try:
        async with connected(settings_for(secured.server.port, security_policy=POLICIES[0], pki=pki)):
            assert seen[0].startswith("urn:")
    finally:
        secured.server._server.iserver.create_session = plain


async def test_a_password_gets_in_and_is_nowhere_on_the_wire(secured: Secured, pki: Path) -> None:
    secured.users.strict = True
    for mode in MODES:
        async with recording(secured.server.port) as recorder:
            settings = settings_for(
                recorder.port,
                security_policy=POLICIES[0],
                security_mode=mode,
                pki=pki,
                user="reader",
                password=PASSWORD,
            )
            async with connected(settings) as (link, limits):
                assert (await read(link, settings, [TAG], limits)).values == (41,)
        assert secured.users.seen[-1] == ("reader", PASSWORD)
        assert PASSWORD.encode() not in recorder.sent


async def test_a_wrong_password_is_denied(secured: Secured, pki: Path) -> None:
    keys = {"security_policy": POLICIES[2], "pki": pki, "user": "reader"}
    error = await denied(settings_for(secured.server.port, **keys, password="wrong"))
    assert error.reason == "auth"
    assert "wrong" not in str(error)


async def test_a_certificate_identifies_a_user(secured: Secured, pki: Path, tmp_path: Path) -> None:
    secured.users.strict = True
    for policy in (POLICIES[0], POLICIES[2]):
        certificate, key = secured.person.write(tmp_path, "person")
        keys = {"security_policy": policy, "pki": pki, "user_certificate": certificate, "user_key": key}
        settings = settings_for(secured.server.port, **keys)
        async with connected(settings) as (link, limits):
            assert (await read(link, settings, [TAG], limits)).values == (41,)
        stranger, other_key = make("Stranger").write(tmp_path, "stranger")
        keys |= {"user_certificate": stranger, "user_key": other_key}
        assert (await denied(settings_for(secured.server.port, **keys))).reason == "auth"


async def test_no_password_over_none_whatever_the_server_offers(secured: Secured, pki: Path) -> None:
    async with recording(secured.server.port) as recorder:
        settings = settings_for(recorder.port, user="reader", password=PASSWORD, pki=pki)
        error = await denied(settings)
    assert "was not sent" in str(error)
    assert PASSWORD.encode() not in recorder.sent
    assert b"reader" not in recorder.sent
    assert not secured.users.seen


async def test_no_password_where_the_server_asks_for_it_in_the_clear(secured: Secured, pki: Path) -> None:
    endpoints = secured.server._server.iserver.endpoints
    changed = []
    for endpoint in endpoints:
        for token in endpoint.UserIdentityTokens:
            if token.TokenType == ua.UserTokenType.UserName:
                changed.append((token, token.SecurityPolicyUri))
                token.SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#None"
    try:
        async with recording(secured.server.port) as recorder:
            keys = {"security_policy": POLICIES[0], "pki": pki, "user": "reader", "password": PASSWORD}
            error = await denied(settings_for(recorder.port, security_mode="Sign", **keys))
            assert "SignAndEncrypt" in str(error)
            assert PASSWORD.encode() not in recorder.sent
            assert b"reader" not in recorder.sent
        for token, _ in changed:
            token.SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15"
        error = await denied(settings_for(secured.server.port, security_mode="Sign", **keys))
        assert "was not sent" in str(error)
    finally:
        for token, uri in changed:
            token.SecurityPolicyUri = uri


async def test_a_server_that_offers_only_none_is_not_connected_to(server: UaServer, pki: Path) -> None:
    before = server.sessions
    for policy in POLICIES:
        for mode in MODES:
            settings = settings_for(server.port, security_policy=policy, security_mode=mode, pki=pki)
            error = await denied(settings)
            assert error.reason == "auth"
            assert policy in str(error)
            assert "it offers: None" in str(error)
    assert server.sessions == before


async def test_a_server_that_is_not_trusted_gets_no_session(secured: Secured, tmp_path: Path) -> None:
    before = secured.server.sessions
    settings = settings_for(secured.server.port, security_policy=POLICIES[0], pki=tmp_path)
    error = await denied(settings)
    assert error.reason == "cert"
    (file,) = (tmp_path / "rejected").iterdir()
    assert f"mv '{file}'" in str(error)
    assert secured.server.sessions == before
    file.rename(tmp_path / "trusted" / file.name)
    async with connected(settings) as (link, limits):
        assert (await read(link, settings, [TAG], limits)).values == (41,)


async def test_a_man_in_the_middle_with_his_own_certificate_gets_nothing(secured: Secured, pki: Path) -> None:
    """He shows the trusted certificate in the endpoints, but does not have its key."""
    iserver = secured.server._server.iserver
    true_key = iserver.private_key
    policies = secured.server._server.bserver._policies  # type: ignore[union-attr]
    wrong = make("Impostor").key
    for factory in policies:
        factory.private_key = wrong if factory.private_key is not None else None
    before = secured.server.sessions
    try:
        link = OpcuaLink(settings_for(secured.server.port, security_policy=POLICIES[0], pki=pki))
        with pytest.raises((LinkLost, TimeoutError)):
            async with asyncio.timeout(3):
                await link.connect()
        await link.close()
    finally:
        for factory in policies:
            factory.private_key = true_key if factory.private_key is not None else None
    assert secured.server.sessions == before


async def test_with_a_wrong_clock_that_is_said_first(secured: Secured, pki: Path) -> None:
    settings = settings_for(secured.server.port, security_policy=POLICIES[0], pki=pki)
    for year in (1970, 2150):
        credentials = Credentials(settings, now=lambda year=year: datetime(year, 1, 1, tzinfo=UTC))  # type: ignore[misc]
        session = Session(url(settings), 60.0, credentials)
        with pytest.raises(LinkDenied, match=r"^your clock may be wrong"):
            await session.open()
        await session.close()


async def test_a_server_that_refuses_our_certificate_says_where_it_lies(secured: Secured, pki: Path) -> None:
    async def refuse(*_: Any) -> None:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadCertificateUntrusted)

    iserver = secured.server._server.iserver
    iserver.certificate_validator = refuse
    try:
        error = await denied(settings_for(secured.server.port, security_policy=POLICIES[0], pki=pki))
    finally:
        iserver.certificate_validator = None
    assert error.reason == "cert"
    assert str(pki / "own" / "certificate.der") in str(error)


async def test_a_secured_subscription_outlives_the_renewal_of_its_channel(
    secured: Secured, pki: Path
) -> None:
    keys = {"security_policy": POLICIES[0], "pki": pki}
    async with subscribed(secured.server, TAG, **keys) as (link, reports, _):
        await until(lambda: reports.of(0) == [41], "no first value")
        session = link._session
        assert session is not None
        for value in (42, 43, 44):
            due = session._renew_at_s = 0.0
            secured.server.set(
                f"ns={secured.server.index};s=secured", ua.Variant(value, ua.VariantType.Int16)
            )
            await until(lambda value=value: reports.of(0)[-1] == value, "no change")  # type: ignore[misc]
            await until(lambda due=due: session._renew_at_s > due, "the channel is not renewed")  # type: ignore[misc]
    secured.server.set(f"ns={secured.server.index};s=secured", ua.Variant(41, ua.VariantType.Int16))


async def test_settings_that_came_through_the_agent_work_alike(secured: Secured, pki: Path) -> None:
    """A running agent holds plain records: paths and secrets may be of other classes."""

    class Plain:
        def __init__(self, model: Any) -> None:
            self.__dict__.update(model.__dict__)
            self.password = Sealed(PASSWORD)
            self.pki = str(pki)

    settings: Any = Plain(
        settings_for(secured.server.port, security_policy=POLICIES[0], user="reader", password=PASSWORD)
    )
    async with connected(settings) as (link, limits):
        assert (await read(link, settings, [TAG], limits)).values == (41,)
