with bounded as (

    select * from {{ ref('int_clocks__bounded') }}

)

select
    entity,
    as_of_on,
    feedback_until_on,
    year_started_on
from bounded
