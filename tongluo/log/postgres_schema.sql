-- The event log as PostgreSQL tables. Every statement may run again: opening the log runs this file.

CREATE TABLE IF NOT EXISTS log_partition (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE IF NOT EXISTS log_entry (
    topic      text        NOT NULL,
    partition  int         NOT NULL,
    "offset"   bigint      NOT NULL,
    key        text        NOT NULL,
    event_time timestamptz NOT NULL,
    appended   timestamptz NOT NULL DEFAULT now(),
    value      bytea       NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
);

-- For replay from a point in time and for trimming; BRIN because both times grow with the table.
CREATE INDEX IF NOT EXISTS log_entry_event_time ON log_entry USING brin (event_time);
CREATE INDEX IF NOT EXISTS log_entry_appended ON log_entry USING brin (appended);

CREATE TABLE IF NOT EXISTS log_position (
    consumer_group text   NOT NULL,
    topic          text   NOT NULL,
    partition      int    NOT NULL,
    next_offset    bigint NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition)
);

CREATE TABLE IF NOT EXISTS log_snapshot (
    consumer_group text   NOT NULL,
    topic          text   NOT NULL,
    partition      int    NOT NULL,
    at_offset      bigint NOT NULL,
    value          bytea  NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition)
);

-- Heartbeats only: worthless after a crash of the server, which ends every session anyway.
CREATE UNLOGGED TABLE IF NOT EXISTS log_member (
    backend_pid int         NOT NULL PRIMARY KEY,
    group_lock  int         NOT NULL,
    beat        timestamptz NOT NULL
);
