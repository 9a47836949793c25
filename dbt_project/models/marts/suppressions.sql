with suppressions as (

    select
        {{ dbt.concat(["channel", "'|'", "coalesce(entity, '')", "'|'", "identifier"]) }} as suppression_id,
        int_suppressions.*
    from {{ ref('int_suppressions__unioned') }} as int_suppressions

),

-- Once is enough: the reason that came first is kept.
ranked as (

    select
        suppressions.*,
        row_number() over (partition by suppression_id order by suppressed_on, reason) as earliest_first
    from suppressions

)

select
    suppression_id,
    identifier,
    identifier_type,
    channel,
    entity,
    reason,
    source,
    suppressed_on
from ranked
where earliest_first = 1
