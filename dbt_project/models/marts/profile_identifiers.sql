{%- set kinds = ['customer_number', 'card_number', 'anonymous_id', 'email', 'phone'] -%}

with records as (

    select * from {{ ref('int_identity_records') }}

),

resolved as (

    select * from {{ ref('int_records__resolved') }}

),

contacts as (

    select * from {{ ref('int_contacts__summarised') }}
    where confirmed_email is not null

),

held as (

    {% for kind in kinds -%}
    select
        resolved.person_id,
        '{{ kind }}' as identifier_type,
        {{ normalised_email('records.email') if kind == 'email' else 'records.' ~ kind }} as identifier,
        records.source,
        records.seen_at
    from records
    inner join resolved on records.record_key = resolved.record_key
    where records.{{ kind }} is not null

    union all

    {% endfor -%}
    select
        person_id,
        'email' as identifier_type,
        confirmed_email as identifier,
        'crm' as source,
        cast(email_confirmed_on as {{ type_instant() }}) as seen_at
    from contacts

)

select
    {{ dbt.concat(["person_id", "'|'", "identifier_type", "'|'", "identifier"]) }} as profile_identifier_id,
    person_id,
    identifier_type,
    identifier,
    count(*) as record_count,
    count(distinct source) as source_count,
    min(seen_at) as first_seen_at,
    max(seen_at) as last_seen_at
from held
where identifier is not null
group by person_id, identifier_type, identifier
