with clock as (

    select * from {{ ref('stg_loop__clock') }}

)

select
    'retail_us' as entity,
    as_of_on,
    feedback_until_on,
    year_started_on
from clock
