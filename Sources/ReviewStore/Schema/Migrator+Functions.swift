internal import PostgresClient

extension Migrator {
  /// What brings each trigger function of the schema that does not yet run with its own search path and its owner's rights there.
  ///
  /// A trigger runs with the settings and the rights of the session that writes. An application that has another `search_path`, or may
  /// only INSERT, would fail in it, and a path could put other functions, operators or tables in its way. Only triggers may call them.
  static let unpinnedFunctions = PostgresStatement(
    "migrate_unpinned_functions",
    """
    /* baton:migrate_unpinned_functions */
    SELECT format('ALTER FUNCTION %1$s SECURITY DEFINER SET search_path = pg_catalog, %2$I, pg_temp;'
                  'REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC', p.oid::regprocedure, n.nspname) AS script
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = $1 AND p.prorettype = 'trigger'::regtype AND p.proname LIKE 'baton\\_%'
       AND NOT (p.prosecdef AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
                AND COALESCE(p.proconfig, '{}') @> ARRAY[format('search_path=pg_catalog, %I, pg_temp', n.nspname)])
    """)

  /// Part of every step, so that no migration has to remember it: `CREATE OR REPLACE FUNCTION` takes both away.
  func pinFunctions(_ connection: PostgresConnection, in schema: String) async throws {
    for row in try await connection.query(Self.unpinnedFunctions, [schema]) {
      try await connection.execute(script: try row.decode("script", as: String.self))
    }
  }

  static let isOpenToAll = PostgresStatement(
    "migrate_is_open_to_all",
    """
    /* baton:migrate_is_open_to_all */
    SELECT n.nspname
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass('baton_migrations') AND has_schema_privilege('public', n.oid, 'CREATE')
    """)

  /// The schema's name if every account of the database may create objects in it, as in `public` before Postgres 15: such an
  /// object could come in the way of what the trigger functions call.
  package func schemaOpenToAll() async throws -> String? {
    try await pool.query(Self.isOpenToAll, []).first?.decode(0, as: String.self)
  }
}
