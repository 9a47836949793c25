select
    {{ normalised_email('identifier') }} as identifier,
    channel,
    entity,
    reason,
    listed_on
from {{ ref('do_not_contact') }}
