with transactions as (

    select * from {{ source('raw_retail', 'transactions') }}

),

name_parts as (

    select * from {{ ref('fictional_name_parts') }}

),

households as (

    select
        household_id,
        min(transaction_timestamp) as first_seen_at,
        min(transaction_day) as first_seen_on
    from transactions
    group by household_id

),

-- The area code and the last two digits follow from the number itself and not from a hash, so that no two of the
-- first 6,000 households share a telephone number. 555-0100 to 555-0199 is reserved for fiction.
numbered as (

    select
        household_id,
        first_seen_at,
        first_seen_on,
        {{ bucket('household_id', 'first_name', 60) }} as first_name_position,
        {{ bucket('household_id', 'last_name', 80) }} as last_name_position,
        mod(cast(floor(household_id / 100) as {{ dbt.type_int() }}), 60) as area_code_position,
        lpad(cast(mod(household_id, 100) as {{ dbt.type_string() }}), 2, '0') as line_digits
    from households

)

select
    numbered.household_id,
    {{ customer_number('numbered.household_id') }} as customer_number,
    numbered.first_seen_at,
    numbered.first_seen_on,
    first_names.value as first_name,
    last_names.value as last_name,
    lower({{ dbt.concat([
        "first_names.value", "'.'", "last_names.value",
        "cast(numbered.household_id as " ~ dbt.type_string() ~ ")", "'@example.com'"
    ]) }}) as email,
    {{ dbt.concat(["'+1'", "area_codes.value", "'55501'", "numbered.line_digits"]) }} as phone
from numbered
inner join name_parts as first_names
    on first_names.kind = 'first_name' and numbered.first_name_position = first_names.position
inner join name_parts as last_names
    on last_names.kind = 'last_name' and numbered.last_name_position = last_names.position
inner join name_parts as area_codes
    on area_codes.kind = 'area_code' and numbered.area_code_position = area_codes.position
