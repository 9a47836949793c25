with people as (

    select * from {{ ref('stg_retail__people') }}

),

demographics as (

    select * from {{ ref('stg_retail__demographics') }}

)

select
    people.person_id,
    people.household_id,
    people.first_name,
    people.last_name,
    people.email,
    people.phone,
    demographics.age_band,
    demographics.income_band,
    demographics.household_size,
    demographics.household_composition
from people
left join demographics on people.household_id = demographics.household_id
