CREATE SCHEMA IF NOT EXISTS "cdp";

CREATE TABLE IF NOT EXISTS "cdp"."ledgers" (
  "ledger_id" VARCHAR,
  "environment" VARCHAR,
  "sync" VARCHAR,
  "destination" VARCHAR,
  "account_id" VARCHAR,
  "object" VARCHAR,
  "version" BIGINT,
  "mapping_version" VARCHAR,
  "probe" VARCHAR,
  "last_settle_id" VARCHAR,
  "model_rows" BIGINT,
  "consent_rows" BIGINT,
  "created_at" TIMESTAMPTZ,
  "encoding" VARCHAR
);

ALTER TABLE "cdp"."ledgers"
ADD IF NOT EXISTS "encoding" VARCHAR;

ALTER TABLE "cdp"."ledgers"
ADD IF NOT EXISTS "suppression_rows" BIGINT;

CREATE TABLE IF NOT EXISTS "cdp"."settles" (
  "ledger_id" VARCHAR,
  "version" BIGINT,
  "sync" VARCHAR,
  "destination" VARCHAR,
  "digest" VARCHAR,
  "run_id" VARCHAR,
  "partition" VARCHAR,
  "delivered_at" TIMESTAMPTZ
);

CREATE TABLE IF NOT EXISTS "cdp"."delivered_rows" (
  "ledger_id" VARCHAR,
  "version" BIGINT,
  "primary_key" VARCHAR,
  "operation" VARCHAR,
  "changed" VARCHAR,
  "payload" VARCHAR,
  "previous" VARCHAR,
  "record_id" VARCHAR,
  "request_id" VARCHAR
);

CREATE VIEW IF NOT EXISTS "cdp"."sync_log" AS
SELECT
  "rows"."ledger_id",
  "rows"."version",
  "settles"."sync",
  "settles"."destination",
  "rows"."primary_key",
  "rows"."operation",
  "rows"."changed",
  "rows"."payload",
  "rows"."previous",
  "settles"."digest",
  "settles"."run_id",
  "settles"."partition",
  "rows"."record_id",
  "rows"."request_id",
  "settles"."delivered_at"
FROM "cdp"."delivered_rows" AS "rows"
JOIN "cdp"."settles" AS "settles"
  ON "settles"."ledger_id" = "rows"."ledger_id"
  AND "settles"."version" = "rows"."version";

CREATE TABLE IF NOT EXISTS "cdp"."rejected_rows" (
  "ledger_id" VARCHAR,
  "sync" VARCHAR,
  "primary_key" VARCHAR,
  "operation" VARCHAR,
  "fingerprint" VARCHAR,
  "code" VARCHAR,
  "parameters" VARCHAR,
  "attempts" BIGINT,
  "first_at" TIMESTAMPTZ,
  "last_at" TIMESTAMPTZ,
  "next_at" TIMESTAMPTZ,
  "request_id" VARCHAR
);

ALTER TABLE "cdp"."rejected_rows"
ADD IF NOT EXISTS "request_id" VARCHAR;

CREATE TABLE IF NOT EXISTS "cdp"."unknown_rows" (
  "ledger_id" VARCHAR,
  "sync" VARCHAR,
  "primary_key" VARCHAR,
  "operation" VARCHAR,
  "fingerprint" VARCHAR,
  "record_id" VARCHAR,
  "changed" VARCHAR,
  "payload" VARCHAR,
  "previous" VARCHAR,
  "partition" VARCHAR,
  "digest" VARCHAR,
  "run_id" VARCHAR,
  "batch" BIGINT,
  "request_id" VARCHAR,
  "code" VARCHAR,
  "parameters" VARCHAR,
  "first_at" TIMESTAMPTZ,
  "last_at" TIMESTAMPTZ,
  "retry_until" TIMESTAMPTZ,
  "resolved_as" VARCHAR,
  "resolved_by" VARCHAR,
  "resolved_at" TIMESTAMPTZ
);

CREATE TABLE IF NOT EXISTS "cdp"."key_moves" (
  "ledger_id" VARCHAR,
  "version" BIGINT,
  "sync" VARCHAR,
  "former_key" VARCHAR,
  "key" VARCHAR,
  "merged_at" TIMESTAMPTZ,
  "moved_at" TIMESTAMPTZ
);

CREATE TABLE IF NOT EXISTS "cdp"."sync_runs" (
  "run_id" VARCHAR,
  "sync" VARCHAR,
  "destination" VARCHAR,
  "ledger_id" VARCHAR,
  "partition" VARCHAR,
  "digest" VARCHAR,
  "planned" BIGINT,
  "delivered" BIGINT,
  "rejected" BIGINT,
  "unknown" BIGINT,
  "skipped" BIGINT,
  "pending" BIGINT,
  "unchanged" BIGINT,
  "model_rows" BIGINT,
  "operations" VARCHAR,
  "skipped_reasons" VARCHAR,
  "status" VARCHAR,
  "started_at" TIMESTAMPTZ,
  "ended_at" TIMESTAMPTZ
);

CREATE OR REPLACE TEMPORARY TABLE "created_again" AS
SELECT
  "key"
FROM "settled"
WHERE
  "is_touched"
  AND "operation" = 'create'
  AND "key" IN (
    SELECT
      "key"
    FROM "cdp"."ledger_0123456789abcdef"
    WHERE
      "fingerprint" IS NULL
  );

CREATE OR REPLACE TEMPORARY TABLE "refused" AS
SELECT
  "settled".*,
  COALESCE("known"."attempts", 0) + 1 AS "attempts",
  COALESCE("known"."first_at", :now) AS "first_at"
FROM "settled"
LEFT JOIN "cdp"."rejected_rows" AS "known"
  ON "known"."ledger_id" = :ledger
  AND "known"."primary_key" = CAST("settled"."key" AS VARCHAR)
  AND "known"."fingerprint" IS NOT DISTINCT FROM CAST("settled"."fingerprint" AS VARCHAR)
WHERE
  "settled"."status" = 'rejected';

CREATE OR REPLACE TEMPORARY TABLE "known_doubt" AS
SELECT
  "primary_key",
  "first_at",
  "retry_until"
FROM "cdp"."unknown_rows"
WHERE
  "ledger_id" = :ledger
  AND "resolved_at" IS NULL
  AND "primary_key" IN (
    SELECT
      CAST("key" AS VARCHAR)
    FROM "settled"
    WHERE
      (
        "settled"."status" IN ('unknown', 'intent', 'unanswered', 'submitted')
        OR "settled"."status" = 'rejected'
        AND "settled"."is_touched"
      )
  );

DELETE FROM "cdp"."ledger_0123456789abcdef"
WHERE
  "key" IN (
    SELECT
      "key"
    FROM "created_again"
  );

DELETE FROM "cdp"."ledger_side_0123456789abcdef"
WHERE
  "key" IN (
    SELECT
      "key"
    FROM "created_again"
  );

DELETE FROM "cdp"."ledger_0123456789abcdef"
WHERE
  "key" IN (
    SELECT
      "key"
    FROM "settled"
    WHERE
      "is_touched" AND "operation" <> 'create'
  );

INSERT INTO "cdp"."ledger_0123456789abcdef"
SELECT
  "key",
  CASE WHEN "status" = 'delivered' THEN "fingerprint" END
FROM "settled"
WHERE
  "is_touched" AND NOT "is_gone";

DELETE FROM "cdp"."ledger_side_0123456789abcdef"
WHERE
  "key" IN (
    SELECT
      "key"
    FROM "settled"
    WHERE
      "is_touched" AND "operation" <> 'create'
  );

INSERT INTO "cdp"."ledger_side_0123456789abcdef" (
  "key",
  "match_value",
  "record_id",
  "version"
)
SELECT
  "key",
  "match_value",
  COALESCE("told_id", "record_id"),
  :version
FROM "settled"
WHERE
  "is_touched" AND NOT "is_gone";

INSERT INTO "cdp"."settles"
VALUES
  (:ledger, :version, :sync, :destination, :digest, :run, :partition, :now);

INSERT INTO "cdp"."delivered_rows"
SELECT
  :ledger,
  :version,
  CAST("planned"."key" AS VARCHAR),
  "planned"."operation",
  TO_JSON("planned"."changed"),
  CASE
    WHEN "planned"."operation" = 'remove'
    THEN '{}'
    WHEN "planned"."operation" <> 'withdraw' OR "planned"."previous" IS NULL
    THEN "planned"."payload"
    ELSE "cdp_functions".merged("planned"."previous", "planned"."payload")
  END,
  "planned"."previous",
  COALESCE("reasons"."told_id", "planned"."record_id"),
  "reasons"."request_id"
FROM "parquet_0" AS "planned"
LEFT JOIN "reasons"
  ON "reasons"."row_ordinal" = "planned"."ordinal"
WHERE
  NOT "planned"."ordinal" IN (
    SELECT
      "ordinal"
    FROM "undelivered"
  );

DELETE FROM "cdp"."rejected_rows"
WHERE
  "ledger_id" = :ledger
  AND "primary_key" IN (
    SELECT
      CAST("key" AS VARCHAR)
    FROM "settled"
    WHERE
      "status" IN ('delivered', 'rejected')
      AND CAST("key" AS VARCHAR) IN (
        SELECT
          "primary_key"
        FROM "cdp"."rejected_rows"
        WHERE
          "ledger_id" = :ledger
      )
  );

INSERT INTO "cdp"."rejected_rows"
SELECT
  :ledger,
  :sync,
  CAST("key" AS VARCHAR),
  "operation",
  CAST("fingerprint" AS VARCHAR),
  "code",
  "parameters",
  "attempts",
  "first_at",
  :now,
  CASE
    WHEN "first_at" < :now - INTERVAL '7 DAYS' AND "attempts" > 4
    THEN CAST('9999-12-31 23:59:59.999999' AS TIMESTAMPTZ)
    ELSE DATEADD(
      MINUTE,
      CAST(LEAST_IGNORE_NULLS(15 * POWER(4, "attempts" - 1), 1440) AS BIGINT),
      :now
    )
  END,
  "request_id"
FROM "refused";

UPDATE "cdp"."unknown_rows" SET "resolved_as" = 'delivered', "resolved_by" = :run, "resolved_at" = :now
WHERE
  "ledger_id" = :ledger
  AND "resolved_at" IS NULL
  AND "primary_key" IN (
    SELECT
      CAST("key" AS VARCHAR)
    FROM "settled"
    WHERE
      "status" = 'delivered'
  );

DELETE FROM "cdp"."unknown_rows"
WHERE
  "ledger_id" = :ledger
  AND "resolved_at" IS NULL
  AND "primary_key" IN (
    SELECT
      "primary_key"
    FROM "known_doubt"
  );

INSERT INTO "cdp"."unknown_rows"
SELECT
  :ledger,
  :sync,
  CAST("settled"."key" AS VARCHAR),
  "settled"."operation",
  CAST("settled"."fingerprint" AS VARCHAR),
  "planned"."record_id",
  TO_JSON("planned"."changed"),
  "planned"."payload",
  "planned"."previous",
  :partition,
  :digest,
  :run,
  "attempts"."batch",
  "attempts"."request_id",
  "settled"."code",
  "settled"."parameters",
  COALESCE("known_doubt"."first_at", "attempts"."noted_at"),
  "attempts"."noted_at",
  CASE
    WHEN "settled"."status" <> 'unknown' AND "known_doubt"."primary_key" IS NULL
    THEN :retry
    WHEN "settled"."status" <> 'unknown'
    THEN "known_doubt"."retry_until"
  END,
  NULL,
  NULL,
  NULL
FROM "settled"
JOIN "parquet_0" AS "planned"
  ON "planned"."ordinal" = "settled"."ordinal"
JOIN "attempts"
  ON "attempts"."row_ordinal" = "settled"."ordinal"
LEFT JOIN "known_doubt"
  ON "known_doubt"."primary_key" = CAST("settled"."key" AS VARCHAR)
WHERE
  (
    "settled"."status" IN ('unknown', 'intent', 'unanswered', 'submitted')
    OR "settled"."status" = 'rejected'
    AND "settled"."is_touched"
  );
