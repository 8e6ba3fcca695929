-- Reports DDL statements to headwater: which statement defined a table anew, and who ran it. Optional.
--
-- Run it once in each database that headwater reads, as a superuser (Amazon RDS: rds_superuser; Cloud SQL:
-- cloudsqlsuperuser), on PostgreSQL 14 or later. Then restart headwater, which looks for the trigger when it starts.
--
-- A statement that creates, alters or drops a table writes a logical message into the log, in its own transaction:
-- it stands before the first row of the new shape, and is rolled back with the statement. Whatever goes wrong here is a
-- warning to whoever runs the statement: the statement itself is carried out. Who reads the log can read the text; the whole
-- text is left out where it may hold a password: the word `password` with a text literal anywhere behind it, or a URL with a
-- login (`://user:…@`).
--
-- Run again, it makes everything anew. To remove it:
--
--   DROP EVENT TRIGGER IF EXISTS headwater_ddl;
--   DROP EVENT TRIGGER IF EXISTS headwater_ddl_drop;
--   DROP FUNCTION IF EXISTS headwater.report_ddl();
--   DROP SCHEMA IF EXISTS headwater;

BEGIN;

-- The function runs with the rights of whoever changes a table, a superuser too. So nothing is kept that is there already:
-- whoever owned the function or the schema could put other code into it.
DROP EVENT TRIGGER IF EXISTS headwater_ddl;
DROP EVENT TRIGGER IF EXISTS headwater_ddl_drop;
DROP FUNCTION IF EXISTS headwater.report_ddl();
DROP SCHEMA IF EXISTS headwater;

CREATE SCHEMA headwater;

CREATE FUNCTION headwater.report_ddl() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $report$
DECLARE
    statement text := current_query();
    defined record;
BEGIN
    IF statement ~* 'password.*[''$]|://.*:.*@' THEN
        statement := '(left out: it may hold a password)';
    END IF;
    -- One letter more than is kept, so that headwater sees that there was more.
    statement := left(statement, 16385);
    IF tg_event = 'sql_drop' THEN
        -- A type that is dropped with CASCADE takes the columns along that have it.
        FOR defined IN
            SELECT d.objid, d.address_names[1] AS nspname, d.address_names[2] AS relname
            FROM pg_event_trigger_dropped_objects() WITH ORDINALITY d
            WHERE NOT d.is_temporary
                AND (d.object_type = 'table' OR (d.object_type = 'table column' AND tg_tag <> 'ALTER TABLE'))
            GROUP BY 1, 2, 3 ORDER BY min(d.ordinality)
        LOOP
            PERFORM pg_logical_emit_message(true, 'headwater.ddl', convert_to(json_build_object(
                'schema', defined.nspname, 'table', defined.relname, 'oid', defined.objid::bigint,
                'command', tg_tag, 'statement', statement, 'user', session_user)::text, 'UTF8'));
        END LOOP;
    ELSE
        FOR defined IN
            SELECT c.oid AS objid, n.nspname, c.relname, min(d.command_tag) AS command
            FROM pg_event_trigger_ddl_commands() WITH ORDINALITY d
                JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
                JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE d.command_tag IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
                AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
            GROUP BY 1, 2, 3 ORDER BY min(d.ordinality)
        LOOP
            PERFORM pg_logical_emit_message(true, 'headwater.ddl', convert_to(json_build_object(
                'schema', defined.nspname, 'table', defined.relname, 'oid', defined.objid::bigint,
                'command', defined.command, 'statement', statement, 'user', session_user)::text, 'UTF8'));
        END LOOP;
    END IF;
    IF found THEN
        -- The place of a message in the log is the end of its record, where the next row may begin; and the server would send
        -- that row first, because what handles an exception is a transaction of its own. So something else comes next.
        PERFORM pg_logical_emit_message(true, 'headwater.ddl', ''::bytea);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'headwater is not told of this statement: %', sqlerrm;
END
$report$;

CREATE EVENT TRIGGER headwater_ddl ON ddl_command_end EXECUTE FUNCTION headwater.report_ddl();
CREATE EVENT TRIGGER headwater_ddl_drop ON sql_drop EXECUTE FUNCTION headwater.report_ddl();

COMMIT;
