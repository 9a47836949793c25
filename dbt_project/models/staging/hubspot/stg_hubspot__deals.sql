with source as (

    select * from {{ hubspot_records() }} as records

)

select
    {{ dbt.concat(["record_id", "'-'", "cast(modified_on as " ~ dbt.type_string() ~ ")"]) }} as deal_day_id,
    record_id as deal_id,
    modified_on,
    modified_at,
    name,
    status as stage,
    {{ money('amount') }} as amount,
    ends_on as closes_on,
    is_archived,
    not is_archived and coalesce(status, '') not in ('{{ var('closed_deal_stages') | join("', '") }}') as is_open
from source
where kind = 'deal'
