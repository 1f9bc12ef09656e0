"""What one uplink is made of, from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.uplink import Host
from edge_agent.uplinks.hj212.cipher import key_of
from edge_agent.uplinks.hj212.facilities import Facilities, Facility, Info
from edge_agent.uplinks.hj212.factors import format_of
from edge_agent.uplinks.hj212.keyring import Keyring
from edge_agent.uplinks.hj212.letter import Identity
from edge_agent.uplinks.hj212.number import Format
from edge_agent.uplinks.hj212.orders import Orders
from edge_agent.uplinks.hj212.profile import VERSIONS, Version
from edge_agent.uplinks.hj212.record import Mapped
from edge_agent.uplinks.hj212.requests import Offer
from edge_agent.uplinks.hj212.session import Limits

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings


def identity_of(settings: Hj212Settings) -> Identity:
    return Identity(settings.mn, settings.pw.get_secret_value(), settings.st, VERSIONS[settings.version])


def mapping(settings: Hj212Settings) -> list[Mapped]:
    edition_2025 = VERSIONS[settings.version] is Version.V2025
    return [
        Mapped(
            f.tag,
            f.code,
            Format.parse(f.format or format_of(f.code, edition_2025=edition_2025)),
            f.unit,
            f.total or "",
            Format.parse(f.total_format),
        )
        for f in settings.factors
    ]


def facilities_of(settings: Hj212Settings) -> Facilities:
    return Facilities(
        [Facility(f.code, f.tag, f.figure) for f in settings.running_hours],
        [Info(i.factor, i.code, i.tag) for i in settings.infos],
        {f.code: f.sn for f in settings.factors if f.sn},
    )


def offer_of(settings: Hj212Settings) -> Offer:
    return Offer(
        infos=bool(settings.infos),
        serials=any(f.sn for f in settings.factors),
        running_hours=bool(settings.running_hours),
        key_exchange=settings.key_exchange,
        min_interval=settings.min_interval,
    )


def orders_of(settings: Hj212Settings) -> Orders:
    return Orders(float(settings.over_time), int(settings.re_count), float(settings.real_time))


def limits_of(settings: Hj212Settings, orders: Orders) -> Limits:
    return Limits(
        orders.over_time_s,
        orders.re_count,
        settings.window,
        settings.heartbeat if VERSIONS[settings.version].has_heartbeat else 0.0,
        settings.backfill_per_min / 60,
    )


def keyring_of(settings: Hj212Settings, host: Host) -> Keyring | None:
    """ValueError when the machine has no SM4."""
    if settings.sm4_key is None:
        return None
    key = key_of(settings.sm4_key.get_secret_value())
    return Keyring(host, settings.mn, key, settings.cipher_wire)
