with source as (

    select * from {{ clock_source() }}

)

select
    as_of_on,
    {{ days_before('as_of_on', 1) }} as feedback_until_on,
    {{ days_before('as_of_on', 364) }} as year_started_on
from source
