"""The store's tables. The migrations build exactly these; a test compares the two."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
    }
)


def _time(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=options.pop("nullable", False), **options)


# Every version of the registry; the one with the highest number holds. The description is JSON, deflated (zlib).
registry_version = Table(
    "registry_version",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    Column("who", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("summary", JSONB, nullable=False),
    Column("description", LargeBinary, nullable=False),
)

# Every version of the rule catalogue's files; the one with the highest number holds, if it reads. The files are a JSON
# object of texts by name, deflated (zlib). `reported`: their replay was looked at before they were applied.
rule_version = Table(
    "rule_version",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    Column("who", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("reported", Boolean, nullable=False),
    Column("files", LargeBinary, nullable=False),
)

# Files whose replay has been reported.
rule_report = Table(
    "rule_report",
    metadata,
    Column("digest", Text, primary_key=True),
    _time("at"),
    Column("who", Text, nullable=False),
)

# Rules on trial beside those in force: since which event time, against which version. At most one has not ended.
rule_shadow = Table(
    "rule_shadow",
    metadata,
    Column("no", BigInteger, Identity(), primary_key=True),
    _time("since"),
    _time("began"),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("against", BigInteger, nullable=False),
    Column("files", LargeBinary, nullable=False),
    _time("ended", nullable=True),
    Column("ended_by", Text),
    Index("rule_shadow_running_idx", text("(ended IS NULL)"), unique=True, postgresql_where="ended IS NULL"),
)

# What rules on trial found; nobody is told.
shadow_finding = Table(
    "shadow_finding",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("rule_version", Text, primary_key=True),
    Column("site", Text, primary_key=True),
    _time("time", primary_key=True),
    Column("hazard", Text, nullable=False),
    Column("level", Text),
    Column("drill", Boolean, primary_key=True),
    Column("evidence", JSONB, nullable=False),
    _time("recorded"),
)

# By time: monthly partitions (tongluo/store/partitions.py), or with TimescaleDB the chunks of a hypertable and
# beside it the continuous aggregates reading_5m, reading_1h and reading_1d (migration 0002).
reading = Table(
    "reading",
    metadata,
    Column("station", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    _time("time", primary_key=True),
    Column("value", Double, nullable=False),
    Column("quality", Text, nullable=False),
    _time("recorded"),
    Column("flags", Integer, nullable=False, server_default="0"),
    Column("seq", BigInteger),
    postgresql_partition_by="RANGE (time)",
)

# The newest reading of each station and metric, so that lists need not search the history.
latest = Table(
    "latest",
    metadata,
    Column("station", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    _time("time"),
    Column("value", Double, nullable=False),
    Column("quality", Text, nullable=False),
    _time("recorded"),
    Column("flags", Integer, nullable=False, server_default="0"),
    Index("latest_recorded_idx", "recorded"),
)

# What cameras saw. `track` is empty where the camera names none; `digest` and `image` (the file suffix) name the snapshot.
detection = Table(
    "detection",
    metadata,
    Column("camera", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    _time("time", primary_key=True),
    Column("track", Text, primary_key=True),
    Column("confidence", Double, nullable=False),
    Column("azimuth_deg", Double, nullable=False),
    Column("cone_deg", Double, nullable=False),
    Column("site", Text, nullable=False),
    Column("gateway", Text, nullable=False),
    Column("digest", Text),
    Column("image", Text),
    Column("size_bytes", Integer),
    _time("recorded"),
    Index("detection_time_idx", "time"),
    Index("detection_digest_idx", "digest"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", JSONB, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("times", BigInteger, nullable=False),
    _time("received"),
    _time("last_seen"),
    # kept; requeued: to be read again; sent: on its way to where it is accepted or refused once more.
    Column("state", Text, nullable=False, server_default="kept"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("requeued", nullable=True),
    Column("requeued_by", Text),
    Index("quarantine_last_seen_idx", "last_seen"),
    Index("quarantine_requeued_idx", "requeued", "id", postgresql_where="state <> 'kept'"),
)

# What gateways say of themselves (tongluo/gateway.py).
gateway_status = Table(
    "gateway_status",
    metadata,
    Column("gateway", Text, primary_key=True),
    Column("online", Boolean, nullable=False),
    _time("since"),
    _time("heard"),
    Column("battery", Double),
    _time("said", nullable=True),
    _time("went", nullable=True),
)

# Since when a station is known to be registered.
station_since = Table(
    "station_since", metadata, Column("station", Text, primary_key=True), _time("registered")
)

# When stations were heard, first and last, and the event time of their oldest reading; pauses, until they are judged.
station_heard = Table(
    "station_heard",
    metadata,
    Column("station", Text, primary_key=True),
    _time("first"),
    _time("last"),
    _time("first_time"),
)
heard_gap = Table(
    "heard_gap",
    metadata,
    Column("station", Text, primary_key=True),
    _time("began", primary_key=True),
    _time("ended"),
)

# Silence as events, those of now, and how far it has been judged.
station_event = Table(
    "station_event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    Column("station", Text, nullable=False),
    Column("gateway", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),
    _time("time"),
    _time("last", nullable=True),
    Column("cause", Text),
    Column("words", JSONB, nullable=False),
    _time("recorded"),
    # When the event log had it.
    _time("told", nullable=True),
    Index("station_event_station_time_idx", "station", "time"),
    Index("station_event_untold_idx", "seq", postgresql_where="told IS NULL"),
)
station_silence = Table(
    "station_silence",
    metadata,
    Column("station", Text, primary_key=True),
    Column("event", Text, ForeignKey("station_event.id"), nullable=False),
)
silence_watch = Table(
    "silence_watch",
    metadata,
    Column("name", Text, primary_key=True),
    _time("judged"),
    _time("watched", nullable=True),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hazard", Text, nullable=False),
    Column("site", Text, nullable=False),
    _time("onset"),
    Column("level", Text),
    Column("peak", Text, nullable=False),
    Column("state", Text, nullable=False),
    _time("updated"),
    Column("report_no", Integer, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("headline", JSONB, nullable=False),
    # Of an exercise: a course of its own, beside the real one.
    Column("drill", Boolean, nullable=False, server_default="false"),
    Index("alert_site_onset_idx", "hazard", "site", "drill", "onset"),
    Index("alert_onset_idx", "onset"),
)

report = Table(
    "report",
    metadata,
    Column("alert", Text, ForeignKey("alert.id"), primary_key=True),
    Column("no", Integer, primary_key=True),
    _time("time"),
    Column("transition", Text, nullable=False),
    Column("level_from", Text),
    Column("level_to", Text),
    Column("evidence", JSONB, nullable=False),
    Column("headline", JSONB, nullable=False),
    _time("recorded"),
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("hazards", ARRAY(Text), nullable=False),
    Column("min_level", Text, nullable=False),
    Column("areas", ARRAY(Text), nullable=False),
    Column("enabled", Boolean, nullable=False),
    _time("created"),
    # A subscription that has ended stays: who was told, and when, remains known.
    _time("ended", nullable=True),
)

# The outbox. `id` is the webhook-id; `body` is kept so that every attempt says the same.
delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    Column("subscription", Text, ForeignKey("subscription.id"), nullable=False),
    Column("alert", Text, ForeignKey("alert.id")),
    Column("report_no", Integer),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    _time("due"),
    Column("status", SmallInteger),
    Column("error", Text),
    _time("created"),
    _time("delivered", nullable=True),
    Index("delivery_due_idx", "due", postgresql_where="state IN ('pending', 'sending')"),
    Index("delivery_alert_idx", "alert", "subscription"),
    Index("delivery_subscription_idx", "subscription", "seq"),
)

# What the page must hear of, in commit order, so that a stream can resume after any of them.
change = Table(
    "change",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("alert", Text, nullable=False),
    Column("delivery", Text),
    _time("at"),
)

# The level of each hazard at each site as the downlink knows it; NULL once it has fallen away.
sampling_level = Table(
    "sampling_level",
    metadata,
    Column("site", Text, primary_key=True),
    Column("hazard", Text, primary_key=True),
    Column("level", Text),
    _time("time"),
)

# What stations were asked to do (services/ingest/downlink). `until` is NULL for a release; `in_force_s` is the interval
# that the gateway says it keeps.
command = Table(
    "command",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("gateway", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("interval_s", Integer, nullable=False),
    _time("until", nullable=True),
    Column("hazard", Text, nullable=False),
    Column("level", Text),
    _time("found"),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    _time("created"),
    _time("due"),
    _time("sent", nullable=True),
    _time("answered", nullable=True),
    Column("reason", Text),
    Column("in_force_s", Integer),
    Index("command_station_idx", "station", "seq"),
    Index("command_site_idx", "site", "station", "seq"),
    Index("command_seq_idx", "seq"),
    Index("command_due_idx", "due", postgresql_where="state IN ('pending', 'sent')"),
)

account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    _time("created"),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("account", Text, ForeignKey("account.name", ondelete="CASCADE"), nullable=False),
    _time("expires"),
)

# Ingest processes that share the field (TONGLUO_MQTT_SHARE), by MQTT client id, and when each was last at work.
ingest_member = Table(
    "ingest_member",
    metadata,
    Column("client", Text, primary_key=True),
    Column("share", Text, nullable=False),
    _time("seen"),
)

# Consumers that write to the store keep their place in the log here, in the same transaction as their effect.
consumer_position = Table(
    "consumer_position",
    metadata,
    Column("consumer_group", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
