"""Which endpoint, which certificates, which user: decided before a byte of a secret is sent. Imports asyncua.

A password leaves this machine only over a channel with a security policy, and only encrypted: by the channel
(SignAndEncrypt) or for the server's trusted key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from asyncua.crypto import security_policies

from drivers.opcua.faults import ua
from drivers.opcua.pki import Known, Pki, default_application_uri, load_identity
from edge_agent.errors import LinkDenied
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

_POLICIES: Mapping[str, type[Any]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_SOUND_URIS = {policy.URI for policy in _POLICIES.values()}


@dataclass(frozen=True, slots=True)
class Secured:
    """What a connection is secured with; all empty where it is not."""

    own_file: str = ""
    application_uri: str = ""
    own: Known | None = None
    server: Known | None = None


class Credentials:
    """What one device's settings say of security. Without settings: none, anonymous."""

    def __init__(
        self,
        settings: OpcuaSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings: Any = settings
        self._now = now
        name = "None" if settings is None else settings.security_policy
        self.policy: type[Any] | None = _POLICIES.get(name)
        self._name = name
        self._identity: tuple[Any, Any] | None = None

    def application_uri(self) -> str:
        """Of a session without a certificate."""
        return getattr(self._settings, "application_uri", None) or default_application_uri()

    async def secure(self, client: Any, endpoints: Sequence[Any]) -> Secured:
        """Prepares an asyncua client for the policy configured. Raises LinkDenied if the server does not
        offer it, or offers it with a certificate that is not trusted here."""
        assert self.policy is not None
        settings, mode = self._settings, getattr(ua.MessageSecurityMode, self._settings.security_mode)
        endpoint = self._choose(endpoints, mode)
        pki, now = Pki(Path(settings.pki)), self._now()
        own = await asyncio.to_thread(pki.own, settings.application_uri)
        host = urlsplit(settings.link).hostname or ""
        server = await asyncio.to_thread(pki.judge, endpoint.ServerCertificate, host, now)
        if settings.user_certificate is not None:
            files = Path(settings.user_certificate), Path(settings.user_key)
            self._identity = await asyncio.to_thread(load_identity, *files)
        policy = self.policy(server, own.certificate, own.key, mode)
        client.security_policy = policy
        client.uaclient.set_security(policy)
        return Secured(
            str(own.file), own.application_uri, Known.of(own.certificate, now), Known.of(server, now)
        )

    def identify(self, client: Any) -> dict[str, Any]:
        """Arguments of asyncua's ``activate_session``, after the server has named its token policies in the
        secured session. Raises LinkDenied where a secret would have to be sent unprotected."""
        settings = self._settings
        if settings is None or (settings.user is None and settings.user_certificate is None):
            return {}
        if self.policy is None:
            raise LinkDenied(
                Text(
                    "a user is configured, but no security_policy: the password would cross the network "
                    "readable, so it was not sent",
                    "设置了用户但没有 security_policy：密码会以明文传输，因此没有发送",
                )
            )
        if self._identity is not None:
            certificate, client.user_private_key = self._identity
            client._policy_ids = [self._token(client, ua.UserTokenType.Certificate, _SOUND_URIS)]  # noqa: SLF001 its only door
            return {"certificate": certificate}
        plain_is_safe = client.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt
        plain = {security_policies.SecurityPolicyNone.URI} if plain_is_safe else set()
        client._policy_ids = [self._token(client, ua.UserTokenType.UserName, _SOUND_URIS | plain)]  # noqa: SLF001 its only door
        return {"username": settings.user, "password": settings.password.get_secret_value()}

    def _choose(self, endpoints: Sequence[Any], mode: Any) -> Any:
        assert self.policy is not None
        for endpoint in endpoints or ():
            if endpoint.SecurityPolicyUri == self.policy.URI and endpoint.SecurityMode == mode:
                return endpoint
        offered = sorted({_offer(endpoint) for endpoint in endpoints or ()})
        raise LinkDenied(
            Text(
                f"the server does not offer {self._name} with {mode.name}, and less was not tried; "
                f"it offers: {', '.join(offered) or 'nothing'}",
                f"服务器不提供 {self._name}、{mode.name}，未尝试更低的安全级别；"
                f"它提供：{'、'.join(offered) or '无'}",
            )
        )

    def _token(self, client: Any, kind: Any, uris: set[str]) -> Any:
        """The token policy to use: one whose protection is known to be sound."""
        offered = [policy for policy in client._policy_ids if policy.TokenType == kind]  # noqa: SLF001 its only door
        if not offered:
            raise LinkDenied(
                Text(
                    f"the server takes no {kind.name} identity at this endpoint",
                    f"服务器在该端点不接受 {kind.name} 身份",
                )
            )
        for policy in offered:
            if (policy.SecurityPolicyUri or self.policy.URI) in uris:  # type: ignore[union-attr]
                return policy
        raise LinkDenied(
            Text(
                "the server wants the password unencrypted or with a broken cipher, so it was not sent: "
                "set security_mode to SignAndEncrypt",
                "服务器要求密码不加密或用不安全的算法，因此没有发送：请将 security_mode 设为 SignAndEncrypt",
            )
        )


def _offer(endpoint: Any) -> str:
    policy = str(endpoint.SecurityPolicyUri).rpartition("#")[2] or "?"
    return policy if policy == "None" else f"{policy} with {endpoint.SecurityMode.name}"
