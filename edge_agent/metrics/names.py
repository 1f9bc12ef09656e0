"""Every Prometheus name of the agent, with its help text and labels."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_STATES = ("in", "out", "unknown", "suppressed")
SERIES_PER_WINDOW = 12  # of the families window_*


@dataclass(frozen=True, slots=True)
class Name:
    """One metric family. A label whose value is empty is left out, which means the same to Prometheus."""

    name: str
    kind: str  # gauge, counter or histogram
    help: str
    labels: tuple[str, ...] = ()


def _gauge(name: str, help_: str, *labels: str) -> Name:
    return Name(f"edgeagent_{name}", "gauge", help_, labels)


def _counter(name: str, help_: str, *labels: str) -> Name:
    return Name(f"edgeagent_{name}_total", "counter", help_, labels)


def _histogram(name: str, help_: str, *labels: str) -> Name:
    return Name(f"edgeagent_{name}", "histogram", help_, labels)


BUILD_INFO = _gauge("build_info", "Version of the agent and of Python; always 1.", "version", "python")
START_TIME = _gauge("start_time_seconds", "When the agent started, Unix time.")
TIME = _gauge("time_seconds", "The agent's wall clock at the scrape, Unix time.")
CLOCK = _gauge("clock_synchronised", "Whether the operating system says that its clock is synchronised.")
LOOP_LAG = _histogram("event_loop_lag_seconds", "How late a timer of the event loop woke up.")
SAMPLES_READ = _counter("samples_read", "Tag values read from devices since start, good or bad.")
EVENTS = _counter("events", "Events recorded since start.", "kind")

CONFIG_OK = _gauge(
    "config_last_reload_successful", "Whether the newest attempt to load the configuration succeeded."
)
CONFIG_TIME = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the configuration in use was loaded, Unix time."
)
CONFIG_INFO = _gauge(
    "config_info",
    "The configuration in use; source is last_good after a start with a broken one; always 1.",
    "hash",
    "source",
)

DEVICE_UP = _gauge("device_up", "Whether the device answers.", "device")
DEVICE_INFO = _gauge("device_info", "What the device is; always 1.", "device", "driver", "endpoint")
DEVICE_CONNECTS = _counter("device_connects", "Connections to the device that came up.", "device")
DEVICE_DISCONNECTS = _counter("device_disconnects", "Connections to the device that were lost.", "device")
DEVICE_REQUESTS = _counter("device_requests", "Requests sent to the device.", "device")
DEVICE_FAILURES = _counter("device_request_failures", "Requests that failed, by reason.", "device", "reason")
DEVICE_MISMATCHES = _counter(
    "device_reply_mismatches", "Replies that did not fit their request and were thrown away.", "device"
)
DEVICE_PROOFS = _counter(
    "device_proofs",
    "Tries to prove which request a device's replies belong to, by result.",
    "device",
    "result",
)
PROOFS = ("ok", "failed", "outwaited")
DEVICE_CERTIFICATE = _gauge(
    "device_certificate_remaining_seconds",
    "How long a certificate of the present connection is still valid.",
    "device",
    "certificate",
)
DEVICE_OVERFLOWS = _counter(
    "device_subscription_overflows",
    "Changes the device dropped because its queue was full; counts from each connection anew.",
    "device",
)
DEVICE_DURATION = _histogram("device_request_duration_seconds", "Duration of one request.", "device")

POLLS = _counter("polls", "Polls of the group that were completed, well or badly.", "device", "group")
POLL_OVERRUNS = _counter(
    "poll_overruns", "Poll slots skipped because the one before had not ended.", "device", "group"
)
POLL_SUCCESS = _gauge(
    "poll_last_success_timestamp_seconds", "Newest poll with a good value, Unix time.", "device", "group"
)
POLL_DURATION = _histogram(
    "poll_duration_seconds", "From a poll's start to its last reply.", "device", "group"
)
POLL_LATE = _histogram("poll_late_seconds", "How late after its slot a poll started.", "device", "group")
TAGS = _gauge("tags", "Tags by their quality now: good, uncertain, bad, stale.", "device", "quality")
TAG_VALUE = _gauge(
    "tag_value", "Value in engineering units; absent while bad or too old.", "device", "tag", "unit"
)
SERIES_DROPPED = _gauge(
    "metrics_series_dropped", "Series of tags and windows left out because of web.max_series."
)

WINDOW_STATE = _gauge("window_state", "1 for the state the process window is in, else 0.", "window", "state")
WINDOW_SECONDS = _counter(
    "window_seconds", "Time the window spent in a state; outlives restarts.", "window", "state"
)
WINDOW_EXCURSIONS = _counter("window_excursions", "Excursions that began; outlives restarts.", "window")
WINDOW_ACTIVE = _gauge(
    "window_excursion_active", "Whether an excursion is active; it stays so while unknown.", "window"
)
WINDOW_LIMIT = _gauge("window_limit", "Limit in force, in engineering units.", "window", "bound")

ALARMS = _gauge("alarms", "Alarms that are not normal, by state and priority.", "state", "priority")
# Exported also with 0; alarms that are covered have a family of their own.
ALARM_STATES = (
    "unacknowledged",
    "acknowledged",
    "returned_unacknowledged",
    "latched_unacknowledged",
    "latched_acknowledged",
)
ALARM_PRIORITIES = ("low", "medium", "high", "critical")
ALARMS_COVERED = {  # state -> metric
    "shelved": _gauge("alarms_shelved", "Alarms that a person has shelved for a time."),
    "suppressed": _gauge("alarms_suppressed", "Alarms that stand but whose window does not apply now."),
    "out_of_service": _gauge("alarms_out_of_service", "Alarms that a person has taken out of service."),
}
ALARMS_ANNUNCIATED = _counter("alarms_annunciated", "Alarms annunciated since start.", "priority")
ALARMS_FLEETING = _counter("alarms_fleeting", "Alarms that went before anybody could react, since start.")
ALARMS_STALE = _gauge("alarms_stale", "Alarms active for more than a day.")
ALARMS_CHATTERING = _gauge("alarms_chattering", "Alarms that came at least three times within a minute.")
ALARM_FLOOD = _gauge("alarm_flood", "1 from more than ten annunciations in ten minutes to fewer than five.")
ALARM_FLOOD_SECONDS = _counter("alarm_flood_seconds", "Time spent in alarm floods since start.")

WRITES = _counter("writes", "Requests to write by how they ended, since start; no heartbeats.", "outcome")
WRITES_LOCKED = _gauge("writes_locked", "Whether the device is locked out for writing.", "device")
WRITES_MISMATCHED = _gauge("writes_outputs_mismatched", "Outputs that do not hold what was written.")

BUFFER = {  # key of the buffer's own report -> metric
    "segments": _gauge("buffer_segments", "Segments on disk."),
    "samples": _gauge("buffer_samples", "Samples on disk."),
    "bytes": _gauge("buffer_bytes", "Space used in the store on disk."),
    "quota_bytes": _gauge("buffer_capacity_bytes", "Size at which the oldest data is removed."),
    "in_memory_samples": _gauge("buffer_memory_samples", "Samples not yet on disk."),
    "memory_bytes": _gauge("buffer_memory_bytes", "Memory used by samples not yet on disk."),
    "appended_samples": _counter("buffer_appended_samples", "Samples handed to the store."),
    "committed_samples": _counter("buffer_committed_samples", "Samples written to disk."),
    "flushes": _counter("buffer_flushes", "Flushes to disk."),
    "corrupt_segments": _counter("buffer_corrupt_segments", "Segments that no longer pass their checksum."),
    "databases_set_aside": _counter("buffer_databases_set_aside", "Broken stores replaced by a new one."),
}
PERIODS = {  # the same of the store of minute, hour and day values
    "bytes": _gauge("periods_bytes", "Space used by minute, hour and day values."),
    "quota_bytes": _gauge("periods_capacity_bytes", "Size at which the oldest of them are removed."),
    "in_memory_samples": _gauge("periods_memory_samples", "Their figures not yet on disk."),
    "committed_samples": _counter("periods_committed_samples", "Their figures written to disk."),
    "late_samples": _counter("periods_late_samples", "Samples that came for periods already closed."),
}
PERIODS_DEGRADED = _gauge("periods_degraded", "Whether their store cannot write to disk at the moment.")
BUFFER_DEGRADED = _gauge("buffer_degraded", "Whether the store cannot write to disk at the moment.")
BUFFER_FLUSHED = _gauge("buffer_last_flush_timestamp_seconds", "Newest flush to disk, Unix time.")
BUFFER_COMMIT = _histogram("buffer_commit_duration_seconds", "Time one commit to disk took.")
BUFFER_LOST = _counter("buffer_lost_samples", "Samples written off in the loss ledger.", "reason")
BUFFER_UNKNOWN = _counter("buffer_losses_unknown_extent", "Losses of unknown size.", "reason")
# Exported from the start with 0: Prometheus cannot see a counter rise from nothing.
LOSSES = (
    "memory",
    "thinned",
    "quota",
    "corrupt",
    "uplink_removed",
    "selection_changed",
    "dropped",
    "unencodable",
)
LOSSES_UNKNOWN = ("unclean_stop", "quarantined_database", "missing_database", "corrupt")

STORE = {  # key of a store's row -> metric
    "quota_bytes": _gauge("store_quota_bytes", "Space the store may take of this disk now.", "store"),
    "quota_used_ratio": _gauge("store_used_ratio", "Share of that quota in use.", "store"),
    "unsent_ratio": _gauge("store_unsent_ratio", "Share of that quota held by undelivered data.", "store"),
    "thinning": _gauge("store_thinning", "Whether one reading in five is kept, for want of room.", "store"),
    "disk_free_bytes": _gauge("store_disk_free_bytes", "Free space on the disk below.", "store"),
    "events_dropped": _counter("store_events_dropped", "Events given up before delivery.", "store"),
    "salvaged_samples": _counter(
        "store_salvaged_samples", "Samples saved of stores that were set aside.", "store"
    ),
}
STORE_OUTAGE = _gauge(
    "store_outage_seconds_left", "Until undelivered data is lost, at the rate of the last hour.", "store"
)
STORE_OLDEST = _gauge(
    "store_oldest_unsent_timestamp_seconds", "Oldest undelivered data of the store, Unix time.", "store"
)
STORAGE_WRITTEN = _counter("storage_written_bytes", "Bytes written to storage.", "source")
STORAGE_DAY = _gauge("storage_written_day_bytes", "Bytes this agent wrote within the last 24 hours.")
STORAGE_BUDGET = _gauge("storage_daily_budget_bytes", "Bytes a day this agent may write.")

UPLINK_UP = _gauge("uplink_up", "Whether the destination accepts data.", "uplink")
UPLINK_INFO = _gauge("uplink_info", "What the destination is; always 1.", "uplink", "type", "endpoint")
UPLINK_SENDS = _counter("uplink_sends", "Messages sent to the destination.", "uplink")
UPLINK_FAILURES = _counter("uplink_send_failures", "Messages that failed, by reason.", "uplink", "reason")
UPLINK_ACKNOWLEDGED = _counter(
    "uplink_acknowledged_samples", "Samples the destination has confirmed.", "uplink"
)
UPLINK_PENDING = _gauge("uplink_pending_samples", "Samples committed but not yet confirmed.", "uplink")
UPLINK_QUARANTINED = _gauge(
    "uplink_quarantined_samples", "Samples the destination refused, kept aside.", "uplink"
)
UPLINK_OLDEST = _gauge(
    "uplink_oldest_pending_timestamp_seconds", "Oldest sample not yet confirmed, Unix time.", "uplink"
)
UPLINK_SUCCESS = _gauge("uplink_last_success_timestamp_seconds", "Newest confirmation, Unix time.", "uplink")
UPLINK_DURATION = _histogram("uplink_send_duration_seconds", "From message to answer.", "uplink")
