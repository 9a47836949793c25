with demographics as (

    select * from {{ ref('stg_retail__demographics') }}

)

select
    {{ customer_number('household_id') }} as customer_number,
    age_band,
    income_band,
    household_size,
    household_composition
from demographics
