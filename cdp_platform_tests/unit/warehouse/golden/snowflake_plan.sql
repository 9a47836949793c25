CREATE OR REPLACE TEMPORARY TABLE "permissions" AS
SELECT
  "said"."identifier",
  CASE
    WHEN MAX(
      CASE
        WHEN "said"."status" = 'suppressed'
        AND (
          "said"."entity" IS NULL OR "said"."entity" = 'shop'
        )
        THEN 6
        WHEN "said"."status" = 'withdrawn' AND "said"."entity" = 'shop'
        THEN 5
        WHEN "said"."status" = 'confirmed' AND "said"."entity" = 'shop'
        THEN 4
        WHEN "said"."status" = 'granted' AND "said"."entity" = 'shop'
        THEN 3
        WHEN "said"."status" IN ('granted', 'confirmed')
        THEN 2
        ELSE 0
      END
    ) = 6
    THEN 'suppressed'
    WHEN MAX(
      CASE
        WHEN "said"."status" = 'suppressed'
        AND (
          "said"."entity" IS NULL OR "said"."entity" = 'shop'
        )
        THEN 6
        WHEN "said"."status" = 'withdrawn' AND "said"."entity" = 'shop'
        THEN 5
        WHEN "said"."status" = 'confirmed' AND "said"."entity" = 'shop'
        THEN 4
        WHEN "said"."status" = 'granted' AND "said"."entity" = 'shop'
        THEN 3
        WHEN "said"."status" IN ('granted', 'confirmed')
        THEN 2
        ELSE 0
      END
    ) = 5
    THEN 'withdrawn'
    WHEN MAX(
      CASE
        WHEN "said"."status" = 'suppressed'
        AND (
          "said"."entity" IS NULL OR "said"."entity" = 'shop'
        )
        THEN 6
        WHEN "said"."status" = 'withdrawn' AND "said"."entity" = 'shop'
        THEN 5
        WHEN "said"."status" = 'confirmed' AND "said"."entity" = 'shop'
        THEN 4
        WHEN "said"."status" = 'granted' AND "said"."entity" = 'shop'
        THEN 3
        WHEN "said"."status" IN ('granted', 'confirmed')
        THEN 2
        ELSE 0
      END
    ) = 4
    THEN 'granted'
    WHEN FALSE AND TRUE
    THEN 'granted'
    WHEN MAX(
      CASE
        WHEN "said"."status" = 'suppressed'
        AND (
          "said"."entity" IS NULL OR "said"."entity" = 'shop'
        )
        THEN 6
        WHEN "said"."status" = 'withdrawn' AND "said"."entity" = 'shop'
        THEN 5
        WHEN "said"."status" = 'confirmed' AND "said"."entity" = 'shop'
        THEN 4
        WHEN "said"."status" = 'granted' AND "said"."entity" = 'shop'
        THEN 3
        WHEN "said"."status" IN ('granted', 'confirmed')
        THEN 2
        ELSE 0
      END
    ) = 3
    AND FALSE
    THEN 'not_confirmed'
    WHEN MAX(
      CASE
        WHEN "said"."status" = 'suppressed'
        AND (
          "said"."entity" IS NULL OR "said"."entity" = 'shop'
        )
        THEN 6
        WHEN "said"."status" = 'withdrawn' AND "said"."entity" = 'shop'
        THEN 5
        WHEN "said"."status" = 'confirmed' AND "said"."entity" = 'shop'
        THEN 4
        WHEN "said"."status" = 'granted' AND "said"."entity" = 'shop'
        THEN 3
        WHEN "said"."status" IN ('granted', 'confirmed')
        THEN 2
        ELSE 0
      END
    ) = 3
    THEN 'granted'
    WHEN MAX(
      CASE
        WHEN "said"."status" = 'suppressed'
        AND (
          "said"."entity" IS NULL OR "said"."entity" = 'shop'
        )
        THEN 6
        WHEN "said"."status" = 'withdrawn' AND "said"."entity" = 'shop'
        THEN 5
        WHEN "said"."status" = 'confirmed' AND "said"."entity" = 'shop'
        THEN 4
        WHEN "said"."status" = 'granted' AND "said"."entity" = 'shop'
        THEN 3
        WHEN "said"."status" IN ('granted', 'confirmed')
        THEN 2
        ELSE 0
      END
    ) = 2
    THEN 'other_brand'
    ELSE 'never_asked'
  END AS "permission"
FROM (
  SELECT
    NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("identifier" AS VARCHAR)))), '') AS "identifier",
    "entity",
    "channel",
    "purpose",
    "status"
  FROM "marts"."consents"
  UNION ALL
  SELECT
    NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("identifier" AS VARCHAR)))), '') AS "identifier",
    "entity",
    "channel",
    CAST(NULL AS VARCHAR),
    'suppressed'
  FROM "marts"."suppressions"
) AS "said"
WHERE
  "said"."channel" = 'email'
  AND (
    "said"."purpose" = 'email_marketing' OR "said"."purpose" IS NULL
  )
  AND NOT "said"."identifier" IS NULL
  AND TRUE
GROUP BY
  "said"."identifier";

CREATE OR REPLACE TEMPORARY TABLE "desired" AS
SELECT
  "model"."person_id" AS "key",
  CAST("cdp_functions".nfc(CAST("model"."person_id" AS VARCHAR)) AS VARCHAR) AS "match_value",
  NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') AS "consent_identifier",
  COALESCE(
    "permissions"."permission",
    CASE
      WHEN NULL = 6
      THEN 'suppressed'
      WHEN NULL = 5
      THEN 'withdrawn'
      WHEN NULL = 4
      THEN 'granted'
      WHEN FALSE
      AND NOT NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') IS NULL
      THEN 'granted'
      WHEN NULL = 3 AND FALSE
      THEN 'not_confirmed'
      WHEN NULL = 3
      THEN 'granted'
      WHEN NULL = 2
      THEN 'other_brand'
      ELSE 'never_asked'
    END
  ) AS "permission",
  CASE
    WHEN COALESCE(
      "permissions"."permission",
      CASE
        WHEN NULL = 6
        THEN 'suppressed'
        WHEN NULL = 5
        THEN 'withdrawn'
        WHEN NULL = 4
        THEN 'granted'
        WHEN FALSE
        AND NOT NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') IS NULL
        THEN 'granted'
        WHEN NULL = 3 AND FALSE
        THEN 'not_confirmed'
        WHEN NULL = 3
        THEN 'granted'
        WHEN NULL = 2
        THEN 'other_brand'
        ELSE 'never_asked'
      END
    ) IN ('withdrawn', 'suppressed')
    THEN HASH('withdrawn', "cdp_functions".nfc(CAST("model"."email_permission" AS VARCHAR)))
    ELSE HASH(
      "cdp_functions".nfc(CAST("model"."person_id" AS VARCHAR)),
      "cdp_functions".nfc(CAST("model"."email" AS VARCHAR)),
      "cdp_functions".nfc(CAST("model"."email_permission" AS VARCHAR)),
      "cdp_functions".nfc(CAST("model"."segment" AS VARCHAR)),
      TRY_TO_NUMBER(TRIM(CAST("model"."lifetime_value" AS VARCHAR)), 12, 2)
    )
  END AS "fingerprint",
  (
    NOT (
      COALESCE(
        "permissions"."permission",
        CASE
          WHEN NULL = 6
          THEN 'suppressed'
          WHEN NULL = 5
          THEN 'withdrawn'
          WHEN NULL = 4
          THEN 'granted'
          WHEN FALSE
          AND NOT NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') IS NULL
          THEN 'granted'
          WHEN NULL = 3 AND FALSE
          THEN 'not_confirmed'
          WHEN NULL = 3
          THEN 'granted'
          WHEN NULL = 2
          THEN 'other_brand'
          ELSE 'never_asked'
        END
      ) IN ('withdrawn', 'suppressed')
    )
    AND CONTAINS(CAST("model"."person_id" AS VARCHAR), CHR(  0))
  )
  OR (
    NOT (
      COALESCE(
        "permissions"."permission",
        CASE
          WHEN NULL = 6
          THEN 'suppressed'
          WHEN NULL = 5
          THEN 'withdrawn'
          WHEN NULL = 4
          THEN 'granted'
          WHEN FALSE
          AND NOT NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') IS NULL
          THEN 'granted'
          WHEN NULL = 3 AND FALSE
          THEN 'not_confirmed'
          WHEN NULL = 3
          THEN 'granted'
          WHEN NULL = 2
          THEN 'other_brand'
          ELSE 'never_asked'
        END
      ) IN ('withdrawn', 'suppressed')
    )
    AND CONTAINS(CAST("model"."email" AS VARCHAR), CHR(  0))
  )
  OR CONTAINS(CAST("model"."email_permission" AS VARCHAR), CHR(  0))
  OR (
    NOT (
      COALESCE(
        "permissions"."permission",
        CASE
          WHEN NULL = 6
          THEN 'suppressed'
          WHEN NULL = 5
          THEN 'withdrawn'
          WHEN NULL = 4
          THEN 'granted'
          WHEN FALSE
          AND NOT NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') IS NULL
          THEN 'granted'
          WHEN NULL = 3 AND FALSE
          THEN 'not_confirmed'
          WHEN NULL = 3
          THEN 'granted'
          WHEN NULL = 2
          THEN 'other_brand'
          ELSE 'never_asked'
        END
      ) IN ('withdrawn', 'suppressed')
    )
    AND CONTAINS(CAST("model"."segment" AS VARCHAR), CHR(  0))
  )
  OR (
    NOT (
      COALESCE(
        "permissions"."permission",
        CASE
          WHEN NULL = 6
          THEN 'suppressed'
          WHEN NULL = 5
          THEN 'withdrawn'
          WHEN NULL = 4
          THEN 'granted'
          WHEN FALSE
          AND NOT NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') IS NULL
          THEN 'granted'
          WHEN NULL = 3 AND FALSE
          THEN 'not_confirmed'
          WHEN NULL = 3
          THEN 'granted'
          WHEN NULL = 2
          THEN 'other_brand'
          ELSE 'never_asked'
        END
      ) IN ('withdrawn', 'suppressed')
    )
    AND (
      NOT "model"."lifetime_value" IS NULL
      AND NOT (
        NOT TRY_TO_NUMBER(TRIM(CAST("model"."lifetime_value" AS VARCHAR)), 12, 2) IS NULL
      )
    )
  ) AS "is_invalid"
FROM "activation"."sync_contacts__crm" AS "model"
LEFT JOIN "permissions"
  ON "permissions"."identifier" = NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '');

CREATE OR REPLACE TEMPORARY TABLE "operations" AS
WITH "compared" AS (
  SELECT
    COALESCE("desired"."key", "ledger"."key") AS "key",
    CASE
      WHEN "desired"."key" IS NULL OR FALSE
      THEN 'remove'
      WHEN "permission" IN ('withdrawn', 'suppressed')
      THEN 'withdraw'
      WHEN "ledger"."key" IS NULL
      THEN 'create'
      ELSE 'update'
    END AS "operation",
    CASE WHEN NOT (
      FALSE
    ) THEN "desired"."fingerprint" END AS "fingerprint",
    "ledger"."fingerprint" AS "known",
    NOT "ledger"."key" IS NULL AS "is_in_ledger",
    "permission",
    "is_invalid" AND NOT (
      FALSE
    ) AS "is_invalid"
  FROM (
    SELECT
      *
    FROM "desired"
    WHERE
      TRUE
  ) AS "desired"
  LEFT JOIN (
    SELECT
      *
    FROM "cdp"."ledger_0123456789abcdef"
    WHERE
      TRUE
  ) AS "ledger"
    ON "ledger"."key" = "desired"."key"
  WHERE
    "ledger"."key" IS NULL
    OR "desired"."key" IS NULL
    OR (
      (
        TRUE
      )
      AND (
        "desired"."fingerprint" IS DISTINCT FROM "ledger"."fingerprint" OR "is_invalid"
      )
    )
    OR "permission" IN ('never_asked', 'other_brand', 'not_confirmed')
    OR FALSE
)
SELECT
  "compared"."key",
  "compared"."operation",
  "compared"."fingerprint",
  "known",
  "is_in_ledger",
  "permission",
  CASE
    WHEN "permission" IN ('never_asked', 'other_brand', 'not_confirmed')
    AND "compared"."operation" <> 'remove'
    THEN "permission"
    WHEN "permission" IN ('withdrawn', 'suppressed') AND NOT (
      "is_in_ledger" OR FALSE
    )
    THEN "permission"
    WHEN "is_invalid"
    THEN 'invalid_value'
    WHEN "permission" IS NULL AND TRUE
    THEN 'merged'
    WHEN NOT "rejected"."primary_key" IS NULL
    THEN 'held'
  END AS "skipped"
FROM "compared"
LEFT JOIN "cdp"."rejected_rows" AS "rejected"
  ON "rejected"."ledger_id" = ?
  AND "rejected"."next_at" > CURRENT_TIMESTAMP()
  AND (
    "rejected"."last_at" <= CURRENT_TIMESTAMP()
    OR NOT "rejected"."next_at" <> CAST('9999-12-31 23:59:59.999999' AS TIMESTAMPTZ)
  )
  AND "rejected"."primary_key" = CAST("compared"."key" AS VARCHAR)
  AND "rejected"."fingerprint" IS NOT DISTINCT FROM CAST("compared"."fingerprint" AS VARCHAR);

SELECT
  *
FROM (
  WITH "rendered" AS (
    SELECT
      "operations".*,
      CAST("cdp_functions".nfc(CAST("model"."person_id" AS VARCHAR)) AS VARCHAR) AS "match_value",
      NULLIF(LOWER(TRIM("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), '') AS "consent_identifier",
      CASE
        WHEN "permission" IN ('withdrawn', 'suppressed')
        THEN (
          '{' || '"email_permission":' || COALESCE(
            TO_JSON(TO_VARIANT("cdp_functions".nfc(CAST("model"."email_permission" AS VARCHAR)))),
            'null'
          ) || '}'
        )
        ELSE (
          '{' || '"cdp_person_id":' || COALESCE(
            TO_JSON(TO_VARIANT("cdp_functions".nfc(CAST("model"."person_id" AS VARCHAR)))),
            'null'
          ) || ',"email":' || COALESCE(TO_JSON(TO_VARIANT("cdp_functions".nfc(CAST("model"."email" AS VARCHAR)))), 'null') || ',"email_permission":' || COALESCE(
            TO_JSON(TO_VARIANT("cdp_functions".nfc(CAST("model"."email_permission" AS VARCHAR)))),
            'null'
          ) || ',"segment":' || COALESCE(
            TO_JSON(TO_VARIANT("cdp_functions".nfc(CAST("model"."segment" AS VARCHAR)))),
            'null'
          ) || ',"lifetime_value":' || COALESCE(
            TO_JSON(
              TO_VARIANT(
                CAST(TRY_TO_NUMBER(TRIM(CAST("model"."lifetime_value" AS VARCHAR)), 12, 2) AS VARCHAR)
              )
            ),
            'null'
          ) || '}'
        )
      END AS "payload"
    FROM "operations"
    JOIN "activation"."sync_contacts__crm" AS "model"
      ON "model"."person_id" = "operations"."key"
    WHERE
      "skipped" IS NULL AND "operation" <> 'remove'
  ), "removed" AS (
    SELECT
      "key",
      NULL AS "consent_identifier",
      (
        '{' || '}'
      ) AS "payload"
    FROM "operations"
    WHERE
      "skipped" IS NULL AND "operation" = 'remove'
  ), "sent" AS (
    SELECT
      "newest"."key",
      "rows"."payload"
    FROM (
      SELECT
        "operations"."key",
        MAX("rows"."version") AS "version"
      FROM (
        SELECT
          "primary_key",
          "version"
        FROM "cdp"."delivered_rows"
        WHERE
          "ledger_id" = '0123456789abcdef'
      ) AS "rows"
      JOIN "operations"
        ON CAST("operations"."key" AS VARCHAR) = "rows"."primary_key"
      WHERE
        NOT "known" IS NULL AND "skipped" IS NULL
      GROUP BY
        "operations"."key"
    ) AS "newest"
    JOIN (
      SELECT
        "primary_key",
        "version",
        "payload"
      FROM "cdp"."delivered_rows"
      WHERE
        "ledger_id" = '0123456789abcdef'
    ) AS "rows"
      ON "rows"."primary_key" = CAST("newest"."key" AS VARCHAR)
      AND "rows"."version" = "newest"."version"
  )
  SELECT
    "rendered"."key",
    "operation",
    COALESCE("rendered"."match_value", "side"."match_value") AS "match_value",
    "side"."record_id",
    "rendered"."payload",
    CASE WHEN NOT "known" IS NULL THEN "sent"."payload" END AS "previous",
    CASE
      WHEN "is_in_ledger"
      THEN NULLIF(
        ARRAY_COMPACT(
          [
            CASE
              WHEN NOT TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'cdp_person_id')) IS NULL
              AND TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'cdp_person_id')) IS DISTINCT FROM TO_JSON(
                GET(
                  PARSE_JSON(CASE WHEN NOT "known" IS NULL THEN "sent"."payload" ELSE '{}' END),
                  'cdp_person_id'
                )
              )
              THEN 'cdp_person_id'
            END,
            CASE
              WHEN NOT TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'email')) IS NULL
              AND TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'email')) IS DISTINCT FROM TO_JSON(
                GET(
                  PARSE_JSON(CASE WHEN NOT "known" IS NULL THEN "sent"."payload" ELSE '{}' END),
                  'email'
                )
              )
              THEN 'email'
            END,
            CASE
              WHEN NOT TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'email_permission')) IS NULL
              AND TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'email_permission')) IS DISTINCT FROM TO_JSON(
                GET(
                  PARSE_JSON(CASE WHEN NOT "known" IS NULL THEN "sent"."payload" ELSE '{}' END),
                  'email_permission'
                )
              )
              THEN 'email_permission'
            END,
            CASE
              WHEN NOT TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'segment')) IS NULL
              AND TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'segment')) IS DISTINCT FROM TO_JSON(
                GET(
                  PARSE_JSON(CASE WHEN NOT "known" IS NULL THEN "sent"."payload" ELSE '{}' END),
                  'segment'
                )
              )
              THEN 'segment'
            END,
            CASE
              WHEN NOT TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'lifetime_value')) IS NULL
              AND TO_JSON(GET(PARSE_JSON("rendered"."payload"), 'lifetime_value')) IS DISTINCT FROM TO_JSON(
                GET(
                  PARSE_JSON(CASE WHEN NOT "known" IS NULL THEN "sent"."payload" ELSE '{}' END),
                  'lifetime_value'
                )
              )
              THEN 'lifetime_value'
            END
          ]
        ),
        []
      )
    END AS "changed",
    "fingerprint",
    "consent_identifier",
    CASE
      WHEN "is_in_ledger" AND "side"."match_value" <> "rendered"."match_value"
      THEN "side"."match_value"
    END AS "former_match_value"
  FROM "rendered"
  LEFT JOIN "cdp"."ledger_side_0123456789abcdef" AS "side"
    ON "side"."key" = "rendered"."key"
  LEFT JOIN "sent"
    ON "sent"."key" = "rendered"."key"
  UNION ALL
  SELECT
    "removed"."key",
    'remove',
    "side"."match_value",
    "side"."record_id",
    "removed"."payload",
    "sent"."payload",
    CAST([] AS ARRAY),
    NULL,
    "consent_identifier",
    NULL
  FROM "removed"
  LEFT JOIN "cdp"."ledger_side_0123456789abcdef" AS "side"
    ON "side"."key" = "removed"."key"
  LEFT JOIN "sent"
    ON "sent"."key" = "removed"."key"
)
ORDER BY
  LIST_POSITION(CAST(['remove', 'withdraw', 'update', 'create'] AS ARRAY), "operation"),
  "key";
