"""What a failed service call, connect or parse asks of the caller. Imports asyncua."""

from __future__ import annotations

import struct
from typing import Any

from asyncua import ua as typed_ua
from asyncua.crypto import uacrypto
from asyncua.ua.uaerrors import UaError
from cryptography.exceptions import InvalidSignature

from edge_agent.errors import BadReply, Busy, DriverError, LinkDenied, LinkLost, Refused
from edge_agent.settings import Text

ua: Any = typed_ua  # its annotations ask for its own number types, its code does not

MALFORMED = (
    UaError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    struct.error,
    InvalidSignature,
    uacrypto.InvalidSignature,  # type: ignore[attr-defined]  # of a chunk; its own class
)
"""What the library's parser raises for bytes that are no message, or not from whom they should be."""

_Code = ua.StatusCodes
TOO_MANY = frozenset(
    {
        _Code.BadTooManyOperations,
        _Code.BadEncodingLimitsExceeded,
        _Code.BadRequestTooLarge,
        _Code.BadResponseTooLarge,
    }
)
USER = frozenset(
    {_Code.BadUserAccessDenied, _Code.BadIdentityTokenInvalid, _Code.BadIdentityTokenRejected}
    | {_Code.BadUserSignatureInvalid, _Code.BadNoValidCertificates}
)
CERTIFICATE = frozenset(
    {
        _Code.BadSecurityChecksFailed,
        _Code.BadCertificateInvalid,
        _Code.BadCertificateUntrusted,
        _Code.BadCertificateTimeInvalid,
        _Code.BadCertificateUriInvalid,
        _Code.BadCertificateUseNotAllowed,
        _Code.BadCertificateRevoked,
        _Code.BadCertificateChainIncomplete,
        _Code.BadCertificateHostNameInvalid,
        _Code.BadCertificateIssuerTimeInvalid,
        _Code.BadCertificateIssuerUseNotAllowed,
        _Code.BadCertificateRevocationUnknown,
        _Code.BadApplicationSignatureInvalid,
    }
)
SESSIONS = frozenset({_Code.BadTooManySessions, _Code.BadTcpServerTooBusy, _Code.BadServerTooBusy})
_POLICY = frozenset({_Code.BadSecurityModeRejected, _Code.BadSecurityPolicyRejected})
_BUSY = frozenset(
    {_Code.BadTcpServerTooBusy, _Code.BadResourceUnavailable, _Code.BadTooManyPublishRequests}
    | {_Code.BadOutOfMemory, _Code.BadServerTooBusy}
)
_REFUSED = frozenset(
    {
        _Code.BadUserAccessDenied,
        _Code.BadServiceUnsupported,
        _Code.BadNotSupported,
        _Code.BadNotImplemented,
        _Code.BadTooManySubscriptions,
        _Code.BadTooManyMonitoredItems,
    }
)
_ANSWERED_BADLY = frozenset(
    {
        _Code.BadUnexpectedError,
        _Code.BadInternalError,
        _Code.BadDecodingError,
        _Code.BadEncodingError,
        _Code.BadTimeout,
        _Code.BadRequestHeaderInvalid,
        _Code.BadNothingToDo,
    }
)


class TooMany(Exception):
    """A call was larger than the server, or its answer larger than we, take."""


def service_fault(error: Any, what: str) -> DriverError:
    """``what``: the call, as in "the server refuses the ...". Whatever is not known to spare the session has
    ended it."""
    if error.code in _REFUSED:
        return Refused(
            Text(f"the server refuses the {what}: {error}", f"服务器拒绝该请求（{what}）：{error}")
        )
    if error.code in _BUSY:
        return Busy(Text(f"the server has no resources free: {error}", f"服务器没有空闲资源：{error}"))
    if error.code in _ANSWERED_BADLY:
        return BadReply(
            Text(f"the server failed in the {what}: {error}", f"服务器处理请求（{what}）失败：{error}")
        )
    return LinkLost(Text(f"the session is over: {error}", f"会话已结束：{error}"))


def refused_session(error: Any, own_certificate: str) -> LinkLost:
    """Why there is no session, and the cure. ``own_certificate``: where ours lies, "" without security."""
    if error.code in CERTIFICATE:
        own, cure, cure_zh = own_certificate, "", ""
        if own:
            cure = f"; trust our certificate {own} on the server"
            cure_zh = f"；请在服务器上信任本机证书 {own}"
        return LinkDenied(
            Text(
                f"the server does not accept our certificate: {error}{cure}. If it did before: is a clock "
                "wrong?",
                f"服务器不接受本机证书：{error}{cure_zh}。若以前可以：时钟是否有误？",
            ),
            reason="cert",
        )
    if error.code in USER:
        return LinkDenied(
            Text(f"the server does not let this user in: {error}", f"服务器不允许该用户登录：{error}"),
            reason="auth",
        )
    if error.code in _POLICY:
        return LinkDenied(
            Text(f"the server refuses the security policy: {error}", f"服务器拒绝该安全策略：{error}"),
            reason="auth",
        )
    return LinkLost(Text(f"the server refuses the session: {error}", f"服务器拒绝会话：{error}"))
