{{ config(materialized='table') }}

with clock as (

    select * from {{ ref('stg_loop__clock') }}

),

people as (

    select * from {{ ref('stg_retail__people') }}

),

first_purchases as (

    select
        transactions.household_id,
        min(transactions.order_day) as first_purchase_on
    from {{ ref('stg_retail__transactions') }} as transactions
    inner join clock on transactions.order_day <= clock.as_of_on
    where transactions.sales_value > 0
    group by transactions.household_id

),

contacts as (

    select contacts.*
    from {{ ref('stg_hubspot__contacts') }} as contacts
    inner join clock on contacts.feedback_day <= clock.feedback_until_on
    where contacts.email like '%@%'

),

-- 82 of 100 households said yes to e-mail at their first purchase, 6 said no, 12 were never asked and have no event. Ads
-- are a question of their own: 70 yes, 12 no, 18 never asked.
answered_at_first_purchase as (

    select
        people.household_id,
        people.email as identifier,
        first_purchases.first_purchase_on as happened_on
    from people
    inner join first_purchases on people.household_id = first_purchases.household_id

),

read_back as (

    select
        contact_id,
        email,
        feedback_day,
        is_opted_out,
        lag(is_opted_out, 1, false) over (partition by contact_id, email order by feedback_day) as was_opted_out
    from contacts

),

unioned as (

    {%- for purpose, yes_below, answered_below in [('email_marketing', 82, 88), ('advertising', 70, 82)] %}
    select
        identifier,
        '{{ purpose }}' as purpose,
        case when {{ bucket('household_id', purpose, 100) }} < {{ yes_below }} then 'granted' else 'withdrawn' end as status,
        happened_on,
        'first_purchase' as event_source,
        '2017-01' as wording_version,
        {{ dbt.concat(["'first purchase of household '", "cast(household_id as " ~ dbt.type_string() ~ ")"]) }}
            as proof_reference
    from answered_at_first_purchase
    where {{ bucket('household_id', purpose, 100) }} < {{ answered_below }}
    union all
    {%- endfor %}

    select
        email as identifier,
        'email_marketing' as purpose,
        'withdrawn' as status,
        feedback_day as happened_on,
        'crm_opt_out' as event_source,
        cast(null as {{ dbt.type_string() }}) as wording_version,
        {{ dbt.concat(["'contact '", "contact_id", "' in the CRM'"]) }} as proof_reference
    from read_back
    where is_opted_out and not was_opted_out

    union all

    select
        email as identifier,
        'email_marketing' as purpose,
        'confirmed' as status,
        case when email_confirmed_on < feedback_day then email_confirmed_on else feedback_day end as happened_on,
        'crm_address_confirmed' as event_source,
        cast(null as {{ dbt.type_string() }}) as wording_version,
        {{ dbt.concat(["'contact '", "contact_id", "' in the CRM'"]) }} as proof_reference
    from contacts
    where email_confirmed_on is not null

)

select
    {{ dbt.concat(["identifier", "'|'", "purpose", "'|'", "status", "'|'", "cast(happened_on as " ~ dbt.type_string() ~ ")", "'|'", "event_source"]) }}
        as consent_event_id,
    identifier,
    'email' as identifier_type,
    'retail_us' as entity,
    'email' as channel,
    purpose,
    status,
    happened_on,
    'consent' as lawful_basis,
    event_source,
    max(wording_version) as wording_version,
    min(proof_reference) as proof_reference
from unioned
group by identifier, purpose, status, happened_on, event_source
