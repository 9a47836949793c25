with records as (

    select * from {{ ref('int_identity_records') }}

),

resolved as (

    select * from {{ ref('int_records__resolved') }}

),

customers as (

    select * from {{ ref('int_customers__described') }}

),

contacts as (

    select * from {{ ref('int_contacts__summarised') }}
    where confirmed_email is not null

),

-- What the retailer knows of its customers stands with their own record, and not with others that name them.
described as (

    select
        resolved.person_id,
        records.record_key,
        records.source,
        records.seen_at,
        case when records.source = 'retail' then records.customer_number end as customer_number,
        records.given_name,
        records.surname,
        {{ normalised_email('records.email') }} as email,
        records.phone,
        records.birth_date,
        records.postcode,
        customers.age_band,
        customers.income_band,
        customers.household_size,
        customers.household_composition
    from records
    inner join resolved on records.record_key = resolved.record_key
    left join customers on records.source = 'retail' and records.customer_number = customers.customer_number

    union all

    select
        person_id,
        {{ record_key('crm', 'person_id') }} as record_key,
        'crm' as source,
        cast(email_confirmed_on as {{ type_instant() }}) as seen_at,
        null as customer_number,
        null as given_name,
        null as surname,
        confirmed_email as email,
        null as phone,
        null as birth_date,
        null as postcode,
        null as age_band,
        null as income_band,
        null as household_size,
        null as household_composition
    from contacts

),

candidates as (

    {% for field, rule in survivorship_rules().items() -%}
    {{ survivorship_candidates('described', field, rule) }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

ranked as (

    select
        candidates.*,
        row_number() over (
            partition by person_id, field
            order by strength, seen_at desc nulls last, record_key
        ) as strongest_first
    from candidates

)

select
    {{ dbt.concat(["person_id", "'|'", "field"]) }} as profile_field_id,
    person_id,
    field,
    value,
    source,
    seen_at,
    record_key,
    rule
from ranked
where strongest_first = 1
