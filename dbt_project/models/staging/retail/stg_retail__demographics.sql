with source as (

    select * from {{ source('raw_retail', 'demographics') }}

)

select
    household_id,
    age as age_band,
    income as income_band,
    household_size,
    household_comp as household_composition,
    kids_count,
    home_ownership,
    marital_status
from source
