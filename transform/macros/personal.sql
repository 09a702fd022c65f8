{#-
    Return a personal column as the setting `personal_data` wants it: `keep`, `drop` (null), `hash`
    (SHA-256 with the salt of the setting `hash_salt`) or `mask` (the first character, then `***`).
    The setting is a mapping of column names to these words. `default` is the rule of all others.
-#}
{% macro personal(name, expression) -%}
    {%- set rule = personal_rule(name) -%}
    {%- if rule == 'keep' -%}
        {{ expression }}
    {%- elif rule == 'drop' -%}
        cast(null as {{ dbt.type_string() }})
    {%- elif rule == 'mask' -%}
        left({{ expression }}, 1) || '***'
    {%- elif rule == 'hash' -%}
        {{ sha256("'" ~ hash_salt() ~ "' || " ~ expression) }}
    {%- else -%}
        {{ exceptions.raise_compiler_error("personal_data: '" ~ rule ~ "' for " ~ name ~ " is not keep, drop, hash or mask") }}
    {%- endif -%}
{%- endmacro %}


{% macro personal_rule(name) -%}
    {%- set rules = personal_rules() -%}
    {{- return(rules.get(name, rules.get('default', 'keep'))) -}}
{%- endmacro %}


{% macro personal_rules() %}
    {%- set value = setting('personal_data', '{}') -%}
    {%- set rules = fromjson(value) if value is string else value -%}
    {%- if rules is not mapping -%}
        {{ exceptions.raise_compiler_error("personal_data is not a mapping of columns to keep, drop, hash or mask") }}
    {%- endif -%}
    {%- for name in rules if name not in personal_columns() -%}
        {{ exceptions.raise_compiler_error("personal_data: there is no personal column '" ~ name ~ "'") }}
    {%- endfor -%}
    {{- return(rules) -}}
{% endmacro %}


{#- The names that the setting `personal_data` may contain. docs/privacy.md lists them. -#}
{% macro personal_columns() %}
    {{ return([
        'default', 'full_name', 'address', 'user_details', 'transcript_snippet', 'third_party_id',
        'private_reason', 'legal_holds', 'properties', 'additional_fields', 'tags', 'topics',
    ]) }}
{% endmacro %}


{% macro hash_salt() %}
    {%- set salt = setting('hash_salt') | string -%}
    {%- if not salt -%}
        {{ exceptions.raise_compiler_error("personal_data: 'hash' needs the setting hash_salt") }}
    {%- endif -%}
    {{- return(salt | replace("'", "''")) -}}
{% endmacro %}


{% macro sha256(expression) -%}
    {{ return(adapter.dispatch('sha256', 'focus')(expression)) }}
{%- endmacro %}

{% macro postgres__sha256(expression) -%}
    encode(sha256(convert_to({{ expression }}, 'UTF8')), 'hex')
{%- endmacro %}

{% macro duckdb__sha256(expression) -%}
    sha256({{ expression }})
{%- endmacro %}


{#- The same for JSON: every rule but `keep` drops it, because a hash of an object is of no use. -#}
{% macro personal_json(name, expression) -%}
    {%- if personal_rule(name) == 'keep' -%}
        {{ expression }}
    {%- else -%}
        cast(null as {{ type_json() }})
    {%- endif -%}
{%- endmacro %}


{#- Return whether an address belongs to a domain of the setting `internal_domains`. -#}
{% macro has_internal_domain(address) -%}
    {%- set domains = internal_domains() -%}
    {%- if domains -%}
        coalesce(
            {{ address }} like '%@%' and regexp_replace(lower({{ address }}), '^.*@', '') in (
                {%- for domain in domains -%}
                    '{{ domain | lower | replace("'", "''") }}'{{ ', ' if not loop.last }}
                {%- endfor -%}
            ),
            false
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{% macro internal_domains() -%}
    {%- set domains = setting('internal_domains', '[]') -%}
    {{- return(fromjson(domains) if domains is string else domains) -}}
{%- endmacro %}
