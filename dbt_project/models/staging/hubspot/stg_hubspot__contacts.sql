with source as (

    select * from {{ source_or_empty('raw_hubspot', 'contacts', {
        'feedback_day': 'date',
        'contact_id': dbt.type_string(),
        'cdp_person_id': dbt.type_string(),
        'email': dbt.type_string(),
        'email_opt_out': dbt.type_boolean(),
        'email_confirmed_on': 'date',
        'lapsed_loyalist': dbt.type_boolean(),
        'created_at': type_instant(),
        'updated_at': type_instant()
    }) }} as contacts

)

select
    {{ dbt.concat(["cast(feedback_day as " ~ dbt.type_string() ~ ")", "'-'", "contact_id"]) }} as contact_day_id,
    feedback_day,
    contact_id,
    nullif(cdp_person_id, '') as person_id,
    {{ normalised_email('email') }} as email,
    coalesce(email_opt_out, false) as is_opted_out,
    email_confirmed_on,
    coalesce(lapsed_loyalist, false) as is_lapsed_loyalist,
    created_at,
    updated_at
from source
