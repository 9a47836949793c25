{%- set tiers = var('sales_tiers') -%}

with profiles as (

    select * from {{ ref('profiles') }}

),

-- Value only grows: whoever has become an account stays one, and no tier is left behind that is true no more.
traits as (

    select * from {{ ref('traits_rfm') }}
    where lifetime_value >= {{ tiers['Silver'] }}

)

select
    profiles.person_id,
    profiles.email,
    {{ dbt.concat(["coalesce(profiles.first_name, 'Household')", "' '", "coalesce(profiles.last_name, '')"]) }}
        as account_name,
    case when traits.lifetime_value >= {{ tiers['Gold'] }} then 'Gold' else 'Silver' end as tier
from profiles
inner join traits on profiles.person_id = traits.person_id
