{#-
    How the rows that a loader wrote become rows with known types, whatever the loader made of the
    columns: jsonb, arrays, or text with JSON (setting `json_text` of the tap). A column that is not
    there, because it was deselected, is null.
-#}

{#- Select the rows of a stream with one row for each recording. -#}
{% macro source_rows(stream) -%}
    {{ return(adapter.dispatch('source_rows', 'focus')(stream)) }}
{%- endmacro %}

{% macro default__source_rows(stream) -%}
    select * from {{ source('focus', stream) }}
{%- endmacro %}

{#- Files: the last line of a recording wins. Files are read in the order of their names, which
    contain the time, and lines in their order. -#}
{% macro duckdb__source_rows(stream) -%}
    with loaded as (
        {{ duckdb_reader(stream) }}
    ),

    numbered as (
        select
            record,
            file_name,
            cast(record ->> '$.interactionId' as bigint) as id,
            row_number() over () as line
        from loaded
    ),

    latest as (
        select id, max((file_name, line)) as place
        from numbered
        group by id
    )

    select
        numbered.record,
        numbered.file_name,
        json_type(coalesce(
            {%- for name in ['endpoints', 'tags', 'analysis', 'optional', 'additionalFields', 'previousFiles'] %}
            nullif(numbered.record -> '$.{{ name }}', 'null'){{ ',' if not loop.last }}
            {%- endfor %}
        )) = 'VARCHAR' as has_json_text
    from numbered
    inner join latest on numbered.id = latest.id and (numbered.file_name, numbered.line) = latest.place
{%- endmacro %}

{% macro duckdb_reader(stream) -%}
    {%- set source_table = source('focus', stream) -%}
    {%- set files = setting('files') | replace('{stream}', stream) -%}
    {%- if not files -%}
        select to_json(loaded_rows) as record, '' as file_name from {{ source_table }} as loaded_rows
    {%- elif files.endswith('.parquet') -%}
        select to_json(loaded_rows) as record, filename as file_name
        from read_parquet('{{ files }}', filename = true, union_by_name = true) as loaded_rows
    {%- else -%}
        select json as record, filename as file_name
        from read_ndjson_objects('{{ files }}', filename = true, maximum_object_size = 67108864)
    {%- endif -%}
{%- endmacro %}


{#- Return the columns of a loaded table with their types, by name. -#}
{% macro source_columns(stream) %}
    {%- set types = {} -%}
    {%- if execute and target.type != 'duckdb' -%}
        {%- for column in adapter.get_columns_in_relation(source('focus', stream)) -%}
            {%- do types.update({column.name: column.dtype | lower}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(types) -}}
{% endmacro %}


{#- Return a column of the stream with a type: text, bigint, decimal, boolean, timestamp or json. -#}
{% macro source_column(columns, name, type) -%}
    {{ return(adapter.dispatch('source_column', 'focus')(columns, name, type)) }}
{%- endmacro %}

{% macro postgres__source_column(columns, name, type) -%}
    {%- set types = {'json': 'jsonb', 'decimal': 'numeric'} -%}
    {%- set quoted = adapter.quote(name) -%}
    {%- if name not in columns -%}
        cast(null as {{ types.get(type, type) }})
    {%- elif type == 'json' and columns[name] in ('text', 'character varying') -%}
        nullif(cast({{ quoted }} as jsonb), 'null')
    {%- elif type == 'json' -%}
        nullif(to_jsonb({{ quoted }}), 'null')
    {%- elif type == 'timestamp' and columns[name] == 'timestamp with time zone' -%}
        {{ quoted }} at time zone 'UTC'
    {%- else -%}
        cast({{ quoted }} as {{ types.get(type, type) }})
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__source_column(columns, name, type) -%}
    {%- set types = {'text': 'varchar', 'decimal': 'decimal(28, 9)'} -%}
    {%- if type == 'json' -%}
        nullif(
            case
                when coalesce(has_json_text, json_valid(record ->> '$.{{ name }}'))
                    then cast(record ->> '$.{{ name }}' as json)
                else record -> '$.{{ name }}'
            end,
            'null'
        )
    {%- else -%}
        cast(record ->> '$.{{ name }}' as {{ types.get(type, type) }})
    {%- endif -%}
{%- endmacro %}


{#- Return when a row was loaded: the loader's column, else the time in the name of the file. -#}
{% macro loaded_at(columns) -%}
    {{ return(adapter.dispatch('loaded_at', 'focus')(columns)) }}
{%- endmacro %}

{% macro default__loaded_at(columns) -%}
    {{ source_column(columns, '_sdc_batched_at', 'timestamp') }}
{%- endmacro %}

{% macro duckdb__loaded_at(columns) -%}
    coalesce(
        {{ source_column(columns, '_sdc_batched_at', 'timestamp') }},
        try_strptime(regexp_extract(file_name, '\d{8}T\d{6}'), '%Y%m%dT%H%M%S')
    )
{%- endmacro %}
