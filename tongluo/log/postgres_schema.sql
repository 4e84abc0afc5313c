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

-- Append entries in one round trip. The partitions' rows are locked, in one order for everybody, until the caller's
-- transaction ends: offsets become visible in order and without gaps, and two appends never wait for each other.
CREATE OR REPLACE FUNCTION log_append(
    topics text[], partitions int[], keys text[], event_times timestamptz[], entry_values bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place record;
BEGIN
    FOR place IN
        SELECT t AS topic, p AS partition, count(*) AS wanted
        FROM unnest(topics, partitions) AS e(t, p) GROUP BY t, p ORDER BY t, p
    LOOP
        UPDATE log_partition l SET next_offset = next_offset + place.wanted
        WHERE l.topic = place.topic AND l.partition = place.partition;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no partition % of topic %', place.partition, place.topic;
        END IF;
    END LOOP;
    INSERT INTO log_entry (topic, partition, "offset", key, event_time, value)
    SELECT e.t, e.p, l.next_offset - count(*) OVER (PARTITION BY e.t, e.p)
           + row_number() OVER (PARTITION BY e.t, e.p ORDER BY e.nth) - 1, e.k, e.at, e.v
    FROM unnest(topics, partitions, keys, event_times, entry_values) WITH ORDINALITY AS e(t, p, k, at, v, nth)
    JOIN log_partition l ON l.topic = e.t AND l.partition = e.p;
    PERFORM pg_notify('tongluo', 'log:' || t) FROM (SELECT DISTINCT unnest(topics) AS t) AS told;
END
$$;
